"""Stands cars on the road, each environment drawing from its own generator."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridrl.envs.driving.kernels.compiled import inner
from hybridrl.envs.driving.kernels.lanes import heading_at, point, survey
from hybridrl.envs.driving.kernels.records import (
    EGO,
    IDM,
    LINEAR,
    MAX_ROUTE,
    MIXED_STYLE,
    STOCK_STYLE,
)
from hybridrl.envs.driving.kernels.traffic import KP_HEADING, KP_LATERAL, speed_index

Array = NDArray[np.float64]
Records = NDArray[Any]
Routes = NDArray[np.int16]
EVERYWHERE = np.bool_(True)
STEP = np.uint64(0x9E3779B97F4A7C15)
MIX_1, MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
S30, S27, S31, S11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)
PULL = np.array([0.3, 0.3, 2.0])  # of linear drivers, drawn from half to one and a half of it
STEER, STEER_SPREAD = np.array([KP_HEADING, KP_HEADING * KP_LATERAL]), np.array([0.07, 1.5])


@inner
def uniform(row: Any, low: float, high: float) -> float:
    """A number in [low, high) from the row's SplitMix64 generator."""
    row.rng += STEP
    z = row.rng
    z = (z ^ (z >> S30)) * MIX_1
    z = (z ^ (z >> S27)) * MIX_2
    z = z ^ (z >> S31)
    return low + (high - low) * (float(z >> S11) * 2.0**-53)


@inner
def normal(row: Any) -> float:
    """A standard normal number (Box and Muller)."""
    radius = math.sqrt(-2.0 * math.log(1.0 - uniform(row, 0.0, 1.0)))
    return radius * math.cos(2.0 * math.pi * uniform(row, 0.0, 1.0))


@inner
def pick(row: Any, count: int) -> int:
    """An integer in [0, count)."""
    return int(uniform(row, 0.0, float(count)))


@inner
def stand(
    lanes: Records,
    car: Any,
    lane: int,
    s: float,
    speed: float,
    kind: int,
    s_row: Array,
    r_row: Array,
) -> None:
    """Put a car on a lane's centre, with no route and no manners yet."""
    car.x, car.y = point(lanes[lane], s, 0.0)
    car.heading = heading_at(lanes[lane], s)
    car.cos, car.sin = math.cos(car.heading), math.sin(car.heading)
    car.speed = car.target_speed = speed
    car.timer = ((car.x + car.y) * math.pi) % 1.0
    car.kind = kind
    car.steering = car.acceleration = 0.0
    car.crashed = car.impacted = car.yielding = car.routed = False
    car.route_at = car.route_end = 0
    car.fixed = -1
    survey(lanes, car, s_row, r_row, EVERYWHERE)
    car.target = car.lane


@inner
def send(lanes: Records, routes: Routes, car: Any, end: int) -> None:
    """Give a car the shortest route from its lane to a destination."""
    car.routed, car.fixed = True, lanes[car.lane].id
    car.route_at = car.route_end = 0
    for k in range(MAX_ROUTE):
        road = routes[car.lane, end, k]
        if road < 0:
            break
        car.route[k] = road
        car.route_end = k + 1


@inner
def _manners(cfg: Any, row: Any, car: Any) -> None:
    """Draw how a driver drives."""
    style = cfg.style
    if style == MIXED_STYLE:
        style = pick(row, np.int64(3))
    car.delta = uniform(row, 3.5, 4.5)
    car.kind, car.gain, car.headway = IDM, 0.2, 1.5
    if style != STOCK_STYLE:
        car.kind, car.gain, car.headway = LINEAR, 1.0, 2.5
        for k in range(3):
            car.pull[k] = PULL[k] * uniform(row, 0.5, 1.5)
        for k in range(2):
            car.steer[k] = STEER[k] + STEER_SPREAD[k] * uniform(row, -1.0, 1.0)


@inner
def put_ego(
    cfg: Any,
    lanes: Records,
    cars: Records,
    row: Any,
    lane: int,
    at: float,
    speed: float,
    s: Array,
    r: Array,
) -> None:
    """Put the ego at the end of the list of cars."""
    i = row.n
    stand(lanes, cars[i], lane, at, speed, np.int64(EGO), s[i], r[i])
    row.ego, row.n = i, i + 1
    row.speed_index = speed_index(cfg, speed)
    cars[i].target_speed = cfg.speeds[row.speed_index]


@inner
def driver(
    cfg: Any,
    lanes: Records,
    cars: Records,
    row: Any,
    lane: int,
    at: float,
    speed: float,
    s: Array,
    r: Array,
) -> int:
    """Put another car at the end of the list."""
    i: int = row.n
    stand(lanes, cars[i], lane, at, speed, np.int64(IDM), s[i], r[i])
    _manners(cfg, row, cars[i])
    row.n = i + 1
    return i


@inner
def too_near(cars: Records, n: int, i: int, least: float) -> bool:
    """Whether one of the first ``n`` cars is closer than ``least`` metres to car ``i``."""
    for j in range(n):
        px, py = cars[j].x - cars[i].x, cars[j].y - cars[i].y
        if j != i and px * px + py * py < least * least:
            return True
    return False
