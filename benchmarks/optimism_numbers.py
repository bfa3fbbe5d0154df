"""Numbers that the trials of the suite optimism leave in their folders."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from hybridrl.benchmarks.results import ResultRow
from hybridrl.benchmarks.runs import RunResult, atomic_write
from hybridrl.planners.errors import ScenarioError


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


def write_numbers(file: Path, numbers: Iterable[Number]) -> None:
    """Write ``numbers.csv`` whole."""
    with atomic_write(file) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(Number._fields)
        writer.writerows(numbers)


def read_numbers(file: Path) -> list[Number]:
    """Read ``numbers.csv``.

    Raises:
        ScenarioError: If it has other columns.
    """
    with file.open(newline="", encoding="utf-8") as stream:
        reader = csv.reader(stream)
        head = tuple(next(reader, ()))
        if head != Number._fields:
            raise ScenarioError(str(file), head, f"the columns {Number._fields}")
        return [Number(int(r[0]), r[1], float(r[2]), int(r[3]), int(r[4])) for r in reader]


def summarise(results: Sequence[RunResult], root: Path) -> list[ResultRow]:
    """Long rows of every trial that is done; the wall time is shared between its seeds."""
    return [row for result in results if result.status != "failed" for row in _rows(result, root)]


def _rows(result: RunResult, root: Path) -> Iterable[ResultRow]:
    config = result.config
    numbers = read_numbers(config.folder(root) / "numbers.csv")
    seeds = max(1, len({number.seed for number in numbers}))
    for number in numbers:
        yield ResultRow(
            suite=config.suite,
            env=config.env,
            agent=config.agent,
            seed=number.seed,
            variant=config.variant,
            metric=number.metric,
            value=number.value,
            n=number.n,
            steps=number.steps,
            wall_s=result.wall_s / seeds,
            version=result.version,
            commit=result.commit,
            command=config.command,
        )
