"""Offline datasets that a suite reads: those that are not stored yet are made first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hybridrl.benchmarks.runs import taking_turns
from hybridrl.benchmarks.suites import Request, suite_module

if TYPE_CHECKING:
    from hybridrl.datasets.ticks import Progress


def needed(request: Request) -> list[str]:
    """Ids of the registered datasets that the trials of a request read, each once.

    A suite that reads some has a function ``datasets(request)`` in its module.
    """
    datasets = getattr(suite_module(request.suite), "datasets", None)
    return list(dict.fromkeys(datasets(request))) if datasets else []


def make_missing(request: Request, progress: Progress | None = None) -> list[str]:
    """Make what :func:`needed` names and the local Minari store does not have.

    One that was begun before goes on where it stopped.

    Args:
        request: Of the suite.
        progress: Shows how far it is; silent when ``None``.

    Returns:
        The ids that were made.
    """
    names = needed(request)
    if not names:
        return []
    from hybridrl.datasets.minari_store import store_root
    from hybridrl.datasets.registry import make_dataset
    from hybridrl.datasets.ticks import silent

    made = []
    with taking_turns(store_root()):  # another share of the suite may want the same one
        for name in names:
            if not (store_root() / name).exists():
                made.append(make_dataset(name, resume=True, progress=progress or silent))
    return made
