"""The hybrid-mujoco suite: hybrid agents on MuJoCo robots at equal gradient steps.

Agents with two critics are trained in stacks, all their seeds side by side; the others one by one.
Datasets are made before with ``hybridrl dataset make hybridrl/<robot>/<level>-v0``; those of robots
without shipped policies train them first.
"""

from __future__ import annotations

import dataclasses
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

from hybridrl.benchmarks.hybrid_rows import summarise as summarise
from hybridrl.benchmarks.hybrid_small import ALONE, NORMALISED, PLAIN, Small, Stack
from hybridrl.benchmarks.hybrid_tables import plots, tables
from hybridrl.benchmarks.hybrid_training import MakeVector, Task
from hybridrl.benchmarks.runs import RunConfig
from hybridrl.benchmarks.suites import Request

__all__ = ["plots", "summarise", "tables", "train", "trials", "variant"]

# Random and expert return by which D4RL normalises; of older simulators, for the scale of regret.
REFERENCES = {
    "HalfCheetah": (-280.178953, 12135.0),
    "Hopper": (-20.272305, 3234.3),
    "Walker2d": (1.629008, 4592.3),
}
EPISODES = 5
GRADIENT_STEPS = 2
RANDOM_STEPS = 1000  # of agents without data, who otherwise begin with a policy that stands still


def variant(tier: str, settings: dict[str, Any]) -> str:
    """Tier and thousands of environment steps, as in ``cpu-50k``."""
    return f"{tier}-{settings['steps'] / 1000:g}k"


def trials(request: Request) -> list[RunConfig]:
    """One trial for each stack, and for each agent and seed that is trained alone."""
    wanted = request.settings
    kept = tuple(
        env
        for env in request.envs
        if _parts(env)[0] in wanted["robots"] and _parts(env)[1] in wanted["levels"]
    )
    return SUITE.trials(dataclasses.replace(request, envs=kept))


def train(config: RunConfig, folder: Path) -> dict[str, Any]:
    """Do one trial; references and counts."""
    return SUITE.train(config, folder)


def mujoco_task(env: str) -> Task:
    """The robot and data of a row, as in ``HalfCheetah-medium-replay``."""
    robot, level = _parts(env)
    low, high = REFERENCES[robot]
    return Task(
        partial(gym.make, f"{robot}-v5"),
        robots(env),
        partial(_dataset, f"hybridrl/{robot.lower()}/{level}-v0"),
        low,
        high,
        episodes=EPISODES,
    )


def robots(env: str) -> MakeVector:
    """A vector of robots, the same for every dataset."""
    return partial(_vector, f"{_parts(env)[0]}-v5")


def _parts(env: str) -> tuple[str, str]:
    robot, _, level = env.partition("-")
    return robot, level


def _dataset(name: str, seed: int) -> str:
    return name


def _vector(name: str, count: int) -> VectorEnv[Any, Any, Any]:
    return SyncVectorEnv([partial(gym.make, name)] * count, autoreset_mode=AutoresetMode.SAME_STEP)


SUITE = Small(
    __name__,
    mujoco_task,
    robots,
    stacks={
        "stack": Stack(PLAIN.methods, {"random_steps": RANDOM_STEPS}),
        "stack-ln": NORMALISED,
    },
    rows=ALONE,
    gradient_steps=lambda env: GRADIENT_STEPS,
    common={"net_arch": (128, 128), "batch_size": 128, "gamma": 0.99},
)
