"""Constant-speed forecast: how risky each action looks over the next three seconds."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridrl.envs.driving.kernels.compiled import inner
from hybridrl.envs.driving.kernels.lanes import heading_at, point, walk
from hybridrl.envs.driving.kernels.records import OBSTACLE
from hybridrl.envs.driving.kernels.traffic import KP_SPEED, speed_index
from hybridrl.envs.driving.names import FASTER, LANE_LEFT, LANE_RIGHT, SLOWER
from hybridrl.envs.driving.risk import _clip

Array = NDArray[np.float64]
Records = NDArray[Any]
STEPS, STEP = 12, 0.25  # s
SETTLE = 0.8  # s: time constant of a lane change
CIRCLES, RADIUS = 1.25, 1.3  # a car is two circles, this far before and behind its centre, m
LANE_WIDTH = 4.0
REACH = 100.0  # m: cars farther away are left out


@inner
def _pose(lanes: Records, car: Any, s: float, ahead: float, r: float, out: Array) -> None:
    """World position and direction of a car some metres ahead on its route, beside its centre."""
    lane, at = walk(lanes, car, car.target, s, ahead)
    out[0], out[1] = point(lanes[lane], at, r)
    angle = heading_at(lanes[lane], at)
    out[2], out[3] = math.cos(angle), math.sin(angle)


@inner
def spread(lanes: Records, cars: Records, row: Any, s: Array, r: Array, poses: Array) -> int:
    """Write where the near others are at each forecast step, at constant speed on their routes.

    Args:
        lanes: The road table.
        cars: Cars of one environment.
        row: Its row.
        s: Coordinates along every lane.
        r: Lateral coordinates.
        poses: Written: x, y, cos, sin; shape ``(cars, STEPS, 4)``.

    Returns:
        How many cars were written.
    """
    ego = cars[row.ego]
    count = 0
    for j in range(row.n):
        car = cars[j]
        if j == row.ego or abs(car.x - ego.x) > REACH or abs(car.y - ego.y) > REACH:
            continue
        for k in range(STEPS):
            t = (k + 1) * STEP
            pose = poses[count, k]
            if car.kind == OBSTACLE:
                pose[0], pose[1], pose[2], pose[3] = car.x, car.y, 1.0, 0.0
                continue
            beside = r[j, car.target] * math.exp(-t / SETTLE)
            _pose(lanes, car, s[j, car.target], car.speed * t, beside, pose)
        count += 1
    return count


@inner
def clearance(a: Array, b: Array) -> float:
    """Distance between two bodies of two circles each, metres; negative when they overlap."""
    nearest = np.inf
    for i in range(2):
        side_a = CIRCLES * (2 * i - 1)
        for j in range(2):
            side_b = CIRCLES * (2 * j - 1)
            px = a[0] + side_a * a[2] - b[0] - side_b * b[2]
            py = a[1] + side_a * a[3] - b[1] - side_b * b[3]
            nearest = min(nearest, px * px + py * py)
    return math.sqrt(nearest) - 2.0 * RADIUS


@inner
def action_risks(
    cfg: Any, lanes: Records, cars: Records, row: Any, s: Array, r: Array, out: Array
) -> None:
    """Write the forecast risk of each canonical action; 1 for actions that are not open.

    The ego approaches the action's set-point and lane; contact within 1 s is 1, at 3 s 1/3.
    """
    ego = cars[row.ego]
    poses = np.empty((row.n, STEPS, 4))
    count = spread(lanes, cars, row, s, r, poses)
    mine = np.empty(4)
    for action in range(5):
        out[action] = 1.0
        if not row.mask[action]:
            continue
        target = ego.target_speed
        if action == FASTER or action == SLOWER:
            step = 1 if action == FASTER else -1
            index = min(max(speed_index(cfg, ego.speed) + step, 0), cfg.n_speeds - 1)
            target = cfg.speeds[index]
        side = 0.0
        if action == LANE_LEFT or action == LANE_RIGHT:
            side = -LANE_WIDTH if action == LANE_LEFT else LANE_WIDTH
        risk = ahead = 0.0
        speed = ego.speed
        for k in range(STEPS):
            t = (k + 1) * STEP
            speed += (target - speed) * (1.0 - math.exp(-KP_SPEED * STEP))
            ahead += speed * STEP
            fade = math.exp(-t / SETTLE)
            beside = r[row.ego, ego.target] * fade + side * (1.0 - fade)
            _pose(lanes, ego, s[row.ego, ego.target], ahead, beside, mine)
            urgent = _clip((4.0 - t) / 3.0)
            for j in range(count):
                other = poses[j, k]
                if abs(other[0] - mine[0]) < 7.0 and abs(other[1] - mine[1]) < 7.0:
                    risk = max(risk, _clip(1.0 - clearance(mine, other)) * urgent)
        out[action] = risk
