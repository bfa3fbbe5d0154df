"""What a decision was worth: progress, ends, reward terms and the actions that are open next."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridrl.envs.driving.kernels.compiled import inner
from hybridrl.envs.driving.kernels.lanes import heading_at, on_lane, reachable
from hybridrl.envs.driving.kernels.records import CAR_LENGTH, OBSTACLE
from hybridrl.envs.driving.kernels.traffic import neighbours
from hybridrl.envs.driving.names import (
    CRASH,
    FASTER,
    HIGHWAY,
    IDLE,
    INTERSECTION,
    LANE_LEFT,
    LANE_RIGHT,
    MERGE,
    REWARD_TERMS,
    RUNNING,
    SLOWER,
    SUCCESS,
    TIMEOUT,
)
from hybridrl.envs.driving.risk import CAP, _clip, _ttc

Array = NDArray[np.float64]
Records = NDArray[Any]
PROGRESS, ARRIVED, CRASHED, TIMED_OUT, TIME, LANE_CHANGE, SPEED, RISK, STOCK = range(
    len(REWARD_TERMS)
)
MEETING = np.bool_(True)  # the scene looks along lanes that really meet
RAMP_LANE = 4  # merge: the ramp's last lane, beside the main road


@inner
def half_length(car: Any) -> float:
    """Half the length of a car or of the barrier, metres."""
    return 1.0 if car.kind == OBSTACLE else 0.5 * CAR_LENGTH


@inner
def place(lanes: Records, cars: Records, row: Any, s: Array) -> float:
    """Where the ego is along its route, metres; off the route, where it was last."""
    ego = cars[row.ego]
    at: float = row.start + row.progress
    for lane in (ego.lane, ego.target):  # the target lane counts if it is on the route
        if not math.isnan(lanes[lane].base):
            at = lanes[lane].base + lanes[lane].stretch * s[row.ego, lane]
    return at


@inner
def front_ttc(lanes: Records, cars: Records, row: Any, s: Array, r: Array) -> float:
    """Time to collision with the car ahead in the ego's lane, at most 20 s."""
    ego = cars[row.ego]
    front, _, ahead, _ = neighbours(lanes, row.n, s, r, row.ego, ego.lane, MEETING)
    if front < 0:
        return CAP
    other = cars[front]
    along = 0.0 if other.kind == OBSTACLE else other.speed
    closing = ego.speed - along * (other.cos * ego.cos + other.sin * ego.sin)
    time: float = _ttc(ahead - half_length(other) - half_length(ego), closing)
    return time


@inner
def open_actions(cfg: Any, lanes: Records, cars: Records, row: Any, s: Array, r: Array) -> None:
    """Write which canonical actions are open: lanes that exist, speeds that are left."""
    ego = cars[row.ego]
    row.mask[IDLE] = True
    row.mask[FASTER] = row.speed_index < cfg.n_speeds - 1
    row.mask[SLOWER] = row.speed_index > 0
    for action, side in ((LANE_LEFT, -1), (LANE_RIGHT, 1)):
        open_ = False
        if cfg.lateral and 0 <= lanes[ego.lane].id + side < lanes[ego.lane].count:
            lane = ego.lane + side
            open_ = reachable(lanes[lane], s[row.ego, lane], r[row.ego, lane])
        row.mask[action] = open_


@inner
def stock_reward(
    cfg: Any, lanes: Records, cars: Records, row: Any, on_road: bool, arrived: bool
) -> float:
    """highway-env's own reward of the scene."""
    ego = cars[row.ego]
    crashed = 1.0 if ego.crashed else 0.0
    road = 1.0 if on_road else 0.0
    side = 1.0 if row.previous == LANE_LEFT or row.previous == LANE_RIGHT else 0.0
    if cfg.scenario == HIGHWAY:
        fast = _clip((ego.speed * ego.cos - 20.0) / 10.0)
        right = lanes[ego.target].id / max(lanes[ego.lane].count - 1, 1)
        reward: float = (-crashed + 0.4 * fast + 0.1 * right + 1.0) / 1.5 * road
    elif cfg.scenario == MERGE:
        slow = 0.0
        for j in range(row.n):
            car = cars[j]
            if car.lane == RAMP_LANE and car.kind != OBSTACLE:
                slow += (car.target_speed - car.speed) / car.target_speed
        total = -crashed + 0.1 * lanes[ego.lane].id + 0.2 * (ego.speed - 20.0) / 10.0
        reward = (total - 0.05 * side - 0.5 * slow + 1.5) / 1.8
    elif cfg.scenario == INTERSECTION:
        gained = 1.0 if arrived else -5.0 * crashed + _clip((ego.speed - 7.0) / 2.0)
        reward = gained * road
    else:
        total = -crashed + 0.2 * row.speed_index / 2.0 - 0.05 * side
        reward = (total + 1.0) / 1.2 * road
    return reward


