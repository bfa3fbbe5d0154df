"""Background jobs: moves of pages that run only in the idle time of both devices.

A job reads a run of pages at its source and then writes it at its destination. Both operations are
non-preemptive and of strictly lower priority than requests: one starts at ``s = max(first free
channel, release)`` only if no request arrives before ``s`` (storage.md 2.3). A page is on its
source until the write is finished; its slot at the destination is reserved from the start.
"""

from __future__ import annotations

from hybridrl.envs.storage.kernels.compiled import entry, inlined, inner
from hybridrl.envs.storage.kernels.lists import link_first, unlink
from hybridrl.envs.storage.kernels.records import (
    DONE,
    EVICT,
    FLYING,
    FREE,
    MOVE,
    NEVER,
    NONE,
    ONE,
    PROMOTE,
    READ_PENDING,
    WAITING,
    WRITE_PENDING,
    WRITING,
    ZERO,
    Engine,
    i64,
)
from hybridrl.envs.storage.kernels.service import next_channel, serve_pages

FLYING_MARK = i64(FLYING)
PINGPONG = 1000  # requests


@inlined
def room_on(e: Engine, device: int) -> int:
    """Free pages of a device, reserved ones not counted."""
    d = e.dev[device]
    return int(d.cap - d.used - d.reserved)


@inlined
def note_move(e: Engine, p: int, src: int, dst: int) -> None:
    """Count one moved page: its age as a migrant, and whether it moved twice in 1000 requests."""
    s = e.sys[0]
    s.migrations += 1
    e.page[p].migr = s.migrations
    if e.moved[p] >= 0 and s.i - e.moved[p] <= PINGPONG:
        s.pingpongs += 1
    e.moved[p] = s.i
    s.moved_pages += 1
    if dst < src:
        s.promotions += 1
    else:
        s.demotions += 1


@inlined
def _leaving(e: Engine, device: int) -> bool:
    """Whether a job in progress will free room on a device."""
    for k in range(len(e.job)):
        j = e.job[k]
        if j.state >= READ_PENDING and j.kind != EVICT and j.src == device:
            return True
    return False


@inner
def _set_flying(e: Engine, page: int, npages: int, mark: int) -> None:
    for p in range(page, page + npages):
        e.page[p].flags = (e.page[p].flags & (255 - FLYING)) | mark


@inner
def _release_job(e: Engine, k: int) -> None:
    """Take job ``k`` off the books: its reserved room, its pages' mark, its place."""
    j = e.job[k]
    if j.kind != EVICT:
        if j.state != WAITING:
            e.dev[j.dst].reserved -= j.npages
        _set_flying(e, j.page, j.npages, ZERO)
    j.state = FREE
    e.sys[0].jobs -= 1


@inner
def cancel_flights(e: Engine, page: int, npages: int) -> None:
    """Cancel every job that has one of these pages in flight; the time spent stays spent."""
    for k in range(len(e.job)):
        j = e.job[k]
        if j.state != FREE and j.kind != EVICT:
            if j.page < page + npages and page < j.page + j.npages:
                _release_job(e, k)
                e.sys[0].cancelled += 1


@inner
def add_job(
    e: Engine, kind: int, page: int, npages: int, src: int, dst: int, tag: int, t: float
) -> bool:
    """Put a job into the background queue; False if the queue is full."""
    s = e.sys[0]
    if s.jobs >= s.max_jobs:
        return False
    k = 0
    while e.job[k].state != FREE:
        k += 1
    j = e.job[k]
    j.kind, j.page, j.npages, j.src, j.dst, j.tag = kind, page, npages, src, dst, tag
    j.state = WRITE_PENDING if kind == PROMOTE else READ_PENDING
    j.release, j.finish, j.seq = t, NEVER, s.seq
    s.seq += 1
    s.jobs += 1
    s.bg_next = -NEVER
    if kind != EVICT:
        _set_flying(e, page, npages, FLYING_MARK)
        e.dev[dst].reserved += npages
    return True


