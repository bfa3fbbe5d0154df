"""Stacked training of the gap suites: all seeds of several methods side by side, resumable."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray

from hybridrl.agents.common.stack_state import load_stack, save_stack
from hybridrl.agents.h2o.stacked import StackedH2O
from hybridrl.benchmarks.gap import EVALUATION_SEED, Evaluation, RealGuard
from hybridrl.benchmarks.rows_file import rows_so_far, write_rows
from hybridrl.datasets.offline import OfflineDataset


def train_stack(
    folder: Path,
    methods: Sequence[str],
    simulator: VectorEnv[Any, Any, Any],
    datasets: OfflineDataset | Sequence[OfflineDataset],
    seeds: Sequence[int],
    points: Sequence[int],
    guard: RealGuard,
    episodes: int,
    **settings: Any,
) -> None:
    """Train, or go on from the last evaluation, and evaluate in the real environment on the way.

    Args:
        folder: Of the run; the state and ``evaluations.csv`` are written there.
        methods: Rows of the suite's table.
        simulator: A row for each method and seed.
        datasets: Real data: one for all seeds, or one a seed.
        seeds: Of the rows; the first seeds the stack.
        points: Updates after which policies are evaluated; the last is the end.
        guard: Makes a vector of so many real environments.
        episodes: Of an evaluation.
        **settings: Of :class:`StackedH2O`, with ``learning_starts``.
    """
    random, file = settings["learning_starts"], folder / "evaluations.csv"
    stack = StackedH2O(
        methods,
        simulator,
        datasets,
        n_seeds=len(seeds),
        seed=1000 * (seeds[0] + 1),
        capacity=random + points[-1],
        **settings,
    )
    done = stack.updates if load_stack(stack, folder / "state") else 0
    found = [e for e in rows_so_far(file, Evaluation) if e.updates <= done]
    for point in points:
        if point <= done:
            continue
        stack.learn(point - done + (0 if done else random))
        done = point
        with guard.evaluating():
            grids = stack.evaluate(guard.make, episodes, EVALUATION_SEED)
        found += _evaluations(grids, seeds, point)
        write_rows(file, Evaluation, found)
        save_stack(stack, folder / "state")


def _evaluations(
    grids: Mapping[str, NDArray[np.float64]], seeds: Sequence[int], updates: int
) -> Iterator[Evaluation]:
    for method, grid in grids.items():
        for seed, values in zip(seeds, grid.tolist(), strict=True):
            for episode, value in enumerate(values):
                yield Evaluation(method, seed, updates, episode, value)
