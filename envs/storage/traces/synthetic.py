"""Synthetic block traces with stated statistics (storage.md 7.3)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridrl.envs.storage.config import HSSConfig, make_config
from hybridrl.envs.storage.devices import DeviceSpec
from hybridrl.envs.storage.traces.trace import Trace
from hybridrl.planners.errors import ScenarioError

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
LARGEST = 64  # pages of a request
RUN = 8.0  # mean requests of a sequential run
SCAN_RUN = 16.0  # and of a stretch of a scan
REGION = 24.0  # mean objects between gaps in the address space
KEEPS_SIZE = 0.8
SPREAD = 0.8  # sigma of the lognormal sizes
CONCENTRATION = 2.0  # of the Beta distribution of write probabilities
FIRST_WRITE = 0.5


@dataclass(frozen=True, kw_only=True)
class WorkloadSpec:
    """What a synthetic workload looks like.

    Args:
        name: What to call it.
        write_share: Share of writes.
        mean_kib: Mean request size, KiB, 4 to 256.
        accesses: Mean accesses of a first page, from 1.
        first_pages: Unique first pages.
        theta: Exponent of the Zipf popularity, or of the recency for ``latest``.
        phases: Phases of equal length; between them popularity changes.
        churn: Share of the objects whose popularity changes.
        scan: Share of requests that belong to a cyclic walk over a region of its own.
        sequential: Share of requests that go on where the one before ended.
        latest: Popularity by recency: writes insert new objects, reads prefer the newest.
        burst_share: Share of the time in bursts.
        burst_ratio: Rate in a burst over the rate outside.
        burst_requests: Mean requests of a burst.
        gap_us: Mean time between requests, before :func:`set_load`.
        pages: Unique pages; by default what the sizes give.
    """

    name: str
    write_share: float
    mean_kib: float
    accesses: float
    first_pages: int
    theta: float = 0.9
    phases: int = 1
    churn: float = 0.3
    scan: float = 0.0
    sequential: float = 0.1
    latest: bool = False
    burst_share: float = 0.2
    burst_ratio: float = 50.0
    burst_requests: float = 200.0
    gap_us: float = 1.0
    pages: int | None = None

    def __post_init__(self) -> None:
        """Check every field."""
        ranges = {
            "write_share": (0.0, 1.0),
            "mean_kib": (4.0, 4.0 * LARGEST),
            "accesses": (1.0, 1e6),
            "first_pages": (1, 1 << 28),
            "theta": (0.0, 4.0),
            "phases": (1, 10_000),
            "churn": (0.0, 1.0),
            "scan": (0.0, 0.95),
            "sequential": (0.0, 0.95),
            "burst_share": (0.0, 0.95),
            "burst_ratio": (1.0, 1e4),
            "burst_requests": (1.0, 1e9),
            "gap_us": (0.0, 1e12),
            "pages": (1, 1 << 31),
        }
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise ScenarioError(name, value, f"{low:g} to {high:g}")

    @property
    def requests(self) -> int:
        """How many requests it has."""
        return max(1, round(self.accesses * self.first_pages))

    def scaled(self, scale: float) -> WorkloadSpec:
        """The same workload with ``scale`` times the requests and pages."""
        if not scale > 0:
            raise ScenarioError("scale", scale, "a factor above 0")
        pages = None if self.pages is None else max(1, round(self.pages * scale))
        return replace(self, first_pages=max(1, round(self.first_pages * scale)), pages=pages)


def generate(spec: WorkloadSpec, seed: int = 0) -> Trace:
    """A trace of a workload.

    Args:
        spec: The workload.
        seed: Two equal seeds give equal traces.
    """
    rng = np.random.default_rng([seed, 20_507])
    picked = _latest(spec, rng) if spec.latest else _popular(spec, rng)
    objects = int(picked.max()) + 1
    size = _sizes(rng, objects, spec.mean_kib / 4)
    size = _with_pages(size, picked, spec.mean_kib / 4, spec.pages)
    base = _layout(rng, size)
    npages = size[picked]
    other = rng.random(len(picked)) >= KEEPS_SIZE
    if spec.sequential < 0.5 and spec.mean_kib > 4:
        npages[other] = size[rng.integers(0, objects, int(other.sum()))]
        npages = _trimmed(npages, spec.mean_kib / 4, other)
    write = _types(spec, rng, picked, objects)
    return Trace(
        np.cumsum(_gaps(spec, rng, len(picked))) * spec.gap_us,
        base[picked],
        npages.astype(np.int32),
        write,
        name=spec.name,
    ).compact()


def set_load(trace: Trace, config: str | HSSConfig = "perf", load: float = 0.3) -> Trace:
    """The same requests with times scaled so that the slowest device alone would be so busy.

    Args:
        trace: Requests; their times keep their shape.
        config: Whose slowest device.
        load: Its utilisation if it served everything, above 0.

    Raises:
        ScenarioError: If the load is not positive.
    """
    if not load > 0:
        raise ScenarioError("load", load, "a utilisation above 0, as in 0.3")
    chosen = make_config(config)
    device = chosen.specs()[-1]
    trace = trace.compact()
    busy = float(service_times(trace, device, chosen.stripe_pages).sum())
    span = float(trace.t_us[-1] - trace.t_us[0]) if len(trace) > 1 else 0.0
    target = busy / (device.channels * load)
    factor = target / span if span > 0 else 1.0
    return replace(trace, t_us=(trace.t_us - trace.t_us[0]) * factor)


def service_times(trace: Trace, device: DeviceSpec, stripe: int = 32) -> Floats:
    """Mean service time of each request if one device served everything, us, shape ``(n,)``."""
    size = trace.npages * 4096.0
    rate = np.where(trace.write, device.write_mbps, device.read_mbps)
    base = np.where(trace.write, device.write_us, device.read_us)
    if device.kind != "hdd":
        parts = -(-trace.npages // stripe) if device.channels > 1 else 1
        return np.asarray(base * parts + size / rate)
    ends = np.concatenate(([0], (trace.page + trace.npages)[:-1]))
    gap = np.abs(trace.page - ends) / max(1, trace.pages or 1)
    mean = np.where(trace.write, device.seek_write_us, device.seek_read_us) - device.seek_min_us
    seek = device.seek_min_us + mean * 15 / 8 * np.sqrt(gap) + 30e6 / device.rpm
    return np.asarray(np.where(gap == 0, 0.0, seek) + base + size / rate)


def _popular(spec: WorkloadSpec, rng: np.random.Generator) -> Ints:
    """Object of each request: Zipf popularity with drift, sequential runs and scans."""
    n = spec.requests
    scan_objects = 0
    if spec.scan:
        scan_objects = int(min(spec.scan * n, max(0.2, spec.scan) * spec.first_pages))
    wanted = max(1, spec.first_pages - scan_objects)
    universe = wanted
    state = rng.bit_generator.state
    for _ in range(8):
        rng.bit_generator.state = state
        popular, scanned = _sequence(spec, rng, n, universe)
        seen = len(np.unique(popular[~scanned]))
        if abs(seen - wanted) <= 0.02 * wanted or universe >= 64 * wanted:
            break
        universe = max(1, round(universe * min(4.0, wanted / max(1, seen))))
    picked = popular
    walk = np.cumsum(scanned) - 1
    picked[scanned] = universe + walk[scanned] % max(1, scan_objects)
    _, dense = np.unique(picked, return_inverse=True)
    return dense.astype(np.int64)


def _sequence(
    spec: WorkloadSpec, rng: np.random.Generator, n: int, universe: int
) -> tuple[Ints, NDArray[np.bool_]]:
    """Popular object of each request, and which requests scan instead."""
    run = spec.sequential / ((RUN - 1) * (1 - spec.sequential))
    mean = 1 + min(1.0, run) * (RUN - 1)
    scan = spec.scan / SCAN_RUN / (spec.scan / SCAN_RUN + (1 - spec.scan) / mean)
    count = int(1.3 * n / ((1 - scan) * mean + scan * SCAN_RUN)) + 64
    scans = rng.random(count) < scan
    length = np.where(rng.random(count) < run, rng.geometric(1 / RUN, count), 1)
    length = np.where(scans, rng.geometric(1 / SCAN_RUN, count), length)
    while length.sum() < n:
        length[-1] += n
    first = np.cumsum(length) - length
    keep = first < n
    first, length, scans = first[keep], length[keep], scans[keep]
    start = _zipf_with_drift(spec, rng, first / n, universe)
    within = np.arange(int(length.sum())) - np.repeat(first, length)
    popular = (np.repeat(start, length) + within) % universe
    return popular[:n], np.repeat(scans, length)[:n]


def _zipf_with_drift(
    spec: WorkloadSpec, rng: np.random.Generator, when: Floats, universe: int
) -> Ints:
    """A popular object for each moment in [0, 1); which ones are popular changes with the phase."""
    weight = np.arange(1, universe + 1, dtype=np.float64) ** -spec.theta
    edges = np.cumsum(weight)
    rank = np.searchsorted(edges, rng.random(len(when)) * edges[-1], side="right")
    rank = np.minimum(rank, universe - 1)
    phase = np.minimum((when * spec.phases).astype(np.int64), spec.phases - 1)
    objects = rng.permutation(universe)
    out = np.empty(len(when), np.int64)
    for k in range(spec.phases):
        here = phase == k
        out[here] = objects[rank[here]]
        moved = np.flatnonzero(rng.random(universe) < spec.churn)
        objects[moved] = objects[rng.permutation(moved)]
    return out


def _latest(spec: WorkloadSpec, rng: np.random.Generator) -> Ints:
    """Writes insert objects; reads go back by a Zipf-distributed number of insertions."""
    n = spec.requests
    insert = np.zeros(n, np.bool_)
    insert[np.linspace(0, n - 1, min(n, spec.first_pages)).astype(np.int64)] = True
    newest = np.cumsum(insert) - 1
    theta = spec.theta or 0.99
    edges = np.cumsum(np.arange(1, spec.first_pages + 1, dtype=np.float64) ** -theta)
    back = np.searchsorted(edges, rng.random(n) * edges[newest], side="right")
    return np.asarray(np.where(insert, newest, newest - np.minimum(back, newest)), np.int64)


def _sizes(rng: np.random.Generator, count: int, mean: float) -> Ints:
    """Lognormal sizes in pages, clipped to 1..64."""
    if mean <= 1:
        return np.ones(count, np.int64)
    raw = rng.lognormal(np.log(mean) - SPREAD**2 / 2, SPREAD, count)
    return np.clip(np.rint(raw), 1, LARGEST).astype(np.int64)


def _with_pages(size: Ints, picked: Ints, mean: float, pages: int | None) -> Ints:
    """Sizes with the right mean over requests and, if asked for, over objects.

    Popular objects are made larger or smaller than others until both are right.
    """
    if pages is None or mean <= 1:
        return _rescaled(size, picked, mean)
    weight = np.bincount(picked, minlength=len(size)) + 1.0
    low, high = -1.0, 1.0
    for _ in range(10):
        tilt = (low + high) / 2
        made = _rescaled(np.maximum(size, 1) * weight**tilt, picked, mean)
        if made.sum() > pages:
            low = tilt
        else:
            high = tilt
    return made


def _rescaled(size: Any, picked: Ints, mean: float) -> Ints:
    """Sizes scaled until the mean over requests is right (popular objects weigh more)."""
    weight = np.bincount(picked, minlength=len(size))
    total = weight.sum()
    low, high = 0.05, 40.0
    for _ in range(40):
        factor = np.sqrt(low * high)
        made = np.clip(np.rint(size * factor), 1, LARGEST)
        if (made * weight).sum() / total > mean:
            high = factor
        else:
            low = factor
    return np.asarray(np.clip(np.rint(size * np.sqrt(low * high)), 1, LARGEST), np.int64)


def _trimmed(npages: Ints, mean: float, free: NDArray[np.bool_]) -> Ints:
    """The requests that do not keep their object's size make up for what the others leave."""
    if not free.any():
        return npages
    fixed = npages[~free].sum()
    wanted = (mean * len(npages) - fixed) / free.sum()
    drawn = npages[free]
    factor = max(0.05, wanted / max(1e-9, drawn.mean()))
    npages[free] = np.clip(np.rint(drawn * factor), 1, LARGEST).astype(np.int64)
    return npages