@entry
def queue_move(e: Engine, page: int, npages: int, dst: int, tag: int) -> bool:
    """Ask for a background move of a run of pages that are all on one device.

    A move to a full device waits for a move in progress that frees room there.

    Args:
        e: Engine.
        page: First page.
        npages: How many.
        dst: Device to move them to.
        tag: Any number; stands in ``done_tag`` when the move is finished.

    Returns:
        Whether it was accepted: there is a free place in the queue and room at the destination (or
        a move that will free some), and no page is in flight, there already, or elsewhere.
    """
    s = e.sys[0]
    if page < 0 or npages < 1 or page + npages > s.pages or dst < 0 or dst >= s.devices:
        return False
    src = i64(e.page[page].loc)
    if src == dst or s.jobs >= s.max_jobs:
        return False
    for p in range(page, page + npages):
        if e.page[p].loc != src or e.page[p].flags & FLYING:
            return False
    wait = room_on(e, dst) < npages
    if wait and (npages > e.dev[dst].cap or not _leaving(e, dst)):
        s.refused += 1
        return False
    add_job(e, MOVE, page, npages, src, dst, tag, s.t)
    if wait:
        e.dev[dst].reserved -= npages
        for k in range(len(e.job)):
            if e.job[k].seq == s.seq - 1 and e.job[k].state == READ_PENDING:
                e.job[k].state = WAITING
    return True


@inlined
def _finish_job(e: Engine, k: int) -> None:
    """The write of job ``k`` is done: its pages are at the destination now."""
    s = e.sys[0]
    j = e.job[k]
    if j.kind != EVICT:
        for p in range(j.page, j.page + j.npages):
            unlink(e, p, j.src)
            link_first(e, p, j.dst)
            e.page[p].loc = j.dst
            note_move(e, p, j.src, j.dst)
        e.dev[j.src].used -= j.npages
        e.dev[j.dst].used += j.npages
        slot = s.done_count % DONE
        s.done_tag[slot], s.done_page[slot] = j.tag, j.page
        s.done_npages[slot] = j.npages
        s.done_count += 1
    _release_job(e, k)


@inlined
def _start_operation(e: Engine, k: int, at: float) -> None:
    """Start the pending read or write of job ``k``."""
    s = e.sys[0]
    j = e.job[k]
    if j.state == READ_PENDING:
        j.release = serve_pages(e.dev[j.src], s, at, j.page, j.npages, ZERO, ONE)
        j.state = WRITE_PENDING
    else:
        j.finish = serve_pages(e.dev[j.dst], s, at, j.page, j.npages, ONE, ONE)
        j.state = WRITING


@inlined
def _wake_waiting(e: Engine, now: float) -> None:
    """Let jobs go on that waited for room, oldest first; drop those that wait in vain."""
    s = e.sys[0]
    while True:
        oldest = NONE
        for k in range(len(e.job)):
            j = e.job[k]
            if j.state == WAITING and (oldest < 0 or j.seq < e.job[oldest].seq):
                if room_on(e, j.dst) >= j.npages or not _leaving(e, j.dst):
                    oldest = k
        if oldest < 0:
            return
        j = e.job[oldest]
        if room_on(e, j.dst) >= j.npages:
            j.state = READ_PENDING
            j.release = max(j.release, now)
            e.dev[j.dst].reserved += j.npages
        else:
            _release_job(e, oldest)
            s.refused += 1


@inlined
def _event_time(e: Engine, k: int) -> float:
    """When the next thing can happen to job ``k``."""
    j = e.job[k]
    if j.state == WRITING:
        return float(j.finish)
    if j.state == READ_PENDING:
        d = e.dev[j.src]
    elif j.state == WRITE_PENDING:
        d = e.dev[j.dst]
    else:
        return NEVER
    return float(max(d.free[next_channel(d)], j.release))


@inlined
def run_background(e: Engine, t: float) -> None:
    """Do what the background does before a request arrives at ``t``, in order of time."""
    s = e.sys[0]
    now = -NEVER
    while True:
        if s.jobs:
            _wake_waiting(e, now)
        best = NONE
        soonest = NEVER
        for k in range(len(e.job)):
            if e.job[k].state == FREE:
                continue
            at = _event_time(e, k)
            if at < soonest or (at == soonest and best >= 0 and _before(e, k, best)):
                soonest, best = at, k
        if best < 0 or soonest >= t:
            s.bg_next = soonest
            return
        now = soonest
        if e.job[best].state == WRITING:
            _finish_job(e, best)
        else:
            _start_operation(e, best, soonest)


@inlined
def _before(e: Engine, k: int, other: int) -> bool:
    """Order of two events at one time: completions first, then by release, then by age."""
    a, b = e.job[k], e.job[other]
    if (a.state == WRITING) != (b.state == WRITING):
        return bool(a.state == WRITING)
    if a.release != b.release:
        return bool(a.release < b.release)
    return bool(a.seq < b.seq)
