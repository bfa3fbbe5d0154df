"""First contact of a body that drives along an arc, solved exactly (compiled).

A body on an arc of radius R turns about one fixed centre, so every obstacle corner runs on a circle
around that centre in the vehicle frame, and every body corner runs on one in the world. The first
contact of two separate convex shapes is always a corner of one on an edge of the other, which makes
it the smallest root of a few circle-line equations: no sampling, no inflation, nothing between
samples to lose.

Reversing and turning right are mirrored to driving forward and turning left. While the centre of
rotation lies beyond the side of the body, only its front, the part of the inner side ahead of the
axle and the part of the outer side behind it move outwards, so three sides and three corners are
all that can meet anything first.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hybridrl.planners.geometry import STRAIGHT, advance_pose, near_body
from hybridrl.planners.obstacles import Obstacles
from hybridrl.planners.vehicle import Body

Array = NDArray[np.float64]
TWO_PI = 2.0 * math.pi


@njit(cache=True, error_model="numpy")
def _turn_from(ax: float, ay: float, bx: float, by: float) -> float:
    """Counter-clockwise angle in [0, 2 pi) from vector ``a`` to vector ``b``."""
    angle = math.atan2(ax * by - ay * bx, ax * bx + ay * by)
    return angle if angle >= 0.0 else angle + TWO_PI


@njit(cache=True, error_model="numpy")
def _obstacle_corner(
    u: float, v: float, radius: float, rear: float, front: float, half: float, best: float
) -> float:
    """Angle until an obstacle corner at ``(u, v)`` in the vehicle frame meets the body.

    The corner circles clockwise around ``(0, radius)``. Only outward moving sides can meet it
    first: the front, the inner side ahead of the axle and the outer side behind it.
    """
    y = v - radius
    rho2 = u * u + y * y
    inner = half - radius
    outer = -half - radius
    left = rho2 - front * front
    if left >= inner * inner and left <= outer * outer:
        best = min(best, _turn_from(front, -math.sqrt(left), u, y))
    left = rho2 - inner * inner
    if left >= 0.0 and left <= front * front:
        best = min(best, _turn_from(math.sqrt(left), inner, u, y))
    left = rho2 - outer * outer
    if left >= 0.0 and left <= rear * rear:
        best = min(best, _turn_from(-math.sqrt(left), outer, u, y))
    return best


@njit(cache=True, error_model="numpy")
def _body_corners(
    au: float, av: float, bu: float, bv: float, inward: float, radius: float,
    rear: float, front: float, half: float, best: float,
) -> float:  # fmt: skip
    """Angle until a corner of the body enters through the edge ``a b``.

    The corners circle counter-clockwise around ``(0, radius)``; the inner rear one only ever moves
    inwards. ``inward`` is the sign of the root at which a circle enters the polygon.
    """
    ex = bu - au
    ey = bv - av
    length = math.sqrt(ex * ex + ey * ey)
    if length == 0.0:
        return best
    ex /= length
    ey /= length
    ay = av - radius
    foot = -(au * ex + ay * ey)  # place on the edge nearest to the centre
    off = au * ey - ay * ex
    for i in range(3):
        cx = rear if i == 2 else front
        cy = (half if i == 0 else -half) - radius
        left = cx * cx + cy * cy - off * off
        if left < 0.0:
            continue
        t = foot + inward * math.sqrt(left)
        if 0.0 <= t <= length:
            best = min(best, _turn_from(cx, cy, au + t * ex, ay + t * ey))
    return best


@njit(cache=True, error_model="numpy")
def straight_contact(
    au: float, av: float, bu: float, bv: float, front: float, half: float, best: float
) -> float:
    """Distance until the front of a body driving straight meets the edge ``a b`` or its end."""
    if abs(bv) <= half and bu >= front:
        best = min(best, bu - front)
    if av != bv:
        for side in (-half, half):
            t = (side - av) / (bv - av)
            u = au + t * (bu - au)
            if 0.0 <= t <= 1.0 and u >= front:
                best = min(best, u - front)
    return best


@njit(cache=True, error_model="numpy")
def _ring_contact(
    ring: Array, x: float, y: float, cos: float, sin: float, turn: float, gear: float,
    rear: float, front: float, half: float, best: float,
) -> float:  # fmt: skip
    """First contact with one ring, below ``best``: an angle, or a distance when driving straight.

    ``turn`` is the signed curvature; ``rear``, ``front`` describe the body after mirroring x.
    """
    side = -1.0 if turn < 0.0 else 1.0
    straight = abs(turn) < STRAIGHT
    radius = 0.0 if straight else 1.0 / abs(turn)
    last = len(ring) - 1
    au = gear * (cos * (ring[last, 0] - x) + sin * (ring[last, 1] - y))
    av = side * (cos * (ring[last, 1] - y) - sin * (ring[last, 0] - x))
    for i in range(len(ring)):
        bu = gear * (cos * (ring[i, 0] - x) + sin * (ring[i, 1] - y))
        bv = side * (cos * (ring[i, 1] - y) - sin * (ring[i, 0] - x))
        if straight:
            best = straight_contact(au, av, bu, bv, front, half, best)
        else:
            best = _obstacle_corner(bu, bv, radius, rear, front, half, best)
            best = _body_corners(au, av, bu, bv, gear * side, radius, rear, front, half, best)
        au, av = bu, bv
    return best


@njit(cache=True, error_model="numpy")
def _outside_annulus(
    x: float, y: float, cos: float, sin: float, curvature: float, circle: Array, body: Body
) -> bool:
    """Whether a bounding circle lies outside the ring that the turning body can sweep."""
    radius = 1.0 / curvature
    dx = circle[0] - x + sin * radius
    dy = circle[1] - y - cos * radius
    distance = math.sqrt(dx * dx + dy * dy)
    inner = abs(radius) - body.half_width
    outer = math.hypot(max(body.front, -body.rear), abs(radius) + body.half_width)
    return bool(distance + circle[2] < inner or distance - circle[2] > outer)


@njit(cache=True, error_model="numpy")
def free_length(
    x: float, y: float, heading: float, curvature: float, length: float,
    body: Body, obstacles: Obstacles,
) -> float:  # fmt: skip
    """Distance the body drives along an arc before it first touches an obstacle.

    Args:
        x: Rear axle, world frame, metres. The pose must be free.
        y: See ``x``.
        heading: Radians.
        curvature: Of the arc, 1/m, positive to the left; its radius must exceed half the width.
        length: Signed arc length wanted, metres; negative in reverse.
        body: Body rectangle.
        obstacles: Filled convex polygons.

    Returns:
        Metres in [0, ``abs(length)``]; ``abs(length)`` exactly when nothing is touched.
    """
    cos = math.cos(heading)
    sin = math.sin(heading)
    gear = -1.0 if length < 0.0 else 1.0
    rear, front = (body.rear, body.front) if gear > 0.0 else (-body.front, -body.rear)
    straight = abs(curvature) < STRAIGHT
    scale = 1.0 if straight else abs(curvature)
    wanted = abs(length)
    best = wanted * scale
    # The whole arc lies within half its length of its middle point.
    mx, my, mh = advance_pose(x, y, heading, curvature, 0.5 * length)
    mcos = math.cos(mh)
    msin = math.sin(mh)
    hit = False
    for m in range(len(obstacles.circles)):
        circle = obstacles.circles[m]
        if not near_body(
            mx, my, mcos, msin, body, circle, 0.5 * wanted + _swing(body, scale, wanted)
        ):
            continue
        if not straight and _outside_annulus(x, y, cos, sin, curvature, circle, body):
            continue
        ring = obstacles.vertices[obstacles.offsets[m] : obstacles.offsets[m + 1]]
        first = _ring_contact(
            ring, x, y, cos, sin, curvature, gear, rear, front, body.half_width, best
        )
        if first < best:
            best = first
            hit = True
    return best / scale if hit else wanted


@njit(cache=True, error_model="numpy")
def _swing(body: Body, scale: float, wanted: float) -> float:
    """How much farther the body's centre may move than the axle does, metres."""
    return abs(0.5 * (body.front + body.rear)) * min(0.5 * scale * wanted, 2.0)


@njit(cache=True, error_model="numpy")
def arcs_free(
    x: float, y: float, heading: float, curvatures: Array, lengths: Array, n: int,
    body: Body, obstacles: Obstacles,
) -> bool:  # fmt: skip
    """Whether the body drives the first ``n`` arcs without touching an obstacle.

    The start pose must be free; curvatures in 1/m, signed lengths in metres.
    """
    for i in range(n):
        if free_length(x, y, heading, curvatures[i], lengths[i], body, obstacles) < abs(lengths[i]):
            return False
        x, y, heading = advance_pose(x, y, heading, curvatures[i], lengths[i])
    return True
