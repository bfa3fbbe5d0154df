"""The simulator's entry points: begin scenes, and take one decision in each (compiled)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hybridrl.envs.parking.kernels.batch import Batch, Scratch, make_scratch
from hybridrl.envs.parking.kernels.goal import goal_overlap
from hybridrl.envs.parking.kernels.handover import (
    Search,
    aim,
    drive_path,
    look_for_path,
    make_search,
)
from hybridrl.envs.parking.kernels.motion import drive
from hybridrl.envs.parking.kernels.observe import observe
from hybridrl.envs.parking.kernels.records import RUNNING
from hybridrl.envs.parking.kernels.reward import folded, iou_of
from hybridrl.envs.parking.kernels.score import (
    RS_DISTANCE,
    books_of,
    goal_distance,
    rs_distance,
    score,
)

Array = NDArray[np.float64]
RS_AUTO = 2


@njit(cache=True)
def _clear(row: Any) -> None:
    """A state before its first decision; the pose is set by the caller."""
    row.steer = row.speed = row.gear = 0.0
    row.path_length = row.reward = 0.0
    row.gear_changes = row.bumps = row.decisions = row.rs_decisions = 0
    row.arcs = row.rs_arcs = 0
    row.bump = False
    row.outcome = RUNNING
    row.terms[:] = 0.0


@njit(cache=True)
def begin(
    batch: Batch, i: int, vehicle: Any, config: Any, scratch: Scratch, search: Search
) -> None:
    """Put scene ``i`` at its start and observe it."""
    row = batch.rows[i]
    _clear(row)
    row.goal_reach[:] = -1.0
    row.x, row.y, row.heading = row.start
    row.distance = row.first_distance = goal_distance(row)
    row.heading_error = folded(row.goal[2] - row.heading)
    row.best_iou = iou_of(goal_overlap(row.x, row.y, row.heading, row, vehicle))
    if config.weights[RS_DISTANCE] != 0.0:
        row.rs_length = row.first_rs_length = rs_distance(row, vehicle)
    observe(batch, i, vehicle, config, scratch)
    look_for_path(batch, i, vehicle, config, search)


@njit(cache=True)
def _step(
    batch: Batch, i: int, vehicle: Any, config: Any, scratch: Scratch, search: Search,
    steer: float, speed: float, index: int,
) -> None:  # fmt: skip
    """One decision in scene ``i``; with automatic hand-over, also the free path it leads to."""
    row = batch.rows[i]
    row.reward = 0.0
    row.terms[:] = 0.0
    discount = 1.0
    if config.rs != RS_AUTO or row.rs_arcs == 0:
        before = books_of(row)
        row.bump = False
        done, blocked = drive(batch, i, vehicle, config, steer, speed, index)
        row.bumps += row.bump
        score(batch, i, vehicle, config, done, blocked, before, discount)
        discount = config.option_discount
        # Observed first: the search starts from what the mask has measured at this pose.
        observe(batch, i, vehicle, config, scratch)
        if row.outcome == RUNNING:
            look_for_path(batch, i, vehicle, config, search)
    if config.rs == RS_AUTO and row.rs_arcs > 0 and row.outcome == RUNNING:
        drive_path(batch, i, vehicle, config, discount)
        observe(batch, i, vehicle, config, scratch)


@njit(cache=True)
def begin_many(
    batch: Batch, which: NDArray[np.int64], vehicles: NDArray[np.void], config: NDArray[np.void]
) -> None:  # fmt: skip
    """:func:`begin` for each scene in ``which``."""
    scratch = make_scratch(batch)
    search = make_search(config[0])
    for i in which:
        vehicle = vehicles[i % len(vehicles)]
        aim(search, vehicle)
        begin(batch, i, vehicle, config[0], scratch, search)


@njit(cache=True)
def step_many(
    batch: Batch, vehicles: NDArray[np.void], config: NDArray[np.void],
    steer: Array, speed: Array, index: NDArray[np.int64],
) -> None:  # fmt: skip
    """One decision in every row.

    Args:
        batch: The scenes; their rows are written.
        vehicles: Dtype ``VEHICLE``: one for all, shape ``(1,)``, or one each, ``(N,)``.
        config: Dtype ``CONFIG``, shape ``(1,)``.
        steer: Normalised steering, shape ``(N,)``.
        speed: Normalised speed, shape ``(N,)``.
        index: Number of the discrete motion, or -1, shape ``(N,)``.
    """
    scratch = make_scratch(batch)
    search = make_search(config[0])
    for i in range(len(batch.rows)):
        if batch.rows[i].outcome != RUNNING:
            continue  # finished, and not begun anew
        vehicle = vehicles[i % len(vehicles)]
        aim(search, vehicle)
        _step(batch, i, vehicle, config[0], scratch, search, steer[i], speed[i], index[i])
