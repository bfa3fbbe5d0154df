"""The life of one request: arrival, decision, evictions, service (storage.md 2)."""

from __future__ import annotations

from typing import Any

from hybridrl.envs.storage.kernels.background import (
    add_job,
    cancel_flights,
    note_move,
    room_on,
    run_background,
)
from hybridrl.envs.storage.kernels.compiled import entry, inlined, inner
from hybridrl.envs.storage.kernels.lists import link_first, lru_victim, touch, unlink
from hybridrl.envs.storage.kernels.prefetch import prefetch
from hybridrl.envs.storage.kernels.records import (
    ALL,
    EVICT,
    FLYING,
    MAX_COUNT,
    MIGRATING,
    NONE,
    ONE,
    PROMOTE,
    RECENT,
    SERVED,
    SIZE_SHIFT,
    ZERO,
    Engine,
    i64,
)
from hybridrl.envs.storage.kernels.service import next_channel, nominal_us, serve_pages

AHEAD = 4  # requests whose pages are on their way from memory


@inlined
def size_bin(npages: int) -> int:
    """Bin of a request's length: upper edges 1, 2, 4, ..., 64 pages, 7 above."""
    edge, b = 1, 0
    while b < 7 and npages > edge:
        edge *= 2
        b += 1
    return b


@inner
def _hold_back(e: Engine, s: Any, t: float) -> float:
    """Open arrival in a crowd: later where a request would wait longer than the backlog allows."""
    over = 0.0
    for k in range(s.devices):
        d = e.dev[k]
        over = max(over, d.free[next_channel(d)] - t - s.backlog)
    if over > 0.0:
        s.shift += over
        s.capped += 1
    return float(t + over)


@inlined
def begin(e: Engine) -> bool:
    """The next request arrives; the background catches up. Returns whether a policy decides."""
    s = e.sys[0]
    r = e.req[s.first + s.i]
    ahead = s.first + min(s.i + AHEAD, s.n - 1)
    prefetch(e.page, e.req[ahead].page)
    if s.closed:
        slot = 0
        for k in range(1, s.depth):
            if s.slot_free[k] < s.slot_free[slot]:
                slot = k
        s.slot = slot
        t = s.slot_free[slot]
    else:
        t = r.t + s.shift
        if s.last_finish - t > s.backlog:
            t = _hold_back(e, s, t)
    if s.bg_next < t:
        run_background(e, t)
    s.t = t
    s.page, s.npages, s.write = r.page, r.npages, r.write
    s.sequential = 1 if r.page == s.next_page else 0
    s.next_page = r.page + r.npages
    s.evict_us = 0.0
    s.evicted = 0
    decide = r.write != 0 or s.act_on == ALL
    s.decided = 1 if decide else 0
    s.device = e.page[r.page].loc
    s.ready = t + s.decision_us if decide else t
    return bool(decide)


@inlined
def prepare(e: Engine, choice: int) -> bool:
    """Take the decision for the current request: cancel flights, count the pages to evict.

    A request that is larger than the chosen device goes to the next slower one that holds it. A
    decision outside ``0..D-1`` means the slowest device.

    Returns:
        Whether pages must be evicted; ``sys.need`` says how many from which device.
    """
    s = e.sys[0]
    last = s.devices - 1
    device = choice if 0 <= choice < last else last
    while device < last and e.dev[device].cap < s.npages:
        device += 1
        s.redirected += 1
    s.device = device
    s.decisions += 1
    come = 0
    flying = False
    for p in range(s.page, s.page + s.npages):
        r = e.page[p]
        if r.loc != device:
            come += 1
        if r.flags & FLYING:
            flying = True
    if flying:
        cancel_flights(e, s.page, s.npages)
    if come == 0 or device == last:
        return False
    room = room_on(e, device)
    if come <= room:
        return False
    _plan_evictions(e, device, come - room)
    return True


@inlined
def _plan_evictions(e: Engine, device: int, need: int) -> None:
    """Victims go one device down, which may have to make room in turn."""
    s = e.sys[0]
    s.need[:] = 0
    while device < s.devices - 1 and need > 0:
        s.need[device] = need
        device += 1
        need -= room_on(e, device)
        if s.write:  # what was read stays until its copy is written
            for p in range(s.page, s.page + s.npages):
                if e.page[p].loc == device:
                    need -= 1


@inlined
def evict(e: Engine, victim: int, device: int) -> None:
    """Evict a page from ``device`` to the next slower one, in favour of the current request.

    A page that may not be evicted is replaced by the least recently used one. The room is free at
    once; the move is queued as a background job, or done at once if the queue is full.
    """
    s = e.sys[0]
    p = victim
    if p < 0 or p >= s.pages or e.page[p].loc != device or s.page <= p < s.page + s.npages:
        p = lru_victim(e, device)
    if p < 0:  # only reserved room is left: moves towards this device give way
        _cancel_arrivals(e, device)
        s.need[device] = 0
        return
    if e.page[p].flags & FLYING:
        cancel_flights(e, p, ONE)
    s.need[device] -= 1
    unlink(e, p, device)
    link_first(e, p, device + 1)
    e.page[p].loc = device + 1
    e.dev[device].used -= 1
    e.dev[device + 1].used += 1
    note_move(e, p, device, device + 1)
    s.evictions += 1
    s.evicted += 1
    if s.run_length and s.run_device == device and p == s.run_page + s.run_length:
        s.run_length += 1
    elif s.run_length and s.run_device == device and p == s.run_page - 1:
        s.run_page = p
        s.run_length += 1
    else:
        flush_evictions(e)
        s.run_page, s.run_length, s.run_device = p, 1, device


