"""The first collision-free Reeds-Shepp path in an order of preference (``parking.md`` 11.3).

Compiled, without allocation, for use inside a simulator's own kernel as well as in planners.

Every word begins and ends with a turn, so its first segment is one of four arcs that leave the
start and its last one of four that reach the goal. How far each of them is free is remembered (at
the goal for a whole scene) and refuses most words before anything else is swept.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hybridrl.planners.geometry import advance_pose
from hybridrl.planners.obstacles import Obstacles
from hybridrl.planners.reeds_shepp import to_start_frame
from hybridrl.planners.rs_candidates import COLUMNS, SEGMENTS, WORDS, candidates, expand
from hybridrl.planners.sweep import free_length
from hybridrl.planners.vehicle import Body

Array = NDArray[np.float64]
Bounds = tuple[float, float, float, float]

RADII = (1.0, 1.25, 1.5)  # parking.md 11.3, in minimum radii
SHORTEST_SEGMENT = 1e-9  # metres; anything below is rounding
HALF_PI = 0.5 * math.pi


class SearchRule(NamedTuple):
    """Which words are tried and in which order.

    Words are ranked by ``length + gear_cost * gear changes + reverse_cost * reverse length``.

    Args:
        radii: Turning radii to try, metres, shape ``(K,)``.
        max_length: Longer words are left out, metres.
        length_ratio: The search ends at the first word longer than this many times the shortest
            once two were tested.
        gear_cost: Metres for each change of direction.
        reverse_cost: Metres for each metre in reverse.
    """

    radii: Array
    max_length: float
    length_ratio: float
    gear_cost: float
    reverse_cost: float


class Scratch(NamedTuple):
    """Memory of :func:`find_free`; make it once with :func:`make_scratch`.

    Args:
        table: Compact words, one after another, shape ``(48 K + 1, 5)``.
        radius: Index of each word's radius, shape ``(48 K + 1,)``.
        cost: Rank of each word, shape ``(48 K + 1,)``; infinite once it was tested.
        start_reach: Free length of the four arcs at the start, metres, -1 while unknown; shape
            ``(K, 4)``.
        goal_reach: The same at the goal; it belongs to a scene, so a simulator of many scenes keeps
            one of these for each.
        tested: How many words the last search tested, shape ``(1,)``.
    """

    table: Array
    radius: NDArray[np.int64]
    cost: Array
    start_reach: Array
    goal_reach: Array
    tested: NDArray[np.int64]


def hope_rule(min_radius: float) -> SearchRule:
    """HOPE's search: by length at the minimum radius, up to 1.6 times the shortest."""
    return SearchRule(np.array([min_radius]), math.inf, 1.6, 0.0, 0.0)


def default_rule(
    min_radius: float,
    *,
    radii: tuple[float, ...] = RADII,
    max_length: float = 40.0,
    gear_cost: float = 1.0,
    reverse_cost: float = 0.0,
) -> SearchRule:
    """Ours: by cost over several radii.

    Args:
        min_radius: The vehicle's, metres.
        radii: Factors on it.
        max_length: See :class:`SearchRule`.
        gear_cost: See :class:`SearchRule`.
        reverse_cost: See :class:`SearchRule`.
    """
    factors = np.asarray(radii, np.float64)
    return SearchRule(min_radius * factors, max_length, math.inf, gear_cost, reverse_cost)


def make_scratch(n_radii: int) -> Scratch:
    """Memory for searches over ``n_radii`` turning radii."""
    rows = n_radii * WORDS + 1
    return Scratch(
        np.zeros((rows, COLUMNS)),
        np.zeros(rows, np.int64),
        np.zeros(rows),
        np.full((n_radii, 4), -1.0),
        np.full((n_radii, 4), -1.0),
        np.zeros(1, np.int64),
    )


@njit(cache=True, error_model="numpy")
def find_free(
    start_x: float, start_y: float, start_heading: float,
    goal_x: float, goal_y: float, goal_heading: float,
    rule: SearchRule, body: Body, obstacles: Obstacles, bounds: Bounds, same_scene: bool,
    curvature_out: Array, length_out: Array, scratch: Scratch,
) -> int:  # fmt: skip
    """The first collision-free word in the order of a rule.

    Args:
        start_x: Rear axle, world frame, metres. Both poses must be free.
        start_y: See ``start_x``.
        start_heading: Radians.
        goal_x: See ``start_x``.
        goal_y: See ``start_x``.
        goal_heading: Radians.
        rule: Order and limits of the search.
        body: Body rectangle.
        obstacles: Filled convex polygons.
        bounds: ``(xmin, xmax, ymin, ymax)`` that the rear axle must not leave, metres.
        same_scene: Goal, body, obstacles and radii are those of the last call with this scratch.
        curvature_out: Filled with 1/m of each segment, shape ``(5,)``.
        length_out: Filled with signed metres of each segment, none of them zero, shape ``(5,)``.
        scratch: Made for as many radii as the rule has.

    Returns:
        Number of segments; 0 where no word is free (or the start is the goal).
    """
    scratch.start_reach[:] = -1.0
    if not same_scene:
        scratch.goal_reach[:] = -1.0
    start = (start_x, start_y, start_heading)
    goal = (goal_x, goal_y, goal_heading)
    return find_free_knowing(
        start, goal, rule, body, obstacles, bounds, curvature_out, length_out, scratch
    )


