"""How every car decides: IDM or linear following, MOBIL lane changes, the ego's set-point.

The models are those of highway-env (the Intelligent Driver Model of Treiber et al., 2000, and
MOBIL of Kesting et al., 2007), with its parameters; ``tests`` hold them to it at 1e-9.
``s`` and ``r`` hold every car's coordinates in every lane, shape ``(cars, lanes)``.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridrl.envs.driving.kernels.compiled import inner
from hybridrl.envs.driving.kernels.lanes import (
    ensure,
    heading_at,
    next_lane,
    on_lane,
    reachable,
    wrap,
)
from hybridrl.envs.driving.kernels.records import CAR_LENGTH, EGO, LINEAR, OBSTACLE
from hybridrl.envs.driving.names import FASTER, LANE_LEFT, LANE_RIGHT, SLOWER

Array = NDArray[np.float64]
Records = NDArray[Any]
MAX_ACC = 6.0
MAX_STEERING = math.pi / 3
KP_SPEED, KP_HEADING, KP_LATERAL = 1 / 0.6, 1 / 0.2, 1 / 0.6
PURSUIT = 0.1  # s ahead that the lane's heading is taken
THINK_EVERY = 1.0  # s between two thoughts of changing lane
LINKS = np.bool_(False)  # drivers look along highway-env's links
MAX_IMPOSED = 2.0  # m/s2 that a lane change may make the follower brake


@inner
def not_zero(x: float) -> float:
    """The number, pushed away from 0 to at least 0.01."""
    if abs(x) > 1e-2:
        return x
    return 1e-2 if x >= 0 else -1e-2


@inner
def sign(x: int) -> int:
    """-1, 0 or 1."""
    return int(x > 0) - int(x < 0)


@inner
def wanted_gap(cfg: Any, headway: float, me: Any, front: Any) -> float:
    """Distance the model wants to the car in front: jam, time gap and braking terms, metres."""
    dv = (me.speed * me.cos - front.speed * front.cos) * me.cos
    dv += (me.speed * me.sin - front.speed * front.sin) * me.sin
    brake = 2.0 * math.sqrt(cfg.acc * cfg.dec)
    gap: float = cfg.jam + me.speed * headway + me.speed * dv / brake
    return gap


@inner
def following(
    cfg: Any, lanes: Records, cars: Records, s: Array, r: Array, judge: int, who: int, front: int
) -> float:
    """Acceleration ``who`` would take behind ``front``, by the parameters of ``judge``.

    ``-1`` for ``who`` or ``front`` is nobody. Distances run along ``who``'s lane.
    """
    if who < 0:
        return 0.0
    me, driver = cars[who], cars[judge]
    lane = me.lane
    if front >= 0:
        ensure(lanes, cars[front], s[front], r[front], lane)
    if driver.kind == LINEAR:
        total: float = driver.pull[0] * (me.target_speed - me.speed)
        if front >= 0:
            safe = cfg.jam + max(me.speed, 0.0) * driver.headway
            total += driver.pull[1] * min(cars[front].speed - me.speed, 0.0)
            total += driver.pull[2] * min(s[front, lane] - s[who, lane] - safe, 0.0)
        return total
    if me.kind == OBSTACLE:
        return 0.0
    target = min(max(me.target_speed, 0.0), lanes[lane].limit)
    acc: float = cfg.acc * (1.0 - (max(me.speed, 0.0) / abs(not_zero(target))) ** driver.delta)
    if front >= 0:
        gap = not_zero(s[front, lane] - s[who, lane])
        acc -= cfg.acc * (wanted_gap(cfg, driver.headway, me, cars[front]) / gap) ** 2
    return acc


@inner
def neighbours(
    lanes: Records, n: int, s: Array, r: Array, who: int, lane: int, true_links: bool
) -> tuple[int, int, float, float]:
    """The next cars ahead and behind in a lane and the lanes that continue it; -1 is nobody.

    Args:
        lanes: The road table.
        n: Number of cars.
        s: Coordinates along every lane.
        r: The same, lateral.
        who: Whose neighbours.
        lane: In which lane.
        true_links: Look along lanes that really meet; else along highway-env's links.

    Returns:
        The car ahead, the car behind, and how far they are, metres from centre to centre.
    """
    at = s[who, lane]
    front = rear = -1
    s_front, s_rear = np.inf, -np.inf
    here = lanes[lane]
    links = here.n_joined if true_links else here.n_linked
    for j in range(n):
        if j == who:
            continue
        for k in range(links):
            other = here.joined[k] if true_links else here.linked[k]
            if not on_lane(lanes[other], s[j, other], r[j, other], 1.0):
                continue
            there = s[j, other] + (here.joined_offset[k] if true_links else here.offset[k])
            if at <= there <= s_front:
                s_front, front = there, j
            if there < at and there > s_rear:
                s_rear, rear = there, j
            break
    return front, rear, s_front - at, at - s_rear


@inner
def mobil(
    cfg: Any, lanes: Records, cars: Records, n: int, s: Array, r: Array, i: int, lane: int
) -> bool:
    """Whether MOBIL changes into a lane (politeness 0, as highway-env has it)."""
    ahead, behind, _, _ = neighbours(lanes, n, s, r, i, lane, LINKS)
    if following(cfg, lanes, cars, s, r, i, behind, i) < -MAX_IMPOSED:
        return False
    mine: float = following(cfg, lanes, cars, s, r, i, i, ahead)
    car = cars[i]
    if car.routed and car.route_at < car.route_end and car.fixed >= 0:
        present = lanes[car.target].id
        if sign(lanes[lane].id - present) != sign(car.fixed - present):
            return False
        return mine >= -MAX_IMPOSED
    front, _, _, _ = neighbours(lanes, n, s, r, i, car.lane, LINKS)
    better: bool = mine - following(cfg, lanes, cars, s, r, i, i, front) >= car.gain
    return better


@inner
def give_up(cfg: Any, lanes: Records, cars: Records, n: int, s: Array, r: Array, i: int) -> None:
    """Give up a lane change for a car ahead that is changing into the same lane."""
    car = cars[i]
    if lanes[car.lane].road != lanes[car.target].road:
        return
    for j in range(n):
        other = cars[j]
        if j == i or other.kind == OBSTACLE or other.lane == car.target:
            continue
        if other.target != car.target:
            continue
        ensure(lanes, other, s[j], r[j], car.lane)
        gap = s[j, car.lane] - s[i, car.lane]
        if 0.0 < gap < wanted_gap(cfg, car.headway, car, other):
            car.target = car.lane
            return


@inner
def consider_lanes(
    cfg: Any, lanes: Records, cars: Records, n: int, s: Array, r: Array, i: int
) -> None:
    """Begin a lane change where MOBIL wants one, or give one up."""
    car = cars[i]
    if car.lane != car.target:
        give_up(cfg, lanes, cars, n, s, r, i)
        return
    if not car.timer > THINK_EVERY:
        return
    car.timer = 0.0
    for side in range(-1, 2, 2):
        if not 0 <= lanes[car.lane].id + side < lanes[car.lane].count:
            continue
        lane = car.lane + side
        if not reachable(lanes[lane], s[i, lane], r[i, lane]) or abs(car.speed) < 1.0:
            continue
        if mobil(cfg, lanes, cars, n, s, r, i, lane):
            car.target = lane


@inner
def steering(lanes: Records, car: Any, s: float, r: float) -> float:
    """Steering angle that follows the target lane at coordinates ``(s, r)`` in it, radians."""
    lane = lanes[car.target]
    ahead = heading_at(lane, s + car.speed * PURSUIT)
    speed = not_zero(car.speed)
    if car.kind == LINEAR:
        angle = car.steer[0] * wrap(ahead - car.heading) * CAR_LENGTH / speed
        angle -= car.steer[1] * r * CAR_LENGTH / speed**2
    else:
        aim = math.asin(min(max(-KP_LATERAL * r / speed, -1.0), 1.0))
        error = wrap(ahead + min(max(aim, -0.25 * math.pi), 0.25 * math.pi) - car.heading)
        if error == 0.0:
            return 0.0
        slip = math.asin(min(max(0.5 * CAR_LENGTH / speed * KP_HEADING * error, -1.0), 1.0))
        angle = math.atan(2.0 * math.tan(slip))
    limited: float = min(max(angle, -MAX_STEERING), MAX_STEERING)
    return limited


@inner
def follow_road(lanes: Records, car: Any, s_row: Array, r_row: Array) -> None:
    """Aim at the following lane when the target lane ends within half a car.

    The coordinates in the target lane are known afterwards.
    """
    ensure(lanes, car, s_row, r_row, car.target)
    if s_row[car.target] > lanes[car.target].length - 0.5 * CAR_LENGTH:
        car.target, at = next_lane(lanes, car, car.target, s_row[car.target], car.route_at)
        if at != car.route_at:
            car.route_at, car.fixed = at, -1
        ensure(lanes, car, s_row, r_row, car.target)


@inner
def speed_index(cfg: Any, speed: float) -> int:
    """The ego's set-point that is nearest to a speed."""
    last = cfg.n_speeds - 1
    share = (speed - cfg.speeds[0]) / (cfg.speeds[last] - cfg.speeds[0])
    return int(min(max(np.rint(share * last), 0.0), float(last)))


