"""One compiled call a step: take a decision, run to the next, give its features.

The driver of an injected policy is compiled for its hooks; so are these functions around it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from types import FunctionType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridrl.envs.storage.kernels.batch import row
from hybridrl.envs.storage.kernels.candidates import apply_choices, candidates
from hybridrl.envs.storage.kernels.compiled import entry
from hybridrl.envs.storage.kernels.drivers import Hooks, compile_driver
from hybridrl.envs.storage.kernels.features import page_bins, request_bins
from hybridrl.envs.storage.kernels.records import MIGRATING, PLACE, PLACING, Engine
from hybridrl.envs.storage.kernels.requests import decide_place, end_migration

LATENCY, EVICT_US, EVICTED, PAGE, WRITE, INDEX = range(6)  # of ``facts``


def drive(e: Engine, p: Any, stop: int, ask: int) -> int:
    """Stand-in for a compiled driver."""
    raise RuntimeError("stepping functions are compiled with a driver; use compile_place_step")


def _place_step(
    e: Engine,
    p: Any,
    action: int,
    stop: int,
    ask: int,
    bins: NDArray[np.int64],
    facts: NDArray[np.float64],
) -> int:
    """Place the pending request (``action`` -1: none is), then run to the next decision.

    Args:
        e: Engine.
        p: State of the injected policy.
        action: Device.
        stop: Index of the first request not to run.
        ask: Which decisions come from outside.
        bins: Features of the next request to place are written here, ``(7,)``.
        facts: What became of the placed request is written here, ``(6,)``.
    """
    s = e.sys[0]
    if action >= 0 and s.stage == PLACING:
        decide_place(e, action)
        facts[LATENCY], facts[EVICT_US], facts[EVICTED] = s.latency, s.evict_us, s.evicted
        facts[PAGE], facts[WRITE], facts[INDEX] = s.page, s.write, s.i - 1
    kind = drive(e, p, stop, ask)
    if kind == PLACE:
        request_bins(e, bins)
    return kind


def _batch_step(
    batch: Engine,
    states: Any,
    actions: NDArray[np.int64],
    stops: NDArray[np.int64],
    ask: int,
    bins: NDArray[np.int64],
    facts: NDArray[np.float64],
    kinds: NDArray[np.int64],
) -> None:
    """:func:`_place_step` for every row of a batch; ``kinds`` tells what each stopped for."""
    for b in range(len(actions)):
        kinds[b] = place_step(
            row(batch, b), states[b], actions[b], stops[b], ask, bins[b], facts[b]
        )


place_step: Callable[..., int] = drive


def offer(e: Engine, bins: NDArray[np.int64]) -> int:
    """Candidates of the migration decision that is due, with their features ``(count, 7)``."""
    count = candidates(e)
    for k in range(count):
        page_bins(e, int(e.cand["page"][k]), bins[k])
    return int(count)


def answer(e: Engine, choices: NDArray[np.int64]) -> None:
    """Take the migration decision that is due; ``choices`` is a device for each candidate."""
    count = candidates(e)
    e.cand["choice"][:count] = choices[:count]
    apply_choices(e, count)
    end_migration(e)


def migration_due(e: Engine) -> bool:
    """Whether the engine waits for a migration decision."""
    return int(e.sys["stage"][0]) == MIGRATING


@lru_cache(maxsize=32)
def compile_place_step(hooks: Hooks) -> tuple[Callable[..., int], Callable[..., None]]:
    """The single and the batched step around the driver of a policy's hooks."""
    driver: Any = compile_driver(hooks)
    name = getattr(driver, "py_func", driver).__qualname__
    single = entry(_copy(_place_step, {"drive": driver}, name))
    batched = entry(_copy(_batch_step, {"place_step": single}, name))
    return single, batched


def _copy(template: Any, names: dict[str, Any], name: str) -> Any:
    """The template over other global names, known to the disk cache by the driver's name."""
    function = FunctionType(template.__code__, {**template.__globals__, **names}, template.__name__)
    function.__qualname__ = f"{template.__name__}{name}"
    function.__module__ = __name__
    return function
