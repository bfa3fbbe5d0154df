"""Bay and parallel scenes along a wall, HOPE's generators (compiled; ``parking.md`` 4.2, 4.3).

The wall runs along y in [-1, 0]; the slot opens upwards into an aisle. Rejection is a loop with a
counter. Every obstacle is a convex counter-clockwise quad; a block or a far obstacle whose random
corners would make it concave is drawn again (cannot happen with a vehicle of ordinary proportions).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hybridrl.envs.parking.scenes import shapes
from hybridrl.envs.parking.scenes.shapes import clipped_normal
from hybridrl.planners.vehicle import Body

Array = NDArray[np.float64]
Rng = np.random.Generator

MAX_TRIES = 20_000  # whole scenes drawn before giving up; a usable class needs a few
START_TRIES = 200  # starts drawn in one scene before the scene is dropped

GAP = 0.1  # HOPE's smallest obstacle distance `m`, metres
BLOCK_PROBABILITY = 0.5
KEEP_PROBABILITY = 0.7
WALL_PROBABILITY = 0.2
TILT = math.pi / 12  # largest tilt of a parked car
FAR_DEPTH = 8.0  # the strip of far obstacles, metres


class StreetParams(NamedTuple):
    """A street class for one vehicle, as plain numbers.

    Args:
        body: The vehicle's body rectangle, metres.
        parallel: Parallel slot instead of a bay.
        slack_min: Smallest slack of the slot, metres.
        slack_max: Largest slack of the slot, metres.
        aisle: Aisle depth, metres.
        far_obstacles: Obstacles tried beyond the aisle.
        half_length: Half the length of the street, metres.
        further_cars: Further parked cars tried on a side.
        margin: Map bounds around start and goal, metres.
    """

    body: Body
    parallel: bool
    slack_min: float
    slack_max: float
    aisle: float
    far_obstacles: int
    half_length: float
    further_cars: int
    margin: float


@njit(cache=True, error_model="numpy")
def _draw_heading(rng: Rng, p: StreetParams) -> float:
    middle = 0.0 if p.parallel else 0.5 * math.pi
    return clipped_normal(rng, middle, math.pi / 36, middle - TILT, middle + TILT)


@njit(cache=True, error_model="numpy")
def _draw_parked(rng: Rng, x: float, p: StreetParams, pose: Array) -> None:
    """Write the pose of a car parked at ``x`` with its tail or side to the wall."""
    pose[0] = x
    pose[2] = _draw_heading(rng, p)
    low = GAP + shapes.resting_height(pose[2], p.body)
    pose[1] = clipped_normal(rng, low + 0.4, 0.2, low, low + 0.8)


@njit(cache=True, error_model="numpy")
def _draw_block_corner(
    rng: Rng, goal: Array, u: float, v: float, side: float, low: float, high: float
) -> tuple[float, float]:
    """A point off the goal box's corner ``(u, v)``, outwards to ``side`` (-1 left, 1 right)."""
    x, y = shapes.place(goal[0], goal[1], goal[2], u, v)
    outwards = 0.0 if side > 0.0 else math.pi
    angle = clipped_normal(rng, outwards, math.pi / 24, outwards - TILT, outwards + TILT)
    radius = clipped_normal(rng, 0.5 * (low + high), 0.25 * (high - low), low, high)
    return x + radius * math.cos(angle), y + radius * math.sin(angle)


@njit(cache=True, error_model="numpy")
def _put_block(
    rng: Rng, goal: Array, side: float, low: float, high: float, p: StreetParams, quad: Array
) -> bool:
    """Write the solid block beside the slot; whether it came out convex."""
    body = p.body
    if p.parallel:
        end = body.front if side > 0.0 else body.rear
        ux, uy = _draw_block_corner(rng, goal, end, body.half_width, side, low, high)
        lx, ly = _draw_block_corner(rng, goal, end, -body.half_width, side, low, high)
    else:
        flank = -side * body.half_width
        ux, uy = _draw_block_corner(rng, goal, body.front, flank, side, low, high)
        lx, ly = _draw_block_corner(rng, goal, body.rear, flank, side, low, high)
    end_x = side * p.half_length
    quad[0, 0], quad[0, 1] = ux, uy
    quad[2, 0], quad[2, 1] = end_x, 0.0
    lower, outer = (1, 3) if side > 0.0 else (3, 1)
    quad[lower, 0], quad[lower, 1] = lx, ly
    quad[outer, 0], quad[outer, 1] = end_x, uy
    return shapes.is_convex_quad(quad)


