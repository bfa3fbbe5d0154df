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
def uniform(words: Words) -> float:
    """The next number of a stream, uniform on [0, 1)."""
    a, b, c, d = words[0], words[1], words[2], words[3]
    total = a + d
    drawn = ((total << _23) | (total >> _41)) + a
    shifted = b << _17
    c ^= a
    d ^= b
    b ^= c
    a ^= d
    c ^= shifted
    words[0], words[1], words[2] = a, b, c
    words[3] = (d << _45) | (d >> _19)
    return float(drawn >> _11) * _UNIT


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
    size = out.shape[1]
    g = np.empty(size)
    for i in rows:
        stream = streams[i]
        g[:] = 0.0
        k = 0
        while k < coordinates and noise > 0.0:  # Marsaglia's polar method: two normals at a time
            u, v = 2.0 * uniform(stream) - 1.0, 2.0 * uniform(stream) - 1.0
            s = u * u + v * v
            if s >= 1.0 or s == 0.0:
                continue
            scale = noise * math.sqrt(-2.0 * math.log(s) / s)
            g[k] = u * scale
            if k + 1 < coordinates:
                g[k + 1] = v * scale
            k += 2
        g[latent[i]] += 1.0
        g[3 + steps[i]] += 1.0
        half = 1
        while half < size:  # the Walsh-Hadamard transform is the product with M
            for block in range(0, size, 2 * half):
                for k in range(block, block + half):
                    a, b = g[k], g[k + half]
                    g[k], g[k + half] = a + b, a - b
            half *= 2
        for k in range(size):
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
