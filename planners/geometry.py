"""Exact planar geometry of one body rectangle and convex obstacles (compiled).

Frames: poses are of the rear axle in the world; "vehicle frame" has its origin there and points
its x axis forward. Metres and radians throughout.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hybridrl.planners.obstacles import Obstacles
from hybridrl.planners.vehicle import Body

Array = NDArray[np.float64]
STRAIGHT = 1e-9  # curvatures below this, 1/m, are driven as straight lines


@njit(cache=True, error_model="numpy")
def advance_pose(
    x: float, y: float, heading: float, curvature: float, s: float
) -> tuple[float, float, float]:
    """Pose after a signed arc length ``s`` (``parking.md`` 3, closed form)."""
    turn = curvature * s
    if abs(turn) < 1e-7:
        # sin(h)/h is 1 to machine precision: the arc is its own chord.
        chord = s
    else:
        chord = 2.0 * math.sin(0.5 * turn) / curvature
    middle = heading + 0.5 * turn
    return x + chord * math.cos(middle), y + chord * math.sin(middle), heading + turn


@njit(cache=True, error_model="numpy")
def wrap_angle(angle: float) -> float:
    """The same angle in [-pi, pi)."""
    return (angle + math.pi) % (2.0 * math.pi) - math.pi


@njit(cache=True, error_model="numpy")
def near_body(
    x: float, y: float, cos: float, sin: float, body: Body, circle: Array, reach: float
) -> bool:
    """Whether a bounding circle comes within ``reach`` of the body's own bounding circle."""
    middle = 0.5 * (body.front + body.rear)
    dx = circle[0] - x - middle * cos
    dy = circle[1] - y - middle * sin
    half_length = 0.5 * (body.front - body.rear)
    limit = math.sqrt(half_length**2 + body.half_width**2) + circle[2] + reach
    return bool(dx * dx + dy * dy <= limit * limit)


@njit(cache=True, error_model="numpy")
def to_vehicle_frame(ring: Array, x: float, y: float, cos: float, sin: float, out: Array) -> None:
    """Write the corners of ``ring`` ``(n, 2)`` in the vehicle frame into ``out``."""
    for i in range(len(ring)):
        dx = ring[i, 0] - x
        dy = ring[i, 1] - y
        out[i, 0] = cos * dx + sin * dy
        out[i, 1] = cos * dy - sin * dx


@njit(cache=True, error_model="numpy")
def _separated_by_edges(
    ring: Array, x: float, y: float, cos: float, sin: float, body: Body
) -> bool:
    """Whether the outward normal of one of the ring's edges separates it from the body."""
    middle = 0.5 * (body.front + body.rear)
    half_length = 0.5 * (body.front - body.rear)
    cx = x + middle * cos
    cy = y + middle * sin
    n = len(ring)
    for i in range(n):
        j = i + 1 if i + 1 < n else 0
        nx = ring[j, 1] - ring[i, 1]
        ny = ring[i, 0] - ring[j, 0]
        along = abs(nx * cos + ny * sin) * half_length
        across = abs(ny * cos - nx * sin) * body.half_width
        if nx * (cx - ring[i, 0]) + ny * (cy - ring[i, 1]) > along + across:
            return True
    return False


@njit(cache=True, error_model="numpy")
def _separated_by_body(ring: Array, x: float, y: float, cos: float, sin: float, body: Body) -> bool:
    """Whether one of the body's sides separates it from the ring."""
    left = rear = True
    right = front = True
    for i in range(len(ring)):
        dx = ring[i, 0] - x
        dy = ring[i, 1] - y
        u = cos * dx + sin * dy
        v = cos * dy - sin * dx
        front = front and u > body.front
        rear = rear and u < body.rear
        left = left and v > body.half_width
        right = right and v < -body.half_width
    return front or rear or left or right


@njit(cache=True, error_model="numpy")
def separated(ring: Array, x: float, y: float, cos: float, sin: float, body: Body) -> bool:
    """Separating axis test of the body against a convex counter-clockwise ring.

    Touching counts as contact.
    """
    return _separated_by_body(ring, x, y, cos, sin, body) or _separated_by_edges(
        ring, x, y, cos, sin, body
    )


@njit(cache=True, error_model="numpy")
def pose_free(x: float, y: float, heading: float, body: Body, obstacles: Obstacles) -> bool:
    """Whether the body at a pose touches no obstacle."""
    cos = math.cos(heading)
    sin = math.sin(heading)
    for m in range(len(obstacles.circles)):
        if near_body(x, y, cos, sin, body, obstacles.circles[m], 0.0):
            ring = obstacles.vertices[obstacles.offsets[m] : obstacles.offsets[m + 1]]
            if not separated(ring, x, y, cos, sin, body):
                return False
    return True


@njit(cache=True, error_model="numpy")
def _corner_gap(u: float, v: float, body: Body) -> float:
    """Distance from a point in the vehicle frame to the filled body, squared."""
    du = max(body.rear - u, 0.0, u - body.front)
    dv = max(abs(v) - body.half_width, 0.0)
    return du * du + dv * dv


