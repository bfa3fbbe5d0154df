"""Paths as actions of the environment (``parking.md`` 11.5)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from hybridrl.envs.parking.kernels.records import ACTION_SPEED, ACTION_STEER, DECISION_SECONDS
from hybridrl.planners.path import Path
from hybridrl.planners.vehicle import VehicleSpec


def decisions_of(path: Path, vehicle: VehicleSpec) -> list[NDArray[np.float32]]:
    """A path as continuous actions: each arc in equal pieces of at most full speed.

    Args:
        path: Arcs that the vehicle can drive.
        vehicle: Who drives.

    Returns:
        ``(steering, speed)`` pairs in [-1, 1], one a decision.
    """
    full = vehicle.max_speed * DECISION_SECONDS
    actions: list[NDArray[np.float32]] = []
    for curvature, length in zip(path.curvatures.tolist(), path.lengths.tolist(), strict=True):
        pieces = max(math.ceil(abs(length) / full - 1e-9), 1)
        steer = math.atan(curvature * vehicle.wheelbase) / vehicle.max_steer
        action = np.array((steer, length / pieces / full), np.float32).clip(-1.0, 1.0)
        actions += [action] * pieces
    return actions


def motions_of(path: Path, vehicle: VehicleSpec) -> list[tuple[int, float]]:
    """A path of the 42 motions as ``(motion, metres)``; equal neighbours are one entry.

    Args:
        path: As a roll-out drove it, hand-over included.
        vehicle: Who drove.

    Returns:
        For each arc the motion nearest in curvature; exact where the arc is one of the 42.
    """
    curvatures = np.tan(ACTION_STEER * vehicle.max_steer) / vehicle.wheelbase
    found = []
    for curvature, length in zip(path.curvatures.tolist(), path.lengths.tolist(), strict=True):
        wrong_gear = ACTION_SPEED * length < 0.0
        nearest = np.argmin(np.abs(curvatures - curvature) + 1e3 * wrong_gear)
        found.append((int(nearest), abs(length)))
    return found
