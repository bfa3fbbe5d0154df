"""Lists of the pages on each device, most recently used first; the slowest device has none."""

from __future__ import annotations

from hybridrl.envs.storage.kernels.compiled import inlined, inner
from hybridrl.envs.storage.kernels.records import FLYING, NONE, Engine


@inlined
def unlink(e: Engine, p: int, device: int) -> None:
    """Take page ``p`` out of the list of ``device``."""
    if device == len(e.dev) - 1:
        return
    r, d = e.page[p], e.dev[device]
    before, after = r.prev, r.next
    if before >= 0:
        e.page[before].next = after
    else:
        d.head = after
    if after >= 0:
        e.page[after].prev = before
    else:
        d.tail = before


@inlined
def link_first(e: Engine, p: int, device: int) -> None:
    """Put page ``p`` at the most recently used end of the list of ``device``."""
    if device == len(e.dev) - 1:
        return
    r, d = e.page[p], e.dev[device]
    r.prev = -1
    r.next = d.head
    if d.head >= 0:
        e.page[d.head].prev = p
    else:
        d.tail = p
    d.head = p


@inlined
def touch(e: Engine, p: int, device: int) -> None:
    """Make page ``p`` of ``device`` the most recently used one."""
    if device < len(e.dev) - 1 and e.dev[device].head != p:
        unlink(e, p, device)
        link_first(e, p, device)


@inner
def lru_victim(e: Engine, device: int) -> int:
    """The least recently used page of a device that may be evicted.

    Pages of the current request never are; pages in flight only if there is nothing else.
    """
    s = e.sys[0]
    flying = NONE
    p = e.dev[device].tail
    while p >= 0:
        if p < s.page or p >= s.page + s.npages:
            if not e.page[p].flags & FLYING:
                return int(p)
            if flying < 0:
                flying = p
        p = e.page[p].prev
    return int(flying)
