"""Expansion of Hybrid A*: exact arcs, pruning by cells, Reeds-Shepp shots (compiled)."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hybridrl.planners.geometry import advance_pose
from hybridrl.planners.grid import DistanceMap, look_up
from hybridrl.planners.obstacles import Obstacles
from hybridrl.planners.reeds_shepp import shortest_length
from hybridrl.planners.rs_search import Scratch, SearchRule, find_free
from hybridrl.planners.search_tree import SearchTree, add_node, find_row, pop, push
from hybridrl.planners.sweep import free_length
from hybridrl.planners.vehicle import Body

Array = NDArray[np.float64]
Bounds = tuple[float, float, float, float]
SEARCHING, DONE, EXHAUSTED, FULL = 0, 1, 2, 3
TWO_PI = 2.0 * math.pi


class Task(NamedTuple):
    """What is searched: all that stays the same during one search.

    Args:
        root: Pose where the search begins, shape ``(3,)``.
        target: Pose to reach, shape ``(3,)``.
        body: Body rectangle.
        obstacles: Filled convex polygons.
        bounds: Of the rear axle, metres.
        field: Distances to the target around the obstacles.
        radius: Minimum turning radius, metres.
    """

    root: Array
    target: Array
    body: Body
    obstacles: Obstacles
    bounds: Bounds
    field: DistanceMap
    radius: float


class Rules(NamedTuple):
    """How it is searched.

    Args:
        curvatures: Of the primitives, 1/m, shape ``(K,)``.
        lengths: Of the primitives, metres, increasing, shape ``(L,)``.
        cell: Side of a cell, metres.
        heading_cell: Range of headings in a cell, radians.
        fine: Factor on both near the root.
        fine_radius: How near, metres.
        margin: Kept to the first contact along an arc that is not free, metres.
        weight: Of the heuristic; the answer costs at most this many times the best on the grid.
        gear_cost: Metres for each change of direction.
        reverse_cost: Metres for each metre in reverse (of the path as it will be driven).
        backward: Whether the arcs will be driven the other way round.
    """

    curvatures: Array
    lengths: Array
    cell: float
    heading_cell: float
    fine: float
    fine_radius: float
    margin: float
    weight: float
    gear_cost: float
    reverse_cost: float
    backward: bool


class Best(NamedTuple):
    """The cheapest complete path so far: a node, then a Reeds-Shepp word.

    Args:
        cost: Of the whole path, metres, shape ``(1,)``; infinite without one.
        node: Where the word begins, shape ``(1,)``.
        segments: Of the word, shape ``(1,)``.
        curvature: Of its segments, shape ``(5,)``.
        length: Signed, metres, shape ``(5,)``.
    """

    cost: Array
    node: NDArray[np.int64]
    segments: NDArray[np.int64]
    curvature: Array
    length: Array


def make_best() -> Best:
    """No path yet."""
    return Best(
        np.full(1, np.inf), np.zeros(1, np.int64), np.zeros(1, np.int64), np.zeros(5), np.zeros(5)
    )


@njit(cache=True, error_model="numpy")
def cell_key(x: float, y: float, heading: float, gear: int, task: Task, rules: Rules) -> int:
    """One number for each cell of position, heading and gear: finer cells near the root."""
    dx = x - task.root[0]
    dy = y - task.root[1]
    fine = dx * dx + dy * dy < rules.fine_radius * rules.fine_radius
    share = rules.fine if fine else 1.0
    i = int((x - task.bounds[0]) / (share * rules.cell))
    j = int((y - task.bounds[2]) / (share * rules.cell))
    sectors = math.ceil(TWO_PI / (share * rules.heading_cell))
    k = int((heading % TWO_PI) / (share * rules.heading_cell)) % sectors
    return (((i << 20) + j) * 4096 + k) * 4 + 2 * int(fine) + gear


@njit(cache=True, error_model="numpy")
def estimate(x: float, y: float, heading: float, task: Task) -> float:
    """Lower bound of the distance to the target, metres."""
    around = look_up(task.field, x, y)
    t = task.target
    return max(around, shortest_length(x, y, heading, t[0], t[1], t[2], task.radius))


@njit(cache=True, error_model="numpy")
def plant(tree: SearchTree, task: Task, rules: Rules) -> None:
    """Add the root to an empty tree."""
    x, y, heading = task.root[0], task.root[1], task.root[2]
    key = cell_key(x, y, heading, 0, task, rules)
    node = add_node(tree, find_row(tree, key), key, x, y, heading, 0.0, 0.0, 0.0, -1)
    push(tree, rules.weight * estimate(x, y, heading, task), node)


@njit(cache=True, error_model="numpy")
def arc_inside(
    x: float, y: float, nx: float, ny: float, curvature: float, s: float, bounds: Bounds
) -> bool:
    """Whether an arc of at most half a turn surely stays inside the bounds (never wrongly)."""
    bulge = 0.125 * abs(curvature) * s * s
    return bool(
        min(x, nx) - bulge >= bounds[0]
        and max(x, nx) + bulge <= bounds[1]
        and min(y, ny) - bulge >= bounds[2]
        and max(y, ny) + bulge <= bounds[3]
    )


@njit(cache=True, error_model="numpy")
def _add_child(
    node: int, curvature: float, s: float, tree: SearchTree, task: Task, rules: Rules, best: Best
) -> None:
    """Drive one free arc from a node; keep its end if its cell was not reached as cheaply."""
    x, y, h = tree.pose[node, 0], tree.pose[node, 1], tree.pose[node, 2]
    nx, ny, nh = advance_pose(x, y, h, curvature, s)
    if not arc_inside(x, y, nx, ny, curvature, s, task.bounds):
        return
    cost = tree.cost[node] + abs(s)
    if tree.arc[node, 1] * s < 0.0:
        cost += rules.gear_cost
    if (s > 0.0) == rules.backward:
        cost += rules.reverse_cost * abs(s)
    if cost >= best.cost[0]:
        return
    key = cell_key(nx, ny, nh, int(s > 0.0), task, rules)
    row = find_row(tree, key)
    if tree.table_key[row] == key and tree.cost[tree.table_node[row]] <= cost + 1e-6:
        return
    remaining = estimate(nx, ny, nh, task)
    if cost + remaining >= best.cost[0]:
        return
    child = add_node(tree, row, key, nx, ny, nh, cost, curvature, s, node)
    push(tree, cost + rules.weight * remaining, child)


@njit(cache=True, error_model="numpy")
def _expand(node: int, tree: SearchTree, task: Task, rules: Rules, best: Best) -> None:
    """All primitives of a node, each cut short before its first contact."""
    x, y, h = tree.pose[node, 0], tree.pose[node, 1], tree.pose[node, 2]
    longest = rules.lengths[len(rules.lengths) - 1]
    for curvature in rules.curvatures:
        for gear in (-1.0, 1.0):
            free = free_length(x, y, h, curvature, gear * longest, task.body, task.obstacles)
            usable = free if free >= longest else free - rules.margin
            for length in rules.lengths:
                if length <= usable:
                    _add_child(node, curvature, gear * length, tree, task, rules, best)
            if free < longest and usable > 0.01:
                _add_child(node, curvature, gear * usable, tree, task, rules, best)


@njit(cache=True, error_model="numpy")
def _shoot(
    node: int, tree: SearchTree, task: Task, rules: Rules, rule: SearchRule, scratch: Scratch,
    curvature: Array, length: Array, best: Best,
) -> None:  # fmt: skip
    """Try to finish from a node with one Reeds-Shepp word."""
    x, y, h = tree.pose[node, 0], tree.pose[node, 1], tree.pose[node, 2]
    t = task.target
    limit = min(rule.max_length, best.cost[0] - tree.cost[node])
    capped = SearchRule(rule.radii, limit, rule.length_ratio, rule.gear_cost, rule.reverse_cost)
    n = find_free(
        x, y, h, t[0], t[1], t[2], capped, task.body, task.obstacles, task.bounds, True,
        curvature, length, scratch,
    )  # fmt: skip
    if n == 0:
        return
    cost = tree.cost[node]
    gear = tree.arc[node, 1]
    for j in range(n):
        cost += abs(length[j])
        if gear * length[j] < 0.0:
            cost += rules.gear_cost
        if (length[j] > 0.0) == rules.backward:
            cost += rules.reverse_cost * abs(length[j])
        gear = length[j]
    if cost < best.cost[0]:
        best.cost[0] = cost
        best.node[0] = node
        best.segments[0] = n
        for j in range(n):
            best.curvature[j], best.length[j] = curvature[j], length[j]


@njit(cache=True, error_model="numpy")
def search(
    tree: SearchTree, task: Task, rules: Rules, rule: SearchRule, scratch: Scratch, best: Best,
    expansions: int,
) -> tuple[int, int]:  # fmt: skip
    """Expand up to so many nodes.

    Returns:
        ``SEARCHING``, ``DONE`` (the best path cannot be improved on this grid), ``EXHAUSTED`` or
        ``FULL`` (no memory left); and how many nodes were expanded.
    """
    curvature = np.empty(5)
    length = np.empty(5)
    room = len(tree.cost) - len(rules.curvatures) * 2 * (len(rules.lengths) + 1)
    done = 0
    while done < expansions:
        if tree.used[1] == 0 or tree.heap_key[0] >= best.cost[0]:
            return (DONE if best.cost[0] < np.inf else EXHAUSTED), done
        if tree.used[0] > room:
            return FULL, done
        node = pop(tree)
        if tree.table_node[tree.cell[node]] != node:
            continue  # its cell was reached more cheaply since
        done += 1
        _shoot(node, tree, task, rules, rule, scratch, curvature, length, best)
        _expand(node, tree, task, rules, best)
    return SEARCHING, done
