"""Right of way at the intersection, as highway-env's regulated road enforces it.

Twice a second every pair of cars is followed for 3 s at constant speed along their routes; where
two would touch, the one on the lane of lower priority (of equals, the one behind) stops until
the next look. highway-env turns the offset of a point by the heading of the other car instead of
against it; so does this, to give the same traffic.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridrl.envs.driving.kernels.compiled import inner
from hybridrl.envs.driving.kernels.lanes import heading_at, point
from hybridrl.envs.driving.kernels.records import CAR_LENGTH, CAR_WIDTH, EGO

Array = NDArray[np.float64]
Records = NDArray[Any]
LOOKS, LOOK = 11, 0.25  # s
HALF_LENGTH, HALF_WIDTH = 0.75 * CAR_LENGTH, 0.45 * CAR_WIDTH


@inner
def _foresee(lanes: Records, car: Any, s: Array, out: Array) -> None:
    """Positions and directions along the route at constant speed, shape ``(LOOKS, 4)``.

    A direction is left as its angle, beside nan, until somebody is near: see :func:`_direct`.
    """
    at, end = car.route_at, car.route_end
    for k in range(LOOKS):
        ahead = s[car.lane] + car.speed * (k + 1) * LOOK
        where = at
        lane = car.route[where] if where < end else car.lane
        while where + 1 < end and ahead > lanes[lane].length:
            ahead -= lanes[lane].length
            where += 1
            lane = car.route[where]
        out[k, 0], out[k, 1] = point(lanes[lane], ahead, 0.0)
        out[k, 2], out[k, 3] = heading_at(lanes[lane], ahead), np.nan


@inner
def _direct(pose: Array) -> None:
    """Turn the angle of a pose into its cosine and sine, once."""
    if math.isnan(pose[3]):
        pose[2], pose[3] = math.cos(pose[2]), math.sin(pose[2])


@inner
def _pokes(a: Array, b: Array) -> bool:
    """Whether a corner, edge middle or centre of ``a``'s outline counts as inside ``b``'s."""
    for i in range(-1, 2):
        for j in range(-1, 2):
            px = a[0] + i * HALF_LENGTH * a[2] - j * HALF_WIDTH * a[3] - b[0]
            py = a[1] + i * HALF_LENGTH * a[3] + j * HALF_WIDTH * a[2] - b[1]
            turned_x, turned_y = b[2] * px - b[3] * py, b[3] * px + b[2] * py
            if abs(turned_x) <= HALF_LENGTH and abs(turned_y) <= HALF_WIDTH:
                return True
    return False


@inner
def _conflict(a: Array, b: Array) -> bool:
    for k in range(LOOKS):
        px, py = b[k, 0] - a[k, 0], b[k, 1] - a[k, 1]
        if px * px + py * py > CAR_LENGTH * CAR_LENGTH:
            continue
        _direct(a[k])
        _direct(b[k])
        if _pokes(a[k], b[k]) or _pokes(b[k], a[k]):
            return True
    return False


@inner
def enforce(lanes: Records, cars: Records, n: int, s: Array) -> None:
    """Let every car go that stopped, then stop those that must yield."""
    future = np.empty((n, LOOKS, 4))
    for i in range(n):
        car = cars[i]
        if car.yielding:
            car.target_speed, car.yielding = lanes[car.lane].limit, False
        _foresee(lanes, car, s[i], future[i])
    for i in range(n - 1):
        for j in range(i + 1, n):
            a, b = cars[i], cars[j]
            if not _conflict(future[i], future[j]):
                continue
            first, second = lanes[a.lane].priority, lanes[b.lane].priority
            ahead = a.cos * (b.x - a.x) + a.sin * (b.y - a.y)
            behind = b.cos * (a.x - b.x) + b.sin * (a.y - b.y)
            stops = i if first < second or (first == second and ahead > behind) else j
            if cars[stops].kind != EGO:
                cars[stops].target_speed, cars[stops].yielding = 0.0, True
