"""The first cars of each scene, and those that come and go at the intersection."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridrl.envs.driving.kernels.compiled import compiled, inner
from hybridrl.envs.driving.kernels.records import OBSTACLE
from hybridrl.envs.driving.kernels.spawn import (
    driver,
    normal,
    pick,
    put_ego,
    send,
    stand,
    too_near,
    uniform,
)
from hybridrl.envs.driving.names import HIGHWAY, INTERSECTION, MERGE

Array = NDArray[np.float64]
Records = NDArray[Any]
Routes = NDArray[np.int16]
THREE = np.int64(3)
BEGIN, JOIN, FLOW = range(3)  # stages of :func:`populate`
CHALLENGER_AT, CLEAR = 60.0, 20.0  # m: beginning of an intersection


@inner
def highway(cfg: Any, lanes: Records, cars: Records, row: Any, s: Array, r: Array) -> None:
    """The ego behind, everybody else ahead at spacings that the density divides."""
    thin = math.exp(-0.125 * cfg.highway_lanes)
    last = 2.0 * 37.0 * thin * (3.0 + uniform(row, 0.9, 1.1))
    put_ego(cfg, lanes, cars, row, pick(row, cfg.highway_lanes), last, 25.0, s, r)
    for _ in range(cfg.vehicles):
        lane = pick(row, cfg.highway_lanes)
        speed = uniform(row, 0.7, 0.8) * lanes[lane].limit
        last += (12.0 + speed) * thin * uniform(row, 0.9, 1.1) / cfg.density
        driver(cfg, lanes, cars, row, lane, last, speed, s, r)


@inner
def merge(
    cfg: Any,
    lanes: Records,
    origins: NDArray[np.int64],
    cars: Records,
    row: Any,
    s: Array,
    r: Array,
) -> None:
    """The ego on the ramp, two lanes of cars beside it, the barrier at the ramp's end."""
    at, speed = uniform(row, 70.0, 90.0), uniform(row, 20.0, 30.0)
    put_ego(cfg, lanes, cars, row, cfg.ego_lane, at, speed, s, r)
    for lane in range(2):
        x = uniform(row, 0.0, cfg.gap_high)
        while x <= 230.0:
            i = driver(cfg, lanes, cars, row, origins[lane], x, uniform(row, 22.0, 28.0), s, r)
            cars[i].target_speed = uniform(row, 23.0, 30.0)
            x += uniform(row, cfg.gap_low, cfg.gap_high)
    i = row.n
    ramp = origins[2]
    stand(lanes, cars[i], ramp, lanes[ramp].length, 0.0, np.int64(OBSTACLE), s[i], r[i])
    row.n = i + 1


@inner
def roundabout(
    cfg: Any,
    lanes: Records,
    routes: Routes,
    origins: NDArray[np.int64],
    cars: Records,
    row: Any,
    s: Array,
    r: Array,
) -> None:
    """The stock cars and the extra ones in the ring."""
    put_ego(cfg, lanes, cars, row, cfg.ego_lane, 125.0, 8.0, s, r)
    send(lanes, routes, cars[row.ego], THREE)
    for origin, base in ((1, 5.0), (0, 20.0), (0, -20.0), (2, 50.0)):
        at, speed = base + 2.0 * normal(row), 16.0 + 2.0 * normal(row)
        i = driver(cfg, lanes, cars, row, origins[origin], at, speed, s, r)
        send(lanes, routes, cars[i], pick(row, THREE))
    for _ in range(cfg.extra):
        lane = origins[3 + pick(row, THREE)] + pick(row, np.int64(2))
        at, speed = uniform(row, 0.0, lanes[lane].length), 16.0 + 2.0 * normal(row)
        i = driver(cfg, lanes, cars, row, lane, at, speed, s, r)
        send(lanes, routes, cars[i], pick(row, THREE))
        if too_near(cars, i, i, 10.0):
            row.n = i


@inner
def arrive(
    cfg: Any,
    lanes: Records,
    routes: Routes,
    origins: NDArray[np.int64],
    cars: Records,
    row: Any,
    s: Array,
    r: Array,
    at: float,
    straight: int,
) -> None:
    """Try to put a car on an arm of the intersection; one closer than 15 m to another stays away.

    Args:
        cfg: The configuration record.
        lanes: The road table.
        routes: Roads from each lane to each end.
        origins: The four arms.
        cars: Cars of one environment.
        row: Its row.
        s: Coordinates along every lane; written for the new car.
        r: The same, lateral.
        at: Metres into the arm, before 5 m and noise are added.
        straight: Not 0 for the challenger: no noise of speed, and straight across.
    """
    if row.n >= cfg.max_cars:
        return
    start = pick(row, np.int64(4))
    end = (start + 1 + pick(row, THREE)) % 4
    noise, speed = normal(row), 8.0
    if straight != 0:
        end, noise = (start + 2) % 4, 0.1 * noise
    else:
        speed += normal(row)
    i = driver(cfg, lanes, cars, row, origins[start], at + 5.0 + noise, speed, s, r)
    send(lanes, routes, cars[i], end)
    if too_near(cars, i, i, 15.0):
        row.n = i


