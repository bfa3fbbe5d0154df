"""What the compiled storage agents keep: two networks, their rules and what is still pending."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hybridrl.agents.common.compiled_q import Brain

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

AGENT, CDE, ALWAYS_FAST = range(3)  # who places
INVERSE, SIBYL, SIBYL_CODE, LOG, PAGE_COST = range(5)  # rewards of placement
TICKETS = 256  # migration decisions whose reward is still to come
FOLLOWED = 2048  # placements that are followed to the page's next access
REPLAYED = ("placer", "mover")

_f, _i = np.float64, np.int64

RULES = np.dtype(
    (
        np.record,
        np.dtype(
            [
                # Fixed for a run.
                ("unit", _f),  # the fast device's 4 KiB read, us
                ("scale", _f),  # the slowest device's, in units
                ("placer", _i),
                ("reward", _i),
                ("six", _i),  # Sibyl's six features in its order
                ("blind", _i),  # without the features that show the other agent
                ("learning", _i),
                ("warm", _i),  # requests until the networks act
                ("place_gamma", _f),
                ("move_gamma", _f),
                ("evict_weight", _f),
                ("window", _i),  # requests of a migration reward
                ("every", _i),  # requests between trainings
                ("place_batches", _i),
                ("move_batches", _i),
                ("horizon", _i),  # requests after which a page counts as not accessed again
                ("explore_last", _f),
                ("explore_fall", _f),  # factor at every training
                # Placement.
                ("open", _i),  # 1: decided, 2: served
                ("action", _i),
                ("value", _f),  # reward of the last decision
                ("slot", _i),  # being followed, or -1
                ("closing", _i),  # followed placement that this request ends, or -1
                ("sweep", _i),
                # Migration.
                ("ticket", _i),
                ("seen", _i),  # completions
                ("first", _i),  # of the windows that are open
                ("last", _i),
                ("mean", _f),  # running mean of unit / latency
                ("coin", np.uint64),
            ],
            align=True,
        ),
    )
)

TICKET = np.dtype(
    (
        np.record,
        np.dtype(
            [
                ("page", _i),
                ("action", _i),
                ("penalty", _f),
                ("start", _i),
                ("sum", _f),
                ("live", _i),
            ],
            align=True,
        ),
    )
)

FOLLOW = np.dtype(
    (
        np.record,
        np.dtype(
            [
                ("page", np.int32),
                ("start", np.int32),
                ("cost", np.float32),
                ("action", np.uint8),
                ("live", np.uint8),
                ("bins", np.uint8, (8,)),
            ]
        ),
    )
)


class Minds(NamedTuple):
    """State of both agents as the engine carries it: arrays only, so that it can be saved.

    Args:
        p_knobs: The placement network's arrays, as in :class:`Brain`.
        p_acting: See there.
        p_learned: See there.
        p_counts: See there.
        p_memory: See there.
        p_returns: See there.
        p_tiles: See there.
        m_knobs: The migration network's arrays.
        m_acting: See there.
        m_learned: See there.
        m_counts: See there.
        m_memory: See there.
        m_returns: See there.
        m_tiles: See there.
        rules: One ``RULES`` record.
        now: Bins of the current decision, ``(8,)``.
        before: Bins of the previous placement, ``(8,)``.
        after: Bins of a page whose reward has matured, ``(8,)``.
        tickets: Migration decisions, a ring.
        ticket_bins: Their bins, ``(TICKETS, 8)``.
        windows: Tickets whose window is open, a ring in the order of opening.
        follow: Placements that are followed to the next access, by page.
    """

    p_knobs: Floats
    p_acting: Floats
    p_learned: Floats
    p_counts: Ints
    p_memory: NDArray[np.uint8]
    p_returns: NDArray[np.float32]
    p_tiles: Floats
    m_knobs: Floats
    m_acting: Floats
    m_learned: Floats
    m_counts: Ints
    m_memory: NDArray[np.uint8]
    m_returns: NDArray[np.float32]
    m_tiles: Floats
    rules: NDArray[np.void]
    now: Ints
    before: Ints
    after: Ints
    tickets: NDArray[np.void]
    ticket_bins: Ints
    windows: Ints
    follow: NDArray[np.void]


def make_minds(placer: Brain, mover: Brain, rules: NDArray[np.void]) -> Minds:
    """Copies of two networks with nothing pending."""
    return Minds(
        *(array.copy() for array in placer),
        *(array.copy() for array in mover),
        rules=rules.copy(),
        now=np.zeros(8, np.int64),
        before=np.zeros(8, np.int64),
        after=np.zeros(8, np.int64),
        tickets=np.zeros(TICKETS, TICKET),
        ticket_bins=np.zeros((TICKETS, 8), np.int64),
        windows=np.zeros(TICKETS, np.int64),
        follow=np.zeros(FOLLOWED if rules["reward"][0] == PAGE_COST else 1, FOLLOW),
    )


def placer_of(minds: Minds) -> Brain:
    """The placement network's arrays, not copied."""
    return Brain(*minds[:7])


def mover_of(minds: Minds) -> Brain:
    """The migration network's arrays, not copied."""
    return Brain(*minds[7:14])
