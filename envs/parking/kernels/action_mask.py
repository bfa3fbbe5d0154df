"""How far each of the 42 motions is free: exact first contact, all steering angles at once.

``planners/sweep.py`` solves one arc; here the ten steering magnitudes of one direction are lanes of
a vector. While the body turns about a centre beyond its own side, only its front, the part of the
inner side ahead of the axle and the part of the outer side behind it move outwards: three sides and
three corners are all that can meet anything first.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hybridrl.envs.parking.kernels.records import STEERS
from hybridrl.planners.sweep import straight_contact

Array = NDArray[np.float64]
NO_CONTACT = 2.0  # larger than any sine


@njit(cache=True, error_model="numpy")
def _obstacle_corner(
    u: float, v: float, rear: float, front: float, half: float, radius: Array, sine: Array
) -> None:
    """Lower each lane's sine of the turn to where an obstacle corner meets a side of the body."""
    for lane in range(len(radius)):
        r = radius[lane]
        y = v - r
        rho2 = u * u + y * y
        best = sine[lane] * rho2
        # Front side: x = front, y between the sides; the centre is above, so y is negative.
        # A side out of reach gives nan, which meets nothing (math.sqrt would raise uncompiled).
        other = -np.sqrt(rho2 - front * front)
        cross = front * y - other * u
        dot = front * u + other * y
        hit = (other >= -half - r) & (other <= half - r) & (cross >= 0.0) & (dot > 0.0)
        best = cross if hit & (cross < best) else best
        # Inner side ahead of the axle.
        side = half - r
        other = np.sqrt(rho2 - side * side)
        cross = other * y - side * u
        dot = other * u + side * y
        hit = (other <= front) & (cross >= 0.0) & (dot > 0.0)
        best = cross if hit & (cross < best) else best
        # Outer side behind the axle.
        side = -half - r
        other = -np.sqrt(rho2 - side * side)
        cross = other * y - side * u
        dot = other * u + side * y
        hit = (other >= rear) & (cross >= 0.0) & (dot > 0.0)
        best = cross if hit & (cross < best) else best
        sine[lane] = best / rho2


@njit(cache=True, error_model="numpy")
def _body_corner(
    au: float, av: float, ex: float, ey: float, length: float, inward: float,
    cx: float, cy: float, radius: Array, sine: Array,
) -> None:  # fmt: skip
    """Lower each lane's sine of the turn to where one body corner enters through an edge.

    ``(ex, ey)`` is the unit edge from ``a``; ``inward`` is the sign of the root that enters.
    """
    for lane in range(len(radius)):
        r = radius[lane]
        y = cy - r
        rho2 = cx * cx + y * y
        foot = -(au * ex + (av - r) * ey)
        off = au * ey - (av - r) * ex
        t = foot + inward * np.sqrt(rho2 - off * off)
        ux = au + t * ex
        uy = av - r + t * ey
        cross = cx * uy - y * ux
        dot = cx * ux + y * uy
        hit = (t >= 0.0) & (t <= length) & (cross >= 0.0) & (dot > 0.0)
        cross = cross / rho2
        sine[lane] = cross if hit & (cross < sine[lane]) else sine[lane]


@njit(cache=True, error_model="numpy")
def _misses(au: float, av: float, bu: float, bv: float, box: Array) -> bool:
    """Whether a segment's bounding box misses a box ``(xmin, xmax, ymin, ymax)``."""
    return bool(
        min(au, bu) > box[1] or max(au, bu) < box[0] or min(av, bv) > box[3] or max(av, bv) < box[2]
    )


@njit(cache=True, error_model="numpy")
def _ring_lanes(
    ring: Array, gear: float, side: float, rear: float, front: float, half: float,
    box: Array, corners: Array, radius: Array, sine: Array,
) -> None:  # fmt: skip
    """First contact of all turning lanes of one mirrored quadrant with one convex ring."""
    last = len(ring) - 1
    au = gear * ring[last, 0]
    av = side * ring[last, 1]
    for i in range(len(ring)):
        bu = gear * ring[i, 0]
        bv = side * ring[i, 1]
        if not _misses(au, av, bu, bv, box):
            if not _misses(bu, bv, bu, bv, box):
                _obstacle_corner(bu, bv, rear, front, half, radius, sine)
            length = math.sqrt((bu - au) ** 2 + (bv - av) ** 2)
            if length > 0.0:
                ex = (bu - au) / length
                ey = (bv - av) / length
                inward = gear * side  # one mirroring turns the ring the other way round
                for corner in range(3):
                    if not _misses(au, av, bu, bv, corners[corner]):
                        cx = rear if corner == 2 else front
                        cy = half if corner == 0 else -half
                        _body_corner(au, av, ex, ey, length, inward, cx, cy, radius, sine)
        au, av = bu, bv


