"""Distance to a target around the obstacles for a point-like vehicle, on a grid (compiled).

The rear axle carries a disc that the body always covers, so no path can bring the axle closer to
an obstacle than the disc's radius. The length of the shortest such path, turning radius aside, is
a lower bound that sees walls and rows of cars, which the Reeds-Shepp length does not.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hybridrl.planners.obstacles import Obstacles
from hybridrl.planners.vehicle import Body

Array = NDArray[np.float64]
Bounds = tuple[float, float, float, float]
MAX_CELLS = 250_000
# The longest detour of the eight directions of a grid: a straight line at 22.5 degrees.
DETOUR = 1.0 / math.cos(math.pi / 8.0)


class DistanceMap(NamedTuple):
    """Distances to one target on a grid over the bounds.

    Args:
        distance: Metres from the centre of each cell, infinite where unreachable, ``(nx, ny)``.
        x: Left edge, metres.
        y: Lower edge, metres.
        cell: Side of a cell, metres.
    """

    distance: Array
    x: float
    y: float
    cell: float


def distance_map(
    target: tuple[float, float],
    bounds: Bounds,
    body: Body,
    obstacles: Obstacles,
    cell: float = 0.4,
) -> DistanceMap:
    """Distances of every cell to a target.

    Args:
        target: Rear axle position, metres, inside the bounds.
        bounds: ``(xmin, xmax, ymin, ymax)``, metres.
        body: Its largest disc around the rear axle stays clear of the obstacles.
        obstacles: Filled convex polygons.
        cell: Side of a cell, metres; larger where the bounds would hold over 250,000 of them.
    """
    width = bounds[1] - bounds[0]
    depth = bounds[3] - bounds[2]
    cell = max(cell, math.sqrt(width * depth / MAX_CELLS), width / MAX_CELLS, depth / MAX_CELLS)
    shape = (max(1, math.ceil(width / cell)), max(1, math.ceil(depth / cell)))
    # A cell stays open while any of its points may be free.
    radius = min(-body.rear, body.half_width) - cell * math.sqrt(0.5)
    blocked = np.zeros(shape, np.bool_)
    if radius > 0.0:
        _block(bounds[0], bounds[2], cell, radius, obstacles, blocked)
    distance = np.full(shape, np.inf)
    _spread(target[0] - bounds[0], target[1] - bounds[2], cell, blocked, distance)
    return DistanceMap(distance, bounds[0], bounds[2], cell)


@njit(cache=True, error_model="numpy")
def look_up(field: DistanceMap, x: float, y: float) -> float:
    """Lower bound on the driven distance to the target, metres; infinite where unreachable."""
    i = min(max(int((x - field.x) / field.cell), 0), field.distance.shape[0] - 1)
    j = min(max(int((y - field.y) / field.cell), 0), field.distance.shape[1] - 1)
    # Both ends may lie half a diagonal off the centres of their cells.
    return max(0.0, float(field.distance[i, j]) / DETOUR - 1.5 * field.cell)


@njit(cache=True, error_model="numpy")
def _outside(ring: Array, x: float, y: float) -> float:
    """Distance of a point to a filled convex counter-clockwise ring, squared; 0 inside."""
    best = np.inf
    inside = True
    n = len(ring)
    for i in range(n):
        j = i + 1 if i + 1 < n else 0
        ex = ring[j, 0] - ring[i, 0]
        ey = ring[j, 1] - ring[i, 1]
        px = x - ring[i, 0]
        py = y - ring[i, 1]
        inside = inside and ex * py - ey * px >= 0.0
        scale = ex * ex + ey * ey
        t = min(max((px * ex + py * ey) / scale, 0.0), 1.0) if scale > 0.0 else 0.0
        best = min(best, (px - t * ex) ** 2 + (py - t * ey) ** 2)
    return 0.0 if inside else best


@njit(cache=True, error_model="numpy")
def _block(
    x: float,
    y: float,
    cell: float,
    radius: float,
    obstacles: Obstacles,
    blocked: NDArray[np.bool_],
) -> None:
    """Mark the cells whose centre is closer than ``radius`` to an obstacle, or inside one."""
    nx, ny = blocked.shape
    for m in range(len(obstacles.circles)):
        ring = obstacles.vertices[obstacles.offsets[m] : obstacles.offsets[m + 1]]
        low = np.array([ring[:, 0].min() - x, ring[:, 1].min() - y]) - radius
        high = np.array([ring[:, 0].max() - x, ring[:, 1].max() - y]) + radius
        for i in range(max(0, int(low[0] / cell)), min(nx, int(high[0] / cell) + 1)):
            for j in range(max(0, int(low[1] / cell)), min(ny, int(high[1] / cell) + 1)):
                if not blocked[i, j]:
                    gap = _outside(ring, x + (i + 0.5) * cell, y + (j + 0.5) * cell)
                    blocked[i, j] = gap < radius * radius


@njit(cache=True, error_model="numpy")
def _spread(x: float, y: float, cell: float, blocked: NDArray[np.bool_], distance: Array) -> None:
    """Dijkstra's algorithm from a target over the eight neighbours, with buckets for a queue.

    Steps cost 1 or sqrt(2) cells, so the nodes at hand always lie in two neighbouring buckets.
    """
    nx, ny = blocked.shape
    i = min(max(int(x / cell), 0), nx - 1)
    j = min(max(int(y / cell), 0), ny - 1)
    distance[i, j] = 0.0
    front = [(i, j)]
    level = 0
    while len(front) > 0:
        level += 1
        later = [(0, 0) for _ in range(0)]
        # Nodes are appended to the list that is being read: they belong to this bucket.
        k = 0
        while k < len(front):
            a, b = front[k]
            k += 1
            here = distance[a, b]
            for da in range(-1, 2):
                for db in range(-1, 2):
                    c, d = a + da, b + db
                    if not (0 <= c < nx and 0 <= d < ny) or blocked[c, d]:
                        continue
                    there = here + cell * math.sqrt(float(da * da + db * db))
                    if there < distance[c, d] - 1e-12:
                        distance[c, d] = there
                        if there < level * cell:
                            front.append((c, d))
                        else:
                            later.append((c, d))
        front = later
