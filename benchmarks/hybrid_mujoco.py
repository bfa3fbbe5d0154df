"""The hybrid-mujoco suite: hybrid agents on MuJoCo robots at equal gradient steps.

Agents with two critics are trained in stacks, all their seeds side by side; the others one by one.
Datasets ``hybridrl/<robot>/<level>-v0`` are made first, those of robots without shipped policies by
training these.
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

__all__ = ["datasets", "plots", "summarise", "tables", "train", "trials", "variant"]

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
    return SUITE.trials(dataclasses.replace(request, envs=_kept(request)))


def datasets(request: Request) -> list[str]:
    """Data that the trials read."""
    return [_dataset(env) for env in _kept(request)]


def _kept(request: Request) -> tuple[str, ...]:
    """Rows that the tier has."""
    robots, levels = request.settings["robots"], request.settings["levels"]
    parts = ((env, *_parts(env)) for env in request.envs)
    return tuple(env for env, robot, level in parts if robot in robots and level in levels)


def train(config: RunConfig, folder: Path) -> dict[str, Any]:
    """Do one trial; references and counts."""
    return SUITE.train(config, folder)


def mujoco_task(env: str) -> Task:
    """The robot and data of a row, as in ``HalfCheetah-medium-replay``."""
    robot, _ = _parts(env)
    low, high = REFERENCES[robot]
    return Task(
        partial(gym.make, f"{robot}-v5"),
        robots(env),
        lambda seed: _dataset(env),
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


def _dataset(env: str) -> str:
    robot, level = _parts(env)
    return f"hybridrl/{robot.lower()}/{level}-v0"


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
