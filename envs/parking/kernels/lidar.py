"""Lidar: distance from the body outline to the nearest obstacle along 120 rays (``parking.md`` 6).

Edges are the outer loop: each one touches only the rays it spans, which its two end angles give.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hybridrl.envs.parking.kernels.records import LIDAR_RANGE, RAY_COS, RAY_SIN, RAYS

Array = NDArray[np.float64]
PER_RADIAN = RAYS / (2.0 * math.pi)


@njit(cache=True, error_model="numpy")
def _edge_hits(
    au: float, av: float, bu: float, bv: float, from_ray: float, to_ray: float, hits: Array
) -> None:
    """Lower ``hits`` to where the rays between two fractional ray numbers meet an edge."""
    ex = bu - au
    ey = bv - av
    cross = au * ey - av * ex
    if to_ray < from_ray:
        to_ray += RAYS
    if to_ray - from_ray > RAYS / 2:
        return  # seen exactly end on: rounding has swapped its ends, and no edge spans so much
    for number in range(math.ceil(from_ray), math.floor(to_ray) + 1):
        ray = number - RAYS if number >= RAYS else number
        across = RAY_COS[ray] * ey - RAY_SIN[ray] * ex
        if across != 0.0:
            distance = cross / across
            if 0.0 <= distance < hits[ray]:
                hits[ray] = distance


@njit(cache=True, error_model="numpy")
def _ray_number(u: float, v: float) -> float:
    """Fractional ray number of a point in the vehicle frame, in [0, 120)."""
    number = math.atan2(v, u) * PER_RADIAN
    return number if number >= 0.0 else number + RAYS


@njit(cache=True, error_model="numpy")
def cast_rays(
    rings: Array, offsets: NDArray[np.int64], near: NDArray[np.int64], count: int, hits: Array
) -> None:
    """Distance from the rear axle to the nearest obstacle along each ray.

    Args:
        rings: Obstacle corners in the vehicle frame, counter-clockwise, shape ``(P, 2)``.
        offsets: Polygon ``m`` owns the rows ``offsets[m]:offsets[m + 1]``.
        near: Polygons within range; only the first ``count`` are read.
        count: How many.
        hits: Written: metres in [0, 10], shape ``(120,)``.
    """
    hits[:] = LIDAR_RANGE
    for i in range(count):
        m = near[i]
        last = offsets[m + 1] - 1
        au, av = rings[last, 0], rings[last, 1]
        a_ray = _ray_number(au, av)
        for j in range(offsets[m], offsets[m + 1]):
            bu, bv = rings[j, 0], rings[j, 1]
            b_ray = _ray_number(bu, bv)
            # Only edges whose outer side faces the axle can be seen; they run clockwise.
            if au * bv - av * bu < 0.0:
                _edge_hits(au, av, bu, bv, b_ray, a_ray, hits)
            au, av, a_ray = bu, bv, b_ray


@njit(cache=True, error_model="numpy")
def outline_distances(hits: Array, vehicle: Any, out: NDArray[np.float32]) -> None:
    """Turn axle distances into distances from the body outline, as the agent sees them."""
    for i in range(RAYS):
        out[i] = max(hits[i] - vehicle.outline[i], 0.0)