@njit(cache=True, error_model="numpy")
def _ring_straight(
    ring: Array, gear: float, front: float, half: float, box: Array, best: float
) -> float:
    last = len(ring) - 1
    au, av = gear * ring[last, 0], ring[last, 1]
    for i in range(len(ring)):
        bu, bv = gear * ring[i, 0], ring[i, 1]
        if not _misses(au, av, bu, bv, box):
            best = straight_contact(au, av, bu, bv, front, half, best)
        au, av = bu, bv
    return best


@njit(cache=True, error_model="numpy")
def _quadrant(
    rings: Array, offsets: NDArray[np.int64], near: NDArray[np.int64], count: int,
    vehicle: Any, gear: float, side: float, horizon: float, sine: Array, out: Array, reach: Array,
) -> None:  # fmt: skip
    """Free lengths of the ten turning motions of one gear and one side."""
    rear, front = (vehicle.rear, vehicle.front) if gear > 0 else (-vehicle.front, -vehicle.rear)
    box = vehicle.reach[0 if gear > 0 else 1]
    corners = vehicle.corner_reach[0 if gear > 0 else 1]
    sine[:] = NO_CONTACT
    for i in range(count):
        m = near[i]
        ring = rings[offsets[m] : offsets[m + 1]]
        half = vehicle.half_width
        _ring_lanes(ring, gear, side, rear, front, half, box, corners, vehicle.radius, sine)
    first = 0 if gear > 0 else STEERS
    for lane in range(10):
        index = first + 10 - int(side) * (lane + 1)
        out[index] = min(horizon, _contact_length(sine[lane], vehicle.radius[lane]))
    # The same turns begin Reeds-Shepp words: remember how far they are free within one decision.
    way = (0 if side > 0 else 2) + (0 if gear > 0 else 1)
    for r in range(len(reach)):
        lane = 9 + r
        length = _contact_length(sine[lane], vehicle.radius[lane])
        reach[r, way] = length if length < vehicle.step else -1.0


@njit(cache=True, error_model="numpy")
def _contact_length(sine: float, radius: float) -> float:
    """Arc length at first contact, ``inf`` without one."""
    return radius * math.asin(sine) if sine <= 1.0 else np.inf


@njit(cache=True, error_model="numpy")
def free_lengths(
    rings: Array, offsets: NDArray[np.int64], near: NDArray[np.int64], count: int,
    vehicle: Any, horizon: float, sine: Array, out: Array, reach: Array,
) -> None:  # fmt: skip
    """Distance each of the 42 motions drives before it first touches an obstacle.

    Args:
        rings: Obstacle corners in the vehicle frame, shape ``(P, 2)``.
        offsets: Polygon ``m`` owns the rows ``offsets[m]:offsets[m + 1]``.
        near: Polygons that can be reached at all; only the first ``count`` are read.
        count: How many.
        vehicle: A record of dtype ``VEHICLE``.
        horizon: Longest motion, metres (at most one full-speed decision).
        sine: Scratch, shape ``(LANES,)``.
        out: Written: metres in [0, ``horizon``], shape ``(42,)``; equal to ``horizon`` when free.
        reach: Written: free length of the turns of each search radius (columns: left forward, left
            reverse, right forward, right reverse), -1 where one decision is free, ``(3, 4)``.
    """
    for gear in (1.0, -1.0):
        for side in (1.0, -1.0):
            _quadrant(rings, offsets, near, count, vehicle, gear, side, horizon, sine, out, reach)
        box = vehicle.reach[0 if gear > 0 else 1]
        front = vehicle.front if gear > 0 else -vehicle.rear
        best = horizon
        for i in range(count):
            m = near[i]
            ring = rings[offsets[m] : offsets[m + 1]]
            best = _ring_straight(ring, gear, front, vehicle.half_width, box, best)
        out[10 if gear > 0 else STEERS + 10] = best


@njit(cache=True, error_model="numpy")
def postprocess(counts: NDArray[np.int8], out: NDArray[np.int8]) -> None:
    """HOPE's smoothing of free sub-step counts (``parking.md`` 7.2), shape ``(42,)`` both.

    For each gear the two extreme steering entries lose one step, then each entry becomes the
    minimum of the five around it, edges reflected.
    """
    for first in (0, STEERS):
        for i in range(STEERS):
            best = 127
            for k in range(i - 2, i + 3):
                j = -k if k < 0 else (2 * (STEERS - 1) - k if k >= STEERS else k)
                value = counts[first + j] - (1 if j in (0, STEERS - 1) else 0)
                best = min(best, value)
            out[first + i] = max(best, 0)
