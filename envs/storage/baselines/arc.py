"""Adaptive replacement (ARC) on the fastest device.

Two lists of resident pages, seen once (T1) and more often (T2), and two lists of the pages that
were evicted from them (B1, B2). A page that comes back from B1 says that T1 should be longer, one
from B2 that T2 should be (Megiddo and Modha's idea; the target length moves by the ratio of the
ghost lists). Writes go fast and reads promote. Slower devices evict the least recently used page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hybridrl.envs.storage.kernels.compiled import inner
from hybridrl.envs.storage.kernels.drivers import Hooks
from hybridrl.envs.storage.kernels.lists import lru_victim
from hybridrl.envs.storage.kernels.records import FLYING, NONE, Engine, i64
from hybridrl.envs.storage.policy import Policy

if TYPE_CHECKING:
    from hybridrl.envs.storage.engine import HSSEngine

OUT, T1, T2, B1, B2 = (i64(k) for k in range(5))


class Arc(NamedTuple):
    """State of ARC.

    Args:
        target: Length that T1 should have, shape ``(1,)``.
        where: List of each page (0: none), shape ``(N,)``.
        prev: Towards the most recent page of its list, shape ``(N,)``.
        next: Towards the least recent one, shape ``(N,)``.
        head: Most recent page of each list, shape ``(5,)``.
        tail: Least recent page, shape ``(5,)``.
        size: Of each list, shape ``(5,)``.
    """

    target: NDArray[np.float64]
    where: NDArray[np.uint8]
    prev: NDArray[np.int32]
    next: NDArray[np.int32]
    head: NDArray[np.int64]
    tail: NDArray[np.int64]
    size: NDArray[np.int64]


def _state(engine: HSSEngine) -> Arc:
    pages = engine.pages
    links = np.full(pages, -1, np.int32)
    ends = np.full(5, -1, np.int64)
    return Arc(
        np.zeros(1),
        np.zeros(pages, np.uint8),
        links,
        links.copy(),
        ends,
        ends.copy(),
        np.zeros(5, np.int64),
    )


@inner
def _leave(p: Arc, page: int) -> None:
    kind = i64(p.where[page])
    if kind == OUT:
        return
    before, after = i64(p.prev[page]), i64(p.next[page])
    if before >= 0:
        p.next[before] = after
    else:
        p.head[kind] = after
    if after >= 0:
        p.prev[after] = before
    else:
        p.tail[kind] = before
    p.size[kind] -= 1
    p.where[page] = 0


@inner
def _enter(p: Arc, page: int, kind: int) -> None:
    _leave(p, page)
    first = p.head[kind]
    p.prev[page], p.next[page] = -1, first
    if first >= 0:
        p.prev[first] = page
    else:
        p.tail[kind] = page
    p.head[kind] = page
    p.size[kind] += 1
    p.where[page] = kind


@inner
def _place(e: Engine, p: Arc) -> int:
    return 0


@inner
def _served(e: Engine, p: Arc) -> None:
    s = e.sys[0]
    cap = float(e.dev[0].cap)
    for page in range(s.page, s.page + s.npages):
        kind = i64(p.where[page])
        if kind == B1:
            step = max(1.0, p.size[B2] / p.size[B1])
            p.target[0] = min(cap, p.target[0] + step)
        elif kind == B2:
            step = max(1.0, p.size[B1] / p.size[B2])
            p.target[0] = max(0.0, p.target[0] - step)
        _enter(p, page, T1 if kind == OUT else T2)
    while p.size[T1] + p.size[B1] > e.dev[0].cap and p.size[B1] > 0:
        _leave(p, p.tail[B1])
    while p.size[T2] + p.size[B2] > 2 * e.dev[0].cap and p.size[B2] > 0:
        _leave(p, p.tail[B2])


@inner
def _oldest(e: Engine, p: Arc, kind: int) -> int:
    """The least recent page of a list that is on the fastest device and may be evicted."""
    s = e.sys[0]
    page = p.tail[kind]
    while page >= 0:
        r = e.page[page]
        mine = s.page <= page < s.page + s.npages
        if r.loc == 0 and not mine and not r.flags & FLYING:
            return int(page)
        page = i64(p.prev[page])
    return int(NONE)


@inner
def _victim(e: Engine, p: Arc, device: int) -> int:
    if device > 0:
        return lru_victim(e, device)
    first, other = (T1, T2) if p.size[T1] > p.target[0] else (T2, T1)
    page = _oldest(e, p, first)
    if page < 0:
        page = _oldest(e, p, other)
    if page < 0:
        return lru_victim(e, device)
    _enter(p, page, B1 if p.where[page] == T1 else B2)
    return page


def arc() -> Policy:
    """Adaptive replacement on the fastest device."""
    return Policy("arc", Hooks(place=_place, served=_served, victim=_victim), _state, act_on="all")
