"""How trials are spread over processes and machines, behind one function."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path

from hybridrl.benchmarks.runs import RunConfig, RunResult, execute
from hybridrl.datasets.engines import check_engine
from hybridrl.datasets.on_ray import THREADS
from hybridrl.planners.errors import ScenarioError

OnResult = Callable[[RunResult], None]
ENGINES = ("serial", "processes", "ray")


def run(
    trials: Sequence[RunConfig],
    root: str | Path,
    engine: str = "processes",
    jobs: int = 2,
    on_result: OnResult = lambda result: None,
    address: str | None = None,
) -> list[RunResult]:
    """Run trials; a failed one is reported in its place and the rest continue.

    Args:
        trials: What to do; what is done already is skipped.
        root: Folder of all run folders.
        engine: ``serial``, ``processes`` (a pool of spawned workers of one thread each) or
            ``ray`` (the same on one machine or a cluster).
        jobs: Workers.
        on_result: Called in this process as results come in, in any order.
        address: Of a running Ray cluster; one is started on this machine when ``None``.

    Returns:
        One result a trial, in the order of ``trials``.

    Raises:
        UnknownNameError: If there is no such engine.
        ScenarioError: If ``jobs`` is below 1, or another engine is given an address.
        ImportError: If Ray is asked for and not installed.
    """
    check_engine(engine, ENGINES, jobs, address)
    results: dict[int, RunResult] = {}

    def done(index: int, result: RunResult) -> None:
        results[index] = result
        on_result(result)

    pending = list(enumerate(trials))
    if engine == "serial":
        for index, trial in pending:
            done(index, execute(trial, root))
    elif engine == "ray":
        from hybridrl.benchmarks.engine_ray import run_on_ray

        run_on_ray(pending, Path(root), jobs, done, address)
    else:
        with _single_threaded():
            _run_in_pools(pending, Path(root), jobs, done)
    return [results[index] for index, _ in enumerate(trials)]


def shard(trials: Sequence[RunConfig], text: str | None) -> list[RunConfig]:
    """Every n-th trial, for job arrays: ``"3/16"`` is the third of sixteen shares.

    Raises:
        ScenarioError: If the text is not ``i/n`` with ``1 <= i <= n``.
    """
    if text is None:
        return list(trials)
    first, _, count = text.partition("/")
    if not (first.isdecimal() and count.isdecimal() and 1 <= int(first) <= int(count)):
        raise ScenarioError("shard", text, "i/n with 1 <= i <= n, as in 3/16")
    return list(trials[int(first) - 1 :: int(count)])


def _run_in_pools(
    pending: list[tuple[int, RunConfig]],
    root: Path,
    jobs: int,
    done: Callable[[int, RunResult], None],
) -> None:
    """Feed a pool; where a worker dies, try alone what it may have been doing, then go on."""
    while pending:
        suspects = _feed_pool(pending, root, min(jobs, len(pending)), done)
        for item in suspects:
            if _feed_pool([item], root, 1, done):
                error = "the worker process died (out of memory?)"
                done(item[0], RunResult(config=item[1], status="failed", error=error))


def _feed_pool(
    pending: list[tuple[int, RunConfig]],
    root: Path,
    jobs: int,
    done: Callable[[int, RunResult], None],
) -> list[tuple[int, RunConfig]]:
    """Run and remove ``pending`` until it is empty or a worker dies.

    Returns:
        The trials that were running when a worker died; empty if none did.
    """
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_start_worker)
    running: dict[Future[RunResult], tuple[int, RunConfig]] = {}
    try:
        while pending or running:
            while pending and len(running) < jobs:
                running[pool.submit(execute, pending[0][1], root)] = pending[0]
                del pending[0]
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                result = future.result()
                done(running.pop(future)[0], result)
    except BrokenProcessPool:
        return list(running.values())
    except KeyboardInterrupt:
        for worker in multiprocessing.active_children():
            worker.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return []


def _start_worker() -> None:
    """Leave Ctrl-C to the parent, which ends its workers itself, and never outlive it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)  # writes are atomic, so nothing half done stays behind


@contextmanager
def _single_threaded() -> Iterator[None]:
    """Workers read these variables when they load their libraries, so the parent sets them."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
