"""Heaps that find the page with the largest key on a device, with keys that change all the time.

A changed key is pushed again; what has become stale is dropped when it comes to the top, or all at
once when the heap is full.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hybridrl.envs.storage.kernels.compiled import inner
from hybridrl.envs.storage.kernels.records import FLYING, NONE, Engine, i64


class Heaps(NamedTuple):
    """One heap a device, all but the slowest.

    Args:
        key: The present key of each page, shape ``(N,)``.
        size: Entries of each heap, shape ``(D-1,)``.
        keys: Shape ``(D-1, capacity)``.
        pages: Shape ``(D-1, capacity)``.
        aside: Pages that were passed over in a search, shape ``(4096,)``.
    """

    key: NDArray[np.float64]
    size: NDArray[np.int64]
    keys: NDArray[np.float64]
    pages: NDArray[np.int32]
    aside: NDArray[np.int64]


def make_heaps(pages: int, devices: int) -> Heaps:
    """Empty heaps; each page's key is 0."""
    capacity = 2 * pages + 1024
    return Heaps(
        np.zeros(pages),
        np.zeros(devices - 1, np.int64),
        np.zeros((devices - 1, capacity)),
        np.zeros((devices - 1, capacity), np.int32),
        np.zeros(4096, np.int64),
    )


@inner
def _above(
    keys: NDArray[np.float64], pages: NDArray[np.int32], at: int, key: float, page: int
) -> bool:
    """Order of the heap: the larger key, and the larger page among equals."""
    return bool(keys[at] > key or (keys[at] == key and pages[at] > page))


@inner
def _sift_down(h: Heaps, device: int, at: int) -> None:
    keys, pages, size = h.keys[device], h.pages[device], h.size[device]
    key, page = keys[at], pages[at]
    while True:
        child = 2 * at + 1
        if child >= size:
            break
        if child + 1 < size and _above(keys, pages, child + 1, keys[child], pages[child]):
            child += 1
        if not _above(keys, pages, child, key, page):
            break
        keys[at], pages[at] = keys[child], pages[child]
        at = child
    keys[at], pages[at] = key, page


@inner
def _drop_stale(e: Engine, h: Heaps, device: int) -> None:
    keep = i64(0)
    for k in range(h.size[device]):
        page = h.pages[device, k]
        if e.page[page].loc == device and h.key[page] == h.keys[device, k]:
            h.keys[device, keep], h.pages[device, keep] = h.keys[device, k], page
            keep += 1
    h.size[device] = keep
    for at in range(keep // 2 - 1, -1, -1):
        _sift_down(h, device, at)


@inner
def push(e: Engine, h: Heaps, page: int) -> None:
    """Enter a page under its present key into the heap of the device that it is on."""
    push_to(e, h, page, i64(e.page[page].loc))


@inner
def push_to(e: Engine, h: Heaps, page: int, device: int) -> None:
    """Enter a page under its present key into the heap of a device that it will be on."""
    if device == len(h.size):
        return
    if h.size[device] == h.keys.shape[1]:
        _drop_stale(e, h, device)
    keys, pages = h.keys[device], h.pages[device]
    at = h.size[device]
    h.size[device] = at + 1
    key = h.key[page]
    while at > 0:
        parent = (at - 1) // 2
        if not (keys[parent] < key or (keys[parent] == key and pages[parent] < page)):
            break
        keys[at], pages[at] = keys[parent], pages[parent]
        at = parent
    keys[at], pages[at] = key, page


@inner
def _pop(h: Heaps, device: int) -> None:
    last = h.size[device] - 1
    h.size[device] = last
    if last > 0:
        h.keys[device, 0], h.pages[device, 0] = h.keys[device, last], h.pages[device, last]
        _sift_down(h, device, i64(0))


@inner
def largest(e: Engine, h: Heaps, device: int) -> int:
    """The page of the largest key on a device that may be evicted; -1 if the heap has none.

    Pages of the current request and pages in flight are passed over.
    """
    s = e.sys[0]
    passed = i64(0)
    found = NONE
    while h.size[device] > 0 and passed < len(h.aside):
        page = i64(h.pages[device, 0])
        r = e.page[page]
        stale = r.loc != device or h.key[page] != h.keys[device, 0]
        if not stale and not r.flags & FLYING and not s.page <= page < s.page + s.npages:
            found = page
            break
        _pop(h, device)
        if not stale:
            h.aside[passed] = page
            passed += 1
    for k in range(passed):
        push_to(e, h, h.aside[k], device)
    return int(found)
