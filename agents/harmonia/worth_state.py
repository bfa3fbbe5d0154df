"""What the agents of profile ``default`` keep: networks, prices of room, followed pages."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hybridrl.agents.common.compiled_q import Brain
from hybridrl.agents.harmonia.pair import copies
from hybridrl.agents.harmonia.profiles import StorageSettings
from hybridrl.envs.storage.engine import HSSEngine
from hybridrl.envs.storage.kernels.records import HDD, MAX_DEVICES, record

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SLOTS = 2048  # pages that are followed; a power of 2
MOST = 64  # extents that are looked at for a victim
SHORTEST, LONGEST = 64, 1000  # requests that a page is followed
LEAST_REACH = 500.0  # requests
_f, _i = np.float64, np.int64


RULES = record(
    [
        # Fixed for a run.
        ("learning", _i),
        ("every", _i),  # requests between trainings
        ("place_batches", _i),
        ("move_batches", _i),
        ("reach", _f),  # requests that count, over the objects that the fast device holds
        ("blind", _i),  # agents do not see what the other does: no prices
        ("placer", _i),  # 1: the placement agent, 0: cde
        ("mover", _i),  # 1: the migration agent names victims, 0: least recently used
        ("sample", _i),  # extents that are compared for a victim
        ("prior", _i),  # access counts are where learning begins
        # Where it stands.
        ("horizon", _f),  # requests
        ("step", _i),  # requests after which a followed page is judged by the network
        ("offset", _f),  # logarithm of what an access so far promises
        ("mean_pages", _f),  # of a request
        ("sweep", _i),
        ("coin", np.uint64),
    ]
)

LEVEL = record(
    [
        # Of a device.
        ("scale", _f),  # its 4 KiB read over the fastest device's, us: unit of its values
        ("weight", _f),  # share of a background write here that requests wait for
        ("full", _f),  # running share of its write buffer that is full
        # Of the step from it to the next slower one.
        ("caution", _f),  # factor on the price
        ("whole", _i),  # an eviction costs the same however few pages it moves
        ("bonus", _f),  # of a write that comes up, over what it would cost below
        ("page", _i),  # next victim: rest of an extent, or -1
        ("npages", _i),
        ("stamp", _i),  # its last access when it was chosen
        ("at", _i),  # request at which it was chosen
        ("price", _f),  # of a page of room, us
        # Of the current request.
        ("cost", _f),  # what it would take longer here than on the fastest device, us
        ("on", _i),  # its pages that are here
    ]
)

FOLLOW = record(
    [
        ("page", np.int32),
        ("start", np.int32),
        ("kind", np.uint8),  # 0: at an access, 1: between accesses
        ("live", np.uint8),
        ("bins", np.uint8, (8,)),
    ],
    align=False,
)


class Worth(NamedTuple):
    """State of both agents as the engine carries it.

    Args:
        p_numbers: The placement network's arrays, as in :class:`Brain`.
        p_counts: See there.
        p_memory: See there.
        m_numbers: The migration network's arrays.
        m_counts: See there.
        m_memory: See there.
        rules: One ``RULES`` record.
        levels: One ``LEVEL`` record a device.
        bins: Features of the request, of a followed page, of a victim, ``(3, 8)``.
        follow: Pages that are followed to their next access, by page.
        extents: First page and length of the extents that were compared, ``(MOST, 2)``.
    """

    p_numbers: Floats
    p_counts: Ints
    p_memory: NDArray[np.uint8]
    m_numbers: Floats
    m_counts: Ints
    m_memory: NDArray[np.uint8]
    rules: NDArray[np.void]
    levels: NDArray[np.void]
    bins: Ints
    follow: NDArray[np.void]
    extents: Ints


def empty_worth(place: Brain, move: Brain) -> Worth:
    """Copies of two networks with nothing known and nothing pending."""
    return Worth(
        **copies(place, move),
        rules=np.zeros(1, RULES),
        levels=np.zeros(MAX_DEVICES, LEVEL),
        bins=np.zeros((3, 8), np.int64),
        follow=np.zeros(SLOTS, FOLLOW),
        extents=np.zeros((MOST, 2), np.int64),
    )


def make_worth(
    engine: HSSEngine, settings: StorageSettings, place: Brain, move: Brain, learn: bool, seed: int
) -> Worth:
    """The state for an engine before its first request.

    Args:
        engine: Its devices and capacities.
        settings: Of the agent.
        place: The placement network; copied.
        move: The migration network; copied.
        learn: Whether the copies train.
        seed: Of the agent.
    """
    made = empty_worth(place, move)
    specs = engine.config.specs()
    horizon = max(LEAST_REACH, settings.reach * float(engine.e.dev["cap"][0]) / 4)
    values = {
        "learning": learn,
        "every": settings.train_every,
        "place_batches": settings.place_batches,
        "move_batches": settings.move_batches,
        "reach": settings.reach,
        "blind": not settings.coordination,
        "placer": settings.placement == "agent",
        "mover": settings.migration == "agent",
        "sample": min(MOST, settings.sample),
        "prior": settings.prior,
        "horizon": horizon,
        "step": int(min(LONGEST, max(SHORTEST, horizon / 4))),
        "mean_pages": 4.0,
        "coin": 88172645463325252 + 2 * seed,
    }
    for name, value in values.items():
        made.rules[name] = value
    fastest = specs[0].read_4k_us()
    made.levels["page"] = -1
    for d, spec in enumerate(specs):
        level = made.levels[d]
        level["scale"] = max(1e-9, spec.read_4k_us() - fastest) if d else 1.0
        level["weight"] = settings.evict_weight / spec.channels
    for d, below in enumerate(engine.e.dev["kind"][1:]):
        level = made.levels[d]
        level["caution"] = settings.caution if below == HDD else 1.0
        level["whole"] = below == HDD
        level["bonus"] = settings.write_bonus if below != HDD else 0.0
    return made
