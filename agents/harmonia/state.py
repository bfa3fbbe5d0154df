"""What the compiled storage agents keep: two networks, their rules and what is still pending."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hybridrl.agents.common.compiled_q import Brain
from hybridrl.agents.harmonia.pair import copies
from hybridrl.envs.storage.kernels.records import record

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

AGENT, CDE, FAST, ROOM = range(4)  # who places, or what the agent falls back on
INVERSE, SIBYL, SIBYL_CODE, LOG = range(4)  # rewards of placement
TICKETS = 256  # migration decisions whose reward is still to come
NOW, BEFORE, AFTER, FIRST_TICKET = range(4)  # rows of bins

_f, _i = np.float64, np.int64

RULES = record(
    [
        # Fixed for a run.
        ("unit", _f),  # the fast device's 4 KiB read, us
        ("placer", _i),
        ("reward", _i),
        ("six", _i),  # Sibyl's six features in its order
        ("blind", _i),  # without the features that show the other agent
        ("learning", _i),
        ("warm", _i),  # requests until the networks act
        ("base", _i),  # heuristic of the warm-up
        ("place_gamma", _f),
        ("move_gamma", _f),
        ("evict_weight", _f),
        ("window", _i),  # requests of a migration reward
        ("every", _i),  # requests between trainings
        ("place_batches", _i),
        ("move_batches", _i),
        ("explore_last", _f),
        ("explore_fall", _f),  # factor at every training
        # Placement.
        ("open", _i),  # 1: decided, 2: served
        ("action", _i),
        ("value", _f),  # reward of the last decision
        # Migration.
        ("ticket", _i),
        ("seen", _i),  # completions
        ("first", _i),  # of the windows that are open
        ("last", _i),
        ("mean", _f),  # running mean of unit / latency
        ("coin", np.uint64),
    ]
)

TICKET = record(
    [
        ("page", _i),
        ("action", _i),
        ("penalty", _f),
        ("start", _i),
        ("sum", _f),
        ("live", _i),
        ("queue", _i),  # ring of tickets with open windows, in the order of opening
    ]
)


class Minds(NamedTuple):
    """State of both agents as the engine carries it: few arrays, so that it can be saved.

    Args:
        p_numbers: The placement network's arrays, as in :class:`Brain`.
        p_counts: See there.
        p_memory: See there.
        m_numbers: The migration network's arrays.
        m_counts: See there.
        m_memory: See there.
        rules: One ``RULES`` record.
        bins: Rows ``NOW``, ``BEFORE`` and ``AFTER``, then one a ticket, ``(3 + TICKETS, 8)``.
        tickets: Migration decisions, a ring; their field ``queue`` is a ring of its own.
    """

    p_numbers: Floats
    p_counts: Ints
    p_memory: NDArray[np.uint8]
    m_numbers: Floats
    m_counts: Ints
    m_memory: NDArray[np.uint8]
    rules: NDArray[np.void]
    bins: Ints
    tickets: NDArray[np.void]


def make_minds(place: Brain, move: Brain, rules: NDArray[np.void]) -> Minds:
    """Copies of two networks with nothing pending."""
    return Minds(
        **copies(place, move),
        rules=rules.copy(),
        bins=np.zeros((FIRST_TICKET + TICKETS, 8), np.int64),
        tickets=np.zeros(TICKETS, TICKET),
    )
