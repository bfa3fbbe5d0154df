"""Stacked training of the gap suites: all seeds of several methods side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from gymnasium.vector import VectorEnv

from hybridrl.agents.h2o.stacked import StackedH2O
from hybridrl.benchmarks.gap import EVALUATION_SEED, Evaluation, RealGuard
from hybridrl.datasets.offline import OfflineDataset


def train_stack(
    methods: Sequence[str],
    simulator: VectorEnv[Any, Any, Any],
    datasets: OfflineDataset | Sequence[OfflineDataset],
    seeds: Sequence[int],
    points: Sequence[int],
    guard: RealGuard,
    episodes: int,
    **settings: Any,
) -> Iterator[Evaluation]:
    """Train, and evaluate in the real environment on the way.

    Args:
        methods: Rows of the suite's table.
        simulator: A row for each method and seed.
        datasets: Real data: one for all seeds, or one a seed.
        seeds: Of the rows; the first seeds the stack.
        points: Updates after which policies are evaluated; the last is the end.
        guard: Makes a vector of so many real environments.
        episodes: Of an evaluation.
        **settings: Of :class:`StackedH2O`, with ``learning_starts``.

    Yields:
        The episodes of each evaluation, method by method, seed by seed.
    """
    random = settings["learning_starts"]
    stack = StackedH2O(
        methods,
        simulator,
        datasets,
        n_seeds=len(seeds),
        seed=1000 * (seeds[0] + 1),
        capacity=random + points[-1],
        **settings,
    )
    done = 0
    for point in points:
        stack.learn(point - done + (0 if done else random))
        done = point
        with guard.evaluating():
            grids = stack.evaluate(guard.make, episodes, EVALUATION_SEED)
        for method, grid in grids.items():
            for seed, values in zip(seeds, grid.tolist(), strict=True):
                for episode, value in enumerate(values):
                    yield Evaluation(method, seed, point, episode, value)
