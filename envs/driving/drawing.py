"""Pictures of a scene: road, cars, the ego in green, crashed cars in red."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridrl.envs.driving.kernels.records import (
    BARRIER_SIZE,
    CAR_LENGTH,
    CAR_WIDTH,
    CIRCLE,
    EGO,
    OBSTACLE,
    SINE,
)
from hybridrl.envs.driving.names import OUTCOMES
from hybridrl.envs.driving.task import DrivingArrays

GROUND, ROAD, LINE = (78, 100, 78), (96, 96, 96), (215, 215, 215)
EGO_COLOUR, CAR_COLOUR, CRASHED_COLOUR = (50, 200, 60), (100, 200, 240), (235, 70, 60)
BARRIER_COLOUR, TEXT_COLOUR = (230, 180, 40), (255, 255, 255)
# Width and height in pixels, pixels a metre, and where the view stands: around the ego or fixed.
_VIEWS: dict[str, tuple[int, int, float, tuple[float, float] | None]] = {
    "highway": (640, 160, 5.0, None),
    "merge": (640, 200, 5.0, None),
    "intersection": (480, 480, 4.0, (0.0, 0.0)),
    "roundabout": (480, 480, 4.0, (0.0, 0.0)),
}
STEP = 1.0  # m between the points of a curved lane


def draw_scene(arrays: DrivingArrays, row: int) -> NDArray[np.uint8]:
    """A picture of one scene.

    Args:
        arrays: Scenes of either back end.
        row: Which of them.

    Returns:
        Shape ``(H, W, 3)``.
    """
    from PIL import Image, ImageDraw

    facts, cars = arrays.rows[row], arrays.cars[row]
    ego = cars[int(facts["ego"])]
    width, height, scale, fixed = _VIEWS[arrays.options.scenario]
    middle = fixed or (float(ego["x"]) + 0.25 * width / scale, 1.5 * 4.0)
    view = (width / 2 - scale * middle[0], height / 2 - scale * middle[1], scale)
    picture = Image.new("RGB", (width, height), GROUND)
    pen = ImageDraw.Draw(picture)
    _roads(pen, arrays, view, width)
    for car in cars[: int(facts["n"])]:
        pen.polygon(_outline(car, view), fill=_colour(car), outline=(30, 30, 30))
    outcome = OUTCOMES[int(facts["outcome"])]
    text = f"{float(facts['time']):4.1f} s   {float(ego['speed']):4.1f} m/s   {outcome}"
    pen.text((8, 6), text, fill=TEXT_COLOUR)
    return np.asarray(picture, np.uint8)


def _roads(pen: Any, arrays: DrivingArrays, view: tuple[float, float, float], width: int) -> None:
    x0, _, scale = view
    for lane in arrays.table.lanes:
        low, high = 0.0, float(lane["length"])
        if high > 1000.0:  # only the part of a highway that is in view
            low = max(0.0, -x0 / scale - 10.0)
            high = min(high, (width - x0) / scale + 10.0)
        line = _pixels(_centre(lane, low, high), view)
        pen.line(line, fill=ROAD, width=round(scale * float(lane["width"])), joint="curve")
    for lane in arrays.table.lanes:
        if lane["kind"] == CIRCLE or lane["length"] < 50.0:
            continue
        low, high = 0.0, float(lane["length"])
        if high > 1000.0:
            low = max(0.0, -x0 / scale - 10.0) // 12.0 * 12.0
            high = min(high, (width - x0) / scale + 10.0)
        for side in (-0.5, 0.5):
            for at in np.arange(low, high, 12.0):
                dash = _centre(lane, at, min(at + 5.0, high), side * float(lane["width"]))
                pen.line(_pixels(dash, view), fill=LINE, width=1)


def _centre(lane: Any, low: float, high: float, r: float = 0.0) -> NDArray[np.float64]:
    """Points of a lane between two coordinates, ``r`` metres beside its centre."""
    curved = lane["kind"] in (CIRCLE, SINE)
    s = np.linspace(low, high, max(2, int((high - low) / STEP)) if curved else 2)
    if lane["kind"] == CIRCLE:
        angle = lane["turn"] * s / lane["radius"] + lane["phase"]
        reach = lane["radius"] - r * lane["turn"]
        return np.stack(
            [lane["x"] + reach * np.cos(angle), lane["y"] + reach * np.sin(angle)], axis=1
        )
    side = np.full_like(s, r)
    if lane["kind"] == SINE:
        side += lane["amplitude"] * np.sin(lane["pulsation"] * s + lane["phase"])
    x = lane["x"] + s * lane["dx"] - side * lane["dy"]
    return np.stack([x, lane["y"] + s * lane["dy"] + side * lane["dx"]], axis=1)


@lru_cache(maxsize=2)
def _box(length: float, width: float) -> NDArray[np.float64]:
    half = np.array([length / 2, width / 2])
    corners: NDArray[np.float64] = half * np.array([[1, 1], [1, -1], [-1, -1], [-1, 1]], float)
    return corners


def _outline(car: Any, view: tuple[float, float, float]) -> list[tuple[float, float]]:
    barrier = car["kind"] == OBSTACLE
    size = (BARRIER_SIZE, BARRIER_SIZE) if barrier else (CAR_LENGTH, CAR_WIDTH)
    cos, sin = float(car["cos"]), float(car["sin"])
    corners = _box(*size) @ np.array([[cos, sin], [-sin, cos]])
    return _pixels(corners + np.array([car["x"], car["y"]]), view)


def _pixels(
    points: NDArray[np.float64], view: tuple[float, float, float]
) -> list[tuple[float, float]]:
    x0, y0, scale = view
    return [(x0 + scale * float(x), y0 + scale * float(y)) for x, y in points]


def _colour(car: Any) -> tuple[int, int, int]:
    if car["kind"] == OBSTACLE:
        return BARRIER_COLOUR
    if car["crashed"]:
        return CRASHED_COLOUR
    return EGO_COLOUR if car["kind"] == EGO else CAR_COLOUR
