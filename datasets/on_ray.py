"""Tasks on Ray: one machine or a cluster; one whose worker dies is started again elsewhere.

Ray core only. A task must be a pure function of its item: it may run more than once.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

Item = TypeVar("Item")
RETRIES = 2  # after a worker's death; a task that raises is not tried again
# One thread a worker: the tasks themselves are what runs in parallel.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


class Died(NamedTuple):
    """What stands in the place of a result when a task's worker died each time.

    Args:
        error: A sentence.
    """

    error: str


def run_tasks(
    work: Callable[[Any], Any], items: Iterable[Item], jobs: int, address: str | None = None
) -> Iterator[tuple[Item, Any]]:
    """Results as they come, in any order; closing the iterator ends what is still running.

    Args:
        work: Called with an item on a worker; it travels once, its items one by one.
        items: What to do; may be endless, and is asked only when a worker is free.
        jobs: Tasks at a time, and the cores of a cluster that is started here.
        address: Of a running cluster, as Ray takes it; starts one on this machine when ``None``,
            unless this process is connected already.

    Yields:
        An item and its result, or :class:`Died`.

    Raises:
        ImportError: If Ray is not installed.
        ConnectionError: If there is no cluster at the address.
        Exception: What the work raises, as it was raised on the worker.
    """
    ray = require_ray()
    name = getattr(getattr(work, "func", work), "__name__", "task")
    remote = ray.remote(num_cpus=1, max_retries=RETRIES)(_task).options(name=name)
    here, waiting = str(Path.cwd()), iter(items)
    running: dict[Any, Item] = {}
    with connected(jobs, address):
        sent = ray.put(work)
        try:
            while True:
                for item in islice(waiting, jobs - len(running)):
                    running[remote.remote(sent, item, here)] = item
                if not running:
                    return
                for ended in ray.wait(list(running), num_returns=1)[0]:
                    yield running.pop(ended), _outcome(ray, ended)
        finally:
            for left in running:
                ray.cancel(left, force=True)


@contextmanager
def connected(jobs: int, address: str | None = None) -> Iterator[Any]:
    """The Ray module, connected; what was not connected before is disconnected at the end.

    Args:
        jobs: Cores of a cluster that is started here.
        address: Of a running cluster; see :func:`run_tasks`.

    Raises:
        ImportError: If Ray is not installed.
        ConnectionError: If there is no cluster at the address.
    """
    ray = require_ray()
    mine = not ray.is_initialized()
    if mine:
        _connect(ray, jobs, address)
    try:
        yield ray
    finally:
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
            "the engine ray needs Ray: pip install 'hybridrl[ray]' (or take another engine)"
        ) from error


def _connect(ray: Any, jobs: int, address: str | None) -> None:
    environment = {"env_vars": dict.fromkeys(THREADS, "1")}
    options: dict[str, Any] = {"runtime_env": environment, "logging_level": "warning"}
    if address is None:
        # Without "local" an address in the environment would win over this machine.
        ray.init("local", num_cpus=jobs, include_dashboard=False, **options)
    else:
        ray.init(address, **options)


def _outcome(ray: Any, ended: Any) -> Any:
    try:
        return ray.get(ended)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    except ray.exceptions.RayError as error:
        name = type(error).__name__
        return Died(f"the worker died {RETRIES + 1} times (out of memory?): {name}")


def _task(work: Callable[[Any], Any], item: Any, here: str) -> Any:
    """What a worker does."""
    # Ray puts the driver's folder on the path, where ours would hide packages of other people.
    sys.path[:] = [place for place in sys.path if place not in ("", here)]
    if Path(here).is_dir():
        os.chdir(here)  # settings may hold relative paths
    return work(item)
