"""Drives whole batches of scenes through their simulation steps."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridrl.envs.driving.kernels.compiled import compiled, inner
from hybridrl.envs.driving.kernels.motion import collide, move
from hybridrl.envs.driving.kernels.rules import enforce
from hybridrl.envs.driving.kernels.traffic import command, decide
from hybridrl.envs.driving.names import INTERSECTION

Array = NDArray[np.float64]
Records = NDArray[Any]


@inner
def drive(
    cfg: Any,
    lanes: Records,
    cars: Records,
    row: Any,
    s: Array,
    r: Array,
    ticks: int,
    corners: Array,
    found: Array,
) -> None:
    """Simulation steps of one scene: decide, look at the right of way, move, touch."""
    for _ in range(ticks):
        decide(cfg, lanes, cars, row.n, s, r)
        row.ticks += 1
        if cfg.scenario == INTERSECTION and row.ticks % cfg.rule_ticks == 0:
            enforce(lanes, cars, row.n, s)
        move(lanes, cars, row.n, cfg.dt, s, r)
        collide(cars, row.n, cfg.dt, corners, found)


@compiled
def simulate(
    config: Records,
    lanes: Records,
    cars: Records,
    rows: Records,
    s: Array,
    r: Array,
    which: NDArray[np.int64],
    actions: NDArray[np.int64],
    ticks: int,
) -> None:
    """Drive some scenes of a batch through simulation steps.

    Args:
        config: The configuration, shape ``(1,)``.
        lanes: The road table.
        cars: Shape ``(B, cars)``.
        rows: Shape ``(B,)``.
        s: Coordinates of every car along every lane, shape ``(B, cars, lanes)``.
        r: The same, lateral.
        which: Rows to drive.
        actions: Canonical action of each of ``which``; -1 for none.
        ticks: How many simulation steps.
    """
    cfg = config[0]
    corners, found = np.empty((2, 4, 2)), np.empty(2)
    for k in range(len(which)):
        b = which[k]
        row, here, along, beside = rows[b], cars[b], s[b], r[b]
        if actions[k] >= 0:
            command(cfg, lanes, row, here[row.ego], along[row.ego], beside[row.ego], actions[k])
        drive(cfg, lanes, here, row, along, beside, ticks, corners, found)
