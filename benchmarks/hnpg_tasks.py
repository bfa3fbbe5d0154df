"""The hnpg-tasks suite: HNPG on ordinary Gymnasium tasks, at equal environment steps.

One critic and one policy, as for every task without a known horizon. Offline data are those of a
hand-written controller that often acts at random, other rows for each seed;
``hybridrl dataset make hybridrl/<task>/controller-v0 --seed S`` stores them. Off-policy rivals with
the same data make one update an environment step: Hy-Q where actions are discrete, RLPD with two
critics where they are continuous.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
from gymnasium.vector import AutoresetMode, VectorEnv
from stable_baselines3.common.env_util import make_vec_env

from hybridrl.agents.registry import load_preset
from hybridrl.benchmarks.hybrid_rows import summarise as summarise
from hybridrl.benchmarks.hybrid_small import variant as variant
from hybridrl.benchmarks.hybrid_tables import plots, tables
from hybridrl.benchmarks.hybrid_training import Row, Task, train_alone
from hybridrl.benchmarks.runs import RunConfig
from hybridrl.benchmarks.suites import Request
from hybridrl.datasets.balance import controller_data

__all__ = ["plots", "summarise", "tables", "train", "trials", "variant"]

N_ENVS, BATCH = 8, 1000  # environments, and steps of an iteration of all of them
# Task -> its data, and the lowest and highest return of an episode.
TASKS: dict[str, tuple[str, float, float]] = {
    "CartPole-v1": ("cartpole", 0.0, 500.0),
    "InvertedPendulum-v5": ("invertedpendulum", 0.0, 1000.0),
}
_RUN = ("total_timesteps", "n_envs", "n_steps")  # of a preset, that the suite fixes
_STEPS: dict[str, Any] = {"n_steps": BATCH // N_ENVS}
_SB3: dict[str, Any] = {**_STEPS, "batch_size": BATCH // N_ENVS}
_SMALL: dict[str, Any] = {
    "gradient_steps": N_ENVS,  # after one step of all of them
    "policy_kwargs": {"net_arch": [64, 64]},
}


def _preset(agent: str) -> dict[str, Any]:
    return {k: v for k, v in load_preset(agent)["default"].items() if k not in _RUN}


_HNPG = {**_preset("hnpg"), **_STEPS}
ROWS: dict[str, Row] = {
    "hnpg": Row("hnpg", _HNPG),
    "hnpg-online": Row("hnpg", _HNPG, data=""),
    "trpo": Row("trpo", _SB3, data=""),
    "ppo": Row("ppo", _SB3, data=""),
    "hyq": Row("hyq", {**_preset("hyq"), **_SMALL}),
    "rlpd-lite": Row("rlpd-lite", {**_preset("rlpd-lite"), **_SMALL, "policy_delay": 1}),
}
# Agents that can act in one of the tasks only.
_ONLY = {"hyq": "CartPole-v1", "rlpd-lite": "InvertedPendulum-v5"}


def trials(request: Request) -> list[RunConfig]:
    """One trial for each task, agent that can act there, and seed."""
    settings = {key: request.settings[key] for key in ("steps", "points")}
    work = f"{__name__}:train"
    return [
        request.trial(env=env, agent=agent, work=work, seed=seed, settings=settings)
        for env in request.envs
        for agent in request.agents
        if _ONLY.get(agent, env) == env
        for seed in request.seeds
    ]


def train(config: RunConfig, folder: Path) -> dict[str, Any]:
    """Do one trial; references and counts."""
    data, low, high = TASKS[config.env]
    task = Task(
        partial(make_vec_env, config.env, N_ENVS, config.seed),
        partial(_vector, config.env),
        partial(controller_data, data),
        low,
        high,
    )
    return train_alone(config, folder, task, ROWS[config.agent], {})


def _vector(name: str, count: int) -> VectorEnv[Any, Any, Any]:
    mode = {"autoreset_mode": AutoresetMode.SAME_STEP}
    return gym.make_vec(name, count, vectorization_mode="sync", vector_kwargs=mode)
