"""Service of one operation by one device (storage.md 2.2)."""

from __future__ import annotations

from typing import Any

import numpy as np

from hybridrl.envs.storage.kernels.compiled import inlined, inner
from hybridrl.envs.storage.kernels.random import exponential, uniform
from hybridrl.envs.storage.kernels.records import HDD, ZERO


@inlined
def next_channel(d: Any) -> int:
    """The channel that is free first (the lowest number among equals)."""
    best = ZERO
    least = d.free[0]
    for j in range(1, d.channels):
        if d.free[j] < least:
            least = d.free[j]
            best = j
    return int(best)


@inner
def disk_us(d: Any, s: Any, lba: int, write: int) -> float:
    """Seek and rotation of a disk whose head stands at ``d.lba``; none where it goes on."""
    gap = abs(lba - d.lba)
    if gap == 0:
        return 0.0
    longest = d.seek_write if write else d.seek_read
    seek = d.seek_us + longest * np.sqrt(min(1.0, gap / s.span))
    turn = uniform(s) if d.noise_turn > 0.0 else 0.5
    return float(seek + turn * d.turn_us)


@inner
def buffer_wait(d: Any, start: float, size: float) -> float:
    """How long a write waits for room in the write buffer; fills and drains the buffer."""
    drained = d.drain * max(0.0, start - d.fill_t)
    fill = max(0.0, d.fill - drained)
    d.fill_t = max(start, d.fill_t)
    d.fill = fill + size
    over = d.fill - d.buffer
    return float(over / d.drain) if over > 0.0 else 0.0


@inner
def collect_garbage(d: Any, channel: int, lba: int, pages: int, size: float) -> None:
    """Count a write against the block size and block its channel while a block is cleaned."""
    jump = 0.0 if lba == d.gc_next else 1.0
    d.gc_next = lba + pages
    d.gc_random += 0.001 * (jump - d.gc_random)
    amplification = 1.0 + (d.gc_amp - 1.0) * d.gc_random
    d.gc_bytes += size * amplification
    while d.gc_bytes >= d.gc_block:
        d.gc_bytes -= d.gc_block
        pause = d.gc_us + d.gc_copy_us * (1.0 - 1.0 / amplification)
        d.free[channel] += pause
        d.gc_busy += pause
        d.gc_count += 1


@inlined
def serve_part(d: Any, s: Any, t: float, lba: int, pages: int, write: int, ground: int) -> float:
    """Serve one part on the channel that is free first.

    Args:
        d: Device record.
        s: System record (generator, span).
        t: Earliest start, us.
        lba: First page.
        pages: Pages, for the position afterwards.
        write: 1 for a write.
        ground: 0 foreground, 1 background.

    Returns:
        When it is finished, us.
    """
    size = float(pages * s.page_bytes)
    j = next_channel(d)
    start = max(t, d.free[j])
    base = d.write_us if write else d.read_us
    if d.noise_exp > 0.0:
        base *= d.noise_base + d.noise_exp * exponential(s)
    service = base + size * (d.write_byte_us if write else d.read_byte_us)
    if d.kind == HDD:
        service += disk_us(d, s, lba, write)
        d.lba = lba + pages
    if write and d.buffer > 0.0:
        service += buffer_wait(d, start, size)
    finish = start + service
    d.free[j] = finish
    d.busy[ground] += service
    d.ops[ground] += 1
    if ground == 0:
        d.wait += start - t
    if write and d.gc_amp > 0.0:
        collect_garbage(d, j, lba, pages, size)
    return float(finish)


@inner
def serve_pages(d: Any, s: Any, t: float, lba: int, pages: int, write: int, ground: int) -> float:
    """Serve a run of pages, split into stripes over the channels; the last part ends it."""
    if write:
        d.write_bytes[ground] += pages * s.page_bytes
    else:
        d.read_bytes[ground] += pages * s.page_bytes
    most = s.stripe if d.channels > 1 else pages
    finish = t
    at, left = lba, pages
    while left > 0:
        count = min(most, left)
        finish = max(finish, serve_part(d, s, t, at, count, write, ground))
        at += count
        left -= count
    return float(finish)


@inner
def nominal_us(d: Any, s: Any, pages: int, write: int) -> float:
    """Mean service time of a run of pages at a random position, without queueing or noise."""
    base = d.write_us if write else d.read_us
    mean = d.noise_base + d.noise_exp if d.noise_exp > 0.0 else 1.0
    total = base * mean + pages * s.page_bytes * (d.write_byte_us if write else d.read_byte_us)
    if d.kind == HDD:
        longest = d.seek_write if write else d.seek_read
        total += d.seek_us + longest * (8.0 / 15.0) + 0.5 * d.turn_us
    return float(total)
