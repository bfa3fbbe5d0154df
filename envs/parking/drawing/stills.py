"""One picture of a whole manoeuvre: path, swept body, gear changes, and its numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path as FilePath

import numpy as np
import shapely
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from hybridrl.envs.parking.drawing import canvas as d
from hybridrl.envs.parking.drawing.car_shape import corners, draw_car
from hybridrl.envs.parking.drawing.render import Frame, draw_runs, gear_runs
from hybridrl.envs.parking.drawing.scenery import draw_scenery, draw_start, focus, view_of
from hybridrl.planners.path import Path, PlanResult
from hybridrl.planners.scenario import Scenario

Array = NDArray[np.float64]
Fact = tuple[str, str]
_SCALE_BARS = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)


def draw_plan(
    scenario: Scenario,
    path: Path | None,
    facts: Sequence[Fact] | None = None,
    width: int = 1200,
    outlines: float = 0.5,
) -> Frame:
    """Draw a whole episode.

    Args:
        scenario: Where it happens.
        path: What was driven, or ``None`` to draw the scene alone.
        facts: ``(label, value)`` pairs for the caption; by default length and gear changes.
        width: Of the picture, pixels, at least 320; the height follows from the scene.
        outlines: Metres between the body outlines along the path.

    Returns:
        An RGB picture, ``uint8``, shape ``(height, width, 3)``.

    Raises:
        ValueError: If ``width`` or ``outlines`` is too small.
    """
    if width < 320:
        raise ValueError(f"width is {width}; expected at least 320 pixels")
    if not outlines > 0.01:
        raise ValueError(f"outlines is {outlines}; expected metres above 0.01")
    poses = None if path is None else path.sample(0.1)
    view = _view(scenario, poses, width)
    canvas = d.Canvas(view)
    draw_scenery(canvas, scenario)
    if path is not None and poses is not None:
        _draw_sweep(canvas, scenario, path, poses, outlines)
    draw_start(canvas, scenario)
    if path is not None and poses is not None:
        draw_runs(canvas, gear_runs(poses), 2.8)
        _draw_marks(canvas.image, view.enlarged(canvas.zoom), path, poses)
    _draw_scale_bar(canvas.image, view.enlarged(canvas.zoom))
    picture = canvas.finish()
    band = _caption(width, path_facts(path) if facts is None else facts)
    whole = Image.new("RGB", (width, view.size[1] + band.height))
    whole.paste(picture, (0, 0))
    whole.paste(band, (0, view.size[1]))
    return np.array(whole)


def save_plan(target: str | FilePath, scenario: Scenario, result: PlanResult) -> None:
    """Write the picture of a planner's answer, whole or not at all.

    Args:
        target: Picture to write; the suffix chooses the format (``.png``, ``.jpg``, ``.webp``).
        scenario: The problem.
        result: The answer; without a path the scene is drawn and the caption says so.

    Raises:
        ValueError: If the suffix is no picture format.
    """
    file = FilePath(target)
    kind = Image.registered_extensions().get(file.suffix.lower())
    if kind is None:
        raise ValueError(f"{file.name!r} has no picture suffix; use .png, .jpg or .webp")
    image = Image.fromarray(draw_plan(scenario, result.path, result_facts(result)))
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(file.name + ".partial")
    try:
        image.save(partial, format=kind, optimize=True)
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)


def path_facts(path: Path | None) -> list[Fact]:
    """Caption of a path alone: length and gear changes."""
    if path is None:
        return [("path", "none found")]
    return [("length", f"{path.length:.1f} m"), ("gear changes", str(path.gear_changes))]


def result_facts(result: PlanResult) -> list[Fact]:
    """Caption of a planner's answer: planner, length, gear changes, clearance and time."""
    facts = [("planner", result.planner)] if result.planner else []
    facts += path_facts(result.path)
    if math.isfinite(result.clearance):
        facts.append(("clearance", _distance(result.clearance)))
    seconds = result.seconds
    shown = f"{1000 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
    return [*facts, ("planning time", shown)]


def _distance(metres: float) -> str:
    """A small distance with two digits that mean something."""
    if metres < 0.01:
        return f"{1000 * metres:.0f} mm"
    return f"{100 * metres:.0f} cm" if metres < 1 else f"{metres:.1f} m"


