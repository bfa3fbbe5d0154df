"""The lock in compiled code: many rows, each with a random stream of its own.

A row's stream is xoshiro256++ (Blackman and Vigna, 2021), 4 words of state, seeded from the
environment's own generator; so row ``i`` of a vector and a single environment with the same seed
are equal bit for bit.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hybridrl.envs.comblock.lock import DEAD

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Words = NDArray[np.uint64]
_11, _17, _19, _23 = np.uint64(11), np.uint64(17), np.uint64(19), np.uint64(23)
_41, _45 = np.uint64(41), np.uint64(45)
_UNIT = 2.0**-53


@njit(cache=True)
def _next(
    a: np.uint64, b: np.uint64, c: np.uint64, d: np.uint64
) -> tuple[float, np.uint64, np.uint64, np.uint64, np.uint64]:
    """The next number of a stream, uniform on [0, 1), and the four words after it."""
    total = a + d
    drawn = ((total << _23) | (total >> _41)) + a
    shifted = b << _17
    c ^= a
    d ^= b
    b ^= c
    a ^= d
    c ^= shifted
    return float(drawn >> _11) * _UNIT, a, b, c, (d << _45) | (d >> _19)


@njit(cache=True)
def uniform(words: Words) -> float:
    """The next number of a stream, uniform on [0, 1)."""
    drawn, a, b, c, d = _next(words[0], words[1], words[2], words[3])
    words[0], words[1], words[2], words[3] = a, b, c, d
    return drawn


@njit(cache=True)
def _normals(words: Words, count: int, deviation: float, pairs: Floats, out: Floats) -> None:
    """Fill the first entries of ``out`` with normal numbers (Marsaglia's polar method).

    First all accepted pairs, without a branch that nobody can predict and with the words in
    registers; then their logarithms.

    Args:
        words: Of the stream.
        count: How many, at most the length of ``out``.
        deviation: Standard deviation.
        pairs: ``(3, count + 1)`` or more, overwritten.
        out: Filled up to ``count``; zeros after it.
    """
    a, b, c, d = words[0], words[1], words[2], words[3]
    k = 0
    while k < count:
        first, a, b, c, d = _next(a, b, c, d)
        second, a, b, c, d = _next(a, b, c, d)
        u, v = 2.0 * first - 1.0, 2.0 * second - 1.0
        s = u * u + v * v
        pairs[0, k], pairs[1, k], pairs[2, k] = u, v, s  # written over by the next if refused
        k += 2 * (int(s < 1.0) & int(s != 0.0))
    words[0], words[1], words[2], words[3] = a, b, c, d
    for k in range(0, count, 2):
        s = pairs[2, k]
        scale = deviation * math.sqrt(-2.0 * math.log(s) / s)
        out[k] = pairs[0, k] * scale
        if k + 1 < count:
            out[k + 1] = pairs[1, k] * scale
    out[count:] = 0.0


@njit(cache=True)
def _transform(g: Floats) -> None:
    """Walsh-Hadamard transform in place, the product with M: two of its passes at a time.

    The sums are those of single passes, in the same order; memory is touched half as often.
    """
    size, half = len(g), 1
    while 4 * half <= size:
        for block in range(0, size, 4 * half):
            for k in range(block, block + half):
                a, b, c, d = g[k], g[k + half], g[k + 2 * half], g[k + 3 * half]
                p, q, r, s = a + b, a - b, c + d, c - d
                g[k], g[k + half] = p + r, q + s
                g[k + 2 * half], g[k + 3 * half] = p - r, q - s
        half *= 4
    if half < size:
        for k in range(half):
            a, b = g[k], g[k + half]
            g[k], g[k + half] = a + b, a - b


@njit(cache=True)
def latent_actions(actions: Floats, temperature: float, streams: Words, out: Ints) -> None:
    """Draw latent actions from softmax(action / temperature).

    Args:
        actions: ``(N, A)``, any finite numbers; they are not clipped.
        temperature: Above 0.
        streams: ``(N, 4)``; one number of each is used.
        out: ``(N,)``, filled.
    """
    weights = np.empty(actions.shape[1])
    for i in range(len(actions)):
        top = actions[i, 0]
        for a in range(1, len(weights)):
            top = max(top, actions[i, a])
        total = 0.0
        for a in range(len(weights)):
            total += math.exp((actions[i, a] - top) / temperature)
            weights[a] = total
        threshold = uniform(streams[i]) * total
        chosen = 0
        while chosen < len(weights) - 1 and weights[chosen] <= threshold:
            chosen += 1
        out[i] = chosen


@njit(cache=True)
def begin(rows: Ints, streams: Words, latent: Ints, steps: Ints, depth: Ints) -> None:
    """Put some rows at the start: one of the two good states."""
    for i in rows:
        latent[i] = int(uniform(streams[i]) < 0.5)
        steps[i] = 0
        depth[i] = 0


@njit(cache=True)
def advance(
    actions: Ints,
    codes: Ints,
    p_switch: float,
    p_anti: float,
    anti_reward: float,
    terminal: bool,
    streams: Words,
    latent: Ints,
    steps: Ints,
    depth: Ints,
    rewards: Floats,
) -> None:
    """One step of every row.

    Args:
        actions: Latent actions, ``(N,)``, each below A.
        codes: ``(2, H)``.
        p_switch: Probability that the good states swap.
        p_anti: Probability of the anti-shaped reward.
        anti_reward: Its size.
        terminal: Pay it on the last step of every failure, not when the good states are left.
        streams: ``(N, 4)``; two numbers of each are used.
        latent: States before and after, ``(N,)``.
        steps: Steps before and after, ``(N,)``; below H before.
        depth: Correct actions so far before and after, ``(N,)``.
        rewards: ``(N,)``, filled.
    """
    last = codes.shape[1] - 1
    for i in range(len(actions)):
        z, h = latent[i], steps[i]
        swap, pay = uniform(streams[i]) < p_switch, uniform(streams[i]) < p_anti
        rewards[i] = 0.0
        right = z != DEAD and actions[i] == codes[min(z, 1), h]
        if right:
            depth[i] += 1
            if h == last:
                rewards[i] = 1.0
            if swap:
                latent[i] = 1 - z
        else:
            owed = h == last if terminal else z != DEAD
            if owed and pay:
                rewards[i] = anti_reward
            latent[i] = DEAD
        steps[i] = h + 1


@njit(cache=True)
def observe_rotated(
    rows: Ints,
    latent: Ints,
    steps: Ints,
    coordinates: int,
    noise: float,
    streams: Words,
    out: NDArray[np.float32],
) -> None:
    """Rotated observations x = M g of some rows.

    Args:
        rows: Which.
        latent: States z, ``(N,)``.
        steps: Steps h, ``(N,)``.
        coordinates: H + 3: how many coordinates of g have noise.
        noise: Its standard deviation.
        streams: ``(N, 4)``.
        out: ``(N, D)``, those rows filled; D is a power of two.
    """
    g, pairs = np.zeros(out.shape[1]), np.empty((3, coordinates + 1))
    for i in rows:
        if noise > 0.0:
            _normals(streams[i], coordinates, noise, pairs, g)
        else:
            g[:] = 0.0
        g[latent[i]] += 1.0
        g[3 + steps[i]] += 1.0
        _transform(g)
        for k in range(len(g)):
            out[i, k] = g[k]


@njit(cache=True)
def observe_instances(
    rows: Ints, latent: Ints, steps: Ints, instances: int, streams: Words, out: Ints
) -> None:
    """Draw which instance of its class each row shows: class ``3 h + z``, flat index into a bank.

    Args:
        rows: Which.
        latent: States z, ``(N,)``.
        steps: Steps h, ``(N,)``.
        instances: Of each class; 1 draws nothing.
        streams: ``(N, 4)``.
        out: ``(N,)``, those rows filled with ``(3 h + z) * instances + instance``.
    """
    for i in rows:
        chosen = int(uniform(streams[i]) * instances) if instances > 1 else 0
        out[i] = (3 * steps[i] + latent[i]) * instances + chosen