def _layout(rng: np.random.Generator, size: Ints) -> Ints:
    """First page of each object: neighbours touch, with a gap now and then."""
    gap = np.where(rng.random(len(size)) < 1 / REGION, rng.integers(1, 65, len(size)), 0)
    return np.asarray(np.cumsum(size + gap) - size)


def _types(
    spec: WorkloadSpec, rng: np.random.Generator, picked: Ints, objects: int
) -> NDArray[np.bool_]:
    """Which requests write: objects are mostly read or mostly written."""
    n = len(picked)
    first = np.zeros(n, np.bool_)
    first[np.unique(picked, return_index=True)[1]] = True
    if spec.latest:
        return np.asarray(first | (rng.random(n) < max(0.0, spec.write_share - first.mean())))
    forced = first & (rng.random(n) < min(FIRST_WRITE, spec.write_share))
    rest = np.bincount(picked[~forced], minlength=objects).astype(np.float64)
    wanted = (spec.write_share * n - forced.sum()) / max(1.0, rest.sum())
    wanted = float(np.clip(wanted, 0.0, 1.0))
    mean = float(np.clip(spec.write_share, 0.002, 0.998))
    chance = rng.beta(CONCENTRATION * mean, CONCENTRATION * (1 - mean), objects)
    return np.asarray(forced | (rng.random(n) < _balanced(chance, rest, wanted)[picked]))


