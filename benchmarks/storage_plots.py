"""Figures of the storage suite, from its long rows alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hybridrl.benchmarks.plots import COLOURS
from hybridrl.benchmarks.results import ResultRow
from hybridrl.benchmarks.storage_tables import (
    FAST_ONLY,
    best_possible,
    geometric_mean,
    logs_over,
    numbers_of,
)


def plots(rows: Sequence[ResultRow], folder: Path) -> list[Path]:
    """Geometric means of every system, and latency over time around a workload change."""
    systems = list(dict.fromkeys(row.env.partition("/")[0] for row in rows))
    folder.mkdir(parents=True, exist_ok=True)
    made = [_means(rows, systems, folder / "storage_latency.png")]
    for system in systems:
        if system.endswith("-shift"):
            made.append(_over_time(rows, system, folder / f"storage_{system}.png"))
    return made


def _means(rows: Sequence[ResultRow], systems: Sequence[str], file: Path) -> Path:
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter

    figure = Figure(figsize=(4.2 * len(systems), 5), layout="constrained")
    panels = figure.subplots(1, len(systems), squeeze=False)[0]
    for axes, system in zip(panels, systems, strict=True):
        numbers = best_possible(numbers_of(rows, system, "mean_us"))
        names = [name for name in numbers if logs_over(numbers, name)]
        values = [geometric_mean(logs_over(numbers, name)) for name in names]
        axes.barh(names[::-1], values[::-1], color=COLOURS[0])
        axes.set(title=system, xlabel="latency over Fast-Only", xscale="log")
        axes.xaxis.set_minor_formatter(NullFormatter())  # its labels lie upon each other
    figure.savefig(file, dpi=110)
    return file


def _over_time(rows: Sequence[ResultRow], system: str, file: Path) -> Path:
    from matplotlib.figure import Figure

    steps = sorted({r.metric for r in rows if r.metric.startswith("mean_us_at_")})
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    timed = [r for r in rows if r.env.startswith(f"{system}/") and r.metric in steps]
    agents = [a for a in dict.fromkeys(r.agent for r in timed) if a != FAST_ONLY]
    numbers = [numbers_of(rows, system, step) for step in steps]
    for i, agent in enumerate(agents):
        curve = [geometric_mean(logs_over(n, agent)) for n in numbers]
        share = [(k + 0.5) / len(steps) for k in range(len(steps))]
        axes.plot(share, curve, label=agent, color=COLOURS[i % len(COLOURS)])
    axes.axvline(0.5, color="#999999", linestyle=":")
    axes.set(xlabel="share of the trace", ylabel="latency over Fast-Only")
    figure.legend(loc="outside upper center", fontsize="small", ncols=4)
    figure.savefig(file, dpi=110)
    return file