@njit(cache=True, error_model="numpy")
def _put_cars(
    rng: Rng,
    side: float,
    low: float,
    high: float,
    p: StreetParams,
    quads: Array,
    circles: Array,
    count: int,
) -> int:
    """Append the neighbouring car and those beyond it; the new number of quads."""
    body = p.body
    extent = body.front - body.rear if p.parallel else 2.0 * body.half_width
    pose = np.empty(3)
    _draw_parked(rng, side * (extent + rng.uniform(low, high)), p, pose)
    shapes.put_box(quads[count], pose[0], pose[1], pose[2], body)
    shapes.put_circle(quads[count], circles[count])
    count += 1
    for _ in range(p.further_cars):
        pose[0] += side * (extent + GAP + rng.uniform(low, high))
        pose[1] += clipped_normal(rng, 0.0, 0.05, -0.1, 0.1)
        pose[2] = _draw_heading(rng, p)
        if rng.random() < KEEP_PROBABILITY:
            shapes.put_box(quads[count], pose[0], pose[1], pose[2], body)
            shapes.put_circle(quads[count], circles[count])
            count += 1
    return count


@njit(cache=True, error_model="numpy")
def _put_side(
    rng: Rng,
    goal: Array,
    side: float,
    low: float,
    high: float,
    p: StreetParams,
    quads: Array,
    circles: Array,
    count: int,
) -> int:
    """Append one side of the slot, its neighbour first; the new number of quads, -1 if refused."""
    if rng.random() >= BLOCK_PROBABILITY:
        return _put_cars(rng, side, low, high, p, quads, circles, count)
    if not _put_block(rng, goal, side, low, high, p, quads[count]):
        return -1
    shapes.put_circle(quads[count], circles[count])
    return count + 1


@njit(cache=True, error_model="numpy")
def _draw_slot(rng: Rng, p: StreetParams, goal: Array, quads: Array, circles: Array) -> int:
    """Draw wall, goal and both sides (steps 1 to 4); the number of quads, -1 if refused."""
    shapes.put_rectangle(quads[0], -p.half_length, p.half_length, -1.0, 0.0)
    shapes.put_circle(quads[0], circles[0])
    _draw_parked(rng, 0.0, p, goal)
    low = (p.slack_min if p.parallel else p.slack_max) / 5.0
    left = _put_side(rng, goal, -1.0, low, 0.8 * p.slack_max, p, quads, circles, 1)
    if left < 0:
        return -1
    left_gap = shapes.gap_to_quads(goal, p.body, quads, circles, 1, 2)
    if left_gap < GAP:
        return -1
    low = max(p.slack_min - left_gap, 0.0) + GAP
    high = max(p.slack_max - left_gap, 0.0) + GAP
    count = _put_side(rng, goal, 1.0, low, high, p, quads, circles, left)
    if count < 0:
        return -1
    right_gap = shapes.gap_to_quads(goal, p.body, quads, circles, left, left + 1)
    if right_gap < GAP or not p.slack_min <= left_gap + right_gap <= p.slack_max:
        return -1
    return count if shapes.free_of_quads(goal, p.body, quads, circles, count) else -1


