"""The formulas of optimistic actor-critic for tables and linear features, one function each.

Numbers in brackets are those of ``agents/nora/README.md``. Sources: Tan, Fan, Wei, "Actor-critics
can achieve optimal sample efficiency", 2025 (arXiv 2505.03710), Algorithm 2; Jin et al., 2020
(arXiv 1907.05388) for the linear case; Wang, Zhou, Gu, 2021 (arXiv 2101.02195) for rare switching.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
TIE = 1e-12  # values that differ by less are equal to a greedy policy


def confidence(n_states: int, n_actions: int, horizon: int, episodes: int, delta: float) -> float:
    """(1) ``iota = log(S A H T / delta)``: the union over everything that is estimated.

    Args:
        n_states: S.
        n_actions: A.
        horizon: H.
        episodes: T that are planned.
        delta: Probability that the bounds fail, in (0, 1).
    """
    return math.log(n_states * n_actions * horizon * max(1, episodes) / delta)


def theory_eta(switches: float, n_actions: int, v_max: float, episodes: int) -> float:
    """(6) ``eta = sqrt(2 K log A / (V_max^2 T))`` for K switches in T episodes."""
    return math.sqrt(2.0 * switches * math.log(n_actions) / (v_max**2 * max(1, episodes)))


def switch_bound(dim: int, horizon: int, episodes: int) -> float:
    """(5) At most ``K = d H log2(1 + T)`` doublings of the determinants happen in T episodes."""
    return dim * horizon * math.log2(1 + max(1, episodes))


@njit(cache=True)
def dot(left: Floats, right: Floats) -> float:
    """Inner product of two vectors (numba's own needs a library that is not required here)."""
    total = 0.0
    for i in range(len(left)):
        total += left[i] * right[i]
    return total


@njit(cache=True)
def times(matrix: Floats, vector: Floats) -> Floats:
    """Matrix times vector."""
    product = np.empty(len(matrix))
    for i in range(len(matrix)):
        product[i] = dot(matrix[i], vector)
    return product


@njit(cache=True)
def table_value(mean: float, count: float, spread: float, v_max: float, optimism: float) -> float:
    """(2) ``Q = min(V_max, r + P V + c sqrt(iota / N))``, and V_max where N is 0.

    Args:
        mean: Empirical mean of the backups ``r + V(s')``.
        count: N of state, action and step.
        spread: ``c sqrt(iota)``.
        v_max: Largest return.
        optimism: Factor on the bonus; at 0 an unseen pair is worth 0.
    """
    if count <= 0.0:
        return v_max if optimism > 0.0 else 0.0
    return min(v_max, mean + optimism * spread / math.sqrt(count))


@njit(cache=True)
def linear_value(mean: float, variance: float, c: float, v_max: float, optimism: float) -> float:
    """(3) ``Q = clip(phi w + c sqrt(phi' Lambda^-1 phi), 0, V_max)``.

    Args:
        mean: ``phi w``, the ridge regression's value.
        variance: ``phi' Lambda^-1 phi``.
        c: Width of the bonus.
        v_max: Largest return.
        optimism: Factor on the bonus.
    """
    return min(v_max, max(0.0, mean + optimism * c * math.sqrt(max(0.0, variance))))


@njit(cache=True)
def add_outer(inverse: Floats, phi: Floats) -> float:
    """Sherman and Morrison: ``Lambda^-1`` after ``Lambda += phi phi'``, in place.

    Args:
        inverse: ``Lambda^-1``, ``(d, d)``, symmetric.
        phi: ``(d,)``.

    Returns:
        (4) The growth of ``log det Lambda``: ``log(1 + phi' Lambda^-1 phi)``.
    """
    moved = times(inverse, phi)
    scale = 1.0 + dot(phi, moved)
    for i in range(len(phi)):
        for j in range(len(phi)):
            inverse[i, j] -= moved[i] * moved[j] / scale
    return math.log(scale)


@njit(cache=True)
def tilt(logits: Floats, greedy: bool) -> Floats:
    """(7) The policy ``softmax(logits)``; a greedy one shares its choice between equal logits.

    Args:
        logits: ``sum_n eta f_n(s, .)`` since the last reset, ``(A,)``.
        greedy: Take the largest only, the limit of an infinite ``eta``.
    """
    top = logits.max()
    chance = np.empty_like(logits)
    total = 0.0
    for a in range(len(logits)):
        if greedy:
            chance[a] = 1.0 if logits[a] >= top - TIE else 0.0
        else:
            chance[a] = math.exp(logits[a] - top)
        total += chance[a]
    for a in range(len(logits)):
        chance[a] /= total
    return chance


@njit(cache=True)
def draw(chance: Floats, number: float) -> int:
    """The index that a uniform number in [0, 1) falls on."""
    left = number
    for a in range(len(chance) - 1):
        left -= chance[a]
        if left < 0.0:
            return a
    return len(chance) - 1
