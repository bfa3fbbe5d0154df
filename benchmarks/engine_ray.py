"""Trials on Ray: one machine or a cluster; a trial whose worker dies is started again elsewhere.

A trial writes its run folder itself, so machines share that folder; over Ray go its configuration,
about a kilobyte, and its result, about as much.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from hybridrl.benchmarks.runs import RunConfig, RunResult, execute
from hybridrl.datasets.on_ray import Died, run_tasks


def run_on_ray(
    pending: Sequence[tuple[int, RunConfig]],
    root: Path,
    jobs: int,
    done: Callable[[int, RunResult], None],
    address: str | None = None,
) -> None:
    """Run trials, at most ``jobs`` at a time, and report each as it ends.

    Args:
        pending: Number and configuration of each.
        root: Folder of all run folders, which every machine sees under this name.
        jobs: Trials at a time, and the cores of a cluster that is started here.
        done: Called in this process with number and result.
        address: Of a running cluster; see :func:`~hybridrl.datasets.on_ray.run_tasks`.

    Raises:
        ImportError: If Ray is not installed.
        ConnectionError: If there is no cluster at the address.
    """
    configs = dict(pending)
    items = ((index, config.to_json()) for index, config in pending)
    work = partial(_trial, root=str(root.resolve()))
    for (index, _), ended in run_tasks(work, items, jobs, address):
        if isinstance(ended, Died):
            ended = RunResult(config=configs[index], status="failed", error=ended.error)
        done(index, ended)


def _trial(item: tuple[int, dict[str, Any]], root: str) -> RunResult:
    """What a worker does."""
    return execute(RunConfig.from_json(item[1]), root)
