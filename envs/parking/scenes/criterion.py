"""HOPE's difficulty criterion of any scene (``parking.md`` 5).

It classifies, it does not generate: a few scenes of the Normal generator are Complex by it.
Obstacles are the rings of a scenario as they are, concave ones included.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from hybridrl.envs.parking.scenes.shapes import place, put_box
from hybridrl.planners.scenario import Scenario
from hybridrl.planners.vehicle import Body, VehicleSpec

Array = NDArray[np.float64]
CRITERION_LEVELS = ("normal", "complex", "extreme")
NORMAL, COMPLEX, EXTREME = 0, 1, 2
LEFT, RIGHT, FRONT, REAR = 0, 1, 2, 3

FAR = 15.0  # start-goal distance of Complex, metres
VERY_FAR = 30.0  # of Extreme, metres
BAY_SLACK = 0.85  # width a Normal bay has to spare, metres
BAY_REACH = 6.5  # Normal bay aisle less 0.5, metres
PARALLEL_REACH = 4.0  # Normal parallel aisle less 0.5, metres
NEAR_EDGE = 0.2  # where the manoeuvring rectangle begins, metres from the goal box
ROUNDING = 1e-9  # of a cross product of points in a line; the rectangle still holds them all
DEFAULT_VEHICLE = VehicleSpec()


@njit(cache=True, error_model="numpy")
def _point_segment(px: float, py: float, ax: float, ay: float, bx: float, by: float) -> float:
    ex, ey = bx - ax, by - ay
    scale = ex * ex + ey * ey
    t = ((px - ax) * ex + (py - ay) * ey) / scale if scale > 0.0 else 0.0
    t = min(max(t, 0.0), 1.0)
    return math.hypot(px - ax - t * ex, py - ay - t * ey)


@njit(cache=True, error_model="numpy")
def _point_gap(px: float, py: float, ring: Array) -> float:
    """Distance from a point to the boundary of a ring."""
    best = np.inf
    a = ring[len(ring) - 1]
    for b in ring:
        best = min(best, _point_segment(px, py, a[0], a[1], b[0], b[1]))
        a = b
    return best


@njit(cache=True, error_model="numpy")
def _extent(points: Array, cos: float, sin: float) -> tuple[float, float, float, float]:
    """Smallest and largest coordinates of points along a direction and across it."""
    u0 = v0 = np.inf
    u1 = v1 = -np.inf
    for i in range(len(points)):
        u = cos * points[i, 0] + sin * points[i, 1]
        v = cos * points[i, 1] - sin * points[i, 0]
        u0, u1, v0, v1 = min(u0, u), max(u1, u), min(v0, v), max(v1, v)
    return u0, u1, v0, v1


@njit(cache=True, error_model="numpy")
def _is_hull_edge(points: Array, i: int, j: int) -> bool:
    """Whether no point lies to the right of the line from point ``i`` to point ``j``."""
    ex, ey = points[j, 0] - points[i, 0], points[j, 1] - points[i, 1]
    if ex * ex + ey * ey == 0.0:
        return False
    for k in range(len(points)):
        across = ex * (points[k, 1] - points[i, 1]) - ey * (points[k, 0] - points[i, 0])
        if k not in (i, j) and across < -ROUNDING:
            return False
    return True


@njit(cache=True, error_model="numpy")
def smallest_rectangle(points: Array) -> Array:
    """Corners ``(4, 2)`` of the smallest rotated rectangle around points ``(n, 2)``.

    One of its sides lies on an edge of their convex hull, so all of those are tried.
    """
    best = np.inf
    corners = np.zeros((4, 2))
    for i in range(len(points)):
        for j in range(len(points)):
            if not _is_hull_edge(points, i, j):
                continue
            ex, ey = points[j, 0] - points[i, 0], points[j, 1] - points[i, 1]
            length = math.hypot(ex, ey)
            cos, sin = ex / length, ey / length
            u0, u1, v0, v1 = _extent(points, cos, sin)
            if (u1 - u0) * (v1 - v0) < best:
                best = (u1 - u0) * (v1 - v0)
                for k in range(4):
                    u = u1 if k in (1, 2) else u0
                    v = v1 if k >= 2 else v0
                    corners[k, 0] = cos * u - sin * v
                    corners[k, 1] = sin * u + cos * v
    return corners


@njit(cache=True, error_model="numpy")
def _segment_in_box(a: Array, b: Array, box: tuple[float, float, float, float]) -> bool:
    """Whether a segment touches the upright box ``(xmin, xmax, ymin, ymax)`` (clipping)."""
    low, high = 0.0, 1.0
    for axis in range(2):
        step = b[axis] - a[axis]
        first, last = box[2 * axis] - a[axis], box[2 * axis + 1] - a[axis]
        if step == 0.0:
            if first > 0.0 or last < 0.0:
                return False
        else:
            t0, t1 = first / step, last / step
            low, high = max(low, min(t0, t1)), min(high, max(t0, t1))
    return low <= high


@njit(cache=True, error_model="numpy")
def _contains(ring: Array, x: float, y: float) -> bool:
    """Whether a simple ring holds a point (crossing number)."""
    inside = False
    a = ring[len(ring) - 1]
    for b in ring:
        if (a[1] > y) != (b[1] > y) and x < a[0] + (y - a[1]) * (b[0] - a[0]) / (b[1] - a[1]):
            inside = not inside
        a = b
    return inside


@njit(cache=True, error_model="numpy")
def _touches(ring: Array, corners: Array) -> bool:
    """Whether a filled simple ring, concave or not, touches a filled rectangle."""
    ex, ey = corners[1, 0] - corners[0, 0], corners[1, 1] - corners[0, 1]
    length = max(math.hypot(ex, ey), 1e-12)
    cos, sin = ex / length, ey / length
    turned = np.empty_like(ring)
    for k in range(len(ring)):
        turned[k, 0] = cos * ring[k, 0] + sin * ring[k, 1]
        turned[k, 1] = cos * ring[k, 1] - sin * ring[k, 0]
    box = _extent(corners, cos, sin)
    a = turned[len(turned) - 1]
    for b in turned:
        if _segment_in_box(a, b, box):
            return True
        a = b
    return bool(_contains(turned, box[0], box[2]))


@njit(cache=True, error_model="numpy")
def _box_gap(ring: Array, pose: Array, body: Body) -> float:
    """Distance from the body at a pose to a filled ring, concave or not."""
    corners = np.empty((4, 2))
    put_box(corners, pose[0], pose[1], pose[2], body)
    if _touches(ring, corners):
        return 0.0
    best = np.inf
    for corner in corners:
        best = min(best, _point_gap(corner[0], corner[1], ring))
    for point in ring:
        best = min(best, _point_gap(point[0], point[1], corners))
    return best


@njit(cache=True, error_model="numpy")
def _neighbours(
    goal: Array, vertices: Array, offsets: NDArray[np.int64], body: Body
) -> tuple[Array, Array]:
    """The nearest obstacle of each side, -1 where there is none, and its distance from the body.

    The nearest is found from the middle of the side. The distance is that of the whole box, with
    which every scene of the Complex and Extreme generators is Complex and Extreme, as in HOPE;
    distances from the middle of the side would make half of them Normal.
    """
    middle = 0.5 * (body.front + body.rear)
    limit = 0.5 * (body.front - body.rear)
    us = (middle, middle, body.front, body.rear)
    vs = (body.half_width, -body.half_width, 0.0, 0.0)
    index = np.full(4, -1)
    gaps = np.full(4, np.inf)
    for side in range(4):
        x, y = place(goal[0], goal[1], goal[2], us[side], vs[side])
        nearest = limit
        for m in range(len(offsets) - 1):
            if m not in index[:side]:
                gap = _point_gap(x, y, vertices[offsets[m] : offsets[m + 1]])
                if gap < nearest:
                    index[side], nearest = m, gap
        if index[side] >= 0:
            m = index[side]
            gaps[side] = _box_gap(vertices[offsets[m] : offsets[m + 1]], goal, body)
    return index, gaps


@njit(cache=True, error_model="numpy")
def _blocked(
    points: Array, vertices: Array, offsets: NDArray[np.int64], but_first: int, but_second: int
) -> bool:
    """Whether an obstacle other than two touches the smallest rectangle around points."""
    corners = smallest_rectangle(points)
    for m in range(len(offsets) - 1):
        if m not in (but_first, but_second):
            if _touches(vertices[offsets[m] : offsets[m + 1]], corners):
                return True
    return False


@njit(cache=True, error_model="numpy")
def _bay_points(start: Array, goal: Array, body: Body) -> Array:
    """What the manoeuvring rectangle in front of a bay must hold."""
    points = np.empty((5, 2))
    for k in range(4):
        u = body.front + (NEAR_EDGE if k < 2 else BAY_REACH)
        v = body.half_width if k % 2 else -body.half_width
        points[k, 0], points[k, 1] = place(goal[0], goal[1], goal[2], u, v)
    points[4, 0], points[4, 1] = start[0], start[1]
    return points


@njit(cache=True, error_model="numpy")
def _parallel_points(start: Array, goal: Array, body: Body) -> Array:
    """What the manoeuvring rectangle beside a parallel slot must hold."""
    points = np.empty((9, 2))
    dx, dy = start[0] - goal[0], start[1] - goal[1]
    across = math.cos(goal[2]) * dy - math.sin(goal[2]) * dx
    side = 1.0 if across >= 0.0 else -1.0
    for k in range(4):
        u = body.front if k % 2 else body.rear
        v = side * (body.half_width + (NEAR_EDGE if k < 2 else PARALLEL_REACH))
        points[k, 0], points[k, 1] = place(goal[0], goal[1], goal[2], u, v)
        v = body.half_width if k < 2 else -body.half_width
        points[4 + k, 0], points[4 + k, 1] = place(start[0], start[1], start[2], u, v)
    points[8, 0], points[8, 1] = start[0], start[1]
    return points


@njit(cache=True, error_model="numpy")
def criterion_code(
    start: Array, goal: Array, vertices: Array, offsets: NDArray[np.int64], body: Body
) -> int:
    """The criterion on packed rings: 0 Normal, 1 Complex, 2 Extreme.

    Args:
        start: Rear axle pose, shape ``(3,)``.
        goal: Rear axle pose, shape ``(3,)``.
        vertices: Corners of all rings, shape ``(P, 2)``.
        offsets: Ring ``m`` owns rows ``offsets[m]:offsets[m + 1]``, shape ``(M + 1,)``.
        body: The vehicle's body.
    """
    if len(offsets) <= 2:
        return NORMAL
    index, gaps = _neighbours(goal, vertices, offsets, body)
    has = index >= 0
    width = gaps[LEFT] + gaps[RIGHT]
    length = gaps[FRONT] + gaps[REAR]
    beside, along = has[LEFT] and has[RIGHT], has[FRONT] and has[REAR]
    car = body.front - body.rear
    # Steps 3 to 7 compare slot sizes; the vehicle's own size stands on both sides and drops out.
    narrow = beside and width < BAY_SLACK
    short = along and length < 0.25 * car
    distance = math.hypot(start[0] - goal[0], start[1] - goal[1])
    if distance > VERY_FAR and (short or narrow):
        return EXTREME
    if along and length < min(0.2 * car, 0.9):
        return EXTREME
    if beside and not has[FRONT]:
        hard = distance > FAR or narrow
        points = _bay_points(start, goal, body)
        hard = hard or _blocked(points, vertices, offsets, index[LEFT], index[RIGHT])
        return COMPLEX if hard else NORMAL
    if along:
        hard = distance > FAR or short
        points = _parallel_points(start, goal, body)
        hard = hard or _blocked(points, vertices, offsets, index[FRONT], index[REAR])
        return COMPLEX if hard else NORMAL
    return COMPLEX if beside else NORMAL


def criterion(
    start: ArrayLike,
    goal: ArrayLike,
    obstacles: Sequence[Array] | Array,
    vehicle: VehicleSpec = DEFAULT_VEHICLE,
) -> str:
    """How hard HOPE calls a scene: ``normal``, ``complex`` or ``extreme``.

    Args:
        start: Rear axle pose ``(x, y, heading)``, metres and radians.
        goal: Rear axle pose to reach.
        obstacles: Simple rings ``(n, 2)``, or one array of quads ``(M, 4, 2)``.
        vehicle: Who parks.
    """
    if isinstance(obstacles, np.ndarray):
        vertices = np.ascontiguousarray(obstacles.reshape(-1, 2), np.float64)
        offsets = obstacles.shape[1] * np.arange(len(obstacles) + 1)
    else:
        offsets = np.cumsum([0, *(len(ring) for ring in obstacles)])
        vertices = np.concatenate([*obstacles, np.zeros((0, 2))]).astype(np.float64)
    poses = [np.asarray(pose, np.float64) for pose in (start, goal)]
    return CRITERION_LEVELS[criterion_code(poses[0], poses[1], vertices, offsets, vehicle.body)]


def criterion_of(scenario: Scenario) -> str:
    """The criterion of a scenario: ``normal``, ``complex`` or ``extreme``."""
    return criterion(scenario.start, scenario.goal, scenario.obstacles, scenario.vehicle)
