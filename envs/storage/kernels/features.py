"""The seven features of a page that both agents see, as bins (storage.md 4)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridrl.envs.storage.kernels.compiled import entry, inlined, inlined_entry
from hybridrl.envs.storage.kernels.records import SIZE_SHIFT, TYPE_BIT, Engine
from hybridrl.envs.storage.kernels.requests import size_bin

FEATURES = ("req_type", "req_size", "acc_intr", "acc_freq", "fast_cap", "curr_dev", "migr_intr")
REQ_TYPE, REQ_SIZE, ACC_INTR, ACC_FREQ, FAST_CAP, CURR_DEV, MIGR_INTR = range(7)
NEVER_BIN = 63
_ROOT4 = 2.0**0.25
_ROOT2 = 2.0**0.5
_ROOT34 = 2.0**0.75


def bins_of(devices: int) -> tuple[int, ...]:
    """How many bins each feature has, with ``devices`` devices."""
    return (2, 8, 64, 64, 8, devices, 64)


@inlined_entry
def log_bin(value: int) -> int:
    """``min(63, floor(4 log2(value)))`` for values from 1, exactly, without a logarithm."""
    if value < 1:
        return 0
    if value >= 65536:
        return 63
    octave, rest = 0, value
    for shift in (8, 4, 2, 1):  # unrolled, and without a branch that the data decides
        more = rest >= 1 << shift
        octave += shift if more else 0
        rest = rest >> shift if more else rest
    power = float(1 << octave)  # times a power of 2 is exact
    quarter = (value >= power * _ROOT4) + (value >= power * _ROOT2) + (value >= power * _ROOT34)
    return min(63, 4 * octave + quarter)


@inlined
def _page_bins(e: Engine, s: Any, p: int, count: int, out: NDArray[np.int64]) -> None:
    r = e.page[p]
    out[ACC_INTR] = log_bin(s.i + 1 - r.last) if r.last > 0 else NEVER_BIN
    out[ACC_FREQ] = log_bin(count)
    fast = e.dev[0]
    free = max(0, fast.cap - fast.used - fast.reserved)
    out[FAST_CAP] = min(7, 8 * free // fast.cap)
    out[CURR_DEV] = r.loc
    out[MIGR_INTR] = log_bin(s.migrations + 1 - r.migr) if r.migr > 0 else NEVER_BIN


@inlined_entry
def request_bins(e: Engine, out: NDArray[np.int64]) -> None:
    """Bins of the current request's first page, before the request is served, shape ``(7,)``.

    ``acc_freq`` counts this access too; ``acc_intr`` counts requests since the one before.
    """
    s = e.sys[0]
    out[REQ_TYPE] = s.write
    out[REQ_SIZE] = size_bin(s.npages)
    _page_bins(e, s, s.page, e.page[s.page].count + 1, out)


@inlined_entry
def page_bins(e: Engine, p: int, out: NDArray[np.int64]) -> None:
    """Bins of page ``p`` between requests; type and size are those of its last request."""
    flags = e.page[p].flags
    out[REQ_TYPE] = flags & TYPE_BIT
    out[REQ_SIZE] = (flags >> SIZE_SHIFT) & 7
    _page_bins(e, e.sys[0], p, e.page[p].count, out)


@entry
def unit_features(bins: NDArray[np.int64], devices: int, out: NDArray[Any]) -> None:
    """Network input: each bin over its largest one, in [0, 1], shape ``(7,)``."""
    out[REQ_TYPE] = bins[REQ_TYPE]
    out[REQ_SIZE] = bins[REQ_SIZE] / 7.0
    out[ACC_INTR] = bins[ACC_INTR] / 63.0
    out[ACC_FREQ] = bins[ACC_FREQ] / 63.0
    out[FAST_CAP] = bins[FAST_CAP] / 7.0
    out[CURR_DEV] = bins[CURR_DEV] / (devices - 1.0)
    out[MIGR_INTR] = bins[MIGR_INTR] / 63.0
