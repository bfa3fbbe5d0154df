"""The top view: obstacles, goal and history as three binary layers (``parking.md`` 6; compiled).

A pixel belongs to a polygon when its centre does. Convex polygons are filled row by row: each edge
cuts a row to the columns on its inner side.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hybridrl.envs.parking.kernels.batch import Batch, body_of
from hybridrl.planners.geometry import advance_pose, to_vehicle_frame
from hybridrl.planners.vehicle import Body

Array = NDArray[np.float64]
Layer = NDArray[np.uint8]
SIZE = 64
WINDOW = 256.0 / 12.0  # metres across: HOPE's crop at its 12 pixels a metre
PIXEL = WINDOW / SIZE
LAYERS = ("obstacles", "goal", "history")
HISTORY = 20  # past poses drawn
FULL = 255


@njit(cache=True, error_model="numpy")
def _columns(ring: Array, y: float) -> tuple[float, float]:
    """Interval of x inside a convex counter-clockwise ring at height ``y``; empty: low > high."""
    low = -np.inf
    high = np.inf
    ax, ay = ring[len(ring) - 1, 0], ring[len(ring) - 1, 1]
    for i in range(len(ring)):
        bx, by = ring[i, 0], ring[i, 1]
        rise = by - ay
        if rise > 0.0:
            high = min(high, ax + (bx - ax) * (y - ay) / rise)
        elif rise < 0.0:
            low = max(low, ax + (bx - ax) * (y - ay) / rise)
        elif (bx - ax) * (y - ay) < 0.0:
            return 1.0, 0.0
        ax, ay = bx, by
    return low, high


@njit(cache=True, error_model="numpy")
def fill_polygon(ring: Array, layer: Layer) -> None:
    """Set the pixels whose centres lie in a convex polygon.

    Args:
        ring: Corners counter-clockwise, shape ``(n, 2)``: metres ahead and to the left of the
            middle of the image.
        layer: Written, shape ``(64, 64)``: columns run forward, rows from left to right.
    """
    bottom = top = ring[0, 1]
    for i in range(1, len(ring)):
        bottom = min(bottom, ring[i, 1])
        top = max(top, ring[i, 1])
    if top < -0.5 * WINDOW or bottom > 0.5 * WINDOW:
        return
    first = max(math.ceil((0.5 * WINDOW - top) / PIXEL - 0.5), 0)
    last = min(math.floor((0.5 * WINDOW - bottom) / PIXEL - 0.5), SIZE - 1)
    for r in range(first, last + 1):
        low, high = _columns(ring, 0.5 * WINDOW - (r + 0.5) * PIXEL)
        low = max(low, -0.5 * WINDOW)
        high = min(high, 0.5 * WINDOW)
        if low <= high:
            start = max(math.ceil((low + 0.5 * WINDOW) / PIXEL - 0.5), 0)
            stop = min(math.floor((high + 0.5 * WINDOW) / PIXEL - 0.5), SIZE - 1)
            for c in range(start, stop + 1):
                layer[r, c] = FULL


@njit(cache=True, error_model="numpy")
def _write_box(x: float, y: float, heading: float, body: Body, out: Array) -> None:
    """Corners of the body at a pose, counter-clockwise, shape ``(4, 2)``, world frame."""
    cos = math.cos(heading)
    sin = math.sin(heading)
    for i in range(4):
        u = body.front if i in (1, 2) else body.rear
        v = body.half_width if i >= 2 else -body.half_width
        out[i, 0] = x + cos * u - sin * v
        out[i, 1] = y + sin * u + cos * v


@njit(cache=True, error_model="numpy")
def _fill_history(
    batch: Batch, i: int, body: Body, view: tuple[float, float, float, float], layer: Layer
) -> None:
    """Fill the body now and where it was before each of the last arcs, driven backwards."""
    row = batch.rows[i]
    box = np.empty((4, 2))
    x, y, heading = row.x, row.y, row.heading
    for k in range(row.arcs, max(row.arcs - HISTORY, 0) - 1, -1):
        if k < row.arcs:
            arc = batch.trace[i, k]
            x, y, heading = advance_pose(x, y, heading, arc[0], -arc[1])
        _write_box(x, y, heading, body, box)
        to_vehicle_frame(box, view[0], view[1], view[2], view[3], box)
        fill_polygon(box, layer)


@njit(cache=True, error_model="numpy")
def _draw(batch: Batch, i: int, vehicle: Any, rings: Array, image: NDArray[np.uint8]) -> None:
    """Draw scene ``i`` into ``(3, 64, 64)``."""
    row = batch.rows[i]
    body = body_of(vehicle)
    cos = math.cos(row.heading)
    sin = math.sin(row.heading)
    x = row.x + vehicle.center * cos
    y = row.y + vehicle.center * sin
    image[:] = 0
    reach = WINDOW * math.sqrt(0.5)
    for m in range(row.obstacles):
        circle = batch.circles[i, m]
        if math.hypot(circle[0] - x, circle[1] - y) < circle[2] + reach:
            a, b = batch.offsets[i, m], batch.offsets[i, m + 1]
            to_vehicle_frame(batch.vertices[i, a:b], x, y, cos, sin, rings[a:b])
            fill_polygon(rings[a:b], image[0])
    box = np.empty((4, 2))
    _write_box(row.goal[0], row.goal[1], row.goal[2], body, box)
    to_vehicle_frame(box, x, y, cos, sin, box)
    fill_polygon(box, image[1])
    _fill_history(batch, i, body, (x, y, cos, sin), image[2])


@njit(cache=True)
def draw_images(
    batch: Batch, which: NDArray[np.int64], vehicles: NDArray[np.void], images: NDArray[np.uint8]
) -> None:
    """Draw the scenes in ``which`` as their vehicles see them from above.

    The view is centred on the middle of the body, 21.3 m wide, and the car points to growing
    columns. The layers are :data:`LAYERS`: what stands in the way, the goal slot, and the body
    now and before its last 20 arcs.

    Args:
        batch: The scenes.
        which: Rows to draw.
        vehicles: Dtype ``VEHICLE``: one for all, shape ``(1,)``, or one each, ``(N,)``.
        images: Written: 0 or 255, shape ``(N, 3, 64, 64)``.
    """
    rings = np.empty((batch.vertices.shape[1], 2))
    for i in which:
        _draw(batch, i, vehicles[i % len(vehicles)], rings, images[i])
