"""Steering-rate and acceleration limits: ten short arcs a decision instead of one (compiled).

Off by default, as in HOPE, whose wheels and speed jump. Within a sub-step steering and speed change
at a constant rate; the arc driven has the curvature and the length of their means.
"""

from __future__ import annotations

import math
from typing import Any

from numba import njit
from numpy.typing import NDArray

from hybridrl.envs.parking.kernels.batch import body_of
from hybridrl.envs.parking.kernels.records import DECISION_SECONDS, MARGIN, SUBSTEPS
from hybridrl.planners.geometry import advance_pose
from hybridrl.planners.obstacles import Obstacles
from hybridrl.planners.sweep import free_length

SUBSTEP_SECONDS = DECISION_SECONDS / SUBSTEPS


@njit(cache=True)
def _towards(value: float, target: float, most: float) -> float:
    return value + min(max(target - value, -most), most)


@njit(cache=True)
def limited_arcs(
    row: Any, vehicle: Any, config: Any, obstacles: Obstacles, steer: float, speed: float,
    arcs: NDArray[Any],
) -> int:  # fmt: skip
    """The arcs of one decision under rate limits, as far as they are free.

    Args:
        row: The scene; its pose, ``steer`` and ``speed`` are where the decision begins.
        vehicle: Its record.
        config: The configuration.
        obstacles: What is in the way.
        steer: Normalised steering wanted.
        speed: Normalised speed wanted.
        arcs: Written: curvature, signed length, steering and speed after, shape ``(10, 4)``.

    Returns:
        How many of the ten arcs are free.
    """
    body = body_of(vehicle)
    turn = config.steer_rate * SUBSTEP_SECONDS / vehicle.max_steer
    gain = config.acceleration * SUBSTEP_SECONDS / vehicle.max_speed
    x, y, heading = row.x, row.y, row.heading
    steer_now, speed_now = row.steer, row.speed
    for k in range(SUBSTEPS):
        steer_next = _towards(steer_now, steer, turn)
        speed_next = _towards(speed_now, speed, gain)
        angle = 0.5 * (steer_now + steer_next) * vehicle.max_steer
        curvature = math.tan(angle) / vehicle.wheelbase
        length = 0.5 * (speed_now + speed_next) * vehicle.max_speed * SUBSTEP_SECONDS
        # Swept a margin farther than driven, so that the vehicle never ends up touching.
        swept = length + math.copysign(MARGIN, length)
        if free_length(x, y, heading, curvature, swept, body, obstacles) < abs(swept):
            return k
        x, y, heading = advance_pose(x, y, heading, curvature, length)
        steer_now, speed_now = steer_next, speed_next
        arcs[k, 0], arcs[k, 1], arcs[k, 2], arcs[k, 3] = curvature, length, steer_now, speed_now
    return SUBSTEPS


@njit(cache=True)
def arc_decisions(row: Any, vehicle: Any, config: Any, curvature: float, length: float) -> int:
    """Decisions that a standing start and stop on one arc take, wheels turned beforehand."""
    angle = math.atan(curvature * vehicle.wheelbase)
    seconds = abs(angle - row.steer * vehicle.max_steer) / config.steer_rate
    reach = vehicle.max_speed**2 / config.acceleration
    if abs(length) >= reach:
        seconds += (abs(length) + reach) / vehicle.max_speed
    else:
        seconds += 2.0 * math.sqrt(abs(length) / config.acceleration)
    return int(max(math.ceil(seconds / DECISION_SECONDS - 1e-3), 1))
