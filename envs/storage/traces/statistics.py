"""What is measured on a trace: reuse, locality, order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hybridrl.envs.storage.kernels.compiled import entry
from hybridrl.envs.storage.traces.trace import Trace


@entry
def _lru_hits(
    page: NDArray[np.int64],
    npages: NDArray[np.int32],
    capacity: int,
    prev: NDArray[np.int32],
    after: NDArray[np.int32],
) -> int:
    """Page hits of a cache of ``capacity`` pages; ``prev`` starts as -2: not in the cache."""
    head = tail = np.int64(-1)
    held = hits = np.int64(0)
    for i in range(len(page)):
        for p in range(page[i], page[i] + npages[i]):
            if prev[p] != -2:
                hits += 1
                if p == head:
                    continue
                before, behind = np.int64(prev[p]), np.int64(after[p])
                after[before] = behind
                if behind >= 0:
                    prev[behind] = before
                else:
                    tail = before
            else:
                if held == capacity:
                    gone = tail
                    tail = np.int64(prev[gone])
                    prev[gone] = -2
                    if tail >= 0:
                        after[tail] = -1
                    else:
                        head = np.int64(-1)
                    held -= 1
                held += 1
            prev[p], after[p] = -1, head
            if head >= 0:
                prev[head] = p
            else:
                tail = np.int64(p)
            head = np.int64(p)
    return int(hits)


def lru_hit_ratio(trace: Trace, share: float = 0.10) -> float:
    """Share of page accesses that hit in a least-recently-used cache.

    Args:
        trace: Requests.
        share: Capacity over the unique pages.
    """
    trace = trace.compact()
    pages = int(trace.pages or 1)
    links = np.full(pages, -2, np.int32)
    capacity = max(1, round(share * pages))
    hits = _lru_hits(trace.page, trace.npages, capacity, links, np.full(pages, -1, np.int32))
    return hits / max(1, int(trace.npages.sum()))


def page_counts(trace: Trace) -> NDArray[np.int64]:
    """Accesses of each page of the compact trace, shape ``(pages,)``."""
    trace = trace.compact()
    edges = np.zeros(int(trace.pages or 0) + 1, np.int64)
    np.add.at(edges, trace.page, 1)
    np.add.at(edges, trace.page + trace.npages, -1)
    return np.asarray(np.cumsum(edges)[:-1])


def stats(trace: Trace) -> dict[str, float]:
    """The statistics of a trace (storage.md 7.1).

    Returns:
        ``requests``, ``write_share``, ``mean_kib``, ``first_pages``, ``accesses_per_first_page``,
        ``pages``, ``accesses_per_page``, ``hottest_10_share`` (of accesses, to the hottest 10 % of
        the pages), ``sequential_share``, ``lru_10_hit_ratio``, ``span_s``, ``footprint_mib`` and,
        where the device's response was recorded, ``mean_response_us``.
    """
    trace = trace.compact()
    counts = np.sort(page_counts(trace))[::-1]
    hottest = counts[: max(1, len(counts) // 10)].sum()
    first = len(np.unique(trace.page))
    ends = (trace.page + trace.npages)[:-1]
    numbers = {
        "requests": len(trace),
        "write_share": trace.write.mean(),
        "mean_kib": trace.npages.mean() * 4,
        "first_pages": first,
        "accesses_per_first_page": len(trace) / first,
        "pages": len(counts),
        "accesses_per_page": counts.mean(),
        "hottest_10_share": hottest / counts.sum(),
        "sequential_share": (trace.page[1:] == ends).mean() if len(trace) > 1 else 0.0,
        "lru_10_hit_ratio": lru_hit_ratio(trace),
        "span_s": (trace.t_us[-1] - trace.t_us[0]) / 1e6 if trace.timed else 0.0,
        "footprint_mib": len(counts) / 256,
    }
    if trace.response_us is not None and np.isfinite(trace.response_us).any():
        numbers["mean_response_us"] = np.nanmean(trace.response_us)
    return {name: float(value) for name, value in numbers.items()}
