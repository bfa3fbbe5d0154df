"""The compiled hooks of profile ``default``: what a page's place is worth, and what room costs.

Where pages are changes what their accesses cost, not when they come. So each access teaches the
value of every device at once, at the cost that the device table knows; the networks learn only what
is not known: how often a page will be accessed soon. ``Q(x, d)`` is the time that the accesses to
come would take longer on device ``d`` than on the fastest one,

    Q(x, d) = E[ g^tau (c_d + Q(x', d)) ],    g = exp(-1 / horizon),

with ``tau`` requests to the page's next access and its cost ``c_d``. A page that is not accessed
for some time is judged by the other network instead: placement knows pages at an access, migration
knows them between accesses. Room is limited, so placement pays for it: the migration agent names
the page that would have to leave, and the price is what that page's accesses would lose and what
its move delays.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hybridrl.agents.common.compiled_q import ACTING, inputs_of, remember
from hybridrl.agents.common.compiled_update import copy_weights, train
from hybridrl.agents.common.small_q import Floats, Four, one_of_four, small_values
from hybridrl.agents.harmonia.hooks import cde_device, hide
from hybridrl.agents.harmonia.pair import mover, placer
from hybridrl.agents.harmonia.worth_state import (
    LEAST_REACH,
    LONGEST,
    MOST,
    SHORTEST,
    Worth,
)
from hybridrl.envs.storage.kernels.background import room_on
from hybridrl.envs.storage.kernels.compiled import inlined, inner
from hybridrl.envs.storage.kernels.drivers import Hooks
from hybridrl.envs.storage.kernels.features import ACC_FREQ, page_bins, request_bins
from hybridrl.envs.storage.kernels.lists import lru_victim, touch
from hybridrl.envs.storage.kernels.records import FLYING, HDD, ONE, ZERO, Engine
from hybridrl.envs.storage.kernels.service import nominal_us

QUARTER = float(np.log(2.0) / 4.0)  # four bins of a count are an octave
LARGEST = 8.0  # logarithm of a value
OLD = 200  # requests after which a price is asked anew
SMOOTH = 0.05  # of the running share of a write buffer


@inlined
def _log_prior(r: Any, bins: Any) -> float:
    """What the count alone promises: as many accesses in the horizon as there were so far."""
    return float(QUARTER * bins[ACC_FREQ] + r.offset) if r.prior else 0.0


@inlined
def _worth(values: Four, d: int, log: float) -> float:
    return float(np.exp(min(LARGEST, one_of_four(values, d) + log)))


@inlined
def _values(numbers: Floats, bins: Any) -> Four:
    values: Four = small_values(numbers[ACTING:], inputs_of(numbers, bins))
    return values


@inlined
def _flip(r: Any) -> bool:
    x = r.coin
    x ^= x << np.uint64(13)
    x ^= x >> np.uint64(7)
    x ^= x << np.uint64(17)
    r.coin = x
    return bool((x >> np.uint64(32)) & np.uint64(1))


@inlined
def _access_us(e: Engine, d: Any, full: float) -> float:
    """What the current request would take on a device; a full write buffer delays by its bytes."""
    s = e.sys[0]
    write = ONE if s.write else ZERO
    if d.kind == HDD and s.sequential:
        base = d.write_us if s.write else d.read_us
        rate = d.write_byte_us if s.write else d.read_byte_us
        return float(base + s.npages * s.page_bytes * rate)
    pages = min(s.npages, s.stripe) if d.channels > 1 else s.npages
    total = nominal_us(d, s, pages, write)
    if s.write and d.buffer > 0.0:
        total += full * s.npages * s.page_bytes / d.drain
    return float(total)


@inlined
def _look(e: Engine, p: Worth) -> None:
    """Where the current request's pages are, and what it would take longer on each device."""
    s = e.sys[0]
    for d in range(s.devices):
        p.levels[d].on = 0
    for q in range(s.page, s.page + s.npages):
        p.levels[e.page[q].loc].on += 1
    fast = _access_us(e, e.dev[0], 0.0)
    for d in range(1, s.devices):
        p.levels[d].cost = max(0.0, _access_us(e, e.dev[d], p.levels[d].full) - fast)


@inlined
def _teach(e: Engine, p: Worth, at: int, values: Four, log: float, accessed: int) -> None:
    """End what was followed, with the value of every device from what is known now."""
    r, f = p.rules[0], p.follow[at]
    brain = mover(p) if f.kind and r.mover else placer(p)
    gain = np.exp(-(e.sys[0].i - f.start) / r.horizon)
    then = _log_prior(r, f.bins)
    for d in range(1, e.sys[0].devices):
        level = p.levels[d]
        cost = level.cost / level.scale if accessed else 0.0
        remember(brain, f.bins, d, gain * (cost + _worth(values, d, log)), f.bins, then)
    f.live = 0