@inner
def keep(cars: Records, row: Any, s: Array, r: Array, gone: NDArray[np.bool_]) -> None:
    """Take the cars that are gone off the list; the others keep their order."""
    kept = 0
    ego = row.ego
    for i in range(row.n):
        if gone[i]:
            continue
        if i == ego:
            row.ego = kept
        if kept != i:
            cars[kept] = cars[i]
            for k in range(s.shape[1]):
                s[kept, k], r[kept, k] = s[i, k], r[i, k]
        kept += 1
    row.n = kept


@inner
def _join(
    cfg: Any,
    lanes: Records,
    routes: Routes,
    origins: NDArray[np.int64],
    cars: Records,
    row: Any,
    s: Array,
    r: Array,
) -> None:
    """The challenger and the ego come to the intersection; the ego's surroundings are cleared."""
    arrive(cfg, lanes, routes, origins, cars, row, s, r, CHALLENGER_AT, np.int64(1))
    at = 60.0 + 5.0 * (1.0 + normal(row))
    put_ego(cfg, lanes, cars, row, cfg.ego_lane, at, lanes[cfg.ego_lane].limit, s, r)
    send(lanes, routes, cars[row.ego], np.int64(1))
    ego = cars[row.ego]
    gone = np.zeros(row.n, np.bool_)
    for j in range(row.n - 1):
        px, py = cars[j].x - ego.x, cars[j].y - ego.y
        gone[j] = px * px + py * py < CLEAR * CLEAR
    keep(cars, row, s, r, gone)


@inner
def flow(
    cfg: Any,
    lanes: Records,
    routes: Routes,
    origins: NDArray[np.int64],
    cars: Records,
    row: Any,
    s: Array,
    r: Array,
) -> None:
    """Take cars off the far ends of the intersection and let a new one come."""
    gone = np.zeros(row.n, np.bool_)
    for j in range(row.n):
        car = cars[j]
        lane = lanes[car.lane]
        gone[j] = j != row.ego and lane.goal and s[j, car.lane] >= lane.length - CLEAR
    keep(cars, row, s, r, gone)
    if uniform(row, 0.0, 1.0) <= cfg.spawn:
        arrive(cfg, lanes, routes, origins, cars, row, s, r, 0.0, np.int64(0))


@compiled
def populate(
    config: Records,
    lanes: Records,
    routes: Routes,
    origins: NDArray[np.int64],
    cars: Records,
    rows: Records,
    s: Array,
    r: Array,
    which: NDArray[np.int64],
    stage: int,
) -> None:
    """Put cars into some scenes of a batch.

    Args:
        config: The configuration, shape ``(1,)``.
        lanes: The road table.
        routes: Roads from each lane to each end.
        origins: Lanes cars begin on.
        cars: Shape ``(B, cars)``.
        rows: Shape ``(B,)``.
        s: Coordinates along every lane; written for new cars.
        r: The same, lateral.
        which: Rows.
        stage: ``BEGIN`` an episode (at the intersection the first traffic only), the ego's
            ``JOIN`` after that traffic has run for 3 s, or the ``FLOW`` between two decisions.
    """
    cfg = config[0]
    for b in which:
        row, here = rows[b], cars[b]
        if stage == FLOW:
            flow(cfg, lanes, routes, origins, here, row, s[b], r[b])
            continue
        if stage == JOIN:
            _join(cfg, lanes, routes, origins, here, row, s[b], r[b])
            continue
        row.n = row.ticks = 0
        row.ego = -1
        if cfg.scenario == HIGHWAY:
            highway(cfg, lanes, here, row, s[b], r[b])
        elif cfg.scenario == MERGE:
            merge(cfg, lanes, origins, here, row, s[b], r[b])
        elif cfg.scenario == INTERSECTION:
            for k in range(cfg.vehicles - 1):
                if uniform(row, 0.0, 1.0) <= 0.6:
                    at = 80.0 * k / (cfg.vehicles - 1)
                    arrive(cfg, lanes, routes, origins, here, row, s[b], r[b], at, np.int64(0))
        else:
            roundabout(cfg, lanes, routes, origins, here, row, s[b], r[b])
