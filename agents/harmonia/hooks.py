"""The compiled hooks of the storage agents: decide, collect rewards, learn.

One set of functions for every agent and ablation, steered by :data:`RULES`, so that the engine's
driver is compiled once.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hybridrl.agents.common.compiled_q import (
    EXPLORATION,
    Brain,
    act,
    new_wait,
    remember,
)
from hybridrl.agents.common.compiled_update import copy_weights, train
from hybridrl.agents.harmonia.pair import mover, placer
from hybridrl.agents.harmonia.state import (
    AFTER,
    AGENT,
    BEFORE,
    FAST,
    FIRST_TICKET,
    INVERSE,
    LOG,
    NOW,
    ROOM,
    SIBYL,
    Minds,
)
from hybridrl.envs.storage.kernels.background import room_on
from hybridrl.envs.storage.kernels.candidates import apply_choices, candidates
from hybridrl.envs.storage.kernels.compiled import inlined, inner
from hybridrl.envs.storage.kernels.drivers import Hooks
from hybridrl.envs.storage.kernels.features import page_bins, request_bins
from hybridrl.envs.storage.kernels.records import Engine
from hybridrl.envs.storage.rewards import (
    inverse_latency,
    migration_reward,
    pingpong_penalty,
    sibyl_code_reward,
    sibyl_reward,
)

HOT = 4  # accesses that make a page hot
SHORT = 4  # pages of a request that counts as random


@inlined
def hide(bins: Any, blind: int) -> None:
    """Without coordination: the features that the other agent's doing shows in are 0."""
    if blind:
        bins[4] = 0
        bins[5] = 0
        bins[6] = 0


@inlined
def cde_device(e: Engine) -> int:
    """Hot or random writes go to the fastest device, cold sequential ones to the slowest."""
    s = e.sys[0]
    if not s.write:
        return int(np.int64(e.page[s.page].loc))
    hot = e.page[s.page].count + 1 >= HOT
    random = s.sequential == 0 and s.npages <= SHORT
    return int(np.int64(0) if hot or random else np.int64(s.devices - 1))


@inlined
def base_device(e: Engine, rule: int) -> int:
    """A heuristic's device for the current request; reads stay where they are.

    ``ROOM`` takes the fastest device that has room without evicting anything.
    """
    s = e.sys[0]
    here = int(np.int64(e.page[s.page].loc))
    if not s.write:
        return here
    if rule == FAST:
        return int(np.int64(0))
    if rule == ROOM:
        for device in range(here):
            if room_on(e, device) >= s.npages:
                return int(np.int64(device))
        return here
    return cde_device(e)


@inlined
def place(e: Engine, p: Minds) -> int:
    """The placement agent's device for the current request."""
    s = e.sys[0]
    r = p.rules[0]
    now = p.bins[NOW]
    request_bins(e, now)
    if r.six:
        now[0], now[1] = now[1], now[0]
    else:
        hide(now, r.blind)
    if r.placer != AGENT:
        return base_device(e, r.placer)
    brain = placer(p)
    if r.open == 2:
        remember(brain, p.bins[BEFORE], r.action, r.value, now, r.place_gamma)
    for k in range(8):
        p.bins[BEFORE, k] = now[k]
    r.open = 1
    if s.i < r.warm:
        return base_device(e, r.base)
    return int(act(brain, now))


@inlined
def reward_of(e: Engine, r: Any) -> float:
    """The placement reward of the request that was just served."""
    s = e.sys[0]
    latency = s.latency / r.unit
    if r.reward == INVERSE:
        return inverse_latency(latency)
    if r.reward == LOG:
        return float(
            -np.log(max(0.1, latency)) - r.evict_weight * np.log(1.0 + s.evict_us / r.unit)
        )
    if r.reward == SIBYL:
        return sibyl_reward(latency, s.evicted, s.evict_us / r.unit)
    return sibyl_code_reward(s.latency / 1000.0, s.evicted)


@inlined
def served(e: Engine, p: Minds) -> None:
    """After every request: rewards of both agents, and training when it is due."""
    s = e.sys[0]
    r = p.rules[0]
    if s.decided and r.open == 1:
        r.value = reward_of(e, r)
        r.action = s.device
        r.open = 2
    if s.interval:
        r.mean += 0.001 * (inverse_latency(s.latency / r.unit) - r.mean)
        mature(e, p)
    if s.i % r.every == 0 and r.learning:
        learn(p)