def _view(scenario: Scenario, poses: Array | None, width: int) -> d.View:
    """A view as high as the scene needs, between 0.5 and 0.8 of the width."""
    points = focus(scenario, poses)
    spread = np.ptp(points, axis=0) + 2 * 1.5
    ratio = float(np.clip(spread[1] / spread[0], 0.5, 0.8))
    return view_of(scenario, points, (width, round(width * ratio)))


def _draw_sweep(
    canvas: d.Canvas, scenario: Scenario, path: Path, poses: Array, outlines: float
) -> None:
    """Tint the ground that the body covers, and outline it at equal distances."""
    bodies = np.array([corners(pose, scenario.vehicle) for pose in poses])
    # Hulls of neighbours leave no steps between them.
    pairs = shapely.multipoints(np.concatenate([bodies[:-1], bodies[1:]], axis=1))
    hulls = shapely.convex_hull(pairs)
    canvas.tint([np.asarray(hull.exterior.coords)[:-1] for hull in hulls], d.PAPER, 26)
    rim = shapely.get_parts(shapely.union_all(hulls))
    rings = [ring for part in rim for ring in (part.exterior, *part.interiors)]
    canvas.ghost([np.asarray(ring.coords)[:-1] for ring in rings], d.PAPER, 1.1, 110)
    for gear, part in ((1, path.lengths > 0), (-1, path.lengths < 0)):
        ghosts = []
        for i in np.flatnonzero(part):
            arc = Path(_pose(path.knots[i]), path.curvatures[i : i + 1], path.lengths[i : i + 1])
            every = np.linspace(0, 1, max(1, round(arc.length / outlines)) + 1)
            samples = [Path(arc.start, arc.curvatures, arc.lengths * t).end for t in every]
            ghosts += [corners(pose, scenario.vehicle) for pose in samples]
        canvas.ghost(ghosts, d.FORWARD if gear > 0 else d.REVERSE, 0.9, 56)
    draw_car(canvas, corners(path.end, scenario.vehicle), d.EGO)
    canvas.line(corners(scenario.goal, scenario.vehicle), d.GOAL, 1.6, closed=True)


def _pose(row: Array) -> tuple[float, float, float]:
    return float(row[0]), float(row[1]), float(row[2])


def _draw_marks(picture: Image.Image, view: d.View, path: Path, poses: Array) -> None:
    """Number the gear changes, each beside its place and clear of the path and of the others."""
    draw = ImageDraw.Draw(picture)
    radius = view.size[0] / 85
    face = d.font(radius * 1.25)
    changes = np.flatnonzero(np.diff(np.sign(path.lengths))) + 1
    spots = view.pixels(path.knots[changes, :2])
    places = mark_places(spots, view.pixels(poses[::3, :2]), radius, view.size)
    pairs = list(zip(map(tuple, spots.tolist()), map(tuple, places.tolist()), strict=True))
    for color, width in ((d.PANEL, radius / 2.4), (d.PAPER, radius / 6)):
        for pair in pairs:
            draw.line(pair, fill=color, width=round(width))
    for number, pair in enumerate(pairs, start=1):
        for center, size in zip(pair, (0.42, 1.0), strict=True):
            draw.ellipse(_disc(center, size * radius), fill=d.PAPER)
            draw.ellipse(_disc(center, size * radius - radius / 7), fill=d.PANEL)
        draw.text(pair[1], str(number), font=face, anchor="mm", fill=d.PAPER)


