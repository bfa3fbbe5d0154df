"""What the ego sees: rows of the nearest cars."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridrl.envs.driving.kernels.compiled import inner
from hybridrl.envs.driving.kernels.records import FEATURES, OBSTACLE, SIGNALS
from hybridrl.envs.driving.names import MERGE

Records = NDArray[Any]
PERCEPTION = 200.0  # m
POSITION, SPEED = 100.0, 20.0  # scales, m and m/s
LATERAL, LATERAL_SPEED = 16.0, 10.0  # of the ego-relative form
EGO_SPEED = 40.0  # of the ego's own row in the ego-relative form
RAMP, RAMP_END = 250.0, 310.0  # merge: scale and place of the barrier, m


@inner
def observe(cfg: Any, lanes: Records, cars: Records, row: Any, out: NDArray[np.float32]) -> None:
    """Write the ego's row and those of the nearest others, nearest first; the rest are zeros.

    Columns: presence, x, y, vx, vy, cos and sin of the heading, all in [-1, 1]; where turn signals
    are shown, also cos and sin of the turn that is left of a car's route.

    Args:
        cfg: The configuration record.
        lanes: The road table.
        cars: Cars of one environment.
        row: Its row.
        out: Written: shape ``(cfg.rows, 7)``, or 9 columns.
    """
    ego = cars[row.ego]
    n = row.n
    far = np.empty(n)
    for j in range(n):
        far[j] = math.hypot(cars[j].x - ego.x, cars[j].y - ego.y)
    far[row.ego] = -1.0
    out[:] = 0.0
    for k in range(min(cfg.rows, n)):
        j = 0
        for i in range(1, n):
            if far[i] < far[j]:
                j = i
        if far[j] >= PERCEPTION:
            break
        far[j] = np.inf
        car = cars[j]
        speed = 0.0 if car.kind == OBSTACLE else car.speed
        x, y, vx, vy = car.x, car.y, speed * car.cos, speed * car.sin
        if cfg.absolute:
            x, y, vx, vy = x / POSITION, y / POSITION, vx / SPEED, vy / SPEED
        elif k == 0:
            x = (RAMP_END - x) / RAMP if cfg.scenario == MERGE else 0.0
            y, vx, vy = y / LATERAL, vx / EGO_SPEED, vy / LATERAL_SPEED
        else:
            x, y = (x - ego.x) / POSITION, (y - ego.y) / LATERAL
            vx = (vx - ego.speed * ego.cos) / SPEED
            vy = (vy - ego.speed * ego.sin) / LATERAL_SPEED
        out[k, 0] = 1.0
        out[k, 1] = min(max(x, -1.0), 1.0)
        out[k, 2] = min(max(y, -1.0), 1.0)
        out[k, 3] = min(max(vx, -1.0), 1.0)
        out[k, 4] = min(max(vy, -1.0), 1.0)
        out[k, 5], out[k, 6] = car.cos, car.sin
        if out.shape[1] == FEATURES + SIGNALS:
            turn = _turn_to_come(lanes, car)
            out[k, FEATURES], out[k, FEATURES + 1] = math.cos(turn), math.sin(turn)


@inner
def _turn_to_come(lanes: Records, car: Any) -> float:
    """Angle from a car's heading to that of the road on which its route ends; 0 without one."""
    if not car.routed or car.route_at >= car.route_end:
        return 0.0
    turn: float = lanes[car.route[car.route_end - 1]].heading - car.heading
    return turn