def _balanced(chance: Floats, weight: Floats, mean: float) -> Floats:
    """Chances shifted on the logit scale until their weighted mean is right."""
    if mean <= 0 or mean >= 1:
        return np.full(len(chance), float(mean > 0))
    logit = np.log(np.clip(chance, 1e-9, 1 - 1e-9)) - np.log1p(-np.clip(chance, 1e-9, 1 - 1e-9))
    low, high = -60.0, 60.0
    total = max(1.0, weight.sum())
    for _ in range(60):
        shift = (low + high) / 2
        made = 1 / (1 + np.exp(-(logit + shift)))
        if (made * weight).sum() / total > mean:
            high = shift
        else:
            low = shift
    return np.asarray(1 / (1 + np.exp(-(logit + (low + high) / 2))))


def _gaps(spec: WorkloadSpec, rng: np.random.Generator, n: int) -> Floats:
    """Times between arrivals, mean about 1: Poisson with bursts (two rates)."""
    share, ratio = spec.burst_share, spec.burst_ratio
    gaps = rng.exponential(1.0, n)
    if share == 0 or ratio == 1:
        return gaps
    in_burst = share * ratio / (share * ratio + 1 - share)  # share of requests
    idle_requests = spec.burst_requests * (1 - in_burst) / in_burst
    pairs = int(1.5 * n / (spec.burst_requests + max(1.0, idle_requests))) + 8
    length = np.empty(2 * pairs, np.int64)
    length[0::2] = rng.geometric(1 / spec.burst_requests, pairs)
    length[1::2] = rng.geometric(min(1.0, 1 / max(1.0, idle_requests)), pairs)
    burst = np.resize(np.repeat(np.arange(2 * pairs) % 2 == 0, length), n)
    rate = share * ratio + 1 - share  # mean rate with 1 outside bursts
    scale: Any = np.where(burst, rate / ratio, rate)
    return np.asarray(gaps * scale)