@njit(cache=True, error_model="numpy")
def _edge_gap(ax: float, ay: float, bx: float, by: float, body: Body) -> float:
    """Smallest distance from the body's corners to a segment in the vehicle frame, squared."""
    ex = bx - ax
    ey = by - ay
    scale = ex * ex + ey * ey
    best = np.inf
    for i in range(4):
        px = (body.front if i < 2 else body.rear) - ax
        py = (body.half_width if i % 2 else -body.half_width) - ay
        t = min(max((px * ex + py * ey) / scale, 0.0), 1.0) if scale > 0.0 else 0.0
        best = min(best, (px - t * ex) ** 2 + (py - t * ey) ** 2)
    return best


@njit(cache=True, error_model="numpy")
def _ring_gap(ring: Array, x: float, y: float, cos: float, sin: float, body: Body) -> float:
    """Squared distance of body and ring that do not overlap: a corner of one is always nearest."""
    best = np.inf
    last = ring[len(ring) - 1]
    au = cos * (last[0] - x) + sin * (last[1] - y)
    av = cos * (last[1] - y) - sin * (last[0] - x)
    for i in range(len(ring)):
        bu = cos * (ring[i, 0] - x) + sin * (ring[i, 1] - y)
        bv = cos * (ring[i, 1] - y) - sin * (ring[i, 0] - x)
        best = min(best, _corner_gap(bu, bv, body), _edge_gap(au, av, bu, bv, body))
        au, av = bu, bv
    return best


@njit(cache=True, error_model="numpy")
def clearance(x: float, y: float, heading: float, body: Body, obstacles: Obstacles) -> float:
    """Distance from the body to the nearest obstacle, metres: 0 on contact, ``inf`` without any."""
    cos = math.cos(heading)
    sin = math.sin(heading)
    best = np.inf
    for m in range(len(obstacles.circles)):
        if near_body(x, y, cos, sin, body, obstacles.circles[m], best):
            ring = obstacles.vertices[obstacles.offsets[m] : obstacles.offsets[m + 1]]
            if not separated(ring, x, y, cos, sin, body):
                return 0.0
            best = min(best, math.sqrt(_ring_gap(ring, x, y, cos, sin, body)))
    return best


@njit(cache=True, error_model="numpy")
def _clip(points: Array, n: int, axis: int, sign: float, limit: float, out: Array) -> int:
    """Sutherland-Hodgman: keep the part of a polygon where ``sign * coordinate <= limit``."""
    count = 0
    for i in range(n):
        j = i + 1 if i + 1 < n else 0
        di = limit - sign * points[i, axis]
        dj = limit - sign * points[j, axis]
        if di >= 0.0:
            out[count, 0], out[count, 1] = points[i, 0], points[i, 1]
            count += 1
        if (di >= 0.0) != (dj >= 0.0):
            t = di / (di - dj)
            out[count, 0] = points[i, 0] + t * (points[j, 0] - points[i, 0])
            out[count, 1] = points[i, 1] + t * (points[j, 1] - points[i, 1])
            count += 1
    return count


@njit(cache=True, error_model="numpy")
def _area(points: Array, n: int) -> float:
    twice = 0.0
    for i in range(n):
        j = i + 1 if i + 1 < n else 0
        twice += points[i, 0] * points[j, 1] - points[j, 0] * points[i, 1]
    return 0.5 * twice


@njit(cache=True, error_model="numpy")
def overlap_fraction(
    x: float, y: float, heading: float, gx: float, gy: float, gheading: float, body: Body
) -> float:
    """Share of the body rectangle at the goal covered by the body at a pose (``parking.md`` 9).

    Exact: the body is clipped by the four sides of the goal rectangle.
    """
    middle = 0.5 * (body.front + body.rear)
    half_length = 0.5 * (body.front - body.rear)
    half_width = body.half_width
    c = math.cos(gheading)
    s = math.sin(gheading)
    dx = x + middle * math.cos(heading) - gx - middle * c
    dy = y + middle * math.sin(heading) - gy - middle * s
    if dx * dx + dy * dy >= 4.0 * (half_length**2 + half_width**2):
        return 0.0
    u = c * dx + s * dy
    v = c * dy - s * dx
    ct = math.cos(heading - gheading)
    st = math.sin(heading - gheading)
    points = np.empty((8, 2))
    other = np.empty((8, 2))
    for i in range(4):
        a = half_length if i in (0, 3) else -half_length
        b = half_width if i < 2 else -half_width
        points[i, 0] = u + ct * a - st * b
        points[i, 1] = v + st * a + ct * b
    n = _clip(points, 4, 0, 1.0, half_length, other)
    n = _clip(other, n, 0, -1.0, half_length, points)
    n = _clip(points, n, 1, 1.0, half_width, other)
    n = _clip(other, n, 1, -1.0, half_width, points)
    return _area(points, n) / (4.0 * half_length * half_width)
