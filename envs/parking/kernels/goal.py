"""Has the vehicle parked? The success tests of ``parking.md`` 9 (compiled)."""

from __future__ import annotations

import math
from typing import Any

from numba import njit

from hybridrl.envs.parking.kernels.batch import body_of
from hybridrl.planners.geometry import overlap_fraction, wrap_angle

OVERLAP = 0.95
# No pose whose box centre is farther from the goal's than this overlaps it by 95 %: the largest
# offset is lengthwise, 5 % of the length.
_NEAR = 0.1


@njit(cache=True)
def center_distance(row: Any, vehicle: Any) -> float:
    """Distance between the box centres of vehicle and goal, metres."""
    gx, gy, gheading = row.goal
    c = vehicle.center
    dx = row.x + c * math.cos(row.heading) - gx - c * math.cos(gheading)
    dy = row.y + c * math.sin(row.heading) - gy - c * math.sin(gheading)
    return math.hypot(dx, dy)


@njit(cache=True)
def goal_overlap(x: float, y: float, heading: float, row: Any, vehicle: Any) -> float:
    """Share of the goal rectangle that the body covers at a pose."""
    gx, gy, gheading = row.goal
    return overlap_fraction(x, y, heading, gx, gy, gheading, body_of(vehicle))


@njit(cache=True)
def turned_goal(row: Any, vehicle: Any) -> tuple[float, float, float]:
    """The goal turned by 180 degrees about the centre of its box."""
    gx, gy, gheading = row.goal
    c = 2.0 * vehicle.center
    return gx + c * math.cos(gheading), gy + c * math.sin(gheading), gheading + math.pi


@njit(cache=True)
def _within(
    x: float, y: float, heading: float, goal: tuple[float, float, float], tolerance: Any
) -> bool:
    """Whether a pose is within the tolerances of a goal pose."""
    dx = x - goal[0]
    dy = y - goal[1]
    c = math.cos(goal[2])
    s = math.sin(goal[2])
    return bool(
        abs(c * dx + s * dy) <= tolerance[0]
        and abs(c * dy - s * dx) <= tolerance[1]
        and abs(wrap_angle(heading - goal[2])) <= tolerance[2]
    )


@njit(cache=True)
def parked(x: float, y: float, heading: float, row: Any, vehicle: Any, config: Any) -> bool:
    """The configured success test at one pose; a lane pose has its own."""
    goal = (row.goal[0], row.goal[1], row.goal[2])
    if row.leaving:
        return _within(x, y, heading, goal, config.exit_tolerance)
    if config.pose_success:
        if _within(x, y, heading, goal, config.tolerance):
            return True
        turned = turned_goal(row, vehicle)
        return bool(row.reversible) and _within(x, y, heading, turned, config.tolerance)
    return goal_overlap(x, y, heading, row, vehicle) > OVERLAP


@njit(cache=True)
def could_park(row: Any, vehicle: Any, config: Any, travel: float) -> bool:
    """Cheap bound: whether a pose within ``travel`` metres of driving can pass the test."""
    slack = _NEAR * (vehicle.front - vehicle.rear)
    if config.pose_success or row.leaving:
        # An axle within the tolerances, turned, carries the box centre this far at most.
        tolerance = config.exit_tolerance if row.leaving else config.tolerance
        turn = min(tolerance[2], math.pi)
        slack += tolerance[0] + tolerance[1] + abs(vehicle.center) * turn
    # Driving s metres moves the box centre by at most this factor.
    factor = math.hypot(1.0, vehicle.max_curvature * vehicle.center)
    return bool(center_distance(row, vehicle) <= slack + factor * travel)


@njit(cache=True)
def write_errors(row: Any, vehicle: Any) -> None:
    """Distance (metres) and heading difference (radians) to the goal at the present pose.

    Measured against the turned goal where that counts and is nearer in heading.
    """
    gx, gy, gheading = row.goal
    turn = wrap_angle(row.heading - gheading)
    if row.reversible and abs(turn) > 0.5 * math.pi:
        gx, gy, gheading = turned_goal(row, vehicle)
        turn = wrap_angle(row.heading - gheading)
    row.position_error = math.hypot(row.x - gx, row.y - gy)
    row.turn_error = abs(turn)
