"""Gaussian noise of the lidar, drawn inside the compiled simulator from each scene's own state."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hybridrl.envs.parking.kernels.records import LIDAR_RANGE, RAYS

_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_UNIT = 2.0**-53


@njit(cache=True)
def _mixed(state: np.uint64) -> np.uint64:
    """The splitmix64 finaliser: 64 well-mixed bits of a counter (Steele, Lea and Flood 2014)."""
    bits = np.uint64(state)
    bits = (bits ^ (bits >> np.uint64(30))) * _FIRST
    bits = (bits ^ (bits >> np.uint64(27))) * _SECOND
    return bits ^ (bits >> np.uint64(31))


@njit(cache=True)
def _uniform(state: np.uint64) -> float:
    """A number in (0, 1] from a counter."""
    return float((_mixed(state) >> np.uint64(11)) + np.uint64(1)) * _UNIT


@njit(cache=True, error_model="numpy")
def add_noise(row: Any, deviation: float, hits: NDArray[np.float64]) -> None:
    """Disturb measured axle distances; ``row.noise`` moves on, so that no two looks are alike.

    Args:
        row: Of dtype ``ROW``.
        deviation: Standard deviation, metres.
        hits: Changed in place: metres in [0, 10], shape ``(120,)``.
    """
    state = row.noise
    for ray in range(0, RAYS, 2):
        # Box and Muller: two independent normal numbers from two uniform ones.
        radius = deviation * math.sqrt(-2.0 * math.log(_uniform(state + _STEP)))
        state += _STEP + _STEP
        angle = 2.0 * math.pi * _uniform(state)
        hits[ray] = min(max(hits[ray] + radius * math.cos(angle), 0.0), LIDAR_RANGE)
        hits[ray + 1] = min(max(hits[ray + 1] + radius * math.sin(angle), 0.0), LIDAR_RANGE)
    row.noise = state
