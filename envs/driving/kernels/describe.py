"""The scene of a teacher: lanes, conflicts and risk, written into 48 numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridrl.envs.driving.kernels.compiled import inner
from hybridrl.envs.driving.kernels.forecast import action_risks
from hybridrl.envs.driving.kernels.judge import MEETING, RAMP_LANE, half_length, place
from hybridrl.envs.driving.kernels.lanes import point, walk
from hybridrl.envs.driving.kernels.records import EGO, OBSTACLE
from hybridrl.envs.driving.kernels.traffic import neighbours, sign
from hybridrl.envs.driving.names import HIGHWAY, MERGE
from hybridrl.envs.driving.risk import (
    _approach_score,
    _closest_distance,
    _closest_time,
    _conflict_score,
    _headway,
    _headway_score,
    _ttc_score,
)
from hybridrl.envs.driving.scene import (
    ACTION_RISK_AT,
    AVAILABLE_AT,
    CONFLICTS_AT,
    GAP_CAP,
    LANES_AT,
    N_CONFLICTS,
    PREVIOUS_AT,
    RISK_AT,
    SCALES,
    TIME_CAP,
    TTC_AT,
)

Array = NDArray[np.float64]
Records = NDArray[Any]
SPACING, POINTS = 2.5, 26  # of the sampled routes, m
MEET = 2.0  # m: routes that come this close meet
LEAST_SPEED = 2.0  # m/s: arrival times of a slower ego are as at this speed
MERGE_FROM = 250.0  # m: where the ramp's traffic is taken to meet the main road's
SIDE_GAP = 2.0  # m: gaps that a free lane must keep for a second


@inner
def show_lane(
    lanes: Records, cars: Records, row: Any, s: Array, r: Array, lane: int, out: Array
) -> None:
    """Write the five numbers of a lane: free, front gap and speed, rear gap and speed."""
    ego = cars[row.ego]
    front, rear, ahead, behind = neighbours(lanes, row.n, s, r, row.ego, lane, MEETING)
    out[1] = out[3] = GAP_CAP
    out[2] = out[4] = ego.speed
    if front >= 0:
        other = cars[front]
        out[1] = min(max(ahead - half_length(ego) - half_length(other), 0.0), GAP_CAP)
        out[2] = 0.0 if other.kind == OBSTACLE else other.speed
    if rear >= 0:
        other = cars[rear]
        out[3] = min(max(behind - half_length(ego) - half_length(other), 0.0), GAP_CAP)
        out[4] = 0.0 if other.kind == OBSTACLE else other.speed
    front_later = out[1] + min(out[2] - ego.speed, 0.0)
    rear_later = out[3] + min(ego.speed - out[4], 0.0)
    out[0] = 1.0 if front_later > SIDE_GAP and rear_later > SIDE_GAP else 0.0


@inner
def _sample(lanes: Records, car: Any, s: Array, out: Array) -> None:
    """Points of a car's route ahead."""
    for k in range(POINTS):
        lane, at = walk(lanes, car, car.target, s[car.target], k * SPACING)
        out[k, 0], out[k, 1] = point(lanes[lane], at, 0.0)


@inner
def _meeting(mine: Array, theirs: Array) -> tuple[int, int]:
    """First point of my route that theirs comes near, and the nearest point of theirs; -1 none."""
    for a in range(1, POINTS):
        best, found = MEET * MEET, -1
        for b in range(POINTS):
            px, py = mine[a, 0] - theirs[b, 0], mine[a, 1] - theirs[b, 1]
            square = px * px + py * py
            if square < best:
                best, found = square, b
        if found >= 0:
            return a, found
    return -1, -1


@inner
def arrivals(cfg: Any, lanes: Records, cars: Records, row: Any, s: Array, times: Array) -> int:
    """Write when the ego and each car it may meet are at the meeting point.

    Args:
        cfg: The configuration record.
        lanes: The road table.
        cars: Cars of one environment.
        row: Its row.
        s: Coordinates along every lane.
        times: Written: columns ego's arrival, the car's, car; shape ``(cars, 3)``.

    Returns:
        How many rows were written.
    """
    ego = cars[row.ego]
    own = max(ego.speed, LEAST_SPEED)
    on_ramp = lanes[ego.lane].beside >= 0 or ego.lane == RAMP_LANE
    if cfg.scenario == HIGHWAY or (cfg.scenario == MERGE and not on_ramp):
        return 0
    mine, theirs = np.empty((POINTS, 2)), np.empty((POINTS, 2))
    if cfg.scenario != MERGE:
        _sample(lanes, ego, s[row.ego], mine)
    count = 0
    for j in range(row.n):
        car = cars[j]
        if car.kind == EGO or car.kind == OBSTACLE:
            continue
        if cfg.scenario == MERGE:
            meet = max(MERGE_FROM, ego.x + 1.0)
            if lanes[car.lane].id != 1 or car.x > meet:
                continue
            near, far = meet - ego.x, meet - car.x
        else:
            if car.lane == ego.lane and car.cos * ego.cos + car.sin * ego.sin > 0.8:
                continue
            if abs(car.x - ego.x) > 80.0 or abs(car.y - ego.y) > 80.0:
                continue
            _sample(lanes, car, s[j], theirs)
            a, b = _meeting(mine, theirs)
            if a < 0:
                continue
            near, far = a * SPACING, b * SPACING
        times[count, 0] = min(near / own, TIME_CAP)
        times[count, 1] = min(far / max(car.speed, 0.1), TIME_CAP)
        times[count, 2] = j
        count += 1
    return count


