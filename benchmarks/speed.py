"""How fast we are, as ratios to peers that are timed in the same process.

Every subject is timed in short turns, one after another, round after round, in CPU seconds of this
process; the median of its rounds counts. Absolute numbers depend on the machine and on what else
runs on it, ratios much less.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hybridrl.planners.errors import ScenarioError, UnknownNameError

ROUNDS = 5
TAIL_CALLS = 1000  # of which the 95th percentile is taken


@dataclass(frozen=True)
class Subject:
    """Something to time.

    Args:
        name: What it is.
        unit: What ``work`` counts, as in ``decisions``.
        work: Does a short piece of work and returns how many units that was.
        peer: Name of the subject that it is compared with.
        tail: ``work`` does one unit, whose slowest calls are of interest too.
    """

    name: str
    unit: str
    work: Callable[[], int]
    peer: str | None = None
    tail: bool = False


def measure(what: str, seconds: float = 2.0, seed: int = 0) -> list[dict[str, Any]]:
    """Time a family of subjects.

    Args:
        what: ``parking`` or ``planners``.
        seconds: CPU time for each subject.
        seed: Of scenes, queries and actions.

    Returns:
        One record a subject: rate, time of one, the ratio to its peer, and for subjects with a
        ``tail`` the 95th percentile of the time of one.

    Raises:
        UnknownNameError: If there is no such family.
        ScenarioError: If ``seconds`` is not positive.
    """
    from hybridrl.benchmarks.speed_subjects import FAMILIES

    if what not in FAMILIES:
        raise UnknownNameError("speed measurement", what, FAMILIES)
    if not seconds > 0:
        raise ScenarioError("seconds", seconds, "a time above 0")
    subjects = FAMILIES[what](seed)
    rates = time_subjects(subjects, seconds)
    return [_record(subject, rates) for subject in subjects]


def time_subjects(subjects: Sequence[Subject], seconds: float) -> dict[str, float]:
    """Units a CPU second of each subject, the median of interleaved rounds."""
    for subject in subjects:
        subject.work()  # compiles
    rounds: dict[str, list[float]] = {subject.name: [] for subject in subjects}
    for _ in range(ROUNDS):
        for subject in subjects:
            rounds[subject.name].append(_rate(subject.work, seconds / ROUNDS))
    return {name: statistics.median(rates) for name, rates in rounds.items()}


def p95_seconds(work: Callable[[], int], calls: int = TAIL_CALLS) -> float:
    """95th percentile of the CPU time of a call, seconds, over calls one after another."""
    spent = []
    for _ in range(calls):
        started = time.process_time()
        work()
        spent.append(time.process_time() - started)
    return statistics.quantiles(spent, n=20)[-1]


def _rate(work: Callable[[], int], seconds: float) -> float:
    units, started = 0, time.process_time()
    while True:
        units += work()
        used = time.process_time() - started
        if used >= seconds:
            return units / used


def _record(subject: Subject, rates: dict[str, float]) -> dict[str, Any]:
    rate = rates[subject.name]
    peer = rates.get(subject.peer or "")
    return {
        "what": subject.name,
        "per_second": _figures(rate),
        "unit": subject.unit,
        "us_each": _figures(1e6 / rate),
        "peer": subject.peer,
        "ratio": _figures(rate / peer) if peer else None,
        "us_p95": _figures(1e6 * p95_seconds(subject.work)) if subject.tail else None,
    }


def _figures(value: float) -> float:
    return float(f"{value:.3g}")
