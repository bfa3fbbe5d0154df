"""The long results table: one number a row, the file that is committed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hybridrl.benchmarks.metrics import seed_bootstrap, wilson
from hybridrl.benchmarks.rows_file import read_rows, write_rows
from hybridrl.benchmarks.runs import RunResult


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


def row_of(
    result: RunResult, metric: str, value: float, n: int, steps: int = 0, **changes: Any
) -> ResultRow:
    """One number of a run that is done.

    Args:
        result: The run.
        metric: Name of the number.
        value: The number.
        n: Episodes behind it.
        steps: Environment steps of training.
        **changes: Fields in which the number differs from its run, as in ``agent="sac"`` where a
            run holds several methods.
    """
    config = result.config
    row = ResultRow(
        suite=config.suite,
        env=config.env,
        agent=config.agent,
        seed=config.seed,
        variant=config.variant,
        metric=metric,
        value=value,
        n=n,
        steps=steps,
        wall_s=result.wall_s,
        version=result.version,
        commit=result.commit,
        command=config.command,
    )
    return row._replace(**changes)


def write_results(path: str | Path, rows: Iterable[ResultRow]) -> None:
    """Write the long CSV whole or not at all."""
    shortened = (r._replace(value=_short(r.value), wall_s=_short(r.wall_s)) for r in rows)
    write_rows(Path(path), ResultRow, shortened)


def read_results(path: str | Path) -> list[ResultRow]:
    """Read a long CSV.

    Raises:
        ScenarioError: If the file cannot be read, has other columns, or a value does not fit.
    """
    return read_rows(Path(path), ResultRow)


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


def interval(
    rows: Iterable[ResultRow], env: str, agent: str, metric: str = "success"
) -> tuple[float, float, float]:
    """A success rate and its 95 % interval: over seeds, then episodes, or Wilson's for one seed.

    Args:
        rows: Long rows.
        env: Scene.
        agent: Who drives.
        metric: A rate in [0, 1].

    Returns:
        Rate, lower and upper bound in [0, 1]; ``nan`` where there are no episodes.
    """
    own = [r for r in rows if (r.env, r.agent, r.metric) == (env, agent, metric) and r.n]
    rate, n = pooled(own, env, agent, metric)
    if len(own) > 1:
        return rate, *seed_bootstrap([np.arange(r.n) < round(r.value * r.n) for r in own])
    return rate, *(wilson(round(rate * n), n) if n else (rate, rate))


def percent(rate: float, low: float, high: float) -> str:
    """A rate and its interval in %, as in ``97.3 [95-99]``; ``-`` where there is none."""
    return "-" if np.isnan(rate) else f"{100 * rate:.1f} [{100 * low:.0f}-{100 * high:.0f}]"


def _short(value: float) -> float:
    return float(f"{value:.6g}")
