"""The hybrid-mujoco suite: hybrid agents on MuJoCo robots at equal gradient steps.

A trial is one agent, dataset and seed; it goes on from its last evaluation where it was
interrupted. Datasets are made before with ``hybridrl dataset make hybridrl/<robot>/<level>-v0``;
those of robots without shipped policies train them first.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

from hybridrl.benchmarks.hybrid_rows import summarise as summarise
from hybridrl.benchmarks.hybrid_tables import plots, tables
from hybridrl.benchmarks.hybrid_training import Row, Task, named, train_alone
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
_OFFLINE = {"n_actions": 4, "penalty_weight": 1.0}
ROWS: dict[str, Row] = {
    "sac": Row("sac", {"learning_starts": 1000}, data=""),
    "sacfd": Row(
        "rlpd-lite",
        {"offline_fraction": "uniform", "layer_norm": False, "mean_of_critics": False},
    ),
    "hyq-sac": Row("hyq-sac", {"layer_norm": False, "mean_of_critics": False}),
    "rlpd-lite": Row("rlpd-lite", {"mean_of_critics": False}),
    "rlpd": Row("rlpd", {"n_critics": 10, "target_entropy": "half"}),
    "optimistic-sac": Row("optimistic-sac", {"offline_fraction": 0.5, "learning_starts": 0}),
    "moorl": Row("moorl"),
    "moorl-ln": Row("moorl", {"layer_norm": True}),
    "iql": Row("iql", {"actor_decay": False}, offline=0.5),
    "cql": Row("cql", {"calibrated": False, **_OFFLINE}, offline=0.5),
    "calql": Row("calql", _OFFLINE, offline=0.5),
}
_PAIRED: dict[str, Any] = {"n_critics": 2, "learning_starts": 0, "target_entropy": "auto"}
COMMON: dict[str, Any] = {
    "learning_rate": 1e-3,
    "batch_size": 128,
    "buffer_size": 1_000_000,
    "policy_kwargs": {"net_arch": [128, 128]},
}


def variant(tier: str, settings: dict[str, Any]) -> str:
    """Tier and thousands of environment steps, as in ``cpu-50k``."""
    return f"{tier}-{settings['steps'] / 1000:g}k"


def trials(request: Request) -> list[RunConfig]:
    """One trial for each robot, dataset, agent and seed that the tier has."""
    kept = {key: request.settings[key] for key in ("steps", "points", "gradient_steps")}
    offline = kept["steps"] * kept["gradient_steps"]
    return [
        request.trial(
            env=env,
            agent=agent,
            work=f"{__name__}:train",
            seed=seed,
            settings={**kept, "offline_steps": offline},
        )
        for seed in request.seeds
        for env in request.envs
        if _parts(env)[0] in request.settings["robots"]
        and _parts(env)[1] in request.settings["levels"]
        for agent in named(list(ROWS), request.agents)
    ]


def train(config: RunConfig, folder: Path) -> dict[str, Any]:
    """Do one trial; references and counts."""
    row = ROWS[config.agent]
    online = max(1, round(config.settings["gradient_steps"] * (1.0 - row.offline)))
    common = {**COMMON, "gradient_steps": online}
    if row.agent in ("rlpd", "rlpd-lite", "hyq-sac"):
        common |= _PAIRED
    common["buffer_size"] = min(common["buffer_size"], config.settings["steps"])
    return train_alone(config, folder, mujoco_task(config.env), row, common)


def mujoco_task(env: str) -> Task:
    """The robot and data of a row, as in ``HalfCheetah-medium-replay``."""
    robot, level = _parts(env)
    low, high = REFERENCES[robot]
    return Task(
        partial(gym.make, f"{robot}-v5"),
        partial(_vector, f"{robot}-v5"),
        partial(_dataset, f"hybridrl/{robot.lower()}/{level}-v0"),
        low,
        high,
        episodes=EPISODES,
    )


def _parts(env: str) -> tuple[str, str]:
    robot, _, level = env.partition("-")
    return robot, level


def _dataset(name: str, seed: int) -> str:
    return name


def _vector(name: str, count: int) -> VectorEnv[Any, Any, Any]:
    return SyncVectorEnv([partial(gym.make, name)] * count, autoreset_mode=AutoresetMode.SAME_STEP)
