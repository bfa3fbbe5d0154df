"""Reeds-Shepp hand-over: find a free path and drive it (``parking.md`` 11; compiled)."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from hybridrl.envs.parking.kernels.batch import Batch, body_of, obstacles_of
from hybridrl.envs.parking.kernels.dynamics import arc_decisions
from hybridrl.envs.parking.kernels.goal import parked, turned_goal
from hybridrl.envs.parking.kernels.motion import move
from hybridrl.envs.parking.kernels.records import DECISION_SECONDS, RUNNING
from hybridrl.envs.parking.kernels.score import books_of, score
from hybridrl.planners.rs_candidates import COLUMNS, WORDS
from hybridrl.planners.rs_search import Scratch, SearchRule, find_free_knowing

AT_REST = 1e-9  # share of full speed: what rounding leaves of a stop
_SHORTEST_PIECE = 1e-3  # of a full decision: shorter ends of arcs join the piece before


class Search(NamedTuple):
    """What a hand-over search needs.

    Args:
        rule: Order and limits.
        memory: Working space, made for as many radii.
    """

    rule: SearchRule
    memory: Scratch


@njit(cache=True)
def _search(
    batch: Batch, i: int, vehicle: Any, goal: tuple[float, float, float], way: int, search: Search
) -> int:
    """Look for a free curve to one goal pose; store its arcs in the row.

    ``way`` is 0 for the goal and 1 for the turned goal: what is free around each is measured once.

    Returns:
        Number of arcs, 0 when none is free.
    """
    row = batch.rows[i]
    bounds = row.bounds
    memory = search.memory
    goal_reach = row.goal_reach[way, : len(search.rule.radii)]
    start_reach = row.start_reach[: len(search.rule.radii)]
    scratch = Scratch(
        memory.table, memory.radius, memory.cost, start_reach, goal_reach, memory.tested
    )
    return find_free_knowing(
        (row.x, row.y, row.heading), goal, search.rule, body_of(vehicle), obstacles_of(batch, i),
        (bounds[0], bounds[1], bounds[2], bounds[3]), row.rs_curvature, row.rs_arc, scratch,
    )  # fmt: skip


@njit(cache=True)
def make_search(config: Any) -> Search:
    """The configured search rule, with its working space."""
    count = config.radii_count
    rule = SearchRule(
        config.radii[:count].copy(), config.rs_cap, config.rs_ratio, config.rs_gear_cost, 0.0
    )
    rows = count * WORDS + 1
    memory = Scratch(
        np.empty((rows, COLUMNS)),
        np.empty(rows, np.int64),
        np.empty(rows),
        np.empty((count, 4)),
        np.empty((count, 4)),
        np.empty(1, np.int64),
    )
    return Search(rule, memory)


@njit(cache=True)
def aim(search: Search, vehicle: Any) -> None:
    """Search with the turning radii of a vehicle from now on."""
    for r in range(len(search.rule.radii)):
        search.rule.radii[r] = vehicle.search_radius[r]


@njit(cache=True)
def look_for_path(batch: Batch, i: int, vehicle: Any, config: Any, search: Search) -> None:
    """Set ``row.rs_arcs`` to the arcs of a free path, 0 when none was found or looked for."""
    row = batch.rows[i]
    row.rs_arcs = 0
    if config.rs == 0 or row.decisions < config.rs_first or row.distance > config.rs_gate:
        return
    if config.limited and abs(row.speed) > AT_REST:
        return  # a path begins at rest: its first arc may go the other way
    goal = (row.goal[0], row.goal[1], row.goal[2])
    row.rs_arcs = _search(batch, i, vehicle, goal, 0, search)
    if row.rs_arcs == 0 and row.reversible:
        row.rs_arcs = _search(batch, i, vehicle, turned_goal(row, vehicle), 1, search)


@njit(cache=True)
def _drive_piece(
    batch: Batch,
    i: int,
    vehicle: Any,
    config: Any,
    curvature: float,
    length: float,
    discount: float,
) -> None:
    """One decision along a free arc."""
    row = batch.rows[i]
    before = books_of(row)
    move(batch, i, curvature, length)
    row.steer = math.atan(curvature * vehicle.wheelbase) / vehicle.max_steer
    row.speed = 0.0 if config.limited else math.copysign(1.0, length)
    done = parked(row.x, row.y, row.heading, row, vehicle, config)
    row.rs_decisions += 1
    score(batch, i, vehicle, config, done, False, before, discount)


@njit(cache=True)
def drive_path(batch: Batch, i: int, vehicle: Any, config: Any, discount: float) -> None:
    """Drive the stored path, one decision a piece of at most full speed, until an outcome.

    Args:
        batch: The scenes.
        i: Which.
        vehicle: Its record.
        config: The configuration.
        discount: Of the first piece's reward; each later one is discounted once more.
    """
    row = batch.rows[i]
    full = vehicle.max_speed * DECISION_SECONDS
    arcs = row.rs_arcs
    row.rs_arcs = 0
    row.bump = False
    for arc in range(arcs):
        length = row.rs_arc[arc]
        if config.limited:
            pieces = arc_decisions(row, vehicle, config, row.rs_curvature[arc], length)
        else:
            pieces = max(math.ceil(abs(length) / full - _SHORTEST_PIECE), 1)
        for _ in range(pieces):
            _drive_piece(
                batch, i, vehicle, config, row.rs_curvature[arc], length / pieces, discount
            )
            discount *= config.option_discount
            if row.outcome != RUNNING:
                return
