"""The smallest Q-networks, unrolled: one hidden layer of at most 12, 8 inputs, 4 actions.

A decision must cost tens of nanoseconds, so all loops have constant bounds and the network is
padded with zeros to 8 - 12 - 4; padding stays zero in training because its gradient is. Parameters:
``w1[input, hidden]``, ``b1[hidden]``, ``w2[action, hidden]``, ``b2[action]``, hidden units side by
side, so that four of them share a vector instruction. Everything that one loop reads and writes
lies in one array at constant distances: only so can the compiler tell that nothing overlaps.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Eight = tuple[float, float, float, float, float, float, float, float]
Four = tuple[float, float, float, float]

INPUTS, HIDDEN, OUTPUTS = 8, 12, 4
B1 = INPUTS * HIDDEN
W2 = B1 + HIDDEN
B2 = W2 + OUTPUTS * HIDDEN
PADDED = B2 + OUTPUTS  # parameters with their padding
G = PADDED  # where the gradient begins, behind the parameters
FAST_MATH = {"reassoc", "contract", "nsz", "arcp", "nnan"}  # sums may be regrouped
# Nothing is allocated here, so arrays need no reference counts: that halves the cost of a call.
PLAIN: dict[str, Any] = {"cache": True, "error_model": "numpy", "_nrt": False}
QUICK: dict[str, Any] = {**PLAIN, "fastmath": FAST_MATH}


@njit(**PLAIN, inline="always")
def sigmoid(x: float) -> float:
    """Logistic function by a Pade fraction of tanh; wrong by at most 1e-4."""
    y = min(4.97, max(-4.97, 0.5 * x))
    s = y * y
    top = y * (135135.0 + s * (17325.0 + s * (378.0 + s)))
    below = 135135.0 + s * (62370.0 + s * (3150.0 + s * 28.0))
    return 0.5 + 0.5 * (top / below)


@njit(**PLAIN, inline="always")
def quick_exp(x: float) -> float:
    """Exponential for ``|x| <= 20`` without a call, so that loops of it turn into vectors.

    Taylor's series of ``x / 64``, squared six times: wrong by at most 1e-12 of the result.
    """
    r = x * 0.015625
    y = 1.0 + r / 11.0
    y = 1.0 + r * y * 0.1
    y = 1.0 + r * y * (1.0 / 9.0)
    y = 1.0 + r * y * 0.125
    y = 1.0 + r * y * (1.0 / 7.0)
    y = 1.0 + r * y * (1.0 / 6.0)
    y = 1.0 + r * y * 0.2
    y = 1.0 + r * y * 0.25
    y = 1.0 + r * y * (1.0 / 3.0)
    y = 1.0 + r * y * 0.5
    y = 1.0 + r * y
    y *= y
    y *= y
    y *= y
    y *= y
    y *= y
    return y * y


@njit(**QUICK)
def small_values(p: Floats, x: Eight) -> Four:
    """Values of the four actions.

    Args:
        p: Parameters, ``(PADDED,)`` or longer.
        x: Inputs; those that are padding are 0.
    """
    x0, x1, x2, x3, x4, x5, x6, x7 = x
    q0, q1, q2, q3 = p[B2], p[B2 + 1], p[B2 + 2], p[B2 + 3]
    for j in range(HIDDEN):
        z = p[B1 + j] + x0 * p[j] + x1 * p[12 + j] + x2 * p[24 + j] + x3 * p[36 + j]
        z += x4 * p[48 + j] + x5 * p[60 + j] + x6 * p[72 + j] + x7 * p[84 + j]
        h = z * sigmoid(z)
        q0 += h * p[W2 + j]
        q1 += h * p[W2 + 12 + j]
        q2 += h * p[W2 + 24 + j]
        q3 += h * p[W2 + 36 + j]
    return q0, q1, q2, q3


@njit(**PLAIN, inline="always")
def best_of_four(q: Four, actions: int) -> int:
    """The first action of highest value among the first two to four."""
    best, value = 0, q[0]
    if q[1] > value:
        best, value = 1, q[1]
    if actions > 2 and q[2] > value:
        best, value = 2, q[2]
    if actions > 3 and q[3] > value:
        best, value = 3, q[3]
    return best


@njit(**PLAIN, inline="always")
def one_of_four(q: Four, action: int) -> float:
    """The value of an action."""
    low = q[0] if action == 0 else q[1]
    high = q[2] if action == 2 else q[3]
    return low if action < 2 else high