@inner
def learn(p: Minds) -> None:
    """Both agents train, then act with what they learned."""
    r = p.rules[0]
    for which in range(2):  # one call: training is most of the code
        brain = mover(p) if which else placer(p)
        batches = r.move_batches if which else r.place_batches
        if batches and (which or r.placer == AGENT):
            train(brain, batches)
            copy_weights(brain)
            explore_less(brain, r)


@inner
def explore_less(brain: Brain, r: Any) -> None:
    """Let the exploration probability fall towards its last value."""
    if brain.numbers[EXPLORATION] > r.explore_last:
        brain.numbers[EXPLORATION] = max(
            r.explore_last, brain.numbers[EXPLORATION] * r.explore_fall
        )
        new_wait(brain)


@inlined
def open_window(e: Engine, p: Minds, ticket: int) -> None:
    """From now on latencies count for a migration decision."""
    s = e.sys[0]
    r = p.rules[0]
    t = p.tickets[ticket]
    t.start, t.sum = s.i, s.latency_sum
    p.tickets[r.last & 255].queue = ticket
    r.last += 1


@inlined
def mature(e: Engine, p: Minds) -> None:
    """Open windows of completed moves; give the reward of windows that are full.

    All windows are equally long, so they end in the order they began, and a window's sum is a
    difference of two running sums: constant time a request.
    """
    s = e.sys[0]
    r = p.rules[0]
    while r.seen < s.done_count:
        tag = s.done_tag[r.seen & 63]
        r.seen += 1
        if tag >= 0 and p.tickets[tag & 255].live == tag + 1:
            open_window(e, p, tag & 255)
    while r.first < r.last and s.i - p.tickets[p.tickets[r.first & 255].queue].start >= r.window:
        at = p.tickets[r.first & 255].queue
        r.first += 1
        t = p.tickets[at]
        count = s.i - t.start
        value = migration_reward(count, (s.latency_sum - t.sum) / r.unit, t.penalty)
        after = p.bins[AFTER]
        page_bins(e, t.page, after)
        hide(after, r.blind)
        brain = mover(p)
        remember(brain, p.bins[FIRST_TICKET + at], t.action, value, after, r.move_gamma)
        t.live = 0


@inner
def warm_move(e: Engine, k: int, r: Any) -> int:
    """Warm-up of the migration agent: every other hot page moves up, every other cold one down."""
    s = e.sys[0]
    c = e.cand[k]
    x = r.coin
    x ^= x << np.uint64(13)
    x ^= x >> np.uint64(7)
    x ^= x << np.uint64(17)
    r.coin = x
    if x & np.uint64(1):
        return int(np.int64(c.device))
    if e.page[c.page].count >= HOT:
        return int(np.int64(max(0, c.device - 1)))
    return int(np.int64(min(s.devices - 1, c.device + 1)))


@inner
def migrate(e: Engine, p: Minds) -> None:
    """The migration agent's devices for the candidates."""
    s = e.sys[0]
    r = p.rules[0]
    if r.move_batches == 0:
        return
    brain = mover(p)
    count = candidates(e)
    for k in range(count):
        c = e.cand[k]
        bins = p.bins[FIRST_TICKET + (r.ticket & 255)]
        page_bins(e, c.page, bins)
        hide(bins, r.blind)
        if s.i < r.warm:
            c.choice = warm_move(e, k, r)
        else:
            c.choice = act(brain, bins)
        t = p.tickets[r.ticket & 255]
        t.page, t.action, t.penalty, t.live = c.page, c.choice, 0.0, r.ticket + 1
        if c.choice != c.device:
            q = e.page[c.page]
            moved = s.migrations + 1 - q.migr if q.migr > 0 else 0
            t.penalty = pingpong_penalty(2.0 * r.mean, s.i + 1 - q.last, moved)
        c.tag = r.ticket
        r.ticket += 1
    apply_choices(e, count)
    for k in range(count):
        c = e.cand[k]
        if c.accepted == 0:
            open_window(e, p, c.tag & 255)


HOOKS = Hooks(place=place, served=served, migrate=migrate)
