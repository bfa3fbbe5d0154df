"""The bicycle model and contact between cars."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridrl.envs.driving.kernels.compiled import inner
from hybridrl.envs.driving.kernels.lanes import survey
from hybridrl.envs.driving.kernels.records import (
    BARRIER_SIZE,
    CAR_LENGTH,
    CAR_WIDTH,
    EGO,
    OBSTACLE,
)

Array = NDArray[np.float64]
Records = NDArray[Any]
MAX_SPEED = 40.0
ONLY_NEAR = np.bool_(False)
CAR_DIAGONAL = math.hypot(CAR_LENGTH, CAR_WIDTH)
BARRIER_DIAGONAL = math.hypot(BARRIER_SIZE, BARRIER_SIZE)


@inner
def move(lanes: Records, cars: Records, n: int, dt: float, s: Array, r: Array) -> None:
    """One simulation step of every car; a crashed one brakes and is pushed out of the other."""
    for i in range(n):
        car = cars[i]
        if car.kind == OBSTACLE:
            continue
        if car.kind != EGO:
            car.timer += dt
        if car.crashed:
            car.steering, car.acceleration = 0.0, -car.speed
        if car.speed > MAX_SPEED:
            car.acceleration = min(car.acceleration, MAX_SPEED - car.speed)
        elif car.speed < -MAX_SPEED:
            car.acceleration = max(car.acceleration, -MAX_SPEED - car.speed)
        if car.steering == 0.0:
            car.x += car.speed * car.cos * dt
            car.y += car.speed * car.sin * dt
        else:
            slip = math.atan(0.5 * math.tan(car.steering))
            car.x += car.speed * math.cos(car.heading + slip) * dt
            car.y += car.speed * math.sin(car.heading + slip) * dt
            car.heading += car.speed * math.sin(slip) / (0.5 * CAR_LENGTH) * dt
            car.cos, car.sin = math.cos(car.heading), math.sin(car.heading)
        if car.impacted:
            car.x += car.impact_x
            car.y += car.impact_y
            car.crashed, car.impacted = True, False
        car.speed += car.acceleration * dt
        survey(lanes, car, s[i], r[i], ONLY_NEAR)


@inner
def _outline(car: Any, corners: Array) -> None:
    half_x = 0.5 * (BARRIER_SIZE if car.kind == OBSTACLE else CAR_LENGTH)
    half_y = 0.5 * (BARRIER_SIZE if car.kind == OBSTACLE else CAR_WIDTH)
    for k in range(4):
        a = half_x if k > 1 else -half_x
        b = half_y if 0 < k < 3 else -half_y
        corners[k, 0] = car.x + car.cos * a - car.sin * b
        corners[k, 1] = car.y + car.sin * a + car.cos * b


@inner
def _gap(low_a: float, high_a: float, low_b: float, high_b: float) -> float:
    return low_b - high_a if low_a < low_b else low_a - high_b


@inner
def contact(a: Any, b: Any, dt: float, corners: Array, found: Array) -> tuple[bool, bool]:
    """Whether two outlines overlap now, and whether they will within ``dt`` at their speeds.

    Separating axes over the edges of both. ``found`` gets the shortest shift of ``a`` out of the
    coming overlap.

    Args:
        a: One car.
        b: The other.
        dt: Seconds.
        corners: Scratch, shape ``(2, 4, 2)``.
        found: Written: shape ``(2,)``.
    """
    _outline(a, corners[0])
    _outline(b, corners[1])
    shift_x = (a.speed * a.cos - b.speed * b.cos) * dt
    shift_y = (a.speed * a.sin - b.speed * b.sin) * dt
    now = soon = True
    nearest = np.inf
    for edge in range(8):
        shape, k = edge // 4, edge % 4
        nx = corners[shape, k, 1] - corners[shape, (k + 1) % 4, 1]
        ny = corners[shape, (k + 1) % 4, 0] - corners[shape, k, 0]
        norm = math.hypot(nx, ny)
        nx, ny = nx / norm, ny / norm
        low_a = low_b = np.inf
        high_a = high_b = -np.inf
        for c in range(4):
            p = corners[0, c, 0] * nx + corners[0, c, 1] * ny
            q = corners[1, c, 0] * nx + corners[1, c, 1] * ny
            low_a, high_a = min(low_a, p), max(high_a, p)
            low_b, high_b = min(low_b, q), max(high_b, q)
        now = now and _gap(low_a, high_a, low_b, high_b) <= 0
        shift = nx * shift_x + ny * shift_y
        if shift < 0:
            low_a += shift
        else:
            high_a += shift
        distance = _gap(low_a, high_a, low_b, high_b)
        soon = soon and distance <= 0
        if not (now or soon):
            return False, False
        if abs(distance) < nearest:
            nearest = abs(distance)
            sign = 1.0 if (a.x - b.x) * nx + (a.y - b.y) * ny > 0 else -1.0
            found[0], found[1] = sign * nx * nearest, sign * ny * nearest
    return now, soon


@inner
def collide(cars: Records, n: int, dt: float, corners: Array, found: Array) -> None:
    """Contact of every pair, in order: overlapping cars are crashed and pushed apart next step."""
    for i in range(n):
        a = cars[i]
        if a.kind == OBSTACLE:
            continue
        for j in range(i + 1, n):
            b = cars[j]
            wide = BARRIER_DIAGONAL if b.kind == OBSTACLE else CAR_DIAGONAL
            reach = 0.5 * (CAR_DIAGONAL + wide) + a.speed * dt
            px, py = b.x - a.x, b.y - a.y
            if abs(px) > reach or abs(py) > reach or px * px + py * py > reach * reach:
                continue
            now, soon = contact(a, b, dt, corners, found)
            if soon:
                share = 1.0 if b.kind == OBSTACLE else 0.5
                a.impact_x, a.impact_y, a.impacted = share * found[0], share * found[1], True
                if b.kind != OBSTACLE:
                    b.impact_x, b.impact_y, b.impacted = -0.5 * found[0], -0.5 * found[1], True
            if now:
                a.crashed = b.crashed = True
