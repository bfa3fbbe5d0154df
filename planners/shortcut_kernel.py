"""Random shortcuts on a path of arcs (compiled): the inner loop of :mod:`smoothing`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hybridrl.planners.geometry import advance_pose
from hybridrl.planners.obstacles import Obstacles
from hybridrl.planners.rs_search import Scratch, SearchRule, find_free
from hybridrl.planners.vehicle import Body

Array = NDArray[np.float64]
Bounds = tuple[float, float, float, float]
GAIN = 1e-6  # metres that a shortcut must save


class ArcTable(NamedTuple):
    """A path with room to grow.

    Args:
        curvature: 1/m, shape ``(C,)``.
        length: Signed metres, shape ``(C,)``.
        knot: Poses between the arcs, shape ``(C + 1, 3)``.
        along: Driven distance at the knots, metres, shape ``(C + 1,)``.
        size: Number of arcs in use, shape ``(1,)``.
    """

    curvature: Array
    length: Array
    knot: Array
    along: Array
    size: NDArray[np.int64]


class Course(NamedTuple):
    """Where shortcuts are sought: what stays the same.

    Args:
        body: Body rectangle.
        obstacles: Filled convex polygons.
        bounds: Of the rear axle, metres.
        rule: Radii and costs; its length limit is set for each query.
    """

    body: Body
    obstacles: Obstacles
    bounds: Bounds
    rule: SearchRule


def make_table(capacity: int) -> ArcTable:
    """An empty table for ``capacity`` arcs."""
    return ArcTable(
        np.zeros(capacity),
        np.zeros(capacity),
        np.zeros((capacity + 1, 3)),
        np.zeros(capacity + 1),
        np.zeros(1, np.int64),
    )


@njit(cache=True, error_model="numpy")
def append(table: ArcTable, curvature: float, length: float) -> bool:
    """Add an arc at the end, joined with an equal neighbour; false when there is no room."""
    n = table.size[0]
    if abs(length) <= 1e-9:
        return True
    if n > 0 and table.curvature[n - 1] == curvature and table.length[n - 1] * length > 0.0:
        n -= 1
        length += table.length[n]
    elif n == len(table.length):
        return False
    table.curvature[n] = curvature
    table.length[n] = length
    x, y, h = advance_pose(table.knot[n, 0], table.knot[n, 1], table.knot[n, 2], curvature, length)
    table.knot[n + 1, 0], table.knot[n + 1, 1], table.knot[n + 1, 2] = x, y, h
    table.along[n + 1] = table.along[n] + abs(length)
    table.size[0] = n + 1
    return True


@njit(cache=True, error_model="numpy")
def path_cost(table: ArcTable, rule: SearchRule) -> float:
    """``length + gear_cost * gear changes + reverse_cost * reverse length``, metres."""
    cost = 0.0
    for i in range(table.size[0]):
        s = table.length[i]
        cost += abs(s)
        if s < 0.0:
            cost -= rule.reverse_cost * s
        if i > 0 and s * table.length[i - 1] < 0.0:
            cost += rule.gear_cost
    return cost


@njit(cache=True, error_model="numpy")
def _arc_at(table: ArcTable, distance: float) -> int:
    """The arc that is being driven after a distance."""
    i = 0
    while i < table.size[0] - 1 and table.along[i + 1] <= distance:
        i += 1
    return i


@njit(cache=True, error_model="numpy")
def _pose_on(table: ArcTable, arc: int, distance: float) -> tuple[float, float, float]:
    """The pose after a driven distance that lies on ``arc``."""
    done = distance - table.along[arc]
    s = done if table.length[arc] > 0.0 else -done
    k = table.knot[arc]
    return advance_pose(k[0], k[1], k[2], table.curvature[arc], s)


@njit(cache=True, error_model="numpy")
def _splice(
    table: ArcTable, first: float, last: float, curvature: Array, length: Array, n: int,
    out: ArcTable,
) -> bool:  # fmt: skip
    """Write the path with the part between two distances replaced by ``n`` arcs into ``out``."""
    out.size[0] = 0
    for k in range(3):
        out.knot[0, k] = table.knot[0, k]
    i = _arc_at(table, first)
    j = _arc_at(table, last)
    fits = True
    for k in range(i):
        fits = append(out, table.curvature[k], table.length[k]) and fits
    part = first - table.along[i]
    fits = append(out, table.curvature[i], part if table.length[i] > 0.0 else -part) and fits
    for k in range(n):
        fits = append(out, curvature[k], length[k]) and fits
    part = table.along[j + 1] - last
    fits = append(out, table.curvature[j], part if table.length[j] > 0.0 else -part) and fits
    for k in range(j + 1, table.size[0]):
        fits = append(out, table.curvature[k], table.length[k]) and fits
    return fits


@njit(cache=True, error_model="numpy")
def try_shortcut(
    table: ArcTable, first: float, last: float, cost: float, course: Course, scratch: Scratch,
    curvature: Array, length: Array, out: ArcTable,
) -> float:  # fmt: skip
    """Replace the part between two driven distances by a Reeds-Shepp word, if that is cheaper.

    Returns:
        The cost of the path, which then stands in ``out``; ``cost`` itself where nothing was found.
    """
    ax, ay, ah = _pose_on(table, _arc_at(table, first), first)
    bx, by, bh = _pose_on(table, _arc_at(table, last), last)
    rule = course.rule
    # A word longer than this cannot pay, even if it saved every change of direction.
    kept = first + table.along[table.size[0]] - last
    capped = SearchRule(rule.radii, cost - kept, np.inf, rule.gear_cost, rule.reverse_cost)
    n = find_free(
        ax, ay, ah, bx, by, bh, capped, course.body, course.obstacles, course.bounds, False,
        curvature, length, scratch,
    )  # fmt: skip
    if n == 0 or not _splice(table, first, last, curvature, length, n, out):
        return cost
    return min(cost, path_cost(out, rule))


@njit(cache=True, error_model="numpy")
def copy_table(source: ArcTable, target: ArcTable) -> None:
    """Overwrite one table with another."""
    n = source.size[0]
    target.size[0] = n
    for j in range(n):
        target.curvature[j], target.length[j] = source.curvature[j], source.length[j]
    for j in range(n + 1):
        target.along[j] = source.along[j]
        for k in range(3):
            target.knot[j, k] = source.knot[j, k]


@njit(cache=True, error_model="numpy")
def improve(
    table: ArcTable, other: ArcTable, course: Course, scratch: Scratch, draws: Array
) -> tuple[int, int]:
    """Try one shortcut for each row of draws; keep what is cheaper.

    Args:
        table: The path; changed in place.
        other: Memory of the same size.
        course: Where it runs.
        scratch: Made for the radii of the course.
        draws: Uniform numbers in [0, 1), shape ``(m, 3)``: where, how long, and which ends to keep.

    Returns:
        How many were kept, and how many tries after the last of them found nothing.
    """
    curvature = np.empty(5)
    length = np.empty(5)
    cost = path_cost(table, course.rule)
    kept = 0
    idle = 0
    for i in range(len(draws)):
        total = table.along[table.size[0]]
        first, last = _interval(table, total, draws[i])
        idle += 1
        if last - first < 0.02:
            continue
        found = try_shortcut(table, first, last, cost, course, scratch, curvature, length, other)
        if found < cost - GAIN:
            copy_table(other, table)
            cost = found
            kept += 1
            idle = 0
    return kept, idle


@njit(cache=True, error_model="numpy")
def _interval(table: ArcTable, total: float, draw: Array) -> tuple[float, float]:
    """A part of the path: of any length, and in one of four cases bounded by the path's ends."""
    # Squaring favours short parts, which fit into tight places.
    span = total * draw[1] * draw[1]
    first = (total - span) * draw[0]
    last = first + span
    if draw[2] < 0.125:
        first = 0.0
    elif draw[2] < 0.25:
        last = total
    return first, last