@inner
def command(
    cfg: Any, lanes: Records, row: Any, car: Any, s_row: Array, r_row: Array, action: int
) -> None:
    """Take a canonical action: the ego's new set-point or target lane."""
    follow_road(lanes, car, s_row, r_row)
    before = car.target
    if action == FASTER or action == SLOWER:
        step = 1 if action == FASTER else -1
        index = speed_index(cfg, car.speed) + step
        row.speed_index = min(max(index, 0), cfg.n_speeds - 1)
        car.target_speed = cfg.speeds[row.speed_index]
    elif action == LANE_LEFT or action == LANE_RIGHT:
        side = -1 if action == LANE_LEFT else 1
        if 0 <= lanes[car.target].id + side < lanes[car.target].count:
            lane = car.target + side
            if reachable(lanes[lane], s_row[lane], r_row[lane]):
                car.target = lane
    row.lane_change = car.target != before
    row.previous = action


@inner
def decide(cfg: Any, lanes: Records, cars: Records, n: int, s: Array, r: Array) -> None:
    """Steering and acceleration of every car for the next simulation step, in order."""
    for i in range(n):
        car = cars[i]
        if car.kind == OBSTACLE or (car.crashed and car.kind != EGO):
            continue
        follow_road(lanes, car, s[i], r[i])
        if car.kind == EGO:
            car.acceleration = KP_SPEED * (car.target_speed - car.speed)
        else:
            consider_lanes(cfg, lanes, cars, n, s, r, i)
            front, _, _, _ = neighbours(lanes, n, s, r, i, car.lane, LINKS)
            acc = following(cfg, lanes, cars, s, r, i, i, front)
            if car.lane != car.target:
                front, _, _, _ = neighbours(lanes, n, s, r, i, car.target, LINKS)
                acc = min(acc, following(cfg, lanes, cars, s, r, i, i, front))
            car.acceleration = min(max(acc, -MAX_ACC), MAX_ACC)
        car.steering = steering(lanes, car, s[i, car.target], r[i, car.target])
