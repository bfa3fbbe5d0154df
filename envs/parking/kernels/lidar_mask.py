"""The action mask that the 120 rays alone can tell: a table of sectors (``parking.md`` 7.3).

A sector is the wedge between two neighbouring rays. Offline, per vehicle: how large the gap between
body outline and obstacle must be on both of its rays for the car to drive each motion. Online: one
look-up a sector and a minimum. What stands between two rays is taken for the straight line between
their hits; an obstacle that slips between them is not seen, as with a real sensor.

The gap is counted from the outline, not from the axle as in the specification: the radius of the
body itself changes by up to 0.6 m within a sector, which withholds motions beside a wall. Counted
so, the mask withholds a third less, and tells too much in 0.7 instead of 0.25 % of its entries.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hybridrl.envs.parking.kernels.records import (
    ACTION_SPEED,
    ACTION_STEER,
    ACTIONS,
    LIDAR_RANGE,
    RAYS,
    STEERS,
    SUBSTEPS,
)
from hybridrl.planners.geometry import advance_pose
from hybridrl.planners.vehicle import Body, VehicleSpec

Array = NDArray[np.float64]
QUANTUM = 0.02  # metres of gap a bin
SECTOR = 2.0 * math.pi / RAYS
SUB_RAYS = 10
POSE_SPACING = 2.5e-3  # metres between the poses of a sweep
SLACK = 3e-3  # added to every radius: the sweep between two poses, and the margin of a motion
MIDDLE = STEERS // 2
PADDED = 48  # motions, rounded up to whole vector registers
# Stands in for the table where the mask is exact.
NO_TABLE: NDArray[np.int8] = np.zeros((1, 1, PADDED), np.int8)


@njit(cache=True, error_model="numpy")
def _outline(angle: float, body: Body) -> float:
    """Distance from the axle to the body's outline, metres."""
    cos = math.cos(angle)
    along = (body.front if cos > 0.0 else body.rear) / cos if cos != 0.0 else np.inf
    sin = abs(math.sin(angle))
    return min(along, body.half_width / sin if sin > 0.0 else np.inf)


@njit(cache=True, error_model="numpy")
def _exit(ox: float, oy: float, dx: float, dy: float, body: Body) -> float:
    """Distance at which a ray leaves the body rectangle, or -1 when it misses it."""
    enter = 0.0
    leave = np.inf
    for axis in range(2):
        o, d = (ox, dx) if axis == 0 else (oy, dy)
        low = body.rear if axis == 0 else -body.half_width
        high = body.front if axis == 0 else body.half_width
        if abs(d) < 1e-12:
            if o < low or o > high:
                return -1.0
        else:
            a = (low - o) / d
            b = (high - o) / d
            enter = max(enter, min(a, b))
            leave = min(leave, max(a, b))
    return leave if leave >= enter else -1.0


@njit(cache=True, error_model="numpy")
def gap_needed(radius: float, along: float, first: float, second: float) -> float:
    """Gap on both rays of a sector that keeps the chord between their hits beyond a point.

    Args:
        radius: Of the point, from the axle, metres.
        along: Its angle from the first ray, radians in [0, ``SECTOR``].
        first: Distance from the axle to the outline on the first ray, metres.
        second: The same on the second ray, metres.

    Returns:
        The smallest ``e >= 0`` such that the chord from ``first + e`` to ``second + e`` does not
        pass nearer to the axle than the point: the larger root of a quadratic.
    """
    s = math.sin(SECTOR)
    to_first = math.sin(along)
    to_second = math.sin(SECTOR - along)
    constant = first * second * s - radius * (first * to_first + second * to_second)
    if constant >= 0.0:
        return 0.0
    slope = (first + second) * s - radius * (to_first + to_second)
    return (math.sqrt(slope * slope - 4.0 * s * constant) - slope) / (2.0 * s)


@njit(cache=True, error_model="numpy")
def _raise(sector: int, along: float, radius: float, edges: Array, body: Body, gaps: Array) -> None:
    """Raise one sector's gap for a swept point, unless the car already covers it at the start."""
    outline = _outline(sector * SECTOR + along, body)
    if radius > outline + 1e-9:
        needed = gap_needed(radius + SLACK, along, edges[sector], edges[(sector + 1) % RAYS])
        gaps[sector] = max(gaps[sector], needed)


@njit(cache=True, error_model="numpy")
def _add_pose(
    x: float, y: float, turn: float, fan: Array, edges: Array, body: Body, gaps: Array
) -> None:
    """Raise the gaps ``(120,)`` for the body at one pose in the frame of the start."""
    cos = math.cos(turn)
    sin = math.sin(turn)
    ox = -(cos * x + sin * y)
    oy = sin * x - cos * y
    for sub in range(len(fan)):
        dx, dy = fan[sub, 0], fan[sub, 1]
        radius = _exit(ox, oy, cos * dx + sin * dy, cos * dy - sin * dx, body)
        if radius > fan[sub, 2]:
            sector = sub // SUB_RAYS
            part = sub - sector * SUB_RAYS
            _raise(sector, part * (SECTOR / SUB_RAYS), radius, edges, body, gaps)
            if part == 0:  # the ray also closes the sector before
                _raise((sector - 1) % RAYS, SECTOR, radius, edges, body, gaps)
    for corner in range(4):
        u = body.front if corner < 2 else body.rear
        v = body.half_width if corner % 2 else -body.half_width
        px = x + cos * u - sin * v
        py = y + sin * u + cos * v
        angle = math.atan2(py, px) % (2.0 * math.pi)
        sector = min(int(angle / SECTOR), RAYS - 1)
        along = min(max(angle - sector * SECTOR, 0.0), SECTOR)
        _raise(sector, along, math.hypot(px, py), edges, body, gaps)


