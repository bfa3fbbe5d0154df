"""Random numbers in the engine's own state: xorshift64* (Vigna), never a global generator."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from hybridrl.envs.storage.kernels.compiled import inlined

_MULTIPLIER = np.uint64(0x2545F4914F6CDD1D)
_A, _B, _C, _TOP = np.uint64(12), np.uint64(25), np.uint64(27), np.uint64(11)


@inlined
def uniform(holder: Any) -> float:
    """The next number in (0, 1) of the generator in ``holder.rng``, a non-zero uint64."""
    x = np.uint64(holder.rng)
    x ^= x >> _A
    x ^= x << _B
    x ^= x >> _C
    holder.rng = x
    return (float((x * _MULTIPLIER) >> _TOP) + 0.5) * 1.1102230246251565e-16


@inlined
def exponential(holder: Any) -> float:
    """An exponential number of mean 1."""
    return -math.log(uniform(holder))


def first_state(seed: int) -> np.uint64:
    """A well-mixed, non-zero start of the generator (splitmix64 of the seed)."""
    mask = (1 << 64) - 1
    x = (seed + 0x9E3779B97F4A7C15) & mask
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & mask
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & mask
    return np.uint64((x ^ (x >> 31)) or 1)
