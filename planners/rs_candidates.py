"""All valid Reeds-Shepp words of one query as a compact table, and their expansion to segments.

Whether a word exists is as good as random, so nothing here branches on it: every formula's result
is written to the next free row, and the row is kept by counting it.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hybridrl.planners import rs_words as w

Array = NDArray[np.float64]

WORDS = 48
SEGMENTS = 5
SAME_WORD = 1e-9  # per segment: closer than this, two entries of one type are one (11.1)
COLUMNS = 5  # of the compact table: t, u, v, family code, total length

# Canonical words, four each. A segment is driven for t, u, v or a quarter turn (parts 0 to 3).
_TURNS = np.array(
    [
        [1, 0, 1, 0, 0],  # 0: L+ S+ L+
        [1, -1, 1, 0, 0],  # 1: L+ R- L+
        [1, -1, 1, 0, 0],  # 2: L+ R- L-
        [1, -1, 1, 0, 0],  # 3: L+ R+ L-
        [1, -1, 0, 1, 0],  # 4: L+ R- S- L-
        [1, 0, -1, 1, 0],  # 5: L+ S+ R+ L-
        [1, 0, -1, 0, 0],  # 6: L+ S+ R+
        [1, -1, 0, -1, 0],  # 7: L+ R- S- R-
        [1, 0, 1, -1, 0],  # 8: L+ S+ L+ R-
        [1, -1, 0, 1, -1],  # 9: L+ R- S- L- R+
        [1, -1, 1, -1, 0],  # 10: L+ R+ L- R-
        [1, -1, 1, -1, 0],  # 11: L+ R- L- R+
    ],
    np.float64,
)
_GEARS = np.array(
    [
        [1, 1, 1, 0, 0],
        [1, -1, 1, 0, 0],
        [1, -1, -1, 0, 0],
        [1, 1, -1, 0, 0],
        [1, -1, -1, -1, 0],
        [1, 1, 1, -1, 0],
        [1, 1, 1, 0, 0],
        [1, -1, -1, -1, 0],
        [1, 1, 1, -1, 0],
        [1, -1, -1, -1, 1],
        [1, 1, -1, -1, 0],
        [1, -1, -1, 1, 0],
    ],
    np.float64,
)
_PARTS = np.array(
    [
        [0, 1, 2, 0, 0],
        [0, 1, 2, 0, 0],
        [0, 1, 2, 0, 0],
        [0, 1, 2, 0, 0],
        [0, 3, 1, 2, 0],
        [0, 1, 3, 2, 0],
        [0, 1, 2, 0, 0],
        [0, 3, 1, 2, 0],
        [0, 1, 3, 2, 0],
        [0, 3, 1, 3, 2],
        [0, 1, 1, 2, 0],
        [0, 1, 1, 2, 0],
    ],
    np.int64,
)


@njit(cache=True, error_model="numpy")
def candidates(x: float, y: float, heading: float, table: Array) -> int:
    """Every valid word to a goal in units of the turning radius, compact and unsorted.

    Args:
        x: Goal in the start's frame, radii.
        y: Goal in the start's frame, radii, positive to the left.
        heading: Goal heading minus start heading, radians.
        table: Filled with rows ``(t, u, v, code, total length)``, shape ``(49, 5)``: the row after
            the last one is scratch. :func:`expand` reads a row.

    Returns:
        How many rows are valid.
    """
    sine, cosine = math.sin(heading), math.cos(heading)
    n = 0
    for side in range(2):
        mirror = 1.0 - 2.0 * side
        rho, theta = w.same_side_vector(x, mirror * y, mirror * sine, cosine)
        n = _same_side(rho, theta, mirror * heading, 2.0 * side, table, n)
        rho, theta = w.other_side_vector(x, mirror * y, mirror * sine, cosine)
        n = _other_side(rho, theta, mirror * heading, 2.0 * side, table, n)
    return n


@njit(cache=True, error_model="numpy")
def _note(word: w.Word, extra: float, code: float, table: Array, n: int) -> int:
    """Write a word to row ``n``; it stays there if it exists. ``extra``: of its fixed turns."""
    exists, t, u, v = word
    table[n, 0] = t
    table[n, 1] = u
    table[n, 2] = v
    table[n, 3] = code
    table[n, 4] = t + u + v + extra
    return n + int(exists)


@njit(cache=True, error_model="numpy")
def _same_side(rho: float, theta: float, heading: float, code: float, table: Array, n: int) -> int:
    """Words that end on a circle of the side they begin on."""
    r, b = w.tangent(rho)
    crossing = rho <= 4.0 + w.TOLERANCE
    h = math.asin(min(1.0, 0.25 * rho)) if crossing else 0.0
    for gear in range(2):
        a = theta if gear == 0 else w.PI - theta
        g = heading if gear == 0 else -heading
        c = code + gear
        n = _note(w.lsl(rho, a, g), 0.0, c, table, n)
        if crossing:
            n = _note(w.lrl_two_cusps(h, a, g), 0.0, 4.0 + c, table, n)
            n = _note(w.lrl_first_cusp(h, a, g), 0.0, 8.0 + c, table, n)
            n = _note(w.lrl_last_cusp(h, a, g), 0.0, 12.0 + c, table, n)
        if r >= 2.0 - w.TOLERANCE:
            n = _note(w.lrsl(r, b, a, g), w.HALF_PI, 16.0 + c, table, n)
            n = _note(w.lsrl(r, b, a, g), w.HALF_PI, 20.0 + c, table, n)
    return n


@njit(cache=True, error_model="numpy")
def _other_side(rho: float, theta: float, heading: float, code: float, table: Array, n: int) -> int:
    """Words that end on a circle of the other side than they begin on."""
    if rho <= 6.0 + w.TOLERANCE:
        n = _four_turns(rho, theta, heading, code, table, n)
    r, b = w.tangent(rho)
    if r < 0.0:
        return n
    for gear in range(2):
        a = theta if gear == 0 else w.PI - theta
        g = heading if gear == 0 else -heading
        c = code + gear
        n = _note(w.lsr(r, b, a, g), 0.0, 24.0 + c, table, n)
        n = _note(w.lrsr(rho, a, g), w.HALF_PI, 28.0 + c, table, n)
        n = _note(w.lslr(rho, a, g), w.HALF_PI, 32.0 + c, table, n)
        if r >= 4.0 - w.TOLERANCE:
            n = _note(w.lrslr(r, b, a, g), w.PI, 36.0 + c, table, n)
    return n


@njit(cache=True, error_model="numpy")
def _four_turns(rho: float, theta: float, heading: float, code: float, table: Array, n: int) -> int:
    """The words ``LRLR``, whose two middle turns are equal."""
    near = rho <= 2.0 + w.TOLERANCE
    far = rho >= 2.0 - w.TOLERANCE
    small = math.acos(min(1.0, 0.5 + 0.25 * rho)) if near else 0.0
    large = math.acos(max(-1.0, 0.5 - 0.25 * rho))
    u, lean = w.outer_turns(rho)
    for gear in range(2):
        a = theta if gear == 0 else w.PI - theta
        g = heading if gear == 0 else -heading
        c = code + gear
        n = _note(w.lrlr_one_cusp(large, w.PI, a, g), large, 40.0 + c, table, n)
        if near:
            n = _note(w.lrlr_one_cusp(small, 0.0, a, g), small, 40.0 + c, table, n)
        if far:
            n = _note(w.lrlr_two_cusps(u, lean, a, g), u, 44.0 + c, table, n)
    return n


@njit(cache=True, error_model="numpy")
def expand(row: Array, curvature: Array, length: Array) -> None:
    """Turn a row of the compact table into five segments (zero padded), in radii.

    Args:
        row: ``(t, u, v, code, total)`` as :func:`candidates` writes it.
        curvature: Filled with -1, 0 or +1, shape ``(5,)``.
        length: Filled with signed lengths, shape ``(5,)``.
    """
    code = int(row[3])
    family = code >> 2
    mirror = 1.0 - (code & 2)
    gear = 1.0 - 2.0 * (code & 1)
    for j in range(SEGMENTS):
        part = _PARTS[family, j]
        size = w.HALF_PI if part == 3 else row[part]
        curvature[j] = mirror * _TURNS[family, j]
        length[j] = gear * _GEARS[family, j] * size


@njit(cache=True, error_model="numpy")
def is_new(curvature: Array, length: Array, total: Array, n: int) -> bool:
    """Whether word ``n`` differs from words ``0..n-1`` of its type by more than rounding."""
    for i in range(n):
        if abs(total[i] - total[n]) > SEGMENTS * SAME_WORD:
            continue
        differs = False
        for j in range(SEGMENTS):
            differs |= curvature[i, j] != curvature[n, j]
            differs |= abs(length[i, j] - length[n, j]) > SAME_WORD
        if not differs:
            return False
    return True