@inlined
def _slot(p: Worth, page: int) -> int:
    return (page * 2654435761 >> 8) & (len(p.follow) - 1)


@inlined
def _follow(e: Engine, p: Worth, at: int, page: int, kind: int, bins: Any) -> None:
    f = p.follow[at]
    f.page, f.start, f.kind, f.live = page, e.sys[0].i, kind, 1
    for k in range(8):
        f.bins[k] = bins[k]


@inlined
def _sweep(e: Engine, p: Worth) -> None:
    """Judge pages that were followed long enough; half of them are followed on."""
    r = p.rules[0]
    for _ in range(2):
        r.sweep = (r.sweep + 1) & (len(p.follow) - 1)
        f = p.follow[r.sweep]
        if f.live and e.sys[0].i - f.start >= r.step:
            bins = p.bins[1]
            page_bins(e, f.page, bins)
            hide(bins, r.blind)
            judge = p.m_numbers if r.mover else p.p_numbers
            _teach(e, p, r.sweep, _values(judge, bins), _log_prior(r, bins), ZERO)
            if _flip(r):
                _follow(e, p, r.sweep, f.page, ONE, bins)


@inlined
def _learn_from(e: Engine, p: Worth, values: Four) -> None:
    """The current request ends what followed its page; the page is followed from here."""
    s, now = e.sys[0], p.bins[0]
    at = _slot(p, s.page)
    f = p.follow[at]
    if f.live and f.page == s.page:
        _teach(e, p, at, values, _log_prior(p.rules[0], now), ONE)
    if f.live == 0:
        _follow(e, p, at, s.page, ZERO, now)
    _sweep(e, p)


@inlined
def _price(e: Engine, p: Worth, j: int, first: int, pages: int, bins: Any) -> float:
    """What it costs to send an extent from device ``j`` to the next one, us a page."""
    s, r = e.sys[0], p.rules[0]
    below, level = e.dev[j + 1], p.levels[j + 1]
    move = level.weight * nominal_us(below, s, pages, ONE)
    if below.buffer > 0.0:
        move += level.full * pages * s.page_bytes / below.drain
    values = _values(p.m_numbers if r.mover else p.p_numbers, bins)
    log = _log_prior(r, bins)
    lost = _worth(values, j + 1, log) * level.scale
    if j > 0:
        lost -= _worth(values, j, log) * p.levels[j].scale
    return float((max(0.0, lost) + move) / pages)


@inlined
def _compare(e: Engine, p: Worth, j: int) -> int:
    """Compare extents at the old end of a device's list; returns how many.

    The cheapest one becomes the next victim.
    """
    s, r, level = e.sys[0], p.rules[0], p.levels[j]
    q, count, tries = e.dev[j].tail, 0, 0
    while q >= 0 and count < (r.sample if r.mover else 1) and tries < MOST:
        first, pages = q, 1
        q = e.page[q].prev
        while pages < MOST and q == first + pages and e.page[q].last == e.page[first].last:
            pages += 1
            q = e.page[q].prev
        tries += 1
        wanted = first < s.page + s.npages and s.page < first + pages
        if wanted or e.page[first].flags & FLYING:
            continue
        bins = p.bins[2]
        page_bins(e, first, bins)
        hide(bins, r.blind)
        price = _price(e, p, j, first, pages, bins)
        p.extents[count, 0], p.extents[count, 1] = first, pages
        count += 1
        if level.page < 0 or price < level.price:
            level.page, level.npages, level.price = first, pages, price
        at = _slot(p, first)
        if r.learning and p.follow[at].live == 0:
            _follow(e, p, at, first, ONE, bins)
    return int(count)


@inner
def _choose_victim(e: Engine, p: Worth, j: int) -> None:
    """The next page to leave a device; those that were spared go to the new end of its list."""
    level = p.levels[j]
    level.page, level.price, level.at = -1, 0.0, e.sys[0].i
    count = _compare(e, p, j)
    if level.page < 0:
        return
    level.stamp = e.page[level.page].last
    for k in range(count):
        first = p.extents[k, 0]
        if first != level.page:
            for page in range(first, first + p.extents[k, 1]):
                touch(e, page, j)


