"""From long rows to charts: learning curves, budget curves, performance profiles, boxes."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from hybridrl.benchmarks.metrics import stratified_bootstrap
from hybridrl.benchmarks.report.html import Html
from hybridrl.benchmarks.report.svg import (
    Axis,
    Box,
    Curve,
    box_chart,
    line_chart,
    spanning,
)
from hybridrl.benchmarks.results import ResultRow

_CURVE = re.compile(r"(?:(.+)_)?at_(\d+)")
_WITHIN = re.compile(r"success_within_(\d+)")
_QUANTILE = re.compile(r"(.+)_p(5|25|50|75|95)")
_POINTS = 40  # of a curve
_THRESHOLDS = 60  # of a profile
_SAMPLES = 200  # of a bootstrap
RATES = ("score", "success")  # on one scale in every environment
RETURNS = ("return", "return_mean")


@dataclass(frozen=True)
class Chart:
    """A figure of some panels with a common legend.

    Args:
        title: One line.
        panels: Heading and drawing of each.
        legend: Name and style of each line.
        rows: That it was drawn from.
        note: How to read it.
    """

    title: str
    panels: Sequence[tuple[str, Html]]
    legend: Sequence[tuple[str, int]]
    rows: Sequence[ResultRow] = field(repr=False)
    note: str = ""


def charts(rows: Sequence[ResultRow]) -> list[Chart]:
    """Every chart that the rows of one variant allow."""
    styles = {agent: i for i, agent in enumerate(dict.fromkeys(row.agent for row in rows))}
    made = [*learning_curves(rows, styles), budget_curves(rows, styles)]
    made += [performance_profile(rows, styles), *quantile_boxes(rows, styles)]
    return [chart for chart in made if chart is not None]


def learning_curves(rows: Sequence[ResultRow], styles: Mapping[str, int]) -> list[Chart]:
    """Metrics ``<name>_at_<steps>``: mean over seeds with the bootstrap interval of the mean."""
    kinds: dict[str, list[ResultRow]] = {}
    for row in rows:
        if found := _CURVE.fullmatch(row.metric):
            kinds.setdefault(found[1] or "value", []).append(row)
    note = "Mean over seeds; bands: 95 % bootstrap interval of that mean, where there are two."
    return [_learning(name, own, styles, note) for name, own in kinds.items()]


def _learning(name: str, rows: Sequence[ResultRow], styles: Mapping[str, int], note: str) -> Chart:
    def curve(agent: str, own: Sequence[ResultRow]) -> Curve:
        points: dict[int, list[float]] = {}
        for row in own:
            points.setdefault(_steps(row.metric), []).append(row.value)
        at = _thinned(sorted(points))
        means = [sum(points[p]) / len(points[p]) for p in at]
        bands: list[tuple[float, float]] = []
        if at and all(len(points[p]) > 1 for p in at):
            bands = [stratified_bootstrap([points[p]], samples=_SAMPLES) for p in at]
        low, high = [b[0] for b in bands], [b[1] for b in bands]
        return Curve(agent, styles[agent], at, means, low, high)

    return _lines(f"Learning curves: {name.replace('_', ' ')}", rows, curve, "steps", note)


def budget_curves(rows: Sequence[ResultRow], styles: Mapping[str, int]) -> Chart | None:
    """Success against the decisions allowed, from ``success_within_<decisions>``."""
    own = [row for row in rows if _WITHIN.fullmatch(row.metric)]
    if not own:
        return None

    def curve(agent: str, own: Sequence[ResultRow]) -> Curve:
        weighted: dict[int, tuple[float, int]] = {}
        for row in own:
            total, n = weighted.get(_steps(row.metric), (0.0, 0))
            weighted[_steps(row.metric)] = (total + 100 * row.value * row.n, n + row.n)
        at = sorted(at for at, (_, n) in weighted.items() if n)
        return Curve(agent, styles[agent], at, [weighted[a][0] / weighted[a][1] for a in at])

    note = "Share of scenes [%] solved within so many decisions, pooled over seeds."
    fixed = Axis("%", 0.0, 100.0)
    title = "Budget curves: success within so many decisions"
    return _lines(title, own, curve, "decisions allowed", note, fixed, log=True)


def performance_profile(rows: Sequence[ResultRow], styles: Mapping[str, int]) -> Chart | None:
    """Share of runs above a score (Agarwal et al., 2021, arXiv:2108.13264).

    Runs of all environments together where the score has one scale, else a panel for each.
    """
    present = {row.metric for row in rows}
    metric = next((name for name in (*RATES, *RETURNS) if name in present), None)
    if metric is None:
        return None
    own = [row for row in rows if row.metric == metric and math.isfinite(row.value)]
    pooled = metric in RATES
    shown = [row._replace(env="all environments") for row in own] if pooled else own

    def curve(agent: str, own: Sequence[ResultRow]) -> Curve:
        values = sorted(row.value for row in own)
        here = [row.value for row in shown if row.env == own[0].env]
        axis = _profile_axis(metric, here)
        steps = [
            axis.low + (axis.high - axis.low) * k / _THRESHOLDS for k in range(_THRESHOLDS + 1)
        ]
        shares = [100 * sum(value > step for value in values) / len(values) for step in steps]
        return Curve(agent, styles[agent], steps, shares, note=f", {len(values)} runs")

    note = "Share of runs [%], one for each environment and seed, above what stands on the axis."
    return _lines(
        f"Performance profiles: {metric.replace('_', ' ')}",
        shown,
        curve,
        metric.replace("_", " "),
        note,
        Axis("%", 0.0, 100.0),
    )


def _profile_axis(metric: str, values: Sequence[float]) -> Axis:
    around = spanning(metric, values)
    return Axis(metric, min(0.0, around.low), max(1.0, around.high)) if metric in RATES else around


def quantile_boxes(rows: Sequence[ResultRow], styles: Mapping[str, int]) -> list[Chart]:
    """Distributions from ``<name>_p5`` to ``<name>_p95``, weighted over seeds by episodes."""
    kinds: dict[str, list[ResultRow]] = {}
    for row in rows:
        found = _QUANTILE.fullmatch(row.metric)
        if found and row.n and math.isfinite(row.value):
            kinds.setdefault(found[1], []).append(row)
    return [_boxes(name, own, styles) for name, own in kinds.items()]


def _boxes(name: str, rows: Sequence[ResultRow], styles: Mapping[str, int]) -> Chart:
    log = name.startswith("seconds")
    panels = []
    for env, own in _by(rows, lambda row: row.env).items():
        boxes = []
        for agent, mine in _by(own, lambda row: row.agent).items():
            points = [_weighted(r for r in mine if r.metric == f"{name}_p{p}") for p in _LEVELS]
            if all(math.isfinite(point) for point in points):
                low, first, median, third, high = points
                boxes.append(Box(agent, styles[agent], (low, first, median, third, high)))
        if boxes:
            values = [value for box in boxes for value in box.quantiles]
            panels.append((env, box_chart(env, boxes, spanning(_readable(name), values, log))))
    note = "Boxes from quartile to quartile with the median, whiskers at 5 and 95 %."
    return Chart(f"Distributions: {_readable(name)}", panels, (), rows, note)


_LEVELS = (5, 25, 50, 75, 95)


def _weighted(rows: Iterable[ResultRow]) -> float:
    own = list(rows)
    n = sum(row.n for row in own)
    return sum(row.value * row.n for row in own) / n if n else math.nan


def _lines(
    title: str,
    rows: Sequence[ResultRow],
    curve: Callable[[str, Sequence[ResultRow]], Curve],
    x_label: str,
    note: str,
    y: Axis | None = None,
    log: bool = False,
) -> Chart:
    """A panel an environment, a line an agent."""
    panels = []
    legend: dict[str, int] = {}
    for env, own in _by(rows, lambda row: row.env).items():
        usable = [row for row in own if math.isfinite(row.value)]
        lines = [curve(agent, mine) for agent, mine in _by(usable, lambda r: r.agent).items()]
        lines = [line for line in lines if line.x]
        if lines:
            legend |= {line.name: line.style for line in lines}
            x_axis = spanning(x_label, [v for line in lines for v in line.x], log)
            panels.append((env, line_chart(env, lines, x_axis, y or _around(lines))))
    return Chart(title, panels, sorted(legend.items(), key=lambda pair: pair[1]), rows, note)


def _around(lines: Sequence[Curve]) -> Axis:
    return spanning("value", [v for line in lines for v in (*line.y, *line.low, *line.high)])


def _by(rows: Iterable[ResultRow], key: Callable[[ResultRow], str]) -> dict[str, list[ResultRow]]:
    groups: dict[str, list[ResultRow]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups


def _steps(metric: str) -> int:
    return int(metric.rpartition("_")[2])


def _thinned(points: list[int]) -> list[int]:
    """At most so many of them, evenly, the last among them."""
    every = -(-len(points) // _POINTS)
    return points[::-1][::every][::-1] if every else []


def _readable(name: str) -> str:
    return re.sub(r"_m$", " [m]", name).replace("seconds", "time [s]").replace("_", " ")
