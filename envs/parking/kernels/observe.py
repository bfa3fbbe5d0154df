"""What the agent sees: lidar, target and action mask of one scene (compiled)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hybridrl.envs.parking.kernels.action_mask import free_lengths, postprocess
from hybridrl.envs.parking.kernels.batch import Batch, Scratch, body_of, obstacles_of
from hybridrl.envs.parking.kernels.dynamics import limited_arcs
from hybridrl.envs.parking.kernels.goal import write_errors
from hybridrl.envs.parking.kernels.lidar import cast_rays, outline_distances
from hybridrl.envs.parking.kernels.lidar_mask import lidar_counts
from hybridrl.envs.parking.kernels.lidar_noise import add_noise
from hybridrl.envs.parking.kernels.records import (
    ACTION_SPEED,
    ACTION_STEER,
    ACTIONS,
    LIDAR_RANGE,
    MARGIN,
    SUBSTEPS,
)
from hybridrl.planners.geometry import advance_pose, pose_free, separated, to_vehicle_frame


@njit(cache=True)
def _gather(batch: Batch, i: int, vehicle: Any, scratch: Scratch) -> tuple[int, int]:
    """Bring obstacles within range into the vehicle frame.

    Returns:
        How many are seen by the lidar, and how many of them a motion can reach.
    """
    row = batch.rows[i]
    cos = math.cos(row.heading)
    sin = math.sin(row.heading)
    seen = near = 0
    for m in range(batch.rows[i].obstacles):
        circle = batch.circles[i, m]
        distance = math.hypot(circle[0] - row.x, circle[1] - row.y) - circle[2]
        if distance < LIDAR_RANGE:
            a, b = batch.offsets[i, m], batch.offsets[i, m + 1]
            rings = scratch.rings[a:b]
            to_vehicle_frame(batch.vertices[i, a:b], row.x, row.y, cos, sin, rings)
            scratch.seen[seen] = m
            seen += 1
            if distance < vehicle.reach_radius:
                scratch.near[near] = m
                near += 1
    return seen, near


@njit(cache=True)
def sampled_count(
    batch: Batch, i: int, vehicle: Any, curvature: float, step: float, first: float
) -> int:
    """Leading sub-steps whose end pose is free: HOPE's contact test, samples only.

    Args:
        batch: The scenes.
        i: Which.
        vehicle: Its record.
        curvature: Of the motion, 1/m.
        step: Signed length of one sub-step, metres.
        first: Distance to first contact, metres: no sample before it needs a test.
    """
    row = batch.rows[i]
    body = body_of(vehicle)
    obstacles = obstacles_of(batch, i)
    start = max(math.ceil(first / abs(step) - 1e-9), 1)
    for k in range(start, SUBSTEPS + 1):
        x, y, h = advance_pose(row.x, row.y, row.heading, curvature, k * step)
        if not pose_free(x, y, h, body, obstacles):
            return k - 1
    return SUBSTEPS


@njit(cache=True)
def certified_count(free: float, wanted: float) -> int:
    """Leading sub-steps that end a margin before the first contact.

    Args:
        free: Distance to first contact, or ``wanted`` when there is none, metres.
        wanted: Length of all sub-steps together, metres.
    """
    if free >= wanted:
        return SUBSTEPS
    return max(int((free - MARGIN) / (wanted / SUBSTEPS)), 0)


@njit(cache=True)
def _sampled_near(
    batch: Batch, i: int, vehicle: Any, scratch: Scratch, near: int,
    curvature: float, step: float, first: float,
) -> int:  # fmt: skip
    """:func:`sampled_count` against the obstacles that a motion can reach, in the vehicle frame."""
    body = body_of(vehicle)
    for k in range(max(math.ceil(first / abs(step) - 1e-9), 1), SUBSTEPS + 1):
        x, y, h = advance_pose(0.0, 0.0, 0.0, curvature, k * step)
        cos, sin = math.cos(h), math.sin(h)
        for n in range(near):
            m = scratch.near[n]
            ring = scratch.rings[batch.offsets[i, m] : batch.offsets[i, m + 1]]
            if not separated(ring, x, y, cos, sin, body):
                return k - 1
    return SUBSTEPS


@njit(cache=True)
def _count_free(
    batch: Batch, i: int, vehicle: Any, config: Any, scratch: Scratch, near: int
) -> None:
    """Turn free lengths into free sub-steps of the mask's horizon."""
    row = batch.rows[i]
    if config.limited:
        arcs = np.empty((SUBSTEPS, 4))
        for action in range(ACTIONS):
            row.counts[action] = limited_arcs(
                row, vehicle, config, obstacles_of(batch, i),
                ACTION_STEER[action], ACTION_SPEED[action], arcs,
            )  # fmt: skip
        return
    step = config.horizon / SUBSTEPS
    for action in range(ACTIONS):
        free = row.free[action]
        count = certified_count(free, config.horizon)
        if not config.certified and count < SUBSTEPS:
            curvature = math.tan(ACTION_STEER[action] * vehicle.max_steer) / vehicle.wheelbase
            signed = step * ACTION_SPEED[action]
            count = _sampled_near(batch, i, vehicle, scratch, near, curvature, signed, free)
        row.counts[action] = count


