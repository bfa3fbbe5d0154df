"""Records of the simulator: system, devices, pages, background jobs, requests and log.

Structured arrays, so that compiled code reads fields by name and one engine is a handful of
arrays that can be copied, saved and stacked. Times are microseconds of simulated time in float64,
sizes are pages unless a name says bytes, devices are numbered from the fastest to the slowest.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

# Integers that are not literals: each literal would make one more compiled version of a function.
# To the type checker they are plain ones.
i64: Any = np.int64

MAX_DEVICES = 8
MAX_CHANNELS = 32
MAX_DEPTH = 64  # outstanding requests of closed replay
MAX_REQUEST = 1 << 20  # pages of one request
RECENT = 64  # remembered first pages, for promotion candidates; a power of 2
DONE = 64  # remembered completions of background jobs; a power of 2

END, PLACE, MIGRATE = range(3)  # what a driver stopped for
IDLE, PLACING, SERVED, MIGRATING = range(4)  # where in a request's life an engine stands
ASK_PLACE, ASK_MIGRATE = 1, 2  # bits: which decisions come from outside
WRITES, ALL = range(2)  # which requests the placement policy acts on
FREE, WAITING, READ_PENDING, WRITE_PENDING, WRITING = range(5)  # states of a job
MOVE, EVICT, PROMOTE = i64(0), i64(1), i64(2)  # kinds of a job
FLASH, HDD = range(2)
NONE, ZERO, ONE = i64(-1), i64(0), i64(1)

TYPE_BIT, SIZE_SHIFT, FLYING = 1, 1, 16  # page flags: last type, 3 bits of size bin, in flight
MAX_COUNT = 65535
NEVER = np.inf

_f = np.float64
_i = np.int64


def record(fields: list[Any], align: bool = True) -> np.dtype[Any]:
    """A record type whose fields plain Python reads by name as well (coverage runs uncompiled)."""
    return np.dtype((np.record, np.dtype(fields, align=align)))


# One logical page of 4 KiB: 20 bytes. `last` and `migr` are one more than an index; 0 is never.
PAGE = record(
    [
        ("last", np.uint32),  # request of its last access
        ("migr", np.uint32),  # number of its last migration, among all migrations
        ("prev", np.int32),  # neighbours in its device's list, most recently used first
        ("next", np.int32),
        ("count", np.uint16),  # accesses so far, saturating
        ("loc", np.uint8),  # the one device it is on
        ("flags", np.uint8),
    ],
    align=False,
)

REQUEST = record([("t", _f), ("page", _i), ("npages", np.int32), ("write", np.int32)])

LOG = record([("arrive", _f), ("latency", _f)])

CANDIDATE = record(
    [
        ("page", _i),
        ("npages", _i),
        ("device", _i),  # where it is
        ("choice", _i),  # where it shall be: written by the migration policy
        ("tag", _i),  # given back when the move is done
        ("accepted", _i),  # 1: queued; 0: stayed; -1: refused (queue full, no room, in flight)
    ]
)

DEVICE = record(
    [
        # What it is.
        ("kind", _i),
        ("channels", _i),
        ("cap", _i),
        ("read_us", _f),  # base latency, without the transfer
        ("write_us", _f),
        ("read_byte_us", _f),  # transfer of a byte
        ("write_byte_us", _f),
        ("noise_base", _f),  # service = base latency * (noise_base + noise_exp * Exp(1)) + transfer
        ("noise_exp", _f),
        ("seek_us", _f),  # shortest seek; 0 for flash
        ("seek_read", _f),  # longest less shortest
        ("seek_write", _f),
        ("turn_us", _f),  # one rotation
        ("noise_turn", _f),  # 1: uniform rotation; 0: always half a turn
        ("buffer", _f),  # bytes of write buffer; 0: none
        ("drain", _f),  # bytes a microsecond
        ("gc_amp", _f),  # write amplification of uniform random writes; 0: no collection
        ("gc_block", _f),  # bytes
        ("gc_us", _f),  # a channel is blocked for so long at an amplification of 1 (erase)
        ("gc_copy_us", _f),  # longer for every valid block share that is copied
        # Its state.
        ("free", _f, (MAX_CHANNELS,)),
        ("used", _i),
        ("reserved", _i),
        ("head", _i),  # first page of the list, most recently used
        ("tail", _i),
        ("lba", _i),  # where a disk's head stands
        ("fill", _f),
        ("fill_t", _f),
        ("gc_bytes", _f),
        ("gc_next", _i),  # page that would continue the last write
        ("gc_random", _f),  # running share of random writes
        # Its books.
        ("busy", _f, (2,)),  # foreground, background
        ("wait", _f),  # summed over foreground parts
        ("ops", _i, (2,)),  # foreground parts, background operations
        ("read_bytes", _i, (2,)),
        ("write_bytes", _i, (2,)),
        ("hits", _i, (2,)),  # pages read and written here by requests
        ("gc_count", _i),
        ("gc_busy", _f),
        ("fill_sum", _f),  # of used pages, over requests
    ]
)

JOB = record(
    [
        ("state", _i),
        ("kind", _i),
        ("page", _i),
        ("npages", _i),
        ("src", _i),
        ("dst", _i),
        ("seq", _i),
        ("tag", _i),
        ("release", _f),  # of its pending operation
        ("finish", _f),  # of the write in progress
    ]
)

SYSTEM = record(
    [
        # The experiment.
        ("first", _i),  # of this engine's requests in the request array
        ("n", _i),
        ("pages", _i),
        ("devices", _i),
        ("page_bytes", _i),
        ("closed", _i),
        ("depth", _i),
        ("think", _f),
        ("decision_us", _f),
        ("stripe", _i),
        ("act_on", _i),
        ("interval", _i),  # requests between migration decisions; 0: none
        ("slots", _i),  # candidates of a migration decision
        ("extent", _i),  # most pages of a candidate
        ("max_jobs", _i),
        ("backlog", _f),  # open replay is held back when requests would wait longer
        ("span", _f),  # pages that a disk's longest seek crosses
        # Where it stands.
        ("i", _i),  # next or current request
        ("stage", _i),
        ("due", _i),  # a migration decision is due
        ("countdown", _i),  # requests until the next one
        ("rng", np.uint64),
        ("seq", _i),
        ("shift", _f),
        ("bg_next", _f),  # nothing happens in the background before this time
        ("jobs", _i),
        ("slot", _i),
        ("slot_free", _f, (MAX_DEPTH,)),
        ("recent", _i, (RECENT,)),
        ("recent_count", _i),
        ("done_tag", _i, (DONE,)),
        ("done_page", _i, (DONE,)),
        ("done_npages", _i, (DONE,)),
        ("done_count", _i),
        # The current request.
        ("page", _i),
        ("npages", _i),
        ("write", _i),
        ("sequential", _i),  # starts where the previous request ended
        ("next_page", _i),
        ("t", _f),
        ("ready", _f),
        ("finish", _f),
        ("latency", _f),
        ("decided", _i),
        ("device", _i),  # that was chosen
        ("evict_us", _f),  # service of the evictions that it forced, L_e
        ("evicted", _i),
        ("need", _i, (MAX_DEVICES,)),  # pages to evict from each device
        ("run_page", _i),  # neighbouring victims are moved together
        ("run_length", _i),
        ("run_device", _i),
        # Books.
        ("migrations", _i),  # pages moved: by jobs and by evictions
        ("promotions", _i),
        ("demotions", _i),
        ("evictions", _i),
        ("sync_evictions", _i),
        ("cancelled", _i),
        ("refused", _i),
        ("pingpongs", _i),
        ("redirected", _i),
        ("decisions", _i),
        ("capped", _i),
        ("user_pages", _i),
        ("moved_pages", _i),
        ("latency_sum", _f),
        ("last_finish", _f),
    ]
)


class Engine(NamedTuple):
    """One engine: every array of it, as compiled code takes it.

    Args:
        sys: One ``SYSTEM`` record, shape ``(1,)``.
        dev: ``DEVICE`` records, fastest first, shape ``(D,)``.
        page: ``PAGE`` records, shape ``(N,)``.
        moved: Request of each page's last migration (-1: never), shape ``(N,)``.
        job: ``JOB`` records of the background queue, shape ``(max_jobs,)``.
        cand: ``CANDIDATE`` records of the migration decision, shape ``(x,)``.
        req: ``REQUEST`` records, shape ``(n,)`` or longer.
        log: ``LOG`` records, one a request, or shape ``(0,)`` to keep none.
    """

    sys: NDArray[np.void]
    dev: NDArray[np.void]
    page: NDArray[np.void]
    moved: NDArray[np.int32]
    job: NDArray[np.void]
    cand: NDArray[np.void]
    req: NDArray[np.void]
    log: NDArray[np.void]
