"""Synthetic parking lots: rows of bays along aisles (compiled; ``parking.md`` 4.5).

Drawn with the goal stall at x = 0 in the row below the aisle y in [0, aisle], then turned by a
random number of quarter turns. The way out of the goal stall (straight, then one arc into the
aisle) is checked with the exact sweep, so that almost every scene can be solved by construction.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hybridrl.envs.parking.scenes import shapes
from hybridrl.envs.parking.scenes.shapes import clipped_normal
from hybridrl.planners.geometry import advance_pose
from hybridrl.planners.sweep import arcs_free
from hybridrl.planners.vehicle import Body

Array = NDArray[np.float64]
Rng = np.random.Generator
Range = tuple[float, float]

MAX_TRIES = 5_000  # lots drawn before giving up; a usable class needs a few
EXIT_TRIES = 12  # ways out tried in one lot
MAX_STALLS = 24  # on one side of the goal in one row
ROWS = 4  # at most, on either side of the aisle
CAPACITY = 2 * ROWS * (2 * MAX_STALLS + 1)


class LotParams(NamedTuple):
    """The lot class for one vehicle, as plain numbers: see ``LotClass``; metres.

    Args:
        body: The vehicle's body rectangle.
        max_curvature: Of the vehicle, 1/m.
        stall_slack: Stall width minus vehicle width.
        stall_depth: Stall depth minus vehicle length.
        aisle: Aisle width.
        occupancy: Share of taken stalls.
        clearance: Allowed goal clearance.
        distance: Allowed start-goal distance.
        obstacles: Allowed number of obstacles.
        halfway: Probability of a start on the way out.
        margin: Map bounds around start and goal.
    """

    body: Body
    max_curvature: float
    stall_slack: Range
    stall_depth: Range
    aisle: Range
    occupancy: Range
    clearance: Range
    distance: Range
    obstacles: Range
    halfway: float
    margin: float


class _Layout(NamedTuple):
    width: float  # of a stall
    depth: float  # of a stall
    aisle: float
    median: float  # between rows that stand back to back
    left: int  # stalls on this side of the goal's
    right: int
    occupancy: float


@njit(cache=True, error_model="numpy")
def _draw_layout(rng: Rng, p: LotParams) -> _Layout:
    body = p.body
    width = 2.0 * body.half_width + rng.uniform(p.stall_slack[0], p.stall_slack[1])
    depth = body.front - body.rear + rng.uniform(p.stall_depth[0], p.stall_depth[1])
    aisle = rng.uniform(p.aisle[0], p.aisle[1])
    median = rng.uniform(0.0, 0.6)
    left = int(rng.integers(5, MAX_STALLS + 1))
    right = int(rng.integers(5, MAX_STALLS + 1))
    occupancy = rng.uniform(p.occupancy[0], p.occupancy[1])
    return _Layout(width, depth, aisle, median, left, right, occupancy)


@njit(cache=True, error_model="numpy")
def _draw_parked(rng: Rng, x: float, y: float, pose: Array, body: Body) -> None:
    """Write the pose of a car, nose up, whose box is near the stall centre ``(x, y)``."""
    pose[2] = 0.5 * math.pi + clipped_normal(rng, 0.0, math.pi / 120, -math.pi / 40, math.pi / 40)
    x += clipped_normal(rng, 0.0, 0.12, -0.3, 0.3)
    y += rng.uniform(-0.15, 0.15)
    middle = 0.5 * (body.front + body.rear)
    pose[0] = x - middle * math.cos(pose[2])
    pose[1] = y - middle * math.sin(pose[2])


@njit(cache=True, error_model="numpy")
def _row_bottom(row: int, lot: _Layout) -> float:
    """Lower edge of a row: 0 is just above the aisle, -1 just below it, and so on outwards."""
    k = row if row >= 0 else -1 - row
    outwards = k * lot.depth + ((k + 1) // 2) * lot.median + (k // 2) * lot.aisle
    return lot.aisle + outwards if row >= 0 else -outwards - lot.depth


@njit(cache=True, error_model="numpy")
def _put_row(
    rng: Rng, row: int, lot: _Layout, body: Body, quads: Array, circles: Array, count: int
) -> int:
    """Append the cars of one row, all stalls but the goal's; the new number of quads."""
    pose = np.empty(3)
    y = _row_bottom(row, lot) + 0.5 * lot.depth
    for stall in range(-lot.left, lot.right + 1):
        if rng.random() >= lot.occupancy or (row == -1 and stall == 0):
            continue
        length = rng.uniform(0.86, 1.04)
        wide = rng.uniform(0.90, 1.04)
        car = Body(body.rear * length, body.front * length, body.half_width * wide)
        _draw_parked(rng, stall * lot.width, y, pose, car)
        shapes.put_box(quads[count], pose[0], pose[1], pose[2], car)
        shapes.put_circle(quads[count], circles[count])
        count += 1
    return count


