"""Boxes and quads that the scene generators place (compiled)."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hybridrl.planners.geometry import clearance, pose_free, wrap_angle
from hybridrl.planners.obstacles import Obstacles
from hybridrl.planners.vehicle import Body

Array = NDArray[np.float64]


@njit(cache=True, error_model="numpy")
def clipped_normal(
    rng: np.random.Generator, mean: float, deviation: float, low: float, high: float
) -> float:
    """One normal draw, clipped (not re-drawn) to [``low``, ``high``] (``parking.md`` 4)."""
    return min(max(rng.normal(mean, deviation), low), high)


@njit(cache=True, error_model="numpy")
def resting_height(heading: float, body: Body) -> float:
    """Rear axle height at which the lowest corner of the body lies at y = 0, metres."""
    sin = math.sin(heading)
    return body.half_width * abs(math.cos(heading)) - min(sin * body.rear, sin * body.front)


@njit(cache=True, error_model="numpy")
def place(x: float, y: float, heading: float, u: float, v: float) -> tuple[float, float]:
    """World position of the point ``(u, v)`` of the vehicle frame."""
    c = math.cos(heading)
    s = math.sin(heading)
    return x + c * u - s * v, y + s * u + c * v


@njit(cache=True, error_model="numpy")
def put_box(quad: Array, x: float, y: float, heading: float, body: Body) -> None:
    """Write the body's corners at a pose into ``quad`` ``(4, 2)``, counter-clockwise."""
    c = math.cos(heading)
    s = math.sin(heading)
    for i in range(4):
        u = body.front if i in (1, 2) else body.rear
        v = body.half_width if i >= 2 else -body.half_width
        quad[i, 0] = x + c * u - s * v
        quad[i, 1] = y + s * u + c * v


@njit(cache=True, error_model="numpy")
def put_rectangle(quad: Array, xmin: float, xmax: float, ymin: float, ymax: float) -> None:
    """Write an upright rectangle into ``quad`` ``(4, 2)``, counter-clockwise."""
    quad[0, 0], quad[0, 1] = xmin, ymin
    quad[1, 0], quad[1, 1] = xmax, ymin
    quad[2, 0], quad[2, 1] = xmax, ymax
    quad[3, 0], quad[3, 1] = xmin, ymax


@njit(cache=True, error_model="numpy")
def upright_box(quad: Array) -> tuple[float, float, float, float]:
    """Smallest and largest coordinates ``(xmin, xmax, ymin, ymax)`` of points ``(n, 2)``."""
    xmin = ymin = np.inf
    xmax = ymax = -np.inf
    for i in range(len(quad)):
        x, y = quad[i, 0], quad[i, 1]
        xmin, xmax, ymin, ymax = min(xmin, x), max(xmax, x), min(ymin, y), max(ymax, y)
    return xmin, xmax, ymin, ymax


@njit(cache=True, error_model="numpy")
def put_circle(quad: Array, circle: Array) -> None:
    """Write the bounding circle ``(x, y, radius)`` of ``quad`` as ``pack`` computes it."""
    xmin, xmax, ymin, ymax = upright_box(quad)
    cx = 0.5 * (xmin + xmax)
    cy = 0.5 * (ymin + ymax)
    reach = 0.0
    for i in range(len(quad)):
        reach = max(reach, (quad[i, 0] - cx) ** 2 + (quad[i, 1] - cy) ** 2)
    circle[0], circle[1], circle[2] = cx, cy, math.sqrt(reach)


@njit(cache=True, error_model="numpy")
def is_convex_quad(quad: Array) -> bool:
    """Whether a quad is convex and counter-clockwise, with a real turn at every corner."""
    for i in range(4):
        j, k = (i + 1) % 4, (i + 2) % 4
        ax, ay = quad[j, 0] - quad[i, 0], quad[j, 1] - quad[i, 1]
        bx, by = quad[k, 0] - quad[j, 0], quad[k, 1] - quad[j, 1]
        if ax * by - ay * bx <= 0.0:
            return False
    return True


@njit(cache=True, error_model="numpy")
def _separated_along_edges(a: Array, b: Array) -> bool:
    """Whether an edge of the counter-clockwise quad ``a`` has all of ``b`` strictly outside."""
    for i in range(4):
        j = (i + 1) % 4
        nx = a[j, 1] - a[i, 1]
        ny = a[i, 0] - a[j, 0]
        outside = True
        for k in range(4):
            outside = outside and nx * (b[k, 0] - a[i, 0]) + ny * (b[k, 1] - a[i, 1]) > 0.0
        if outside:
            return True
    return False


@njit(cache=True, error_model="numpy")
def quads_touch(a: Array, b: Array) -> bool:
    """Whether two convex counter-clockwise quads touch (separating axes)."""
    return not (_separated_along_edges(a, b) or _separated_along_edges(b, a))


@njit(cache=True, error_model="numpy")
def as_obstacles(quads: Array, circles: Array, first: int, last: int) -> Obstacles:
    """Quads ``first`` to ``last`` (exclusive) in the form that the geometry kernels read."""
    offsets = np.empty(last - first + 1, np.int64)
    for m in range(len(offsets)):
        offsets[m] = 4 * m
    vertices = quads[first:last].reshape(4 * (last - first), 2)
    return Obstacles(vertices, offsets, circles[first:last])


@njit(cache=True, error_model="numpy")
def free_of_quads(pose: Array, body: Body, quads: Array, circles: Array, count: int) -> bool:
    """Whether the body at ``pose`` ``(3,)`` touches none of the first ``count`` quads."""
    shapes = as_obstacles(quads, circles, 0, count)
    return pose_free(pose[0], pose[1], pose[2], body, shapes)


@njit(cache=True, error_model="numpy")
def gap_to_quads(
    pose: Array, body: Body, quads: Array, circles: Array, first: int, last: int
) -> float:
    """Distance from the body at ``pose`` to quads ``first`` to ``last`` (exclusive), metres."""
    shapes = as_obstacles(quads, circles, first, last)
    return clearance(pose[0], pose[1], pose[2], body, shapes)


@njit(cache=True, error_model="numpy")
def bodies_touch(a: Array, b: Array, body: Body) -> bool:
    """Whether the body at pose ``a`` touches the body at pose ``b``."""
    first = np.empty((4, 2))
    second = np.empty((4, 2))
    put_box(first, a[0], a[1], a[2], body)
    put_box(second, b[0], b[1], b[2], body)
    return quads_touch(first, second)


@njit(cache=True, error_model="numpy")
def turn_about_center(pose: Array, body: Body) -> None:
    """Turn a pose by 180 degrees about the centre of its box, in place: the box stays."""
    middle = body.front + body.rear
    pose[0] += middle * math.cos(pose[2])
    pose[1] += middle * math.sin(pose[2])
    pose[2] += math.pi


@njit(cache=True, error_model="numpy")
def finish(start: Array, goal: Array, margin: float, bounds: Array) -> None:
    """Wrap both headings and write the map bounds ``(xmin, xmax, ymin, ymax)`` (4.4)."""
    start[2] = wrap_angle(start[2])
    goal[2] = wrap_angle(goal[2])
    for axis in range(2):
        bounds[2 * axis] = math.floor(min(start[axis], goal[axis]) - margin)
        bounds[2 * axis + 1] = math.ceil(max(start[axis], goal[axis]) + margin)
