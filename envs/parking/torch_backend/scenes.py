"""Scenes for the torch back end: from packed polygons on the host to padded tensors."""

from __future__ import annotations

import math

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

from hybridrl.envs.parking.kernels.batch import Batch
from hybridrl.envs.parking.kernels.records import (
    ACTIONS,
    LIDAR_RANGE,
    MAX_ARCS,
    RAYS,
    REWARD_TERMS,
)
from hybridrl.envs.parking.torch_backend.model import Model, Rows
from hybridrl.envs.parking.torch_backend.observe import Nearest, Scenes

Array = NDArray[np.float64]
FAR = 1e4  # where padding stands, metres: out of any range, small enough for float32
_CELL = 1.0  # metres, of the grid on which neighbours are counted
_PROBLEM = {"start": 3, "goal": 3, "bounds": 4}
_VECTORS = {
    **_PROBLEM, "terms": len(REWARD_TERMS), "rs_curvature": MAX_ARCS, "rs_arc": MAX_ARCS,
    "free": ACTIONS,
}  # fmt: skip
_NUMBERS = (
    "x", "y", "heading", "steer", "speed", "distance", "first_distance", "heading_error",
    "best_iou", "position_error", "turn_error", "rs_length", "first_rs_length", "path_length",
    "gear", "reward",
)  # fmt: skip
_COUNTERS = (
    "gear_changes", "bumps", "decisions", "rs_decisions", "arcs", "outcome", "rs_arcs", "label",
    "obstacles",
)  # fmt: skip
_FLAGS = ("bump", "mask_empty", "reversible")


def empty_rows(count: int, device: torch.device, dtype: torch.dtype) -> Rows:
    """Zeroed rows with the fields of ``records.ROW`` that this back end keeps."""
    f32, i8 = torch.float32, torch.int8
    shapes: dict[str, tuple[tuple[int, ...], torch.dtype]] = {
        **{name: ((), dtype) for name in _NUMBERS},
        **{name: ((width,), dtype) for name, width in _VECTORS.items()},
        **{name: ((), torch.int64) for name in _COUNTERS},
        **{name: ((), torch.bool) for name in _FLAGS},
        "lidar": ((RAYS,), f32),
        "target": ((5,), f32),
        "mask": ((ACTIONS,), f32),
        "counts": ((ACTIONS,), i8),
        "allowed": ((ACTIONS,), i8),
    }
    return {
        name: torch.zeros((count, *shape), dtype=kind, device=device)
        for name, (shape, kind) in shapes.items()
    }


def problem_rows(batch: Batch, which: NDArray[np.int64], like: Rows) -> Rows:
    """What defines the scenes in ``which``, as rows of their own; the rest is zero."""
    x = like["x"]
    rows = empty_rows(len(which), x.device, x.dtype)
    for name in (*_PROBLEM, "label", "reversible", "obstacles"):
        rows[name] = torch.from_numpy(batch.rows[name][which]).to(rows[name])
    rows["x"], rows["y"], rows["heading"] = (c.clone() for c in rows["start"].unbind(1))
    return rows


def padded_scenes(batch: Batch, which: NDArray[np.int64], like: Tensor) -> Scenes:
    """Obstacles of the scenes in ``which``, as many and as cornered as the largest needs."""
    counts = batch.rows["obstacles"][which]
    most = max(int(counts.max(initial=0)), 1)
    offsets = batch.offsets[which, : most + 1]
    corners = np.where(np.arange(most) < counts[:, None], np.diff(offsets, axis=1), 0)
    width = max(int(corners.max(initial=0)), 3)
    index = offsets[:, :-1, None] + np.minimum(
        np.arange(width), np.maximum(corners, 1)[..., None] - 1
    )
    there = corners > 0
    index = np.where(there[..., None], index, 0)
    vertices = batch.vertices[which[:, None, None], index]
    vertices = np.where(there[..., None, None], vertices, FAR)
    circles = np.where(there[..., None], batch.circles[which, :most], (FAR, FAR, 0.0))
    return Scenes(*(torch.from_numpy(array).to(like) for array in (vertices, circles)))


def grown(scenes: Scenes, most: int, corners: int) -> Scenes:
    """The same scenes with room for at least ``most`` obstacles of ``corners`` corners."""
    vertices, circles = scenes
    more = corners - vertices.shape[2]
    if more > 0:
        vertices = torch.cat([vertices, vertices[:, :, -1:].expand(-1, -1, more, -1)], dim=2)
    more = most - vertices.shape[1]
    if more > 0:
        far = vertices.new_full((len(vertices), more, vertices.shape[2], 2), FAR)
        vertices = torch.cat([vertices, far], dim=1)
        far = circles.new_tensor([FAR, FAR, 0.0]).expand(len(circles), more, 3)
        circles = torch.cat([circles, far], dim=1)
    return Scenes(vertices.contiguous(), circles.contiguous())


def count_nearest(batch: Batch, which: NDArray[np.int64], model: Model) -> Nearest:
    """Bounds on how many obstacles are within reach, and in sight, of any pose in any scene."""
    # A decision may end up to its length outside the bounds, and is observed there.
    most = _most_near(batch, which, model.full, model.reach_radius, LIDAR_RANGE)
    return Nearest(max(int(most[0]), 1), max(int(most[1]), 1))


@njit(cache=True)
def _most_near(
    batch: Batch, which: NDArray[np.int64], margin: float, reach: float, seen: float
) -> NDArray[np.int64]:
    """Largest number of bounding circles within two distances of a grid cell of any scene."""
    best = np.zeros(2, np.int64)
    slack = _CELL * math.sqrt(0.5)
    for i in which:
        row = batch.rows[i]
        xmin, ymin = row.bounds[0] - margin, row.bounds[2] - margin
        columns = math.ceil((row.bounds[1] + margin - xmin) / _CELL)
        lines = math.ceil((row.bounds[3] + margin - ymin) / _CELL)
        for cell in range(columns * lines):
            x = xmin + (cell % columns + 0.5) * _CELL
            y = ymin + (cell // columns + 0.5) * _CELL
            close = sighted = 0
            for m in range(row.obstacles):
                circle = batch.circles[i, m]
                gap = math.hypot(circle[0] - x, circle[1] - y) - circle[2] - slack
                close += gap < reach
                sighted += gap < seen
            best[0] = max(best[0], close)
            best[1] = max(best[1], sighted)
    return best
