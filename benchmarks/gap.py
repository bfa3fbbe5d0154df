"""What the suites gap-pendulum and gap-mujoco share: evaluations on disk, long rows, the guard."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hybridrl.benchmarks.results import ResultRow, row_of
from hybridrl.benchmarks.rows_file import rows_so_far
from hybridrl.benchmarks.runs import RunResult

CURVE, EPISODE = "return_at_", "episode_"
EVALUATION_SEED = 2**30  # far above any seed of training or data


OFFLINE = ("sac-offline", "iql")  # learn from the data alone
SIM_ONLY = ("sac-sim",)  # learns in the simulator alone


def home(env: str, method: str) -> str:
    """Under which name a method's run on a gap stands: what it does not use is left out.

    Args:
        env: Gap and data, as in ``GainX2.5-200``.
        method: Row of the suite's table.

    Returns:
        ``offline-200`` for methods without a simulator, ``GainX2.5-none`` for those without
        data, so that several cells share one run; else ``env`` itself.
    """
    gap, _, data = env.partition("-")
    if method in OFFLINE:
        return f"offline-{data}"
    return f"{gap}-none" if method in SIM_ONLY else env


class Evaluation(NamedTuple):
    """One episode in the real environment; a line of ``evaluations.csv`` each.

    Args:
        method: Row of the suite's table.
        seed: Of the training.
        updates: Done before it.
        episode: Number within the evaluation.
        value: Undiscounted return.
    """

    method: str
    seed: int
    updates: int
    episode: int
    value: float


class RealGuard:
    """Counts steps of the real environment outside evaluations; there must be none.

    Args:
        make: Makes the real environment.
    """

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make
        self._evaluating = False
        self.training_steps = 0
        self.evaluation_steps = 0

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Steps in here are evaluation."""
        self._evaluating = True
        try:
            yield
        finally:
            self._evaluating = False

    def make(self, *args: Any, **kwargs: Any) -> Any:
        """The real environment, whose every step is counted (a vector counts its rows)."""
        env = self._make(*args, **kwargs)
        step, rows = env.step, getattr(env, "num_envs", 1)

        def counted(action: Any) -> Any:
            if self._evaluating:
                self.evaluation_steps += rows
            else:
                self.training_steps += rows
            return step(action)

        env.step = counted
        return env

    def facts(self) -> dict[str, int]:
        """Both counts, for the result of a run."""
        return {
            "real_steps_training": self.training_steps,
            "real_steps_evaluation": self.evaluation_steps,
        }


def summarise(results: Sequence[RunResult], root: Path) -> list[ResultRow]:
    """Long rows of every run that is done.

    ``return`` is the mean of the last evaluation and ``episode_<k>`` its episodes;
    ``return_at_<updates>`` the learning curve; ``real_steps_training`` must be 0.
    """
    return [
        row for result in results if result.status != "failed" for row in _rows_of_run(result, root)
    ]


def _rows_of_run(result: RunResult, root: Path) -> Iterator[ResultRow]:
    found = rows_so_far(result.config.folder(root) / "evaluations.csv", Evaluation)
    steps = int(result.values.get("sim_steps", 0))
    wall_s = result.wall_s / max(1, len({(e.method, e.seed) for e in found}))
    for (method, seed), group in groupby(sorted(found), key=lambda e: e[:2]):
        points = list(group)
        last = max(e.updates for e in points)
        numbers = [(e.value, f"{EPISODE}{e.episode}", 1) for e in points if e.updates == last]
        numbers.insert(0, (float(np.mean([v for v, *_ in numbers])), "return", len(numbers)))
        for updates, at in groupby(points, key=lambda e: e.updates):
            values = [e.value for e in at]
            numbers.append((float(np.mean(values)), f"{CURVE}{updates}", len(values)))
        for name in ("real_steps_training", "real_steps_evaluation"):
            numbers.append((float(result.values[name]), name, 1))
        for value, metric, n in numbers:
            yield row_of(result, metric, value, n, steps, agent=method, seed=seed, wall_s=wall_s)
