"""All suites one after the other at one tier; what one of them cannot do does not stop the rest."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hybridrl.benchmarks import runner
from hybridrl.benchmarks.suites import SUITES, TIERS
from hybridrl.planners.errors import UnknownNameError


@dataclass(frozen=True)
class Outcome:
    """How a suite ended, a line of the summary.

    Args:
        suite: Its name.
        tier: That was asked for.
        status: ``done``, ``failed trials`` or ``not run``.
        numbers: Rows of its table by now.
        failed: Trials that failed in this run.
        seconds: That this run took; what was done before takes none.
        note: The file of its rows, or why it was not run.
    """

    suite: str
    tier: str
    status: str
    numbers: int
    failed: int
    seconds: float
    note: str


def run_every_suite(
    tier: str,
    out: Path,
    *,
    suites: Iterable[str] = SUITES,
    seeds: int | None = None,
    seed: int = 0,
    on_outcome: Callable[[Outcome], None] = lambda outcome: None,
    **options: Any,
) -> list[Outcome]:
    """Run what is missing of every suite.

    Args:
        tier: One of :data:`TIERS`.
        out: Folder of run folders and long tables.
        suites: Which, in this order.
        seeds: How many; each suite's own number when ``None``.
        seed: The first of them.
        on_outcome: Called as suites end.
        **options: As :func:`~hybridrl.benchmarks.runner.run_suite` takes them.

    Raises:
        UnknownNameError: If there is no such tier.
    """
    if tier not in TIERS:
        raise UnknownNameError("tier", tier, TIERS)
    outcomes = []
    for name in suites:
        outcomes.append(_run_one(name, tier, out, seeds, seed, options))
        on_outcome(outcomes[-1])
    return outcomes


def _run_one(
    name: str, tier: str, out: Path, seeds: int | None, seed: int, options: dict[str, Any]
) -> Outcome:
    started = time.perf_counter()
    # What alone makes these rows again.
    command = f"hybridrl benchmark {name} --tier {tier}"
    command += f" --seeds {seeds}" * bool(seeds) + f" --seed {seed}" * bool(seed)
    try:
        request = runner.make_request(name, tier, seeds=seeds, seed=seed, command=command)
        report = runner.run_suite(request, out, **options)
    except Exception as error:
        spent = time.perf_counter() - started
        return Outcome(name, tier, "not run", 0, 0, spent, f"{type(error).__name__}: {error}")
    spent = time.perf_counter() - started
    status = "failed trials" if report.failed else "done"
    failed = len(report.failed)
    return Outcome(name, tier, status, len(report.rows), failed, spent, str(report.csv))
