"""Trials on Ray: one machine or a cluster; a trial whose worker dies is started again elsewhere.

Ray core only. A trial writes its run folder itself, so machines share that folder; over Ray go its
configuration, about a kilobyte, and its result, about as much.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hybridrl.benchmarks.runs import RunConfig, RunResult, execute

RETRIES = 2  # after a worker's death; a trial that raises is not tried again


def run_on_ray(
    pending: Sequence[tuple[int, RunConfig]],
    root: Path,
    jobs: int,
    done: Callable[[int, RunResult], None],
    variables: dict[str, str],
    address: str | None = None,
) -> None:
    """Run trials, at most ``jobs`` at a time, and report each as it ends.

    Args:
        pending: Number and configuration of each.
        root: Folder of all run folders, which every machine sees under this name.
        jobs: Trials at a time, and the cores of a cluster that is started here.
        done: Called in this process with number and result.
        variables: Environment of the workers.
        address: Of a running cluster, as Ray takes it; starts one on this machine when ``None``,
            unless this process is connected already.

    Raises:
        ImportError: If Ray is not installed.
        ConnectionError: If there is no cluster at the address.
    """
    ray = require_ray()
    mine = not ray.is_initialized()
    if mine:
        _connect(ray, jobs, variables, address)
    work = ray.remote(num_cpus=1, max_retries=RETRIES)(_trial)
    place, here = str(root.resolve()), str(Path.cwd())
    waiting = list(pending)[::-1]
    running: dict[Any, tuple[int, RunConfig]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                item = waiting.pop()
                running[work.remote(item[1].to_json(), place, here)] = item
            for ended in ray.wait(list(running), num_returns=1)[0]:
                index, config = running.pop(ended)
                done(index, _outcome(ray, ended, config))
    finally:
        for left in running:
            ray.cancel(left, force=True)
        if mine:
            ray.shutdown()


def require_ray() -> Any:
    """The Ray module.

    Raises:
        ImportError: If it is not installed; the message says how to get it.
    """
    # It would tell its makers that it was started.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise ImportError(
            "the engine ray needs Ray: pip install 'hybridrl[ray]' (or take --engine processes)"
        ) from error


def _connect(ray: Any, jobs: int, variables: dict[str, str], address: str | None) -> None:
    options: dict[str, Any] = {"runtime_env": {"env_vars": variables}, "logging_level": "warning"}
    if address is None:
        # Without "local" an address in the environment would win over this machine.
        ray.init("local", num_cpus=jobs, include_dashboard=False, **options)
    else:
        ray.init(address, **options)


def _outcome(ray: Any, ended: Any, config: RunConfig) -> RunResult:
    try:
        result: RunResult = ray.get(ended)
    except ray.exceptions.RayError as error:
        said = f"the worker died {RETRIES + 1} times (out of memory?): {type(error).__name__}"
        return RunResult(config=config, status="failed", error=said)
    return result


def _trial(config: dict[str, Any], root: str, here: str) -> RunResult:
    """What a worker does."""
    # Ray puts the driver's folder on the path, where ours would hide packages of other people.
    sys.path[:] = [place for place in sys.path if place not in ("", here)]
    if Path(here).is_dir():
        os.chdir(here)  # settings may hold relative paths
    return execute(RunConfig.from_json(config), root)