@njit(cache=True, error_model="numpy")
def _sweep(
    curvature: float, length: float, fan: Array, edges: Array, body: Body, gaps: Array
) -> None:
    """Gaps of the ten sub-steps of one motion, ``(10, 120)``: each includes those before it."""
    step = length / SUBSTEPS
    poses = math.ceil(abs(step) / POSE_SPACING)
    for k in range(SUBSTEPS):
        if k > 0:
            gaps[k] = gaps[k - 1]
        for p in range(poses):
            x, y, turn = advance_pose(0.0, 0.0, 0.0, curvature, (k + (p + 1) / poses) * step)
            _add_pose(x, y, turn, fan, edges, body, gaps[k])


def _edges(body: Body) -> Array:
    """Distance from the axle to the outline on each ray."""
    return np.array([_outline(i * SECTOR, body) for i in range(RAYS)])


@lru_cache(maxsize=16)
def needed_gaps(vehicle: VehicleSpec, horizon: float) -> Array:
    """Gap each sector needs for each sub-step of each motion.

    Args:
        vehicle: The car.
        horizon: Length of a motion, metres.

    Returns:
        Metres, shape ``(120, 42, 10)``: sector, motion, sub-step; not decreasing over sub-steps.
    """
    body = vehicle.body
    edges = _edges(body)
    angles = np.arange(RAYS * SUB_RAYS) * (SECTOR / SUB_RAYS)
    outline = [_outline(angle, body) for angle in angles]
    fan = np.stack([np.cos(angles), np.sin(angles), outline], axis=1)
    gaps = np.zeros((ACTIONS, SUBSTEPS, RAYS))
    for first in (0, STEERS):
        for number in range(MIDDLE + 1):  # turns to the left, and straight
            motion = first + number
            curvature = math.tan(ACTION_STEER[motion] * vehicle.max_steer) / vehicle.wheelbase
            _sweep(curvature, ACTION_SPEED[motion] * horizon, fan, edges, body, gaps[motion])
            mirrored = gaps[motion][:, ::-1]
            if number == MIDDLE:
                gaps[motion] = np.maximum(gaps[motion], mirrored)
            gaps[first + STEERS - 1 - number] = mirrored
    return np.ascontiguousarray(gaps.transpose(2, 0, 1))


@lru_cache(maxsize=16)
def sector_table(vehicle: VehicleSpec, horizon: float) -> NDArray[np.int8]:
    """Free sub-steps by sector, gap and motion, shape ``(120, bins, 48)``.

    Entry ``(s, b, j)`` counts the sub-steps of motion ``j`` that a gap of ``b * QUANTUM`` metres on
    both rays of sector ``s`` leaves free; all ten in the last bin. Motions 42 to 47 are padding.

    Args:
        vehicle: The car.
        horizon: Length of a motion, metres.
    """
    gaps = needed_gaps(vehicle, horizon)
    edges = _edges(vehicle.body)
    # Beyond the lidar's range nothing is known; what is not seen counts as free.
    seen = np.maximum(LIDAR_RANGE - np.maximum(edges, np.roll(edges, -1)), 0.0)
    limit = np.floor(seen / QUANTUM) * QUANTUM
    gaps = np.minimum(gaps, limit[:, None, None])
    bins = math.ceil(gaps.max() / QUANTUM) + 1
    table = np.zeros((RAYS, bins, PADDED), np.int8)
    for b in range(bins):
        table[:, b, :ACTIONS] = np.count_nonzero(gaps <= b * QUANTUM + 1e-9, axis=2)
    return table


@njit(cache=True, error_model="numpy")
def lidar_counts(
    lidar: NDArray[np.float32], table: NDArray[np.int8], out: NDArray[np.int8]
) -> None:
    """Sub-steps of each motion that the rays leave free.

    Args:
        lidar: Distances from the body outline, metres, shape ``(120,)``.
        table: Of :func:`sector_table`.
        out: Written: 0 to 10, shape ``(48,)``; the first 42 are the motions.
    """
    last = table.shape[1] - 1
    out[:] = SUBSTEPS
    gap = lidar[0]
    for sector in range(RAYS):
        following = lidar[sector + 1 if sector + 1 < RAYS else 0]
        b = int(min(gap, following) * (1.0 / QUANTUM))
        gap = following
        if b < last:
            free = table[sector, b]
            for motion in range(PADDED):
                out[motion] = free[motion] if free[motion] < out[motion] else out[motion]