@inner
def begin(
    cfg: Any, lanes: Records, goal: float, cars: Records, row: Any, s: Array, r: Array
) -> None:
    """Write the row of an episode whose cars have just been put on the road."""
    row.decisions = row.outcome = 0
    row.time = row.speed_sum = row.reward = row.risk = 0.0
    row.terminated = row.truncated = row.off_road = row.lane_change = False
    for k in range(len(REWARD_TERMS)):
        row.terms[k] = 0.0
    row.previous = -1
    row.start = row.progress = 0.0
    row.start = place(lanes, cars, row, s)
    row.goal = goal - row.start
    row.ttc = row.min_ttc = front_ttc(lanes, cars, row, s, r)
    open_actions(cfg, lanes, cars, row, s, r)


@inner
def _end(cfg: Any, row: Any, crashed: bool, arrived: bool) -> None:
    """Write the outcome."""
    late = row.decisions * cfg.decision >= cfg.duration - 1e-9
    missed = late and cfg.limit_ends and cfg.scenario != HIGHWAY
    row.terminated = crashed or arrived or missed
    row.truncated = late and not row.terminated
    row.outcome = RUNNING
    if crashed:
        row.outcome = CRASH
    elif arrived:
        row.outcome = SUCCESS
    elif late:
        row.outcome = TIMEOUT
        if cfg.scenario == HIGHWAY and row.speed_sum / row.decisions >= cfg.min_mean_speed:
            row.outcome = SUCCESS


@inner
def judge(cfg: Any, lanes: Records, cars: Records, row: Any, s: Array, r: Array) -> None:
    """Score the decision that has just been simulated.

    Args:
        cfg: The configuration record.
        lanes: The road table.
        cars: Cars of one environment.
        row: Its row; progress, ends, reward, terms and mask are written.
        s: Coordinates of every car along every lane.
        r: The same, lateral.
    """
    ego = cars[row.ego]
    here = lanes[ego.lane]
    s_ego = s[row.ego, ego.lane]
    row.decisions += 1
    row.time = row.decisions * cfg.decision
    before = row.progress
    row.progress = min(max(place(lanes, cars, row, s) - row.start, -row.goal), row.goal)
    forward = ego.speed * math.cos(ego.heading - heading_at(here, s_ego))
    row.speed_sum += forward
    row.ttc = front_ttc(lanes, cars, row, s, r)
    row.min_ttc = min(row.min_ttc, row.ttc)
    on_road = on_lane(here, s_ego, r[row.ego, ego.lane], 0.0)
    row.off_road = not on_road
    arrived = here.goal and s_ego >= here.goal_from
    crashed = ego.crashed or not on_road
    _end(cfg, row, crashed, arrived and not crashed)
    terms = row.terms
    for k in range(len(REWARD_TERMS)):
        terms[k] = 0.0
    if cfg.stock_reward:
        terms[STOCK] = stock_reward(cfg, lanes, cars, row, on_road, arrived)
    elif cfg.scenario == HIGHWAY:
        right = lanes[ego.target].id / max(here.count - 1, 1)
        terms[SPEED] = 0.7 * _clip((forward - 20.0) / 10.0) + 0.1 * right + 0.2 if on_road else 0.0
        terms[LANE_CHANGE] = -0.02 if row.lane_change else 0.0
        terms[CRASHED] = -cfg.crash_cost if crashed else 0.0
    else:
        terms[PROGRESS] = (row.progress - before) / row.goal
        terms[ARRIVED] = 4.0 if row.outcome == SUCCESS else 0.0
        terms[CRASHED] = -cfg.crash_cost if crashed else 0.0
        terms[TIMED_OUT] = -cfg.timeout_cost if row.outcome == TIMEOUT else 0.0
        terms[TIME] = -0.02
        terms[LANE_CHANGE] = -0.05 if row.lane_change else 0.0
    row.reward = 0.0
    for k in range(len(REWARD_TERMS)):
        row.reward += terms[k]
    open_actions(cfg, lanes, cars, row, s, r)


@inner
def shape(cfg: Any, row: Any, risk: float, fresh: bool) -> None:
    """Add the potential-based risk term and remember the risk; a terminal state has none."""
    if cfg.shaping > 0.0 and not fresh and not cfg.stock_reward:
        after = 0.0 if row.terminated else risk
        row.terms[RISK] = cfg.shaping * (row.risk - cfg.gamma * after)
        row.reward += row.terms[RISK]
    row.risk = risk
