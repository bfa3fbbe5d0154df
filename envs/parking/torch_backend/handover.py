"""Reeds-Shepp search for the torch back end: done by the numba back end, on copies in host memory.

A search is a data-dependent loop over curves, which batched tensors do badly. The states of all
environments travel to the host and back once a decision; with ``rs="off"`` and no ``rs_distance``
reward nothing here runs.
"""

from __future__ import annotations

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

from hybridrl.envs.parking.kernels.batch import Batch
from hybridrl.envs.parking.kernels.handover import drive_path, look_for_path, make_search
from hybridrl.envs.parking.kernels.records import RUNNING, vehicle_record
from hybridrl.envs.parking.kernels.score import rs_distance
from hybridrl.envs.parking.simulator import ParkingSimulator
from hybridrl.envs.parking.torch_backend.model import Rows

Array = NDArray[np.float64]
# Fields of a row that a hand-over reads or writes; observations stay where they are.
_FIELDS = (
    "x", "y", "heading", "steer", "speed", "distance", "first_distance", "heading_error",
    "best_iou", "rs_length", "first_rs_length", "path_length", "gear", "gear_changes", "bumps",
    "decisions", "rs_decisions", "arcs", "bump", "outcome", "reward", "terms", "rs_arcs",
    "rs_curvature", "rs_arc",
)  # fmt: skip


def push(host: ParkingSimulator, rows: Rows) -> None:
    """Copy states from the device to the host."""
    for name in _FIELDS:
        host.batch.rows[name] = rows[name].cpu().numpy()
    host.batch.rows["start_reach"] = -1.0  # what a search knows of the pose: nothing


def pull(host: ParkingSimulator, rows: Rows) -> Rows:
    """The host's states, as tensors like those in ``rows``."""
    return {name: torch.from_numpy(host.batch.rows[name].copy()).to(rows[name]) for name in _FIELDS}


def rs_lengths(host: ParkingSimulator, rows: Rows) -> Tensor:
    """Length of the shortest Reeds-Shepp curve from each pose to its goal, shape ``(N,)``."""
    push(host, rows)
    lengths = _lengths(host.batch, vehicle_record(host.vehicle))
    return torch.from_numpy(lengths).to(rows["x"])


def look(host: ParkingSimulator, rows: Rows, which: NDArray[np.int64]) -> Rows:
    """Look for a free path in scenes that just began; the fields that may change."""
    push(host, rows)
    host.batch.rows["goal_reach"][which] = -1.0
    _look_many(host.batch, which, vehicle_record(host.vehicle), host.config)
    return pull(host, rows)


def hand_over(host: ParkingSimulator, rows: Rows, known: Tensor, trace: Tensor | None) -> Rows:
    """Look for a path after a decision and, with a trace to write, drive it to its end.

    Args:
        host: Holds the same scenes.
        rows: States after the decision.
        known: Rows that took no decision because they already had a path, shape ``(N,)``.
        trace: Driven arcs, shape ``(N, T, 2)``; written. ``None`` when paths are only looked for.

    Returns:
        The fields that may change.
    """
    push(host, rows)
    if trace is not None:
        host.batch.trace[:] = trace.cpu().numpy()
    vehicle = vehicle_record(host.vehicle)
    _hand_over(host.batch, vehicle, host.config, known.cpu().numpy(), trace is not None)
    if trace is not None:
        trace.copy_(torch.from_numpy(host.batch.trace))
    return pull(host, rows)


@njit(cache=True)
def _lengths(batch: Batch, vehicles: NDArray[np.void]) -> Array:
    lengths = np.empty(len(batch.rows))
    for i in range(len(lengths)):
        lengths[i] = rs_distance(batch.rows[i], vehicles[0])
    return lengths


@njit(cache=True)
def _look_many(
    batch: Batch, which: NDArray[np.int64], vehicles: NDArray[np.void], config: NDArray[np.void]
) -> None:
    search = make_search(config[0])
    for i in which:
        look_for_path(batch, i, vehicles[0], config[0], search)


@njit(cache=True)
def _hand_over(
    batch: Batch, vehicles: NDArray[np.void], config: NDArray[np.void],
    known: NDArray[np.bool_], auto: bool,
) -> None:  # fmt: skip
    search = make_search(config[0])
    for i in range(len(batch.rows)):
        row = batch.rows[i]
        if row.outcome != RUNNING and not known[i]:
            continue
        if not known[i]:
            look_for_path(batch, i, vehicles[0], config[0], search)
        if auto and row.rs_arcs > 0 and row.outcome == RUNNING:
            discount = 1.0 if known[i] else config[0].option_discount
            drive_path(batch, i, vehicles[0], config[0], discount)