@njit(cache=True, error_model="numpy")
def _fits_far_side(quads: Array, first: int, count: int, half: float, low: float) -> bool:
    """Whether the quad at ``count`` lies in the far strip, apart from quads ``first`` onwards."""
    quad = quads[count]
    for i in range(4):
        if not (-half < quad[i, 0] < half and low < quad[i, 1] < low + FAR_DEPTH):
            return False
    if not shapes.is_convex_quad(quad):
        return False
    for m in range(first, count):
        if shapes.quads_touch(quads[m], quad):
            return False
    return True


@njit(cache=True, error_model="numpy")
def _put_far_side(
    rng: Rng, p: StreetParams, top: float, quads: Array, circles: Array, count: int
) -> int:
    """Append what stands beyond the aisle (step 5); the new number of quads."""
    half = p.half_length
    low = p.aisle + top
    if rng.random() < WALL_PROBABILITY:
        shapes.put_rectangle(quads[count], -half, half, low + GAP, low + 2.0 * GAP)
        shapes.put_circle(quads[count], circles[count])
        return count + 1
    first = count
    for _ in range(p.far_obstacles):
        x = rng.uniform(2.0 - half, half - 2.0)
        y = rng.uniform(low + 2.0, low + 6.0)
        shapes.put_box(quads[count], x, y, rng.uniform(0.0, 2.0 * math.pi), p.body)
        for i in range(4):
            quads[count, i, 0] += 0.5 * rng.random()
            quads[count, i, 1] += 0.5 * rng.random()
        if _fits_far_side(quads, first, count, half, low):
            shapes.put_circle(quads[count], circles[count])
            count += 1
    return count


@njit(cache=True, error_model="numpy")
def _draw_start(
    rng: Rng,
    p: StreetParams,
    top: float,
    goal: Array,
    quads: Array,
    circles: Array,
    count: int,
    start: Array,
) -> bool:
    """Draw a free start in the aisle (step 6); whether one was found."""
    reach = 0.5 * p.half_length
    for _ in range(START_TRIES):
        start[0] = rng.uniform(-reach, reach)
        start[1] = rng.uniform(top + 1.0, top + p.aisle - 1.0)
        start[2] = clipped_normal(rng, 0.0, math.pi / 6, -0.5 * math.pi, 0.5 * math.pi)
        if rng.random() < 0.5:
            start[2] += math.pi
        free = shapes.free_of_quads(start, p.body, quads, circles, count)
        if free and not shapes.bodies_touch(start, goal, p.body):
            return True
    return False


@njit(cache=True, error_model="numpy")
def street_capacity(p: StreetParams) -> int:
    """Most quads a scene can have: wall, two sides and what stands beyond the aisle."""
    return 3 + 2 * p.further_cars + max(p.far_obstacles, 1)


@njit(cache=True, error_model="numpy")
def make_street(rng: Rng, p: StreetParams) -> tuple[Array, Array, Array, Array]:
    """Draw one scene of a street class.

    Args:
        rng: Source of every draw; consumed exactly as ``numpy`` would.
        p: The class for a vehicle.

    Returns:
        ``(start, goal, bounds, quads)``: poses ``(3,)``, ``(xmin, xmax, ymin, ymax)`` and convex
        counter-clockwise quads ``(M, 4, 2)``, none of them if the class and the vehicle gave no
        scene in ``MAX_TRIES``.
    """
    start, goal, bounds = np.empty(3), np.empty(3), np.empty(4)
    capacity = street_capacity(p)
    quads, circles = np.empty((capacity, 4, 2)), np.empty((capacity, 3))
    for _ in range(MAX_TRIES):
        count = _draw_slot(rng, p, goal, quads, circles)
        if count < 0:
            continue
        top = GAP + shapes.upright_box(quads.reshape(4 * capacity, 2)[: 4 * count])[3]
        count = _put_far_side(rng, p, top, quads, circles, count)
        if _draw_start(rng, p, top, goal, quads, circles, count, start):
            if p.parallel and math.cos(start[2]) < 0.0:
                shapes.turn_about_center(goal, p.body)
            shapes.finish(start, goal, p.margin, bounds)
            return start, goal, bounds, quads[:count].copy()
    return start, goal, bounds, quads[:0].copy()
