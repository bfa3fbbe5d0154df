"""The arrays of a batch of parking scenes, shared by every kernel."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hybridrl.envs.parking.kernels.records import ACTIONS, LANES, RAYS, ROW
from hybridrl.planners.obstacles import Obstacles
from hybridrl.planners.vehicle import Body

Array = NDArray[np.float64]


class Batch(NamedTuple):
    """N scenes with room for M obstacles of P corners and T arcs each.

    Few arrays, because each one costs a fraction of a microsecond to hand over.

    Args:
        rows: Dtype ``ROW``, shape ``(N,)``.
        vertices: Obstacle corners, world frame, shape ``(N, P, 2)``.
        offsets: First corner of each obstacle, shape ``(N, M + 1)``.
        circles: Bounding circles, shape ``(N, M, 3)``.
        trace: Driven arcs (curvature, signed length), shape ``(N, T, 2)``.
        table: Of the lidar mask, shared by all scenes, shape ``(120, bins, 48)``.
    """

    rows: NDArray[np.void]
    vertices: Array
    offsets: NDArray[np.int64]
    circles: Array
    trace: Array
    table: NDArray[np.int8]


class Scratch(NamedTuple):
    """Working space of one call, so that a decision allocates nothing.

    Args:
        rings: Obstacle corners in the vehicle frame, shape ``(P, 2)``.
        seen: Obstacles within lidar range, shape ``(M,)``.
        near: Obstacles within reach of a motion, shape ``(M,)``.
        hits: Axle distance along each ray, shape ``(120,)``.
        sine: One value a steering lane, shape ``(LANES,)``.
        smooth: Smoothed counts, shape ``(42,)``.
        told: Counts that the lidar tells, shape ``(48,)``.
    """

    rings: Array
    seen: NDArray[np.int64]
    near: NDArray[np.int64]
    hits: Array
    sine: Array
    smooth: NDArray[np.int8]
    told: NDArray[np.int8]


def make_batch(
    num_envs: int, obstacles: int, corners: int, arcs: int, table: NDArray[np.int8]
) -> Batch:
    """Zeroed arrays for ``num_envs`` scenes of at most these sizes."""
    return Batch(
        rows=np.zeros(num_envs, ROW),
        vertices=np.zeros((num_envs, corners, 2)),
        offsets=np.zeros((num_envs, obstacles + 1), np.int64),
        circles=np.zeros((num_envs, obstacles, 3)),
        trace=np.zeros((num_envs, arcs, 2)),
        table=table,
    )


@njit(cache=True)
def make_scratch(batch: Batch) -> Scratch:
    """Working space for the scenes of a batch."""
    obstacles = batch.circles.shape[1]
    return Scratch(
        np.empty((batch.vertices.shape[1], 2)),
        np.empty(obstacles, np.int64),
        np.empty(obstacles, np.int64),
        np.empty(RAYS),
        np.empty(LANES),
        np.empty(ACTIONS, np.int8),
        np.empty(batch.table.shape[2], np.int8),
    )


@njit(cache=True)
def obstacles_of(batch: Batch, i: int) -> Obstacles:
    """The packed obstacles of scene ``i`` (views, no copies)."""
    count = batch.rows[i].obstacles
    return Obstacles(batch.vertices[i], batch.offsets[i, : count + 1], batch.circles[i, :count])


@njit(cache=True)
def body_of(vehicle: Any) -> Body:
    """The body rectangle of a vehicle record."""
    return Body(vehicle.rear, vehicle.front, vehicle.half_width)
