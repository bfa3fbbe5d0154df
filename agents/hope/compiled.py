"""The few lines that a single roll-out spends its time in, compiled."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hybridrl.agents.hope.features import LIDAR, MASK
from hybridrl.planners.geometry import overlap_fraction, pose_free
from hybridrl.planners.obstacles import Obstacles
from hybridrl.planners.sweep import arcs_free
from hybridrl.planners.vehicle import Body

Single = NDArray[np.float32]
Array = NDArray[np.float64]
PARKED = 0.95  # share of the goal rectangle that is covered
SPACING = 0.1  # metres between the places that must be inside the bounds


@njit(cache=True, error_model="numpy")
def simulator_features(
    rows: NDArray[np.void], max_decisions: int, inputs: int, ego: bool, vehicle: bool
) -> Single:
    """Feature rows of simulator rows (``features.py`` compiled).

    Args:
        rows: Dtype ``ROW``, shape ``(N,)``.
        max_decisions: Of an episode, for the time feature.
        inputs: Length of a feature row.
        ego: Whether it has last direction and remaining time.
        vehicle: Whether it has the numbers of the vehicle.

    Returns:
        Shape ``(N, inputs)``.
    """
    out = np.empty((len(rows), inputs), np.float32)
    for n in range(len(rows)):
        row, x = rows[n], out[n]
        for a in range(MASK):
            x[a] = row.mask[a] if row.allowed[a] > 0 else 0.0
        for i in range(LIDAR):
            x[MASK + i] = row.lidar[i] / np.float32(5.0)
            x[MASK + LIDAR + i] = np.exp(np.float32(-2.0) * row.lidar[i])
        at = MASK + 2 * LIDAR
        x[at] = row.target[0] / 10.0
        for k in range(4):
            x[at + 1 + k] = row.target[1 + k]
        for k in range(2):
            offset = row.target[0] * row.target[1 + k]
            x[at + 5 + k] = offset / 5.0
            x[at + 7 + k] = np.tanh(offset)
        at += 9
        if ego:
            x[at] = row.speed
            x[at + 1] = max(1.0 - row.decisions / max_decisions, 0.0)
            at += 2
        if vehicle:
            for k in range(len(row.vehicle)):
                x[at + k] = row.vehicle[k]
    return out


@njit(cache=True, error_model="numpy")
def parked_cleanly(
    start: Array, goal: Array, limits: Array, curvatures: Array, lengths: Array,
    body: Body, obstacles: Obstacles,
) -> bool:  # fmt: skip
    """Whether arcs touch nothing, stay inside and end parked; swept exactly, as ``check_path``.

    Args:
        start: Pose, shape ``(3,)``.
        goal: Likewise.
        limits: ``(xmin, xmax, ymin, ymax)``, metres.
        curvatures: Of each arc, 1/m.
        lengths: Signed, metres.
        body: Of the vehicle.
        obstacles: Of the scene.
    """
    x, y, heading = start
    if not pose_free(x, y, heading, body, obstacles):
        return False
    if not arcs_free(x, y, heading, curvatures, lengths, len(lengths), body, obstacles):
        return False
    for k in range(len(lengths)):
        pieces = max(int(np.ceil(abs(lengths[k]) / SPACING)), 1)
        step = lengths[k] / pieces
        half = 0.5 * curvatures[k] * step
        chord = step * (np.sin(half) / half if half != 0.0 else 1.0)
        for _ in range(pieces):
            x += chord * np.cos(heading + half)
            y += chord * np.sin(heading + half)
            heading += 2.0 * half
            if not (limits[0] <= x <= limits[1] and limits[2] <= y <= limits[3]):
                return False
    return overlap_fraction(x, y, heading, goal[0], goal[1], goal[2], body) > PARKED