@njit(cache=True)
def write_mask(row: Any, config: Any, counts: NDArray[np.int8], smooth: NDArray[np.int8]) -> None:
    """Fill ``mask`` and ``allowed`` from free sub-steps; never all false (decision 16)."""
    if config.hope:
        postprocess(counts, smooth)
    else:
        for action in range(ACTIONS):
            smooth[action] = counts[action]
    empty = True
    for action in range(ACTIONS):
        row.mask[action] = smooth[action] / SUBSTEPS
        row.allowed[action] = smooth[action] > 0
        empty = empty and smooth[action] <= 0
    row.mask_empty = empty
    if empty:
        row.mask[:] = 0.01
        row.allowed[np.argmax(row.free)] = 1


@njit(cache=True)
def write_target(row: Any) -> None:
    """``(d, cos a, sin a, cos h, sin h)`` of the goal in the vehicle frame (``parking.md`` 6)."""
    gx, gy, gheading = row.goal
    dx = gx - row.x
    dy = gy - row.y
    bearing = math.atan2(dy, dx) - row.heading
    turn = gheading - row.heading
    out = row.target
    out[0] = min(math.hypot(dx, dy), 50.0)
    out[1] = math.cos(bearing)
    out[2] = math.sin(bearing)
    out[3] = math.cos(turn)
    out[4] = math.sin(turn)


@njit(cache=True)
def observe(batch: Batch, i: int, vehicle: Any, config: Any, scratch: Scratch) -> None:
    """Write every observation of scene ``i`` at its present pose."""
    row = batch.rows[i]
    seen, near = _gather(batch, i, vehicle, scratch)
    rings, offsets = scratch.rings, batch.offsets[i]
    cast_rays(rings, offsets, scratch.seen, seen, scratch.hits)
    if config.lidar_noise > 0.0:
        add_noise(row, config.lidar_noise, scratch.hits)
    outline_distances(scratch.hits, vehicle, row.lidar)
    free_lengths(
        rings, offsets, scratch.near, near, vehicle, config.horizon, scratch.sine,
        row.free, row.start_reach,
    )  # fmt: skip
    _count_free(batch, i, vehicle, config, scratch, near)
    if config.mask_lidar:
        # Motions still stop at what is really there: ``counts`` stays exact.
        lidar_counts(row.lidar, batch.table, scratch.told)
        write_mask(row, config, scratch.told, scratch.smooth)
    else:
        write_mask(row, config, row.counts, scratch.smooth)
    write_target(row)
    write_errors(row, vehicle)