@njit(cache=True, error_model="numpy")
def find_free_knowing(
    start: tuple[float, float, float], goal: tuple[float, float, float],
    rule: SearchRule, body: Body, obstacles: Obstacles, bounds: Bounds,
    curvature_out: Array, length_out: Array, scratch: Scratch,
) -> int:  # fmt: skip
    """:func:`find_free` with what is known of both ends in ``start_reach`` and ``goal_reach``.

    A simulator that has measured how far turns are free hands that over instead of measuring again.
    Entries are exact free lengths, or -1 where unknown; unknown ones are filled in when needed.
    """
    n, shortest = _rank(start, goal, rule, scratch, curvature_out, length_out)
    tested = 0
    segments = 0
    while segments == 0:
        i = _cheapest(scratch.cost, n)
        if i < 0:
            break
        r = scratch.radius[i]
        total = scratch.table[i, 4] * rule.radii[r]
        if total > rule.length_ratio * shortest and tested >= 2:
            break
        tested += 1
        scratch.cost[i] = np.inf
        _to_metres(scratch.table[i], rule.radii[r], curvature_out, length_out)
        if (
            _ends_free(
                start, goal, rule.radii[r], curvature_out, length_out,
                scratch.start_reach[r], scratch.goal_reach[r], body, obstacles,
            )
            and _inside(start, goal, total, curvature_out, length_out, bounds)
            and _middle_free(start, curvature_out, length_out, body, obstacles)
        ):  # fmt: skip
            segments = _join(curvature_out, length_out)
            if segments == 0:
                break  # the start is the goal
    scratch.tested[0] = tested
    return segments


@njit(cache=True, error_model="numpy")
def _rank(
    start: tuple[float, float, float],
    goal: tuple[float, float, float],
    rule: SearchRule,
    scratch: Scratch,
    curvature: Array,
    length: Array,
) -> tuple[int, float]:
    """All words of all radii with their costs; their number and the shortest length."""
    n = 0
    shortest = np.inf
    for r in range(len(rule.radii)):
        radius = rule.radii[r]
        x, y, heading = to_start_frame(
            start[0], start[1], start[2], goal[0], goal[1], goal[2], radius
        )
        count = candidates(x, y, heading, scratch.table[n:])
        for i in range(n, n + count):
            total = scratch.table[i, 4] * radius
            shortest = min(shortest, total)
            scratch.radius[i] = r
            scratch.cost[i] = total if total <= rule.max_length else np.inf
            if rule.gear_cost != 0.0 or rule.reverse_cost != 0.0:
                _to_metres(scratch.table[i], radius, curvature, length)
                scratch.cost[i] += _manoeuvre_cost(length, rule)
        n += count
    return n, shortest


@njit(cache=True, error_model="numpy")
def _manoeuvre_cost(length: Array, rule: SearchRule) -> float:
    """What a word costs beside its length, metres."""
    cost = 0.0
    gear = 0.0
    for j in range(SEGMENTS):
        s = length[j]
        if abs(s) <= SHORTEST_SEGMENT:
            continue
        if gear * s < 0.0:
            cost += rule.gear_cost
        if s < 0.0:
            cost -= rule.reverse_cost * s
        gear = s
    return cost


@njit(cache=True, error_model="numpy")
def _cheapest(cost: Array, n: int) -> int:
    """Index of the smallest finite cost, -1 without one."""
    best = np.inf
    index = -1
    for i in range(n):
        if cost[i] < best:
            best = cost[i]
            index = i
    return index


@njit(cache=True, error_model="numpy")
def _to_metres(row: Array, radius: float, curvature: Array, length: Array) -> None:
    expand(row, curvature, length)
    for j in range(SEGMENTS):
        curvature[j] /= radius
        length[j] *= radius


