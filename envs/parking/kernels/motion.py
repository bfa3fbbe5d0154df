"""One decision: drive an arc as far as it is free (``parking.md`` 3, 19; compiled)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from hybridrl.envs.parking.kernels.batch import Batch, body_of, obstacles_of
from hybridrl.envs.parking.kernels.dynamics import limited_arcs
from hybridrl.envs.parking.kernels.goal import could_park, parked
from hybridrl.envs.parking.kernels.observe import certified_count, sampled_count
from hybridrl.envs.parking.kernels.records import DECISION_SECONDS, MARGIN, SUBSTEPS
from hybridrl.planners.geometry import advance_pose
from hybridrl.planners.sweep import free_length


@njit(cache=True)
def curvature_of(steer: float, vehicle: Any) -> float:
    """Path curvature of a normalised steering command, 1/m."""
    return float(math.tan(steer * vehicle.max_steer) / vehicle.wheelbase)


@njit(cache=True)
def move(batch: Batch, i: int, curvature: float, length: float) -> None:
    """Drive scene ``i`` along an arc and keep the books: pose, trace, length, gear."""
    row = batch.rows[i]
    if length == 0.0:
        return
    row.x, row.y, row.heading = advance_pose(row.x, row.y, row.heading, curvature, length)
    k = min(row.arcs, batch.trace.shape[1] - 1)
    batch.trace[i, k, 0] = curvature
    batch.trace[i, k, 1] = length
    row.arcs = k + 1
    row.path_length += abs(length)
    gear = 1.0 if length > 0.0 else -1.0
    if row.gear * gear < 0.0:
        row.gear_changes += 1
    row.gear = gear


@njit(cache=True)
def _free_substeps(
    batch: Batch, i: int, vehicle: Any, config: Any, curvature: float, length: float, index: int
) -> tuple[int, float]:
    """How many of the ten sub-steps are free, and the distance to the first contact."""
    wanted = abs(length)
    row = batch.rows[i]
    if index >= 0 and config.horizon == wanted:
        return row.counts[index], row.free[index]  # the mask has driven it already
    free = free_length(
        row.x, row.y, row.heading, curvature, length, body_of(vehicle), obstacles_of(batch, i)
    )
    if config.certified or free >= wanted:
        return certified_count(free, wanted), free
    return sampled_count(batch, i, vehicle, curvature, length / SUBSTEPS, free), free


@njit(cache=True)
def _first_parked(
    batch: Batch, i: int, vehicle: Any, config: Any, curvature: float, step: float, count: int
) -> int:
    """First sub-step at which the vehicle is parked, or 0."""
    row = batch.rows[i]
    if not could_park(row, vehicle, config, abs(step) * count):
        return 0
    for k in range(1, count + 1):
        x, y, h = advance_pose(row.x, row.y, row.heading, curvature, k * step)
        if parked(x, y, h, row, vehicle, config):
            return k
    return 0


@njit(cache=True)
def _told(row: Any, config: Any, index: int) -> float:
    """Free sub-steps, at least 1, that the mask tells of a discrete motion.

    An exact mask never tells more than there are; a lidar may have missed what stops the motion.
    """
    if config.mask_lidar and index >= 0:
        return float(max(row.mask[index] * SUBSTEPS - 0.5, 1.0))
    return 1.0


@njit(cache=True)
def _drive_limited(
    batch: Batch, i: int, vehicle: Any, config: Any, steer: float, speed: float
) -> tuple[bool, bool]:
    """:func:`drive` under rate limits: ten arcs; the vehicle stands still after a contact."""
    row = batch.rows[i]
    arcs = np.empty((SUBSTEPS, 4))
    count = limited_arcs(row, vehicle, config, obstacles_of(batch, i), steer, speed, arcs)
    before = row.path_length
    for k in range(count):
        move(batch, i, arcs[k, 0], arcs[k, 1])
        row.steer, row.speed = arcs[k, 2], arcs[k, 3]
        if parked(row.x, row.y, row.heading, row, vehicle, config):
            return True, False
    if count < SUBSTEPS:
        row.speed = 0.0
        row.bump = not (config.shorten and count > 0)
    return False, count < SUBSTEPS and row.path_length == before


@njit(cache=True)
def drive(
    batch: Batch, i: int, vehicle: Any, config: Any, steer: float, speed: float, index: int
) -> tuple[bool, bool]:
    """Drive one decision at normalised steering and speed in [-1, 1].

    The motion stops before the first contact; ``row.bump`` tells when that was not asked for.

    Args:
        batch: The scenes.
        i: Which.
        vehicle: Its record.
        config: The configuration.
        steer: Wheel angle over the limit, positive to the left.
        speed: Speed over the limit, negative in reverse.
        index: Number of the discrete motion, or -1.

    Returns:
        Whether the vehicle parked, and whether it could not move at all.
    """
    row = batch.rows[i]
    if config.limited:
        return _drive_limited(batch, i, vehicle, config, steer, speed)
    row.steer, row.speed = steer, speed
    curvature = curvature_of(steer, vehicle)
    length = speed * vehicle.max_speed * DECISION_SECONDS
    if abs(length) < 1e-9:
        return parked(row.x, row.y, row.heading, row, vehicle, config), False
    count, free = _free_substeps(batch, i, vehicle, config, curvature, length, index)
    step = length / SUBSTEPS
    reached = _first_parked(batch, i, vehicle, config, curvature, step, count)
    if reached > 0:
        move(batch, i, curvature, reached * step)
        return True, False
    row.bump = count < SUBSTEPS and not (config.shorten and count >= _told(row, config, index))
    travel = count * step
    if count == 0 and row.mask_empty and config.certified and free > 2.0 * MARGIN:
        # Nothing is free for a whole sub-step: creep, or a tight start would be a trap.
        travel = math.copysign(free - MARGIN, length)
    move(batch, i, curvature, travel)
    return False, travel == 0.0
