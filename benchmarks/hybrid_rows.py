"""What the hybrid suites share: evaluations on disk, and long rows made from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hybridrl.benchmarks.results import ResultRow, row_of
from hybridrl.benchmarks.rows_file import rows_so_far
from hybridrl.benchmarks.runs import RunResult

CURVE, EPISODE = "score_at_", "episode_"
EVALUATION_SEED = 2**30  # far above any seed of training or data


class Score(NamedTuple):
    """One evaluation episode; a line of ``scores.csv`` each.

    Args:
        method: Row of the suite's table.
        seed: Of the training.
        steps: Environment steps done before it; 0 stands before the first.
        updates: Gradient steps done before it.
        episode: Number within the evaluation.
        value: Undiscounted return, or 1 and 0 for success and failure.
    """

    method: str
    seed: int
    steps: int
    updates: int
    episode: int
    value: float


def summarise(results: Sequence[RunResult], root: Path) -> list[ResultRow]:
    """Long rows of every run that is done.

    ``score`` is the mean of the last evaluation and ``episode_<k>`` its episodes;
    ``score_at_<steps>`` the learning curve over environment steps, ``area`` its mean over the
    evaluations after step 0, ``regret`` one minus that on the scale of the task's references;
    ``score_offline`` the evaluation before the first step, where something was learnt before it;
    ``gradient_steps`` counts all updates.
    """
    return [
        row for result in results if result.status != "failed" for row in _rows_of_run(result, root)
    ]


def _rows_of_run(result: RunResult, root: Path) -> Iterator[ResultRow]:
    found = sorted(rows_so_far(result.config.folder(root) / "scores.csv", Score))
    wall_s = result.wall_s / max(1, len({s[:2] for s in found}))
    for (method, seed), group in groupby(found, key=lambda s: s[:2]):
        points = list(group)
        for metric, value, n in _numbers(points, result.values["low"], result.values["high"]):
            steps = max(point.steps for point in points)
            yield row_of(result, metric, value, n, steps, agent=method, seed=seed, wall_s=wall_s)


def _numbers(points: Sequence[Score], low: float, high: float) -> Iterator[tuple[str, float, int]]:
    curve = {
        steps: [score.value for score in scores]
        for steps, scores in groupby(points, key=lambda s: s.steps)
    }
    last = max(curve)
    yield "score", float(np.mean(curve[last])), len(curve[last])
    for k, value in enumerate(curve[last]):
        yield f"{EPISODE}{k}", value, 1
    if 0 in curve:
        yield "score_offline", float(np.mean(curve[0])), len(curve[0])
    online = {steps: values for steps, values in curve.items() if steps}
    means = {steps: float(np.mean(values)) for steps, values in online.items()}
    for steps, mean in means.items():
        yield f"{CURVE}{steps}", mean, len(online[steps])
    area = float(np.mean(list(means.values())))
    yield "area", area, len(means)
    yield "regret", 1.0 - (area - low) / (high - low), len(means)
    yield "gradient_steps", float(max(point.updates for point in points)), 1
