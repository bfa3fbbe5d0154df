"""Reward and outcome of a motion (``parking.md`` 3, 10; compiled)."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from numba import njit

from hybridrl.envs.parking.kernels.batch import Batch
from hybridrl.envs.parking.kernels.goal import goal_overlap
from hybridrl.envs.parking.kernels.records import (
    COLLISION,
    OUT_OF_BOUNDS,
    REWARD_TERMS,
    RUNNING,
    SUCCESS,
    TIMEOUT,
)
from hybridrl.envs.parking.kernels.reward import (
    distance_term,
    effort_term,
    folded,
    heading_term,
    iou_of,
    overlap_term,
    rs_distance_term,
    time_term,
)
from hybridrl.planners.reeds_shepp import shortest_length

TIME, DISTANCE, OVERLAP, RS_DISTANCE, HEADING, GEAR, BUMP, LENGTH, EFFORT, END = range(
    len(REWARD_TERMS)
)


class Books(NamedTuple):
    """What a motion is charged against.

    Args:
        path_length: Driven before it, metres.
        gear_changes: Before it.
        steer: Normalised steering before it.
        speed: Normalised speed before it.
    """

    path_length: float
    gear_changes: int
    steer: float
    speed: float


@njit(cache=True)
def books_of(row: Any) -> Books:
    """The books now."""
    return Books(row.path_length, row.gear_changes, row.steer, row.speed)


@njit(cache=True)
def _add(row: Any, config: Any, term: int, value: float, discount: float) -> None:
    weighted = discount * config.weights[term] * value
    row.terms[term] += weighted
    row.reward += weighted


@njit(cache=True)
def goal_distance(row: Any) -> float:
    """Axle-to-axle distance to the goal, metres."""
    return math.hypot(row.goal[0] - row.x, row.goal[1] - row.y)


@njit(cache=True)
def rs_distance(row: Any, vehicle: Any) -> float:
    """Length of the shortest Reeds-Shepp curve to the goal, obstacles ignored, metres."""
    gx, gy, gheading = row.goal
    radius = 1.0 / vehicle.max_curvature
    return shortest_length(row.x, row.y, row.heading, gx, gy, gheading, radius)


@njit(cache=True)
def outcome_of(row: Any, config: Any, parked: bool, blocked: bool) -> int:
    """The first that holds of parked, collided, out of bounds, timed out, running."""
    if parked:
        return SUCCESS
    if blocked and config.terminate:
        return COLLISION
    bounds = row.bounds
    if not (bounds[0] <= row.x <= bounds[1] and bounds[2] <= row.y <= bounds[3]):
        return OUT_OF_BOUNDS
    return TIMEOUT if row.decisions >= config.max_decisions else RUNNING


@njit(cache=True)
def _shape(batch: Batch, i: int, vehicle: Any, config: Any, discount: float) -> None:
    """The terms of a decision that goes on."""
    row = batch.rows[i]
    _add(row, config, TIME, time_term(row.decisions), discount)
    distance = goal_distance(row)
    value = distance_term(row.distance, distance, row.first_distance)
    _add(row, config, DISTANCE, value, discount)
    row.distance = distance
    iou = iou_of(goal_overlap(row.x, row.y, row.heading, row, vehicle))
    _add(row, config, OVERLAP, overlap_term(row.best_iou, iou), discount)
    row.best_iou = max(row.best_iou, iou)
    error = folded(row.goal[2] - row.heading)
    _add(row, config, HEADING, heading_term(row.heading_error, error), discount)
    row.heading_error = error
    if config.weights[RS_DISTANCE] != 0.0:
        length = rs_distance(row, vehicle)
        value = rs_distance_term(row.rs_length, length, row.first_rs_length)
        _add(row, config, RS_DISTANCE, value, discount)
        row.rs_length = length


@njit(cache=True)
def score(
    batch: Batch, i: int, vehicle: Any, config: Any,
    parked: bool, blocked: bool, before: Books, discount: float,
) -> None:  # fmt: skip
    """Count the decision, settle its outcome and add its reward.

    Args:
        batch: The scenes.
        i: Which.
        vehicle: Its record.
        config: The configuration.
        parked: Whether it parked.
        blocked: Whether it could not move at all.
        before: The books before the motion.
        discount: Of this decision's reward within the step.
    """
    row = batch.rows[i]
    row.decisions += 1
    row.outcome = outcome_of(row, config, parked, blocked)
    # Costs of quality always count; the other terms give way to the terminal reward.
    _add(row, config, GEAR, before.gear_changes - row.gear_changes, discount)
    _add(row, config, LENGTH, before.path_length - row.path_length, discount)
    effort = effort_term(row.steer - before.steer, row.speed - before.speed)
    _add(row, config, EFFORT, effort, discount)
    _add(row, config, BUMP, -1.0 if row.bump else 0.0, discount)
    if row.outcome == RUNNING:
        _shape(batch, i, vehicle, config, discount)
    else:
        row.distance = goal_distance(row)
        _add(row, config, END, config.terminal[row.outcome], discount)
