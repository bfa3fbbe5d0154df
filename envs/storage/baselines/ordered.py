"""Policies that evict by a key of their own: least frequently used, and the clairvoyant rules.

The clairvoyant rules know for every access when its page is used next. None of them is the best
possible one: latency depends on queues, on sizes and on what writes cost, so ``oracle`` is the best
of a family (storage.md 8), reported as a bound that no causal policy should beat.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hybridrl.envs.storage.baselines.heap import Heaps, largest, make_heaps, push, push_to
from hybridrl.envs.storage.kernels.background import room_on
from hybridrl.envs.storage.kernels.compiled import inner
from hybridrl.envs.storage.kernels.drivers import Hooks
from hybridrl.envs.storage.kernels.lists import lru_victim
from hybridrl.envs.storage.kernels.records import DONE, Engine, i64, record
from hybridrl.envs.storage.policy import Policy

if TYPE_CHECKING:
    from hybridrl.envs.storage.engine import HSSEngine

LFU, BELADY, HORIZON = range(3)
RULE = record(
    [
        ("kind", np.int64),
        ("write_horizon", np.float64),
        ("read_horizon", np.float64),
        ("seen", np.int64),  # background moves
    ]
)


class Ordered(NamedTuple):
    """State of an ordered policy.

    Args:
        rule: One ``RULE`` record; horizons are in requests.
        heaps: Keys: minus the count, or the request that uses the page next.
        upcoming: For each access of a page, the request that accesses it next (n: none).
        first: Index of each request's first access in ``upcoming``, shape ``(n + 1,)``.
    """

    rule: NDArray[np.void]
    heaps: Heaps
    upcoming: NDArray[np.int32]
    first: NDArray[np.int64]


@njit(cache=True)
def next_uses(
    page: NDArray[np.int64], npages: NDArray[np.int32], first: NDArray[np.int64], pages: int
) -> NDArray[np.int32]:
    """For each access, the request that accesses its page next; the number of requests if none."""
    n = len(page)
    seen = np.full(pages, n, np.int32)
    out = np.empty(first[n], np.int32)
    for i in range(n - 1, -1, -1):
        for k in range(npages[i]):
            out[first[i] + k] = seen[page[i] + k]
        for k in range(npages[i]):
            seen[page[i] + k] = i
    return out


@inner
def _belady(e: Engine, p: Ordered, use: float) -> int:
    """The fastest device with room or with a page that is needed later than this one."""
    s = e.sys[0]
    for device in range(s.devices - 1):
        if room_on(e, device) >= s.npages:
            return int(device)
        worst = largest(e, p.heaps, device)
        if worst >= 0 and p.heaps.key[worst] > use:
            return int(device)
    return int(s.devices - 1)


@inner
def _enter_arrivals(e: Engine, p: Ordered) -> None:
    """Pages that background moves have brought since the last decision."""
    s, rule = e.sys[0], p.rule[0]
    rule.seen = max(rule.seen, s.done_count - DONE)
    while rule.seen < s.done_count:
        slot = rule.seen & (DONE - 1)
        for page in range(s.done_page[slot], s.done_page[slot] + s.done_npages[slot]):
            push(e, p.heaps, page)
        rule.seen += 1


@inner
def _place(e: Engine, p: Ordered) -> int:
    s = e.sys[0]
    rule = p.rule[0]
    _enter_arrivals(e, p)
    here = i64(e.page[s.page].loc)
    if rule.kind == LFU:
        return 0
    use = float(p.upcoming[p.first[s.i]])
    if rule.kind == BELADY:
        choice = _belady(e, p, use)
        return int(choice if s.write else min(choice, here))
    horizon = rule.write_horizon if s.write else rule.read_horizon
    if use - s.i <= horizon:
        return 0
    return int(s.devices - 1 if s.write else here)


@inner
def _served(e: Engine, p: Ordered) -> None:
    s = e.sys[0]
    i = s.i - 1
    rule = p.rule[0]
    for k in range(s.npages):
        page = s.page + k
        if rule.kind == LFU:
            p.heaps.key[page] = -float(e.page[page].count)
        else:
            p.heaps.key[page] = float(p.upcoming[p.first[i] + k])
        push(e, p.heaps, page)


@inner
def _victim(e: Engine, p: Ordered, device: int) -> int:
    page = largest(e, p.heaps, device)
    if page < 0:
        page = lru_victim(e, device)
    if page >= 0:
        push_to(e, p.heaps, page, device + 1)
    return page


HOOKS = Hooks(place=_place, served=_served, victim=_victim)


def _state(kind: int, write: float, read: float) -> Callable[[HSSEngine], Ordered]:
    def make(engine: HSSEngine) -> Ordered:
        trace = engine.trace
        n = len(trace)
        rule = np.zeros(1, RULE)
        rule["kind"] = kind
        rule["write_horizon"] = write * n
        rule["read_horizon"] = read * n
        first = np.zeros(n + 1, np.int64)
        np.cumsum(trace.npages, out=first[1:])
        known = kind != LFU
        upcoming = (
            next_uses(trace.page, trace.npages, first, engine.pages)
            if known
            else np.zeros(1, np.int32)
        )
        return Ordered(rule, make_heaps(engine.pages, engine.devices), upcoming, first)

    return make


def lfu() -> Policy:
    """Writes go fast and reads promote; the least frequently used page is evicted."""
    return Policy("lfu", HOOKS, _state(LFU, 0.0, 0.0), act_on="all")


def belady() -> Policy:
    """Belady's rule with bypass: the page that is needed latest is out of the fast device."""
    state = _state(BELADY, 0.0, 0.0)
    return Policy("oracle_belady", HOOKS, state, act_on="all", clairvoyant=True)


def horizon(read: float, write: float = np.inf) -> Policy:
    """Writes go fast and reads promote if the page is used again within a share of the trace.

    Args:
        read: Share for reads; 0 never promotes.
        write: Share for writes; infinite: writes always go fast.
    """
    name = f"oracle_r{read:g}" + ("" if np.isinf(write) else f"_w{write:g}")
    return Policy(name, HOOKS, _state(HORIZON, write, read), act_on="all", clairvoyant=True)
