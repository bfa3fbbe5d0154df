"""What a run is measured by (storage.md 9)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridrl.envs.storage.engine import HSSEngine
from hybridrl.planners.errors import ScenarioError

PERCENTILES = (50.0, 95.0, 99.0, 99.9)
YEAR_US = 365 * 24 * 3600 * 1e6


def latencies(engine: HSSEngine, start: float = 0.0) -> NDArray[np.float64]:
    """Latency of every request so far, us, shape ``(n,)``.

    Args:
        engine: Made with ``log=True``.
        start: Leave out this share of the requests at the beginning.

    Raises:
        ScenarioError: If the engine kept no log, or has served nothing after ``start``.
    """
    if not len(engine.e.log):
        raise ScenarioError("log", False, "an engine made with log=True")
    if not 0 <= start < 1:
        raise ScenarioError("start", start, "a share in [0, 1)")
    first = int(start * len(engine.trace))
    if engine.position <= first:
        raise ScenarioError("position", engine.position, f"more than {first} served requests")
    return np.asarray(engine.e.log["latency"][first : engine.position])


def measure(engine: HSSEngine, start: float = 0.0) -> dict[str, float]:
    """Every number of a run.

    Args:
        engine: After :meth:`HSSEngine.run`, made with ``log=True``.
        start: Latencies and IOPS leave out this share of the requests at the beginning; what is
            counted is counted over the whole run.

    Returns:
        Latencies in us, rates a second, shares in [0, 1], counts; one flat dictionary. Numbers of
        device ``k`` end in ``_d<k>``.
    """
    latency = latencies(engine, start)
    first = int(start * len(engine.trace))
    write = engine.trace.write[first : engine.position]
    arrive = engine.e.log["arrive"][first : engine.position]
    span = float((arrive + latency).max() - arrive[0])
    numbers = {"requests": float(len(latency)), "mean_us": float(latency.mean())}
    numbers |= _spread("", latency)
    for name, which in (("read", ~write), ("write", write)):
        chosen = latency[which]
        if len(chosen):
            numbers[f"{name}_mean_us"] = float(chosen.mean())
            numbers |= _spread(f"{name}_", chosen)
    numbers["iops"] = len(latency) / max(span, 1e-9) * 1e6
    return numbers | _counts(engine) | _devices(engine)


def _spread(prefix: str, latency: NDArray[np.float64]) -> dict[str, float]:
    values = np.percentile(latency, PERCENTILES)
    names = (f"{prefix}p{p:g}_us" for p in PERCENTILES)
    return {name: float(value) for name, value in zip(names, values, strict=True)}


def _counts(engine: HSSEngine) -> dict[str, float]:
    s = engine.e.sys[0]
    names = (
        "decisions",
        "promotions",
        "demotions",
        "evictions",
        "sync_evictions",
        "cancelled",
        "refused",
        "pingpongs",
        "redirected",
        "capped",
        "moved_pages",
    )
    counts = {name: float(s[name]) for name in names}
    counts["proactive_demotions"] = counts["demotions"] - counts["evictions"]
    counts["moved_per_user_byte"] = counts["moved_pages"] / max(1.0, float(s["user_pages"]))
    return counts


def _devices(engine: HSSEngine) -> dict[str, float]:
    dev, s = engine.e.dev, engine.e.sys[0]
    span = max(float(s["last_finish"]), 1e-9)
    hits = dev["hits"].sum(axis=1)
    busy = engine.utilisation()
    out: dict[str, float] = {}
    for k, spec in enumerate(engine.config.specs()):
        d = dev[k]
        values = {
            "utilisation": busy[k],
            "queue_length": d["wait"] / span,
            "hit_share": hits[k] / max(1, hits.sum()),
            "fill": d["used"] / d["cap"],
            "mean_fill": d["fill_sum"] / max(1, engine.position) / d["cap"],
            "read_bytes_fg": d["read_bytes"][0],
            "read_bytes_bg": d["read_bytes"][1],
            "write_bytes_fg": d["write_bytes"][0],
            "write_bytes_bg": d["write_bytes"][1],
            "gc_blocks": d["gc_count"],
        }
        out |= {f"{name}_d{k}": float(value) for name, value in values.items()}
        years = _lifetime(spec, float(d["write_bytes"].sum()), span, float(d["gc_random"]))
        if years is not None:
            out[f"lifetime_years_d{k}"] = years
    return out


def _lifetime(spec: Any, written: float, span: float, random: float) -> float | None:
    """Years until the rated writes are used up, at the rate of this run; none if unlimited."""
    if not spec.dwpd or written <= 0:
        return None
    amplification = 1 + (spec.amplification() - 1) * random
    rated = spec.capacity_bytes * spec.dwpd * 365 * spec.warranty_years
    return float(rated / (written * amplification / span * YEAR_US))


def gap_bridged(best_prior: float, latency: float, oracle: float) -> float:
    """Share of the way from the best prior policy to the oracle, ``G`` of storage.md 9.

    Args:
        best_prior: Mean latency of the best policy before.
        latency: Of the policy in question.
        oracle: Of the oracle.

    Returns:
        1 at the oracle, 0 at the best prior, negative behind it; NaN without a gap.
    """
    gap = best_prior - oracle
    return float("nan") if gap <= 0 else (best_prior - latency) / gap


def latency_over_time(engine: HSSEngine, bins: int = 100) -> dict[str, NDArray[np.float64]]:
    """Mean latency of equal stretches of requests, for plots.

    Args:
        engine: After a run with ``log=True``.
        bins: How many stretches.

    Returns:
        ``request`` (first of each stretch) and ``mean_us``, shape ``(bins,)`` or shorter.
    """
    latency = latencies(engine)
    edges = np.unique(np.linspace(0, len(latency), bins + 1).astype(np.int64))[:-1]
    sums = np.add.reduceat(latency, edges)
    counts = np.diff(np.append(edges, len(latency)))
    return {"request": edges.astype(np.float64), "mean_us": sums / counts}
