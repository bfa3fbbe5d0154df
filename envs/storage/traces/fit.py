"""A synthetic workload with the statistics of a given trace (storage.md 7.3)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hybridrl.envs.storage.traces.statistics import lru_hit_ratio, page_counts
from hybridrl.envs.storage.traces.synthetic import RUN, SCAN_RUN, WorkloadSpec, generate
from hybridrl.envs.storage.traces.trace import Trace
from hybridrl.planners.errors import ScenarioError

_SAMPLE = 200_000  # requests that are generated for each trial of the exponent
_STEPS = 7
_FLAT = 0.01  # a hit ratio this close is good enough


def fit(trace: Trace, name: str | None = None) -> WorkloadSpec:
    """The parameters of the generator that resemble a trace.

    Write share, mean size, requests, mean gap and unique pages are those of the trace. The share of
    scans is that of the pages accessed once, sequential requests beyond those of the scans are
    runs. The exponent of the popularity is searched until a cache of 10 % of the pages has the
    trace's hit ratio; where popularity alone gives too few hits, scans give way, where it gives too
    many, scans are added.

    Args:
        trace: At least 100 requests.
        name: Of the workload; that of the trace by default.

    Raises:
        ScenarioError: If the trace is shorter.
    """
    if len(trace) < 100:
        raise ScenarioError("requests", len(trace), "at least 100 to fit a workload")
    trace = trace.compact()
    first = len(np.unique(trace.page))
    sequential = float((trace.page[1:] == (trace.page + trace.npages)[:-1]).mean())
    once = float((page_counts(trace) == 1).mean())
    share, ratio, length = _bursts(trace)
    spec = WorkloadSpec(
        name=name or trace.name,
        write_share=float(trace.write.mean()),
        mean_kib=float(np.clip(trace.npages.mean() * 4, 4, 256)),
        accesses=len(trace) / first,
        first_pages=first,
        sequential=float(np.clip(sequential, 0, 0.9)),
        scan=float(np.clip(0.5 * once * first / len(trace), 0, 0.9)),
        burst_share=share,
        burst_ratio=ratio,
        burst_requests=length,
        gap_us=float(trace.t_us[-1] - trace.t_us[0]) / (len(trace) - 1),
        pages=int(trace.pages or 1),
    )
    wanted = lru_hit_ratio(trace)
    best = min((_searched(s, wanted) for s in _variants(spec)), key=lambda found: found[0])
    return best[1]


def _variants(spec: WorkloadSpec) -> list[WorkloadSpec]:
    """What may replace the first guess of scans: a share of its runs, none, or more of them."""
    scanned = min(0.9, spec.sequential * SCAN_RUN / (SCAN_RUN - 1))
    runs = min(spec.sequential, 0.5)
    return [
        replace(spec, scan=spec.scan, sequential=max(0.0, runs - spec.scan)),
        replace(spec, scan=scanned, sequential=0.0),
        replace(spec, scan=0.0, sequential=min(0.9, spec.sequential * RUN / (RUN + 1))),
    ]


def _searched(spec: WorkloadSpec, wanted: float) -> tuple[float, WorkloadSpec]:
    """The exponent whose hit ratio is nearest, and how near."""
    low, high = 0.0, 3.0
    best = (np.inf, spec)
    small = spec.scaled(min(1.0, _SAMPLE / spec.requests))
    for _ in range(_STEPS):
        theta = (low + high) / 2
        hit = lru_hit_ratio(generate(replace(small, theta=theta)))
        if abs(hit - wanted) < best[0]:
            best = (abs(hit - wanted), replace(spec, theta=theta))
        if best[0] < _FLAT:
            break
        low, high = (theta, high) if hit < wanted else (low, theta)
    return float(best[0]), best[1]


def _bursts(trace: Trace) -> tuple[float, float, float]:
    """Share of time in bursts, ratio of the rates, and requests of a burst."""
    gaps = np.diff(trace.t_us)
    if not trace.timed or not len(gaps) or gaps.sum() <= 0:
        return 0.0, 1.0, 200.0
    window = 32
    count = max(1, len(gaps) // window)
    sums = gaps[: count * window].reshape(count, -1).sum(axis=1) + 1e-9
    burst = sums < sums.mean() / 2
    if not burst.any() or burst.all():
        return 0.0, 1.0, 200.0
    ratio = float(np.clip(sums[~burst].mean() / sums[burst].mean(), 1.0, 1e4))
    share = float(np.clip(sums[burst].sum() / sums.sum(), 1e-3, 0.95))
    runs = int((np.diff(burst.astype(np.int8), prepend=0) == 1).sum())
    return share, ratio, float(max(1.0, burst.sum() * window / max(1, runs)))
