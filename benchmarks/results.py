"""The long results table: one number a row, the file that is committed."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from hybridrl.benchmarks.runs import atomic_write
from hybridrl.planners.errors import ScenarioError


class ResultRow(NamedTuple):
    """One measured number and where it comes from.

    Args:
        suite: Name in ``suites.py``.
        env: Gymnasium id or scene class.
        agent: Agent or planner.
        seed: Of the run.
        variant: What else tells runs apart, as in ``quick-1s`` (tier and budget).
        metric: Name of the number, with its unit where it has one.
        value: The number; ``nan`` where it does not exist.
        n: Episodes behind it.
        steps: Environment steps of training; 0 for planners.
        wall_s: Seconds that the run took.
        version: Of hybridrl.
        commit: Of the source.
        command: That made it.
    """

    suite: str
    env: str
    agent: str
    seed: int
    variant: str
    metric: str
    value: float
    n: int
    steps: int
    wall_s: float
    version: str
    commit: str
    command: str

    @property
    def run(self) -> tuple[str, str, str, int, str]:
        """What identifies the run that the number belongs to."""
        return self.suite, self.env, self.agent, self.seed, self.variant


COLUMNS = ResultRow._fields
_NUMBERS: dict[str, type] = {"seed": int, "value": float, "n": int, "steps": int, "wall_s": float}


def write_results(path: str | Path, rows: Iterable[ResultRow]) -> None:
    """Write the long CSV whole or not at all."""
    with atomic_write(Path(path)) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in rows:
            writer.writerow(row._replace(value=_short(row.value), wall_s=_short(row.wall_s)))


def read_results(path: str | Path) -> list[ResultRow]:
    """Read a long CSV.

    Raises:
        ScenarioError: If the file cannot be read or has other columns.
    """
    try:
        with open(path, newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise ScenarioError(str(path), reader.fieldnames, f"the columns {COLUMNS}")
            return [_row(record) for record in reader]
    except (OSError, UnicodeDecodeError, ValueError) as error:
        if isinstance(error, ScenarioError):
            raise
        raise ScenarioError(str(path), str(error), "a results CSV that a benchmark wrote") from None


def merge_results(old: Iterable[ResultRow], new: Iterable[ResultRow]) -> list[ResultRow]:
    """All rows, those of runs in ``new`` replacing the old ones of the same run."""
    fresh = list(new)
    replaced = {row.run for row in fresh}
    kept = [row for row in old if row.run not in replaced]
    return sorted(kept + fresh, key=lambda row: (row.suite, row.variant, row.seed))


def pooled(rows: Iterable[ResultRow], env: str, agent: str, metric: str) -> tuple[float, int]:
    """Mean of a metric over its seeds, weighted by episodes, and how many episodes that is."""
    chosen = [r for r in rows if (r.env, r.agent, r.metric) == (env, agent, metric) and r.n]
    n = sum(r.n for r in chosen)
    return (sum(r.value * r.n for r in chosen) / n if n else float("nan")), n


def _short(value: float) -> Any:
    return float(f"{value:.6g}")


def _row(record: dict[str, str]) -> ResultRow:
    return ResultRow(**{k: _NUMBERS.get(k, str)(v) for k, v in record.items()})
