"""What the hybrid suites share: evaluations on disk, and long rows made from them."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hybridrl.benchmarks.results import ResultRow
from hybridrl.benchmarks.runs import RunResult, atomic_write
from hybridrl.planners.errors import ScenarioError

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


def write_scores(file: Path, scores: Sequence[Score]) -> None:
    """Write ``scores.csv`` whole."""
    with atomic_write(file) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(Score._fields)
        writer.writerows(scores)


def read_scores(file: Path) -> list[Score]:
    """Read ``scores.csv``; empty where there is none yet.

    Raises:
        ScenarioError: If it has other columns.
    """
    if not file.exists():
        return []
    with file.open(newline="", encoding="utf-8") as stream:
        reader = csv.reader(stream)
        head = tuple(next(reader, ()))
        if head != Score._fields:
            raise ScenarioError(str(file), head, f"the columns {Score._fields}")
        return [
            Score(method, int(seed), int(steps), int(updates), int(episode), float(value))
            for method, seed, steps, updates, episode, value in reader
        ]


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
    config = result.config
    found = sorted(read_scores(config.folder(root) / "scores.csv"))
    wall_s = result.wall_s / max(1, len({s[:2] for s in found}))
    for (method, seed), group in groupby(found, key=lambda s: s[:2]):
        points = list(group)
        for metric, value, n in _numbers(points, result.values["low"], result.values["high"]):
            yield ResultRow(
                suite=config.suite,
                env=config.env,
                agent=method,
                seed=seed,
                variant=config.variant,
                metric=metric,
                value=value,
                n=n,
                steps=max(point.steps for point in points),
                wall_s=wall_s,
                version=result.version,
                commit=result.commit,
                command=config.command,
            )


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
