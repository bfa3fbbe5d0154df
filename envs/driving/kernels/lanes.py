"""Lane coordinates: straight lines, sine curves and arcs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridrl.envs.driving.kernels.compiled import inner
from hybridrl.envs.driving.kernels.records import CAR_LENGTH, CIRCLE, SINE

Array = NDArray[np.float64]
Records = NDArray[Any]
TAU = 2.0 * math.pi
NEAR = 9.0  # m: farther aside, nobody asks where along a lane a car is, but in passing


@inner
def wrap(angle: float) -> float:
    """The angle in [-pi, pi)."""
    if -math.pi <= angle < math.pi:
        return angle
    return (angle + math.pi) % TAU - math.pi


@inner
def along(lane: Any, x: float, y: float) -> tuple[float, float]:
    """Coordinate along the lane and to its right, metres."""
    if lane.kind == CIRCLE:
        px, py = x - lane.x, y - lane.y
        turned = wrap(math.atan2(py, px) - lane.phase)
        return lane.turn * turned * lane.radius, lane.turn * (lane.radius - math.hypot(px, py))
    px, py = x - lane.x, y - lane.y
    s = px * lane.dx + py * lane.dy
    r = py * lane.dx - px * lane.dy
    if lane.kind == SINE:
        r -= lane.amplitude * math.sin(lane.pulsation * s + lane.phase)
    return s, r


@inner
def heading_at(lane: Any, s: float) -> float:
    """Direction of the lane at a coordinate."""
    heading: float = lane.heading
    if lane.kind == CIRCLE:
        heading = lane.turn * s / lane.radius + lane.phase + 0.5 * math.pi * lane.turn
    elif lane.kind == SINE:
        slope = lane.amplitude * lane.pulsation * math.cos(lane.pulsation * s + lane.phase)
        heading += math.atan(slope)
    return heading


@inner
def point(lane: Any, s: float, r: float) -> tuple[float, float]:
    """World position of lane coordinates."""
    if lane.kind == CIRCLE:
        angle = lane.turn * s / lane.radius + lane.phase
        reach = lane.radius - r * lane.turn
        return lane.x + reach * math.cos(angle), lane.y + reach * math.sin(angle)
    if lane.kind == SINE:
        r += lane.amplitude * math.sin(lane.pulsation * s + lane.phase)
    return lane.x + s * lane.dx - r * lane.dy, lane.y + s * lane.dy + r * lane.dx


@inner
def _apart(lane: Any, s: float, r: float) -> float:
    """Distance to a lane in its own coordinates, metres."""
    far: float = abs(r) + max(s - lane.length, 0.0) + max(-s, 0.0)
    return far


@inner
def _turned(lane: Any, car: Any, s: float) -> float:
    """Angle between a car and a lane at a coordinate, radians."""
    angle: float = abs(wrap(car.heading - heading_at(lane, s)))
    return angle


@inner
def _total(lane: Any, car: Any) -> float:
    """How far a car is from a lane, as :func:`survey` counts."""
    s, r = along(lane, car.x, car.y)
    far: float = _apart(lane, s, r) + _turned(lane, car, s)
    return far


@inner
def survey(lanes: Records, car: Any, s_row: Array, r_row: Array, everywhere: bool) -> None:
    """Coordinates of one car in the lanes, and the lane it is in.

    The nearest lane is the one with the smallest sum of lateral distance, distance beyond an end
    and angle to the lane (radians count as metres); the first of equals. It is at most as far as
    the lane the car was in, so lanes beside which the car is farther than that cannot win: unless
    all are wanted, the costly coordinate of those more than ``NEAR`` aside is left out (nan).

    Args:
        lanes: The road table.
        car: Which car; its lane is written.
        s_row: Written: coordinate along every lane.
        r_row: Written: the same, lateral.
        everywhere: Write the coordinates of all lanes.
    """
    best, car_lane = np.inf, 0
    turned, radius, known = 0.0, 0.0, False
    needed = np.inf if everywhere else max(NEAR, _total(lanes[car.lane], car))
    for k in range(len(lanes)):
        lane = lanes[k]
        px, py = car.x - lane.x, car.y - lane.y
        if lane.kind == CIRCLE:
            if not lane.shared:
                radius, known = math.hypot(px, py), False
            r = lane.turn * (lane.radius - radius)
            if abs(r) > needed:
                s_row[k], r_row[k] = np.nan, r
                continue
            if not known:
                turned, known = math.atan2(py, px), True
            s = lane.turn * wrap(turned - lane.phase) * lane.radius
        else:
            s, r = px * lane.dx + py * lane.dy, py * lane.dx - px * lane.dy
            if lane.kind == SINE:
                if abs(r) - abs(lane.amplitude) > needed:
                    s_row[k], r_row[k] = np.nan, np.nan
                    continue
                r -= lane.amplitude * math.sin(lane.pulsation * s + lane.phase)
        s_row[k], r_row[k] = s, r
        far = _apart(lane, s, r)
        if far < best and far + _turned(lane, car, s) < best:
            best, car_lane = far + _turned(lane, car, s), k
    car.lane = car_lane


@inner
def ensure(lanes: Records, car: Any, s_row: Array, r_row: Array, k: int) -> None:
    """Write the coordinates of a car in a lane that :func:`survey` left out."""
    if math.isnan(s_row[k]):
        s_row[k], r_row[k] = along(lanes[k], car.x, car.y)


@inner
def on_lane(lane: Any, s: float, r: float, margin: float) -> bool:
    """Whether lane coordinates lie on the lane, widened by a margin; ends count 5 m longer."""
    inside = abs(r) <= 0.5 * lane.width + margin
    found: bool = inside and -CAR_LENGTH <= s < lane.length + CAR_LENGTH
    return found


@inner
def reachable(lane: Any, s: float, r: float) -> bool:
    """Whether a car at these lane coordinates may change into the lane."""
    if lane.forbidden:
        return False
    found: bool = abs(r) <= 2.0 * lane.width and 0.0 <= s < lane.length + CAR_LENGTH
    return found


@inner
def _routed(here: Any, car: Any, at: int) -> tuple[int, int]:
    """The road that the route asks for behind a lane, or -1, and how much of it is then behind."""
    if not car.routed or at >= car.route_end:
        return -1, at
    if car.route[at] == here.road:
        at += 1
    if at < car.route_end:
        for k in range(here.n_next):
            if here.next[k] == car.route[at]:
                return here.next[k], at
    return -1, at


@inner
def next_lane(lanes: Records, car: Any, current: int, s: float, at: int) -> tuple[int, int]:
    """The lane that follows the end of a lane: along the route, else the nearest.

    A road with as many lanes keeps the lane number; else the nearest lane is taken. A road that
    ends nowhere goes on in itself.

    Args:
        lanes: The road table.
        car: Whose route is followed.
        current: The lane that ends.
        s: Coordinate in it.
        at: How much of the route is already behind.

    Returns:
        The following lane, and how much of the route is then behind.
    """
    here = lanes[current]
    only, at = _routed(here, car, at)
    x, y = point(here, s, 0.0)
    best, found = np.inf, current
    for k in range(here.n_next):
        first = here.next[k]
        if only >= 0 and first != only:
            continue
        low, high = 0, lanes[first].count
        if high == here.count:
            low, high = here.id, here.id + 1
        for lane in range(first + low, first + high):
            s2, r2 = along(lanes[lane], x, y)
            far = abs(r2) + max(s2 - lanes[lane].length, 0.0) + max(-s2, 0.0)
            if far < best:
                best, found = far, lane
    return found, at


@inner
def walk(lanes: Records, car: Any, lane: int, s: float, ahead: float) -> tuple[int, float]:
    """Lane and coordinate a distance ahead along a car's route, metres."""
    s += ahead
    at = car.route_at
    while s > lanes[lane].length:
        following, at = next_lane(lanes, car, lane, lanes[lane].length, at)
        if following == lane:
            break
        s -= lanes[lane].length
        lane = following
    return lane, s
