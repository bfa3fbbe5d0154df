"""Periodic migration by page scores: cold pages out, hot pages in, throttled.

Shared by every policy that ranks pages now and then. At the end of a period the pages with the
highest scores that are not on the fastest device are paired with its pages of the lowest scores; a
pair is exchanged if the one scores more than ``hysteresis`` times the other. At most ``throttle``
of the capacity is exchanged in a period, and moves wait until the background queue takes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hybridrl.envs.storage.kernels.background import queue_move
from hybridrl.envs.storage.kernels.compiled import inner
from hybridrl.envs.storage.kernels.records import FLYING, NONE, Engine, i64, record

if TYPE_CHECKING:
    from hybridrl.envs.storage.engine import HSSEngine

PERIOD = 10_000  # requests
THROTTLE = 0.02
HYSTERESIS = 2.0
LEVELS = 256  # of scores when they are ranked
RULE = record(
    [
        ("on", np.int64),
        ("period", np.int64),
        ("next", np.int64),  # request that ends this period
        ("throttle", np.float64),
        ("hysteresis", np.float64),
        ("decay", np.float64),  # of scores at the end of a period
        ("planned", np.int64),
        ("done", np.int64),
    ]
)


class Mover(NamedTuple):
    """State of the periodic migration.

    Args:
        rule: One ``RULE`` record.
        score: Of each page, shape ``(N,)``.
        plan_page: Planned moves, demotion and promotion in turns, shape ``(2 budget,)``.
        plan_device: Where to.
        bins: Counts of scores, scratch, shape ``(LEVELS,)``.
    """

    rule: NDArray[np.void]
    score: NDArray[np.float32]
    plan_page: NDArray[np.int64]
    plan_device: NDArray[np.int64]
    bins: NDArray[np.int64]


def make_mover(
    engine: HSSEngine,
    on: bool = True,
    period: int = PERIOD,
    throttle: float = THROTTLE,
    hysteresis: float = HYSTERESIS,
    decay: float = 0.5,
) -> Mover:
    """The state of a mover for an engine; ``on=False`` makes one that does nothing."""
    rule = np.zeros(1, RULE)
    values = {"on": on, "period": period, "next": period, "throttle": throttle}
    for name, value in {**values, "hysteresis": hysteresis, "decay": decay}.items():
        rule[name] = value
    budget = max(1, round(throttle * float(engine.e.dev["cap"][0]))) if on else 1
    return Mover(
        rule,
        np.zeros(engine.pages if on else 1, np.float32),
        np.zeros(2 * budget, np.int64),
        np.zeros(2 * budget, np.int64),
        np.zeros(LEVELS, np.int64),
    )


@inner
def count_accesses(e: Engine, m: Mover) -> None:
    """Score each page of the request that was served one higher."""
    s = e.sys[0]
    if m.rule[0].on:
        for p in range(s.page, s.page + s.npages):
            m.score[p] += np.float32(1.0)


@inner
def _level(m: Mover, p: int) -> int:
    return int(min(LEVELS - 1, int(4.0 * m.score[p])))


@inner
def _threshold(e: Engine, m: Mover, fast: int, budget: int) -> int:
    """Level that bounds the ``budget`` lowest scores on the fastest device, highest elsewhere."""
    m.bins[:] = 0
    for p in range(e.sys[0].pages):
        if (e.page[p].loc == 0) == (fast == 1):
            m.bins[_level(m, p)] += 1
    total = i64(0)
    for k in range(LEVELS):
        level = k if fast == 1 else LEVELS - 1 - k
        total += m.bins[level]
        if total >= budget:
            return int(level)
    return LEVELS - 1 if fast == 1 else 0


@inner
def _next_page(e: Engine, m: Mover, p: int, fast: int, bound: int) -> int:
    """The next page from ``p`` on that is at or beyond the threshold; -1 after the last."""
    while p < e.sys[0].pages:
        r = e.page[p]
        if (r.loc == 0) == (fast == 1) and not r.flags & FLYING:
            level = _level(m, p)
            if (fast == 1 and level <= bound) or (fast == 0 and level >= bound):
                return p
        p += 1
    return int(NONE)


@inner
def plan_moves(e: Engine, m: Mover) -> None:
    """Pair hot pages that are not on the fastest device with its cold ones."""
    rule = m.rule[0]
    budget = len(m.plan_page) // 2
    cold_bound = _threshold(e, m, i64(1), budget)
    hot_bound = max(1, _threshold(e, m, i64(0), budget))
    rule.planned = rule.done = 0
    free = e.dev[0].cap - e.dev[0].used - e.dev[0].reserved
    cold = hot = i64(0)
    for _ in range(budget):
        hot = _next_page(e, m, hot, i64(0), hot_bound)
        if hot < 0:
            return
        if free > 0:
            free -= 1
        else:
            cold = _next_page(e, m, cold, i64(1), cold_bound)
            if cold < 0 or m.score[hot] <= rule.hysteresis * m.score[cold]:
                return
            m.plan_page[rule.planned], m.plan_device[rule.planned] = cold, 1
            rule.planned += 1
            cold += 1
        m.plan_page[rule.planned], m.plan_device[rule.planned] = hot, 0
        rule.planned += 1
        hot += 1


@inner
def _decay(m: Mover) -> None:
    factor = np.float32(m.rule[0].decay)
    for p in range(len(m.score)):
        m.score[p] *= factor


@inner
def period_is_over(e: Engine, m: Mover) -> bool:
    """Whether a period of the mover has just ended."""
    return bool(m.rule[0].on and e.sys[0].i >= m.rule[0].next)


@inner
def new_period(e: Engine, m: Mover) -> None:
    """Plan the moves of the next period from the scores as they are."""
    m.rule[0].next += m.rule[0].period
    plan_moves(e, m)


@inner
def carry_out(e: Engine, m: Mover) -> None:
    """Queue as many planned moves as the background takes; what is no longer possible is left."""
    rule = m.rule[0]
    s = e.sys[0]
    while rule.done < rule.planned and s.jobs < s.max_jobs:
        k = rule.done
        queue_move(e, m.plan_page[k], i64(1), m.plan_device[k], NONE)
        rule.done += 1


@inner
def move_by_counts(e: Engine, m: Mover) -> None:
    """The migration hook of ``hps``: scores are decaying access counts."""
    if not m.rule[0].on:
        return
    if period_is_over(e, m):
        new_period(e, m)
        _decay(m)
    carry_out(e, m)


def unused(engine: HSSEngine) -> Any:
    """A mover that does nothing, for policies without migration."""
    return make_mover(engine, on=False)
