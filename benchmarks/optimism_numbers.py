"""Numbers that the trials of the suite optimism leave in their folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from hybridrl.benchmarks.results import ResultRow, row_of
from hybridrl.benchmarks.rows_file import read_rows
from hybridrl.benchmarks.runs import RunResult


class Number(NamedTuple):
    """One measured number of one seed; a line of ``numbers.csv`` each.

    Args:
        seed: Of the run.
        metric: Its name.
        value: The number; ``nan`` where it does not exist.
        n: Episodes behind it.
        steps: Environment steps so far.
    """

    seed: int
    metric: str
    value: float
    n: int
    steps: int


def summarise(results: Sequence[RunResult], root: Path) -> list[ResultRow]:
    """Long rows of every trial that is done; the wall time is shared between its seeds."""
    return [row for result in results if result.status != "failed" for row in _rows(result, root)]


def _rows(result: RunResult, root: Path) -> list[ResultRow]:
    numbers = read_rows(result.config.folder(root) / "numbers.csv", Number)
    wall_s = result.wall_s / max(1, len({number.seed for number in numbers}))
    return [
        row_of(result, e.metric, e.value, e.n, e.steps, seed=e.seed, wall_s=wall_s) for e in numbers
    ]
