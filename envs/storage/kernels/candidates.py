"""Candidates of a migration decision, and what becomes of the answer (storage.md 5.3)."""

from __future__ import annotations

from hybridrl.envs.storage.kernels.background import queue_move
from hybridrl.envs.storage.kernels.compiled import entry, inner
from hybridrl.envs.storage.kernels.records import FLYING, RECENT, Engine


@inner
def extent_of(e: Engine, p: int) -> int:
    """First page of the run around ``p`` that was last accessed with it and is on its device."""
    r = e.page[p]
    first = p
    while first > 0 and p - first < e.sys[0].extent - 1:
        q = e.page[first - 1]
        if q.loc != r.loc or q.last != r.last or q.flags & FLYING:
            break
        first -= 1
    return int(first)


@inner
def _offer(e: Engine, p: int, count: int) -> int:
    """Add the extent around ``p`` as a candidate unless it is one; returns how many there are."""
    s = e.sys[0]
    r = e.page[p]
    if r.flags & FLYING:
        return count
    first = extent_of(e, p)
    length = 1
    while length < s.extent and first + length < s.pages:
        q = e.page[first + length]
        if q.loc != r.loc or q.last != r.last or q.flags & FLYING:
            break
        length += 1
    for k in range(count):
        c = e.cand[k]
        if c.page < first + length and first < c.page + c.npages:
            return count
    c = e.cand[count]
    c.page, c.npages, c.device, c.choice = first, length, r.loc, r.loc
    c.tag, c.accepted = -1, 0
    return count + 1


@entry
def candidates(e: Engine) -> int:
    """Fill ``e.cand`` with pages that might move.

    First the least recently used pages of each device but the slowest, then recently accessed
    pages that are not on the fastest device; about half of each.

    Returns:
        How many candidates there are, at most ``sys.slots``; their choice is to stay.
    """
    s = e.sys[0]
    count = 0
    leave = s.slots // 2
    for device in range(s.devices - 1):
        quota = count + max(1, (leave - count) // (s.devices - 1 - device))
        p = e.dev[device].tail
        steps = 0
        while p >= 0 and count < min(quota, leave) and steps < RECENT:
            count = _offer(e, p, count)
            p = e.page[p].prev
            steps += 1
    for back in range(min(s.recent_count, RECENT)):
        if count >= s.slots:
            break
        p = s.recent[(s.recent_count - 1 - back) % RECENT]
        if e.page[p].loc > 0:
            count = _offer(e, p, count)
    return count


@entry
def apply_choices(e: Engine, count: int) -> int:
    """Queue a move for each candidate whose choice is another device; returns how many were."""
    queued = 0
    for k in range(count):
        c = e.cand[k]
        c.accepted = 0
        if c.choice != c.device:
            c.accepted = 1 if queue_move(e, c.page, c.npages, c.choice, c.tag) else -1
            queued += c.accepted == 1
    return queued