@inlined
def _ready(e: Engine, p: Worth, j: int) -> bool:
    """Whether a device's next victim is still there, not accessed since and not wanted now."""
    s, level = e.sys[0], p.levels[j]
    if level.page < 0:
        return False
    q = e.page[level.page]
    if q.loc != j or q.last != level.stamp:
        return False
    return not (level.page < s.page + s.npages and s.page < level.page + level.npages)


@inlined
def _room_price(e: Engine, p: Worth, j: int, need: int) -> float:
    """What it costs to make room for ``need`` pages on a device."""
    level = p.levels[j]
    if not _ready(e, p, j) or e.sys[0].i - level.at > OLD:
        _choose_victim(e, p, j)
    price = level.price
    if p.rules[0].blind:
        below = p.levels[j + 1]
        price = below.weight * nominal_us(e.dev[j + 1], e.sys[0], max(1, level.npages), ONE)
        price /= max(1, level.npages)
    pages = max(need, level.npages) if level.whole else need
    return float(pages * price * level.caution)


@inlined
def _climb(e: Engine, p: Worth, d: int) -> float:
    """The price of bringing the request's pages from below up to device ``d``.

    Who leaves ``d`` needs room on the next device in turn, unless a written page leaves it.
    """
    s = e.sys[0]
    need, total = 0, 0.0
    for j in range(d + 1, s.devices):
        need += p.levels[j].on
    for j in range(d, s.devices - 1):
        need -= room_on(e, j)
        if j > d and s.write:
            need -= p.levels[j].on
        if need <= 0:
            break
        total += _room_price(e, p, j, need)
    return float(total)


@inlined
def _cheapest(e: Engine, p: Worth, values: Four) -> int:
    """The device with the least cost to come; a read can only come up or leave all as it is."""
    s, r = e.sys[0], p.rules[0]
    log = _log_prior(r, p.bins[0])
    here = 0
    for j in range(s.devices):
        if p.levels[j].on > 0:
            here = j
    best, least = here, np.inf
    for d in range(s.devices if s.write else here + 1):
        level = p.levels[d]
        total = _worth(values, d, log) * level.scale if d > 0 else 0.0
        if s.write and d > 0:
            total += level.cost
        if s.write or d < here:
            total += _climb(e, p, d)
        if s.write and d < here:
            total -= level.bonus * p.levels[d + 1].cost
        if total < least or (total <= least and d == here):
            best, least = d, total
    if best == here and s.write == 0:
        s.decided = 0
        return int(np.int64(s.devices - 1))
    return int(np.int64(best))


@inlined
def place(e: Engine, p: Worth) -> int:
    """The device for the current request; learns from it on the way."""
    s, r = e.sys[0], p.rules[0]
    now = p.bins[0]
    if s.i & 15 == 0:
        r.offset = np.log(r.horizon / (s.i + r.horizon))
    request_bins(e, now)
    hide(now, r.blind)
    _look(e, p)
    values = _values(p.p_numbers, now)
    if r.learning:
        _learn_from(e, p, values)
    if r.placer == 0:
        choice = cde_device(e)
        s.decided = s.write
        return choice if s.write else int(np.int64(s.devices - 1))
    return _cheapest(e, p, values)


@inlined
def served(e: Engine, p: Worth) -> None:
    """After every request: running means, and training when it is due."""
    s, r = e.sys[0], p.rules[0]
    r.mean_pages += 0.001 * (s.npages - r.mean_pages)
    if s.i & 15 == 0:
        for d in range(1, s.devices):
            if e.dev[d].buffer > 0.0:
                now = min(1.0, e.dev[d].fill / e.dev[d].buffer)
                p.levels[d].full += SMOOTH * (now - p.levels[d].full)
    if s.i % r.every == 0:
        r.horizon = max(LEAST_REACH, r.reach * e.dev[0].cap / r.mean_pages)
        r.step = int(min(float(LONGEST), max(float(SHORTEST), r.horizon / 4)))
        if r.learning:
            for which in range(1 + r.mover):  # one call: training is most of the code
                brain = mover(p) if which else placer(p)
                train(brain, r.move_batches if which else r.place_batches)
                copy_weights(brain)


@inlined
def victim(e: Engine, p: Worth, device: int) -> int:
    """The page to evict: the rest of the extent that was chosen, then the next choice."""
    level = p.levels[device]
    if p.rules[0].mover == 0:
        return lru_victim(e, device)
    if not _ready(e, p, device):
        _choose_victim(e, p, device)
    if level.page < 0:
        return lru_victim(e, device)
    page = level.page
    level.page += 1
    level.npages -= 1
    if level.npages == 0:
        level.page = -1
    return int(page)


HOOKS = Hooks(place=place, served=served, victim=victim)