@njit(cache=True, error_model="numpy")
def _last_segment(curvature: Array) -> int:
    """Index of a word's last turn; words begin and end with one."""
    last = SEGMENTS - 1
    while last > 0 and curvature[last] == 0.0:
        last -= 1
    return last


@njit(cache=True, error_model="numpy")
def _ends_free(
    start: tuple[float, float, float], goal: tuple[float, float, float], radius: float,
    curvature: Array, length: Array, start_reach: Array, goal_reach: Array,
    body: Body, obstacles: Obstacles,
) -> bool:  # fmt: skip
    """Whether the first and the last turn of a word are free: a comparison once they are known."""
    last = _last_segment(curvature)
    return _end_free(
        goal, radius, curvature[last], -length[last], goal_reach, body, obstacles, True
    ) and _end_free(start, radius, curvature[0], length[0], start_reach, body, obstacles, False)


@njit(cache=True, error_model="numpy")
def _middle_free(
    start: tuple[float, float, float], curvature: Array, length: Array,
    body: Body, obstacles: Obstacles,
) -> bool:  # fmt: skip
    """Whether the segments between the first and the last turn are free."""
    x, y, heading = advance_pose(start[0], start[1], start[2], curvature[0], length[0])
    for j in range(1, _last_segment(curvature)):
        k, s = curvature[j], length[j]
        if free_length(x, y, heading, k, s, body, obstacles) < abs(s):
            return False
        x, y, heading = advance_pose(x, y, heading, k, s)
    return True


@njit(cache=True, error_model="numpy")
def _end_free(
    pose: tuple[float, float, float], radius: float, curvature: float, length: float,
    reach: Array, body: Body, obstacles: Obstacles, whole: bool,
) -> bool:  # fmt: skip
    """Whether an arc that leaves a pose is free, from the measured reach of its direction."""
    way = 2 * int(curvature < 0.0) + int(length < 0.0)
    if reach[way] < 0.0:
        # A goal is measured once a scene, so as far as any word may turn; a start only as needed.
        wanted = math.copysign(1.000001 * math.pi * radius, length) if whole else length
        free = free_length(pose[0], pose[1], pose[2], curvature, wanted, body, obstacles)
        if free == abs(wanted) and not whole:
            return True
        reach[way] = free
    return bool(abs(length) < reach[way] or length == 0.0)


@njit(cache=True, error_model="numpy")
def _inside(
    start: tuple[float, float, float],
    goal: tuple[float, float, float],
    total: float,
    curvature: Array,
    length: Array,
    bounds: Bounds,
) -> bool:
    """Whether the rear axle stays inside the bounds."""
    # A path no longer than `total` cannot get farther than this from both its ends.
    x = 0.5 * (start[0] + goal[0])
    y = 0.5 * (start[1] + goal[1])
    half = 0.5 * total
    if (x - half >= bounds[0] and x + half <= bounds[1]) and (
        y - half >= bounds[2] and y + half <= bounds[3]
    ):
        return True
    x, y, heading = start
    for j in range(SEGMENTS):
        k, s = curvature[j], length[j]
        if k != 0.0 and not _arc_inside(x, y, heading, k, s, bounds):
            return False
        x, y, heading = advance_pose(x, y, heading, k, s)
        if not _point_inside(x, y, bounds):
            return False
    return True


@njit(cache=True, error_model="numpy")
def _arc_inside(
    x: float, y: float, heading: float, curvature: float, length: float, bounds: Bounds
) -> bool:
    """Whether the points of an arc with extreme x or y lie inside; there it runs along an axis."""
    low = min(heading, heading + curvature * length)
    high = max(heading, heading + curvature * length)
    for quarter in range(math.ceil(low / HALF_PI), math.floor(high / HALF_PI) + 1):
        angle = quarter * HALF_PI
        px = x + (math.sin(angle) - math.sin(heading)) / curvature
        py = y - (math.cos(angle) - math.cos(heading)) / curvature
        if not _point_inside(px, py, bounds):
            return False
    return True


@njit(cache=True, error_model="numpy")
def _point_inside(x: float, y: float, bounds: Bounds) -> bool:
    return bool(bounds[0] <= x <= bounds[1] and bounds[2] <= y <= bounds[3])


@njit(cache=True, error_model="numpy")
def _join(curvature: Array, length: Array) -> int:
    """Drop segments of length zero and join equal neighbours, in place; how many remain."""
    n = 0
    for j in range(SEGMENTS):
        k, s = curvature[j], length[j]
        if abs(s) <= SHORTEST_SEGMENT:
            continue
        if n > 0 and curvature[n - 1] == k and length[n - 1] * s > 0.0:
            length[n - 1] += s
        else:
            curvature[n] = k
            length[n] = s
            n += 1
    return n