@inner
def _show_conflicts(
    lanes: Records, cars: Records, row: Any, times: Array, count: int, out: Array
) -> float:
    """Write the most pressing conflicts and the ego's arrival; returns their risk."""
    for k in range(N_CONFLICTS):
        at = CONFLICTS_AT + 4 * k
        out[at] = out[at + 1] = TIME_CAP
    out[7] = TIME_CAP
    press = np.empty(count)
    risk = 0.0
    for i in range(count):
        score = _conflict_score(times[i, 0], times[i, 1])
        risk = max(risk, score)
        press[i] = 100.0 * score - abs(times[i, 0] - times[i, 1])
        if times[i, 1] >= TIME_CAP:
            press[i] = -np.inf
    own = lanes[cars[row.ego].lane].priority
    for k in range(min(N_CONFLICTS, count)):
        i = 0
        for j in range(1, count):
            if press[j] > press[i]:
                i = j
        if press[i] == -np.inf:
            break
        press[i] = -np.inf
        car = cars[int(times[i, 2])]
        at = CONFLICTS_AT + 4 * k
        if k == 0:
            out[7] = times[i, 0]
        out[at], out[at + 1] = times[i, 1], min(abs(times[i, 0] - times[i, 1]), TIME_CAP)
        out[at + 2] = car.speed
        out[at + 3] = sign(lanes[car.lane].priority - own)
    return risk


@inner
def _crossing_risk(cars: Records, row: Any) -> float:
    """Risk of the closest approach of cars that drive across the ego's direction."""
    ego = cars[row.ego]
    worst = 0.0
    for j in range(row.n):
        car = cars[j]
        if j == row.ego or car.kind == OBSTACLE:
            continue
        if abs(car.cos * ego.cos + car.sin * ego.sin) > 0.9:
            continue
        px, py = car.x - ego.x, car.y - ego.y
        vx = car.speed * car.cos - ego.speed * ego.cos
        vy = car.speed * car.sin - ego.speed * ego.sin
        score = _approach_score(_closest_distance(px, py, vx, vy), _closest_time(px, py, vx, vy))
        worst = max(worst, score)
    return worst


@inner
def describe(
    cfg: Any, lanes: Records, cars: Records, row: Any, s: Array, r: Array, out: NDArray[np.float32]
) -> float:
    """Write the scene and return the present risk.

    Args:
        cfg: The configuration record.
        lanes: The road table.
        cars: Cars of one environment.
        row: Its row.
        s: Coordinates of every car along every lane.
        r: The same, lateral.
        out: Written: shape ``(48,)``, in the scaling of ``scene.SCALES``.
    """
    ego = cars[row.ego]
    here = lanes[ego.lane]
    v = np.zeros(len(SCALES))
    on_ramp = here.beside >= 0 or (cfg.scenario == MERGE and ego.lane == RAMP_LANE)
    v[0], v[1], v[2], v[3] = cfg.scenario, row.time, ego.speed, ego.target_speed
    v[4] = 2.0 if here.beside >= 0 else here.id
    v[5] = 3.0 if here.beside >= 0 else here.count
    v[6] = GAP_CAP
    if cfg.scenario != HIGHWAY and (cfg.scenario != MERGE or on_ramp):
        v[6] = min(max(cfg.entry - place(lanes, cars, row, s), -GAP_CAP), GAP_CAP)
    for side in range(-1, 2):
        at = LANES_AT + 5 * (side + 1)
        lane = ego.lane + side
        if side == -1 and here.beside >= 0:
            lane = here.beside
        elif not 0 <= here.id + side < here.count:
            v[at], v[at + 1], v[at + 3] = -1.0, GAP_CAP, GAP_CAP
            v[at + 2] = v[at + 4] = ego.speed
            continue
        show_lane(lanes, cars, row, s, r, lane, v[at : at + 5])
    times = np.empty((row.n, 3))
    count = arrivals(cfg, lanes, cars, row, s, times)
    risk: float = _show_conflicts(lanes, cars, row, times, count, v)
    gap = v[LANES_AT + 6]
    if gap < GAP_CAP:
        risk = max(risk, _headway_score(_headway(gap, ego.speed)))
    risk = max(risk, _ttc_score(row.ttc), _crossing_risk(cars, row))
    v[RISK_AT] = risk
    action_risks(cfg, lanes, cars, row, s, r, v[ACTION_RISK_AT : ACTION_RISK_AT + 5])
    v[TTC_AT], v[PREVIOUS_AT] = row.ttc, row.previous
    bits = 0
    for action in range(5):
        bits += row.mask[action] << action
    v[AVAILABLE_AT] = bits
    for k in range(len(SCALES)):
        out[k] = v[k] / SCALES[k]
    return risk