@njit(cache=True, error_model="numpy")
def _put_cars(rng: Rng, lot: _Layout, body: Body, quads: Array, circles: Array) -> int:
    """Fill the rows, the goal's and the one opposite always among them; the number of quads."""
    above = rng.integers(1, ROWS)
    below = rng.integers(1, ROWS + 1)
    count = 0
    for row in range(-below, above):
        count = _put_row(rng, row, lot, body, quads, circles, count)
    return count


@njit(cache=True, error_model="numpy")
def _find_exit(
    rng: Rng, p: LotParams, goal: Array, side: float, quads: Array, circles: Array, arcs: Array
) -> bool:
    """Look for a free way out of the stall that turns to ``side`` (1 left, -1 right).

    Writes curvatures and lengths of a straight and an arc into ``arcs`` ``(2, 2)``.
    """
    shape = shapes.as_obstacles(quads, circles, 0, len(quads))
    turn = 0.5 * math.pi + side * (0.5 * math.pi - goal[2])
    for _ in range(EXIT_TRIES):
        arcs[0, 0] = 0.0
        arcs[0, 1] = side * p.max_curvature * rng.uniform(0.85, 1.0)
        arcs[1, 0] = max(rng.uniform(-1.5, 1.0) - goal[1], 0.1)
        arcs[1, 1] = turn / abs(arcs[0, 1])
        if arcs_free(goal[0], goal[1], goal[2], arcs[0], arcs[1], 2, p.body, shape):
            return True
    return False


@njit(cache=True, error_model="numpy")
def _start_on_exit(rng: Rng, goal: Array, arcs: Array, start: Array) -> None:
    """Write a pose somewhere on the way out, its last part more often."""
    s = (arcs[1, 0] + arcs[1, 1]) * math.sqrt(rng.uniform(0.15, 1.0))
    straight = min(s, arcs[1, 0])
    x, y, heading = advance_pose(goal[0], goal[1], goal[2], 0.0, straight)
    start[0], start[1], start[2] = advance_pose(x, y, heading, arcs[0, 1], s - straight)


@njit(cache=True, error_model="numpy")
def _start_on_aisle(rng: Rng, p: LotParams, aisle: float, side: float, start: Array) -> None:
    """Write a pose on the goal's aisle, pointing the way the exit to ``side`` leads."""
    start[0] = rng.uniform(p.distance[0], p.distance[1])
    if rng.random() < 0.5:
        start[0] = -start[0]
    room = max(0.5 * aisle - p.body.half_width - 0.3, 0.0)
    start[1] = 0.5 * aisle + clipped_normal(rng, 0.0, 0.5, -room, room)
    start[2] = clipped_normal(rng, 0.0, math.pi / 24, -math.pi / 8, math.pi / 8)
    if side > 0.0:
        start[2] += math.pi