@inner
def _cancel_arrivals(e: Engine, device: int) -> None:
    for k in range(len(e.job)):
        j = e.job[k]
        if j.state and j.kind != EVICT and j.dst == device:
            cancel_flights(e, j.page, j.npages)


@inner
def flush_evictions(e: Engine) -> None:
    """Give the collected run of neighbouring victims to the background, or move it now."""
    s = e.sys[0]
    if s.run_length == 0:
        return
    src, page, npages = s.run_device, s.run_page, s.run_length
    s.run_length = 0
    if add_job(e, EVICT, page, npages, src, src + 1, NONE, s.t):
        s.evict_us += nominal_us(e.dev[src], s, npages, ZERO) + nominal_us(
            e.dev[src + 1], s, npages, ONE
        )
        return
    began = s.ready
    read = serve_pages(e.dev[src], s, began, page, npages, ZERO, ZERO)
    s.ready = serve_pages(e.dev[src + 1], s, read, page, npages, ONE, ZERO)
    s.evict_us += s.ready - began
    s.sync_evictions += npages


@inner
def evict_lru(e: Engine) -> None:
    """Make the room that :func:`prepare` asked for by evicting least recently used pages."""
    s = e.sys[0]
    for device in range(s.devices - 2, -1, -1):
        while s.need[device] > 0:
            evict(e, lru_victim(e, device), device)
    flush_evictions(e)


@inlined
def _account(e: Engine, s: Any, p: int) -> None:
    r = e.page[p]
    r.last = s.i + 1
    if r.count < MAX_COUNT:
        r.count += 1
    flying = r.flags & FLYING
    r.flags = flying | s.write | (size_bin(s.npages) << SIZE_SHIFT)


@inlined
def _write(e: Engine, s: Any) -> float:
    """All pages of the request go to the chosen device."""
    device = s.device
    d = e.dev[device]
    for p in range(s.page, s.page + s.npages):
        old = i64(e.page[p].loc)
        if old == device:
            touch(e, p, device)
        else:
            unlink(e, p, old)
            e.dev[old].used -= 1
            link_first(e, p, device)
            d.used += 1
            e.page[p].loc = device
        _account(e, s, p)
    d.hits[1] += s.npages
    return float(serve_pages(d, s, s.ready, s.page, s.npages, ONE, ZERO))


@inlined
def _read(e: Engine, s: Any) -> float:
    """Every page is read where it is; the slowest part ends the request."""
    finish = s.ready
    p, stop = s.page, s.page + s.npages
    spread = False
    device = i64(e.page[p].loc)
    for q in range(p, stop):
        spread = spread or e.page[q].loc != device
        touch(e, q, i64(e.page[q].loc))
        _account(e, s, q)
    if not spread:
        e.dev[device].hits[0] += s.npages
        return float(serve_pages(e.dev[device], s, s.ready, p, s.npages, ZERO, ZERO))
    for k in range(s.devices):
        first, count = NONE, ZERO
        for q in range(p, stop):
            if e.page[q].loc == k:
                first = q if first < 0 else first
                count += 1
        if count:
            e.dev[k].hits[0] += count
            finish = max(finish, serve_pages(e.dev[k], s, s.ready, first, count, ZERO, ZERO))
    return float(finish)


@inlined
def _promote(e: Engine, s: Any, t: float) -> None:
    """After a read for which another device was chosen: write what was read there.

    The data is at hand, so a job is a background write; with a full queue it is written at once.
    """
    p, stop = s.page, s.page + s.npages
    while p < stop:
        src = i64(e.page[p].loc)
        q = p + 1
        if src == s.device or e.page[p].flags & FLYING:
            p = q
            continue
        while q < stop and e.page[q].loc == src and not e.page[q].flags & FLYING:
            q += 1
        if room_on(e, s.device) >= q - p and not add_job(
            e, PROMOTE, p, q - p, src, s.device, NONE, t
        ):
            serve_pages(e.dev[s.device], s, t, p, q - p, ONE, ZERO)
            for k in range(p, q):
                unlink(e, k, src)
                link_first(e, k, s.device)
                e.page[k].loc = s.device
                note_move(e, k, src, s.device)
            e.dev[src].used -= q - p
            e.dev[s.device].used += q - p
        p = q


@inlined
def complete(e: Engine) -> None:
    """Serve the current request and write its latency down; the engine is SERVED then."""
    s = e.sys[0]
    if s.write:
        finish = _write(e, s)
    else:
        finish = _read(e, s)
        if s.decided:
            _promote(e, s, finish)
    s.finish = finish
    s.latency = finish - s.t
    s.latency_sum += s.latency
    s.last_finish = max(s.last_finish, finish)
    s.user_pages += s.npages
    if s.closed:
        s.slot_free[s.slot] = finish + s.think
    if s.i < len(e.log):
        e.log[s.i].arrive = s.t
        e.log[s.i].latency = s.latency
    s.recent[s.recent_count & (RECENT - 1)] = s.page
    s.recent_count += 1
    for k in range(s.devices - 1):
        e.dev[k].fill_sum += e.dev[k].used
    s.i += 1
    s.countdown -= 1
    if s.countdown == 0:
        s.due = 1
        s.countdown = s.interval
    s.stage = SERVED


@entry
def decide_place(e: Engine, choice: int) -> None:
    """Answer a placement decision from outside, with least recently used victims."""
    if prepare(e, choice):
        evict_lru(e)
    complete(e)


@entry
def end_migration(e: Engine) -> None:
    """The migration decision is taken; the next request may arrive."""
    s = e.sys[0]
    if s.stage == MIGRATING:
        s.stage = 0
        s.due = 0


@inner
def mean_latency(e: Engine) -> float:
    """Mean latency so far, us."""
    s = e.sys[0]
    return float(s.latency_sum / max(1, s.i))
