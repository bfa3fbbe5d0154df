"""Heuristic placement, alone or with the periodic mover, in one compiled policy (storage.md 8)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hybridrl.envs.storage.baselines.mover import Mover, count_accesses, make_mover, move_by_counts
from hybridrl.envs.storage.kernels.background import room_on
from hybridrl.envs.storage.kernels.compiled import inner
from hybridrl.envs.storage.kernels.drivers import Hooks
from hybridrl.envs.storage.kernels.lists import lru_victim
from hybridrl.envs.storage.kernels.random import first_state, uniform
from hybridrl.envs.storage.kernels.records import FLYING, Engine, i64, record
from hybridrl.envs.storage.policy import Policy
from hybridrl.envs.storage.traces.synthetic import service_times

if TYPE_CHECKING:
    from hybridrl.envs.storage.engine import HSSEngine

RULES = ("fast", "slow", "random", "cde", "stay", "target")
FAST, SLOW, RANDOM, CDE, STAY, TARGET = range(len(RULES))
HOT = 4  # accesses
SMALL = 4  # pages of a random request
MOVE_INTERVAL = 50  # requests between visits of the mover
RULE = record([("kind", np.int64), ("rng", np.uint64)])


class Heuristic(NamedTuple):
    """State of a heuristic.

    Args:
        rule: One ``RULE`` record: which rule, and its random numbers.
        target: Device that each page belongs on, shape ``(N,)``, for the rule ``target``.
        mover: The periodic migration.
    """

    rule: NDArray[np.void]
    target: NDArray[np.uint8]
    mover: Mover


@inner
def place_cde(e: Engine) -> int:
    """Hot pages go fast; cold ones by the request: small and random fast, sequential slow.

    With more than two devices a cold random write goes to the second one.
    """
    s = e.sys[0]
    if e.page[s.page].count >= HOT:
        return 0
    if not s.sequential and s.npages <= SMALL:
        return 0 if s.devices == 2 else 1
    return int(s.devices - 1)


@inner
def _place(e: Engine, p: Heuristic) -> int:
    s = e.sys[0]
    kind = p.rule[0].kind
    if kind == FAST:
        return 0
    if kind == CDE:
        return place_cde(e)
    if kind == RANDOM:
        return int(uniform(p.rule[0]) * s.devices)
    if kind == STAY:
        return 0 if room_on(e, i64(0)) >= s.npages else int(e.page[s.page].loc)
    if kind == TARGET:
        device = i64(0)
        for page in range(s.page, s.page + s.npages):
            device = max(device, i64(p.target[page]))
        return int(device)
    return int(s.devices - 1)


@inner
def _served(e: Engine, p: Heuristic) -> None:
    count_accesses(e, p.mover)


@inner
def _migrate(e: Engine, p: Heuristic) -> None:
    move_by_counts(e, p.mover)


@inner
def _victim(e: Engine, p: Heuristic, device: int) -> int:
    """The least recently used page, if possible one that belongs elsewhere."""
    if p.rule[0].kind == TARGET:
        s = e.sys[0]
        page = e.dev[device].tail
        for _ in range(256):
            if page < 0:
                break
            if (
                p.target[page] != device
                and not e.page[page].flags & FLYING
                and not s.page <= page < s.page + s.npages
            ):
                return int(page)
            page = e.page[page].prev
    return lru_victim(e, device)


HOOKS = Hooks(place=_place, served=_served, migrate=_migrate, victim=_victim)


def top_pages(engine: HSSEngine, benefit: bool = False) -> NDArray[np.uint8]:
    """The device that each page belongs on when pages are ranked by the whole trace.

    Args:
        engine: Its trace and capacities.
        benefit: Rank by the time that the slowest device would spend on the page, not by accesses:
            what a disk reads in sequence is worth little.
    """
    trace = engine.trace
    worth = np.ones(len(trace))
    if benefit:
        slow = engine.config.specs()[-1]
        worth = service_times(trace, slow, engine.config.stripe_pages) / trace.npages
    edges = np.zeros(engine.pages + 1)
    np.add.at(edges, trace.page, worth)
    np.add.at(edges, trace.page + trace.npages, -worth)
    order = np.argsort(-np.cumsum(edges)[:-1].round(6), kind="stable")
    target = np.full(engine.pages, engine.devices - 1, np.uint8)
    start = 0
    for device in range(engine.devices - 1):
        cap = int(engine.e.dev["cap"][device])
        target[order[start : start + cap]] = device
        start += cap
    return target


def _state(kind: int, moves: bool, benefit: bool) -> Callable[[HSSEngine], Heuristic]:
    def make(engine: HSSEngine) -> Heuristic:
        rule = np.zeros(1, RULE)
        rule["kind"] = kind
        rule["rng"] = first_state(engine.seed + 7919)
        target = np.zeros(1, np.uint8)
        if kind == TARGET:
            target = top_pages(engine, benefit)
        return Heuristic(rule, target, make_mover(engine, on=moves))

    return make


def heuristic(
    name: str,
    rule: str,
    *,
    reads: bool = False,
    moves: bool = False,
    unlimited: bool = False,
    clairvoyant: bool = False,
    benefit: bool = False,
) -> Policy:
    """A heuristic policy.

    Args:
        name: What to call it.
        rule: Where writes go: ``fast``, ``slow``, ``random``, ``cde``, ``stay`` (where the
            page is; fast while there is room) or ``target`` (by accesses in the whole trace).
        reads: The rule is asked about reads as well, which may move what was read.
        moves: With the periodic mover of ``hps``.
        unlimited: Every device holds everything, and all pages start on the fastest.
        clairvoyant: Looks ahead.
        benefit: ``target`` ranks pages by the time they would cost the slowest device.
    """
    return Policy(
        name,
        HOOKS,
        _state(RULES.index(rule), moves, benefit),
        act_on="all" if reads else "writes",
        interval=MOVE_INTERVAL if moves else 0,
        unlimited=unlimited,
        start_device=0 if unlimited else None,
        clairvoyant=clairvoyant,
    )