@njit(cache=True, error_model="numpy")
def _quarter_turns(points: Array, turns: int) -> None:
    """Turn points (the first two of the last axis) about the origin, in place and exactly."""
    for i in range(len(points)):
        for _ in range(turns):
            points[i, 0], points[i, 1] = -points[i, 1], points[i, 0]


@njit(cache=True, error_model="numpy")
def _turn_all(turns: int, start: Array, goal: Array, quads: Array) -> None:
    for pose in (start, goal):
        _quarter_turns(pose.reshape(1, 3), turns)
        pose[2] += 0.5 * math.pi * turns
    _quarter_turns(quads.reshape(4 * len(quads), 2), turns)


@njit(cache=True, error_model="numpy")
def cull(bounds: Array, quads: Array, kept: Array) -> int:
    """Copy the quads whose upright box overlaps ``bounds`` into ``kept``; how many they are."""
    count = 0
    for m in range(len(quads)):
        xmin, xmax, ymin, ymax = shapes.upright_box(quads[m])
        beside = xmax < bounds[0] or xmin > bounds[1]
        if not (beside or ymax < bounds[2] or ymin > bounds[3]):
            for corner in range(4):
                for axis in range(2):
                    kept[count, corner, axis] = quads[m, corner, axis]
            count += 1
    return count


@njit(cache=True, error_model="numpy")
def _draw_pair(
    rng: Rng, p: LotParams, lot: _Layout, quads: Array, circles: Array, start: Array, goal: Array
) -> bool:
    """Draw goal and start among the cars; whether both are usable."""
    body = p.body
    _draw_parked(rng, 0.0, -0.5 * lot.depth, goal, body)
    count = len(quads)
    room = shapes.gap_to_quads(goal, body, quads, circles, 0, count)
    if not p.clearance[0] <= room <= p.clearance[1]:
        return False
    side = 1.0 if rng.random() < 0.5 else -1.0
    arcs = np.empty((2, 2))
    if not _find_exit(rng, p, goal, side, quads, circles, arcs):
        return False
    if rng.random() < p.halfway:
        _start_on_exit(rng, goal, arcs, start)
        if rng.random() < 0.5:
            shapes.turn_about_center(start, body)
    else:
        # The random side of the way out already turns it either way.
        _start_on_aisle(rng, p, lot.aisle, side, start)
    if rng.random() < 0.5:
        shapes.turn_about_center(goal, body)
    away = math.hypot(start[0] - goal[0], start[1] - goal[1])
    if not p.distance[0] <= away <= p.distance[1] or shapes.bodies_touch(start, goal, body):
        return False
    return shapes.free_of_quads(start, body, quads, circles, count)


@njit(cache=True, error_model="numpy")
def make_lot(rng: Rng, p: LotParams) -> tuple[Array, Array, Array, Array]:
    """Draw one lot.

    Args:
        rng: Source of every draw; consumed exactly as ``numpy`` would.
        p: The class for a vehicle.

    Returns:
        ``(start, goal, bounds, quads)`` as ``make_street`` gives them.
    """
    start, goal, bounds = np.empty(3), np.empty(3), np.empty(4)
    cars, circles = np.empty((CAPACITY, 4, 2)), np.empty((CAPACITY, 3))
    kept = np.empty((CAPACITY, 4, 2))
    for _ in range(MAX_TRIES):
        lot = _draw_layout(rng, p)
        total = _put_cars(rng, lot, p.body, cars, circles)
        if not _draw_pair(rng, p, lot, cars[:total], circles[:total], start, goal):
            continue
        _turn_all(int(rng.integers(0, 4)), start, goal, cars[:total])
        shapes.finish(start, goal, p.margin, bounds)
        count = cull(bounds, cars[:total], kept)
        if p.obstacles[0] <= count <= p.obstacles[1]:
            return start, goal, bounds, kept[:count].copy()
    return start, goal, bounds, kept[:0].copy()
