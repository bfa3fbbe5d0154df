"""Rolls copies of scenes through plans in one compiled call: what planners are made of."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridrl.envs.driving.kernels.compiled import compiled, inner
from hybridrl.envs.driving.kernels.judge import judge
from hybridrl.envs.driving.kernels.lanes import survey
from hybridrl.envs.driving.kernels.populate import flow
from hybridrl.envs.driving.kernels.simulate import drive
from hybridrl.envs.driving.kernels.traffic import command
from hybridrl.envs.driving.names import CRASH, INTERSECTION, RUNNING

Array = NDArray[np.float64]
Records = NDArray[Any]
EVERYWHERE = np.bool_(True)


@inner
def decision(
    cfg: Any,
    lanes: Records,
    routes: NDArray[np.int16],
    origins: NDArray[np.int64],
    cars: Records,
    row: Any,
    s: Array,
    r: Array,
    action: int,
    corners: Array,
    found: Array,
) -> None:
    """Simulate and score one decision of one scene.

    Args:
        cfg: The configuration record.
        lanes: The road table.
        routes: Roads from each lane to each end.
        origins: Lanes cars begin on.
        cars: Cars of the scene.
        row: Its row.
        s: Coordinates of every car along every lane.
        r: The same, lateral.
        action: Canonical.
        corners: Scratch, shape ``(2, 4, 2)``.
        found: Scratch, shape ``(2,)``.
    """
    command(cfg, lanes, row, cars[row.ego], s[row.ego], r[row.ego], action)
    drive(cfg, lanes, cars, row, s, r, cfg.frames, corners, found)
    if cfg.scenario == INTERSECTION:
        flow(cfg, lanes, routes, origins, cars, row, s, r)
    survey(lanes, cars[row.ego], s[row.ego], r[row.ego], EVERYWHERE)
    judge(cfg, lanes, cars, row, s, r)


@inner
def _copy(source: Any, target: Any, k: int, b: int) -> None:
    """Copy scene ``b`` of one batch to place ``k`` of another: row, cars and coordinates."""
    cars, rows, s, r = source
    to_cars, to_rows, to_s, to_r = target
    to_rows[k] = rows[b]
    for i in range(rows[b].n):
        to_cars[k, i] = cars[b, i]
        for lane in range(s.shape[2]):
            to_s[k, i, lane], to_r[k, i, lane] = s[b, i, lane], r[b, i, lane]


@compiled
def unroll(
    config: Records,
    road: tuple[Records, NDArray[np.int16], NDArray[np.int64]],
    state: tuple[Records, Records, Array, Array],
    spare: tuple[Records, Records, Array, Array],
    which: NDArray[np.int64],
    seeds: NDArray[np.uint64],
    plans: NDArray[np.int64],
    gamma: float,
    only_open: bool,
    values: Array,
    crashed: NDArray[np.bool_],
) -> None:
    """Roll reseeded copies of scenes through plans; a plan ends with its episode.

    A plan goes on from where it parts from the plan before it, so plans that begin alike should
    stand side by side.

    Args:
        config: The configuration, shape ``(1,)``.
        road: Lanes, routes and origins of the road table.
        state: Cars, rows, and coordinates along and beside every lane, of B scenes.
        spare: The same of ``T + 1`` scenes: scratch, one for each decision of a plan.
        which: Scenes that are copied, shape ``(N,)``.
        seeds: Of the copies' generators, one for each of ``which``.
        plans: Canonical actions, shape ``(P, T)``.
        gamma: Discount a decision.
        only_open: Leave out plans whose first action is not open; their values stay.
        values: Written: discounted rewards, shape ``(N, P)``.
        crashed: Written: which plans crashed, same shape.
    """
    cfg = config[0]
    lanes, routes, origins = road
    cars, rows, s, r = spare
    corners, found = np.empty((2, 4, 2)), np.empty(2)
    count, turns = plans.shape
    total = np.zeros(turns + 1)
    for i in range(len(which)):
        _copy(state, spare, 0, which[i])
        rows[0].rng = seeds[i]
        before = -1
        for p in range(count):
            if only_open and rows[0].mask[plans[p, 0]] == 0:
                continue
            at = 0
            while before >= 0 and at < turns and plans[before, at] == plans[p, at]:
                at += 1
            before = p
            for t in range(at, turns):
                _copy(spare, spare, t + 1, t)
                row = rows[t + 1]
                total[t + 1] = total[t]
                if row.outcome != RUNNING:
                    continue
                scene = (cars[t + 1], row, s[t + 1], r[t + 1])
                decision(cfg, lanes, routes, origins, *scene, plans[p, t], corners, found)
                total[t + 1] += gamma**t * row.reward
            values[i, p] = total[turns]
            end: Any = rows[turns]
            crashed[i, p] = end.outcome == CRASH
