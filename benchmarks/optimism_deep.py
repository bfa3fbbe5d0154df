"""Deep half of the suite optimism: OptimisticSAC and its rivals, all seeds of a method stacked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv

from hybridrl.agents.optimistic_sac.stacked import StackedOptimisticSAC
from hybridrl.benchmarks.optimism_numbers import Number
from hybridrl.benchmarks.rows_file import write_rows
from hybridrl.benchmarks.runs import RunConfig
from hybridrl.envs.sparse.point import SparsePointVectorEnv

EVALUATION_SEED = 2**30  # far above any seed of training
POINTS = 10  # evaluations along the training
# Task -> how to make it for so many seeds, episodes of an evaluation, and settings of the agents,
# the same for every method.
SMALL: dict[str, Any] = {"net_arch": (64, 64), "learning_rate": 1e-3}
MUJOCO: dict[str, Any] = {**SMALL, "batch_size": 64, "learning_starts": 500}
SPARSE: dict[str, Any] = {
    **SMALL,
    "batch_size": 64,
    "learning_starts": 300,
    "tau": 0.01,
    "backup_entropy": False,  # success ends the episode: entropy must not be worth more
    "first_ent_coef": 0.1,  # nor weigh more than a reward of 1
}


def mujoco(name: str) -> Callable[[int], VectorEnv[Any, Any, Any]]:
    """Makes vectors of a Gymnasium task that begin anew within the step."""

    def make(rows: int) -> VectorEnv[Any, Any, Any]:
        import gymnasium as gym

        mode = {"autoreset_mode": AutoresetMode.SAME_STEP}
        return gym.make_vec(name, rows, vectorization_mode="sync", vector_kwargs=mode)

    return make


TASKS: dict[str, tuple[Callable[[int], VectorEnv[Any, Any, Any]], int, dict[str, Any]]] = {
    "InvertedDoublePendulum-v5": (mujoco("InvertedDoublePendulum-v5"), 3, MUJOCO),
    "InvertedPendulum-v5": (mujoco("InvertedPendulum-v5"), 3, MUJOCO),
    "Hopper-v5": (mujoco("Hopper-v5"), 3, MUJOCO),
    "HalfCheetah-v5": (mujoco("HalfCheetah-v5"), 3, MUJOCO),
    "SparsePoint-v0": (SparsePointVectorEnv, 10, SPARSE),
}


def train_stack(config: RunConfig, folder: Path) -> dict[str, Any]:
    """Train every seed of one method on one task and evaluate the target policies on the way.

    Returns:
        Steps of each seed, and how often the exploration critic was renewed.
    """
    import torch

    torch.set_num_threads(1)
    make, episodes, options = TASKS[config.env]
    seeds, steps = config.settings["seeds"], config.settings["steps"]
    stack = StackedOptimisticSAC(
        config.agent,
        make(len(seeds)),
        seed=1000 * (seeds[0] + 1),
        capacity=steps,
        **{**options, "learning_starts": min(options["learning_starts"], steps // 4)},
    )
    judge = make(len(seeds) * episodes)
    curves: list[list[float]] = []
    points = sorted({max(1, steps * k // POINTS) for k in range(1, POINTS + 1)})
    found = np.full(len(seeds), np.nan)

    def first_reward(rewards: Any, info: dict[str, Any]) -> None:
        """Remember when a seed first earned something (what a sparse task is about)."""
        fresh = np.isnan(found) & (rewards > 0.0)
        found[fresh] = stack.steps

    numbers: list[Number] = []
    for point in points:
        stack.learn(point - stack.steps, first_reward)
        curves.append(stack.returns(judge, episodes, EVALUATION_SEED).mean(-1).tolist())
        for seed, value in zip(seeds, curves[-1], strict=True):
            numbers.append(Number(seed, f"return_at_{point}", value, episodes, point))
    judge.close()
    for i, seed in enumerate(seeds):
        area = float(np.mean([curve[i] for curve in curves]))
        numbers.append(Number(seed, "area", area, len(points) * episodes, steps))
        numbers.append(Number(seed, "return", curves[-1][i], episodes, steps))
        numbers.append(Number(seed, "first_reward", float(found[i]), 1, steps))
        numbers.append(Number(seed, "switches", float(stack.switches), 1, steps))
    write_rows(folder / "numbers.csv", Number, numbers)
    return {"steps": steps, "switches": stack.switches}
