"""Charts as inline SVG, each a pure function of its numbers; colours come from the page's style."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hybridrl.benchmarks.report.html import Html, join, tag

WIDTH, HEIGHT = 340.0, 230.0  # of a chart's own coordinates
LEFT, RIGHT, TOP, BOTTOM = 42.0, 12.0, 10.0, 36.0
COLOURS, DASHES = 7, 3  # of the style sheet: classes c0 to c6, d0 to d2
_BOX, _NAMES = 15.0, 122.0  # height of a box's line, width of the names beside it


@dataclass(frozen=True)
class Axis:
    """A range of numbers on paper.

    Args:
        label: With its unit.
        low: First number.
        high: Last number; moved up where it is not above ``low``.
        log: Logarithmic; both ends are above 0 then.
    """

    label: str
    low: float
    high: float
    log: bool = False

    def share(self, value: float) -> float:
        """Where a number stands: 0 at ``low``, 1 at ``high``."""
        low, high = self._scaled(self.low), self._scaled(self.high)
        return (self._scaled(value) - low) / (high - low or 1.0)

    def ticks(self) -> list[float]:
        """Round numbers between the ends: steps of 1, 2, 2.5 or 5, on a log axis 1, 2 and 5."""
        if self.log and self.high >= 10 * self.low:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            steps = (1, 2, 5) if self.high < 300 * self.low else (1,)
            marks = [step * 10.0**power for power in powers for step in steps]
        else:
            step = _round_step((self.high - self.low or 1.0) / 4)
            first = math.ceil(self.low / step - 1e-9)
            marks = [k * step for k in range(first, first + 8)]
        slack = 1e-9 * max(abs(self.low), abs(self.high))
        return [mark for mark in marks if self.low - slack <= mark <= self.high + slack]

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self.log else value


@dataclass(frozen=True)
class Curve:
    """One line of a chart.

    Args:
        name: For the legend.
        style: Number of its colour and dash.
        x: Where.
        y: What, as many.
        low: Lower ends of intervals, as many or none.
        high: Upper ends.
        note: What to say about it besides.
    """

    name: str
    style: int
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    note: str = ""


@dataclass(frozen=True)
class Box:
    """Quantiles of one sample: 5, 25, 50, 75 and 95 per cent."""

    name: str
    style: int
    quantiles: tuple[float, float, float, float, float]


def style_class(style: int) -> str:
    """Classes of the style sheet for the n-th line: a colour, and a dash when colours repeat."""
    return f"c{style % COLOURS} d{style // COLOURS % DASHES}"


def spanning(label: str, values: Sequence[float], log: bool = False) -> Axis:
    """An axis from the smallest to the largest finite value; a log axis leaves out those <= 0."""
    usable = [v for v in values if math.isfinite(v) and (v > 0 or not log)]
    low, high = (min(usable), max(usable)) if usable else (1.0, 2.0)
    return Axis(label, low, high if high > low else low + (abs(low) or 1.0), log)


def line_chart(title: str, curves: Sequence[Curve], x: Axis, y: Axis) -> Html:
    """Lines with their intervals as bands."""
    drawn = [_curve(curve, x, y) for curve in curves]
    parts = [*_grid(x, y), *drawn]
    return _svg(f"{title}: {y.label} against {x.label}", HEIGHT, parts)


def box_chart(title: str, boxes: Sequence[Box], axis: Axis) -> Html:
    """Boxes from quartile to quartile with the median and whiskers at 5 and 95 per cent."""
    height = TOP + _BOX * len(boxes) + BOTTOM
    room = WIDTH - _NAMES - RIGHT

    def at(value: float) -> float:
        return _NAMES + room * min(1.0, max(0.0, axis.share(value)))

    parts = [*_x_ticks(axis, at, height)]
    for i, box in enumerate(boxes):
        middle = TOP + _BOX * (i + 0.5)
        low, first, median, third, high = (at(value) for value in box.quantiles)
        told = ", ".join(f"{value:.3g}" for value in box.quantiles)
        parts.append(
            tag(
                "g",
                tag("title", f"{box.name}: {told}"),
                _text(_NAMES - 5, middle + 3.5, box.name, "end"),
                _line(low, middle, high, middle),
                tag(
                    "rect",
                    x=_n(first),
                    y=_n(middle - 4.5),
                    width=_n(max(third - first, 1.0)),
                    height=9,
                ),
                _line(median, middle - 4.5, median, middle + 4.5, "median"),
                class_=f"box {style_class(box.style)}",
            )
        )
    return _svg(f"{title}: {axis.label}", height, parts)


def short_number(value: float) -> str:
    """A number for an axis: ``20k``, ``1.5M``, ``0.25``."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.4g}{letter}"
    return f"{value:.4g}"


def _curve(curve: Curve, x: Axis, y: Axis) -> Html:
    def place(values: Sequence[float]) -> list[str]:
        return [f"{_n(_x(x, a))},{_n(_y(y, b))}" for a, b in zip(curve.x, values, strict=True)]

    points = place(curve.y)
    last = f"{curve.y[-1]:.4g} at {short_number(curve.x[-1])}"
    parts = [tag("title", f"{curve.name}: {last}{curve.note}")]
    if curve.low:
        outline = place(curve.high) + place(curve.low)[::-1]
        parts.append(tag("polygon", points=" ".join(outline)))
    if len(points) == 1:
        left, _, top = points[0].partition(",")
        parts.append(tag("circle", cx=left, cy=top, r=2.5))
    parts.append(tag("polyline", points=" ".join(points)))
    return tag("g", *parts, class_=style_class(curve.style))


def _grid(x: Axis, y: Axis) -> list[Html]:
    parts = _x_ticks(x, lambda value: _x(x, value), HEIGHT)
    for mark in y.ticks():
        top = _y(y, mark)
        parts.append(_line(LEFT, top, WIDTH - RIGHT, top, "grid"))
        parts.append(_text(LEFT - 4, top + 3.5, short_number(mark), "end"))
    return parts


def _x_ticks(axis: Axis, at: Callable[[float], float], height: float) -> list[Html]:
    parts = []
    for mark in axis.ticks():
        left = at(mark)
        parts.append(_line(left, TOP, left, height - BOTTOM, "grid"))
        parts.append(_text(left, height - BOTTOM + 13, short_number(mark), "middle"))
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, height - 6, axis.label, "middle"))
    return parts


def _x(axis: Axis, value: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * axis.share(value)


def _y(axis: Axis, value: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * min(1.02, max(-0.02, axis.share(value)))


def _svg(label: str, height: float, parts: Sequence[Html]) -> Html:
    box = f"0 0 {_n(WIDTH)} {_n(height)}"
    return tag("svg", join(parts), view_box=box, role="img", aria_label=label)


def _line(x1: float, y1: float, x2: float, y2: float, kind: str | None = None) -> Html:
    return tag("line", x1=_n(x1), y1=_n(y1), x2=_n(x2), y2=_n(y2), class_=kind)


def _text(x: float, y: float, text: str, anchor: str) -> Html:
    return tag("text", text, x=_n(x), y=_n(y), text_anchor=anchor)


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _round_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next((k * power for k in (1, 2, 2.5, 5) if rough <= k * power * (1 + 1e-9)), 10 * power)