def mark_places(spots: Array, path: Array, radius: float, size: tuple[int, int]) -> Array:
    """Where discs fit beside their spots, clear of the path, the edge and each other.

    Args:
        spots: What they belong to, pixels, shape ``(n, 2)``.
        path: Points to stay clear of, pixels, shape ``(m, 2)``, at least one.
        radius: Of a disc, pixels.
        size: ``(width, height)`` of the picture, pixels.

    Returns:
        Centres of the discs, pixels, shape ``(n, 2)``: near places first, and the least crowded
        one where there is no free one.
    """
    angles, reaches = np.linspace(0.0, math.tau, 24, endpoint=False), (2.2, 3.2, 4.4, 6.0)
    angle, reach = (table.ravel() for table in np.meshgrid(angles, np.array(reaches) * radius))
    ring = np.stack([reach * np.cos(angle), reach * np.sin(angle)], axis=1)
    placed = np.zeros((0, 2))
    for spot in spots:
        places = spot + ring
        apart = _nearest(places, path)
        # Another disc is worse than the path: its own radius counts too.
        apart = np.minimum(apart, _nearest(places, placed) / 2 + radius / 8)
        edge = np.minimum(places, np.asarray(size) - places).min(axis=1)
        crowd = np.maximum(0.0, 1.3 * radius - np.minimum(apart, edge))
        placed = np.concatenate([placed, places[np.argmin(reach + 8 * crowd)][None]])
    return placed


def _nearest(points: Array, others: Array) -> Array:
    """Distance from each point to the nearest other, infinite where there is none."""
    gaps = np.linalg.norm(points[:, None] - others[None], axis=2)
    nearest: Array = gaps.min(axis=1, initial=np.inf)
    return nearest


def _disc(center: tuple[float, float], radius: float) -> tuple[float, float, float, float]:
    x, y = center
    return x - radius, y - radius, x + radius, y + radius


def _draw_scale_bar(picture: Image.Image, view: d.View) -> None:
    """A bar of a round number of metres in the lower left corner."""
    draw = ImageDraw.Draw(picture, "RGBA")
    width, height = view.size
    fitting = [m for m in _SCALE_BARS if m * view.scale <= width / 6] or [_SCALE_BARS[0]]
    x, y, unit = width / 40, height - width / 40, width / 1200
    end = x + fitting[-1] * view.scale
    face, text = d.font(24 * unit), f"{fitting[-1]:g} m"
    right = end + 24 * unit + draw.textlength(text, font=face)
    plate = (x - 12 * unit, y - 22 * unit, right, y + 18 * unit)
    draw.rounded_rectangle(plate, radius=8 * unit, fill=(*d.PANEL, 200))
    draw.line([(x, y), (end, y)], fill=d.PAPER, width=round(3 * unit))
    for tick in (x, end):
        draw.line([(tick, y - 7 * unit), (tick, y + 7 * unit)], fill=d.PAPER, width=round(3 * unit))
    draw.text((end + 12 * unit, y), text, font=face, anchor="lm", fill=d.PAPER)


def _caption(width: int, facts: Sequence[Fact]) -> Image.Image:
    """The band below the picture: facts in columns, and what the two colours mean."""
    unit = width / 1200
    band = Image.new("RGB", (width, round(104 * unit)), d.PANEL)
    draw = ImageDraw.Draw(band)
    left, gap = width - 170 * unit, 42 * unit
    room = left - 32 * unit - gap
    shrink = min(1.0, room / max(sum(_columns(draw, facts, unit)) + gap * (len(facts) - 1), 1.0))
    small, large = d.font(22 * unit * shrink), d.font(32 * unit * shrink)
    x = 32 * unit
    for (label, value), wide in zip(facts, _columns(draw, facts, unit * shrink), strict=True):
        draw.text((x, 38 * unit), label, font=small, anchor="ls", fill=d.MUTED)
        draw.text((x, 80 * unit), value, font=large, anchor="ls", fill=d.PAPER)
        x += wide + gap * shrink
    for row, (name, color) in enumerate((("forward", d.FORWARD), ("reverse", d.REVERSE))):
        y = (34 + 38 * row) * unit
        draw.line([(left, y), (left + 40 * unit, y)], fill=color, width=max(2, round(5 * unit)))
        draw.text((left + 54 * unit, y), name, font=d.font(22 * unit), anchor="lm", fill=d.PAPER)
    return band


def _columns(draw: ImageDraw.ImageDraw, facts: Sequence[Fact], unit: float) -> list[float]:
    """Widths of the caption's columns, pixels."""
    small, large = d.font(22 * unit), d.font(32 * unit)
    return [
        max(draw.textlength(label, font=small), draw.textlength(value, font=large))
        for label, value in facts
    ]
