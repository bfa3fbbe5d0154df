"""Gradients of the smallest networks, 64 samples at a time.

Samples lie side by side, ``[row, sample]``, so that every inner loop is vector instructions over
real hidden units: a network of 7 - 10 - 2 does the arithmetic of 7 - 10 - 2 and not that of its
padding, and the gradient of a weight is one sum that is added to memory once a tile. Rows: inputs,
hidden units, their slopes, values (then the errors of the values), 1 at the action that a sample is
about, and what it aims at. Rows of units and actions that a network lacks stay 0.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from hybridrl.agents.common.brain_spec import SMALL_ROWS, SMALL_TILE
from hybridrl.agents.common.compiled_q import (
    ACTING,
    ACTIONS,
    COUNT,
    DOUBLE,
    HUBER,
    WIDTH,
    Brain,
    Floats,
    Ints,
    inputs_of,
    returns_at,
)
from hybridrl.agents.common.small_q import (
    B1,
    B2,
    HIDDEN,
    INPUTS,
    OUTPUTS,
    PADDED,
    PLAIN,
    QUICK,
    W2,
    G,
    best_of_four,
    quick_exp,
    sigmoid,
)

T = SMALL_TILE
H = INPUTS * T  # where each block of rows begins
S = H + HIDDEN * T
Q = S + HIDDEN * T
ONE = Q + OUTPUTS * T  # 1 for the sample's action, else 0; all 0: no sample
GOAL = ONE + OUTPUTS * T  # target, or what was counted
MORE = GOAL + T  # logarithm of the exposure of a count
assert MORE + T == SMALL_ROWS * T
LOG_MOST = 20.0  # of an expected count


@njit(**PLAIN)
def add_small(brain: Brain, chosen: Ints, want_loss: bool) -> float:
    """Add the gradient of the mean loss of a batch to a small network's gradient.

    Args:
        brain: Is changed.
        chosen: Places in the replay memory.
        want_loss: Whether the loss is needed: with counts it costs a logarithm a sample.

    Returns:
        The sum of the losses, or 0.
    """
    numbers, counts = brain.numbers, brain.counts
    used, ours = numbers[ACTING:], numbers[ACTING + PADDED :]
    t = numbers[len(numbers) - SMALL_ROWS * T :]
    hidden, actions = counts[WIDTH + 1], counts[ACTIONS]
    share, loss = 1.0 / len(chosen), 0.0
    for first in range(0, len(chosen), T):
        if counts[COUNT] == 0:
            _gather(brain, t, chosen, first, INPUTS)
            if counts[DOUBLE]:
                _values(ours, t, hidden, actions)
                _choose(t, actions)
            _values(used, t, hidden, actions)
            if counts[DOUBLE] == 0:
                _choose(t, actions)
        _aim(brain, t, chosen, first)
        _gather(brain, t, chosen, first, 0)
        _values(ours, t, hidden, actions)
        if counts[COUNT]:
            loss += _count_losses(t, numbers[HUBER]) if want_loss else 0.0
            _count_errors(t, numbers[HUBER], share)
        else:
            loss += _value_losses(t, numbers[HUBER]) if want_loss else 0.0
            _value_errors(t, numbers[HUBER], share)
        _add_gradient(ours, t, hidden, actions)
    return loss


@njit(**PLAIN)
def _gather(brain: Brain, t: Floats, chosen: Ints, first: int, column: int) -> None:
    """Inputs of a tile from one column of the memory on; scales of padding are 0."""
    memory, knobs = brain.memory, brain.numbers
    for b in range(min(T, len(chosen) - first)):
        x = inputs_of(knobs, memory[chosen[first + b], column : column + INPUTS])
        t[b], t[T + b], t[2 * T + b], t[3 * T + b] = x[0], x[1], x[2], x[3]
        t[4 * T + b], t[5 * T + b], t[6 * T + b], t[7 * T + b] = x[4], x[5], x[6], x[7]


@njit(**QUICK)
def _values(p: Floats, t: Floats, hidden: int, actions: int) -> None:
    """Hidden units, their slopes and the values of all actions."""
    for j in range(hidden):
        w0, w1, w2, w3 = p[j], p[12 + j], p[24 + j], p[36 + j]
        w4, w5, w6, w7 = p[48 + j], p[60 + j], p[72 + j], p[84 + j]
        bias = p[B1 + j]
        h, s = t[H + j * T : H + (j + 1) * T], t[S + j * T : S + (j + 1) * T]
        for b in range(T):
            z = bias + w0 * t[b] + w1 * t[T + b] + w2 * t[2 * T + b] + w3 * t[3 * T + b]
            z += w4 * t[4 * T + b] + w5 * t[5 * T + b] + w6 * t[6 * T + b] + w7 * t[7 * T + b]
            g = sigmoid(z)
            h[b] = z * g
            s[b] = g * (1.0 + z * (1.0 - g))
    for d in range(actions):
        w = p[W2 + d * HIDDEN : W2 + (d + 1) * HIDDEN]
        w0, w1, w2, w3, w4, w5 = w[0], w[1], w[2], w[3], w[4], w[5]
        w6, w7, w8, w9, w10, w11 = w[6], w[7], w[8], w[9], w[10], w[11]
        bias, q = p[B2 + d], t[Q + d * T : Q + (d + 1) * T]
        for b in range(T):
            z = bias + w0 * t[H + b] + w1 * t[H + T + b] + w2 * t[H + 2 * T + b]
            z += w3 * t[H + 3 * T + b] + w4 * t[H + 4 * T + b] + w5 * t[H + 5 * T + b]
            z += w6 * t[H + 6 * T + b] + w7 * t[H + 7 * T + b] + w8 * t[H + 8 * T + b]
            q[b] = z + w9 * t[H + 9 * T + b] + w10 * t[H + 10 * T + b] + w11 * t[H + 11 * T + b]


@njit(**PLAIN)
def _choose(t: Floats, actions: int) -> None:
    """The action of highest value in each sample; the first of equals."""
    for b in range(T):
        four = (t[Q + b], t[Q + T + b], t[Q + 2 * T + b], t[Q + 3 * T + b])
        _mark(t, b, best_of_four(four, actions))


@njit(**PLAIN, inline="always")
def _mark(t: Floats, b: int, action: int) -> None:
    """Let a sample be about an action; with one that there is not, about none."""
    for d in range(OUTPUTS):
        t[ONE + d * T + b] = 0.0
    if action < OUTPUTS:
        t[ONE + action * T + b] = 1.0


@njit(**PLAIN)
def _aim(brain: Brain, t: Floats, chosen: Ints, first: int) -> None:
    """What every sample aims at, and which action it is about; needs the choices for values."""
    numbers, memory = brain.numbers, brain.memory
    returns, counted = numbers[returns_at(brain) :], brain.counts[COUNT]
    valid = min(T, len(chosen) - first)
    for b in range(valid):
        row = chosen[first + b]
        t[GOAL + b], t[MORE + b] = returns[2 * row], returns[2 * row + 1]
        if counted == 0:
            t[GOAL + b] += t[MORE + b] * _taken(t, b)
        _mark(t, b, int(memory[row, 2 * INPUTS]))
    for b in range(valid, T):
        _mark(t, b, OUTPUTS)


@njit(**PLAIN, inline="always")
def _taken(t: Floats, b: int) -> float:
    """The value of a sample's action, without a branch."""
    low = t[ONE + b] * t[Q + b] + t[ONE + T + b] * t[Q + T + b]
    high = t[ONE + 2 * T + b] * t[Q + 2 * T + b] + t[ONE + 3 * T + b] * t[Q + 3 * T + b]
    return float(low + high)


@njit(**PLAIN, inline="always")
def _put_error(t: Floats, b: int, error: float) -> None:
    """The error of the taken action's value; those of the others are 0."""
    t[Q + b] = error * t[ONE + b]
    t[Q + T + b] = error * t[ONE + T + b]
    t[Q + 2 * T + b] = error * t[ONE + 2 * T + b]
    t[Q + 3 * T + b] = error * t[ONE + 3 * T + b]


@njit(**QUICK)
def _count_errors(t: Floats, size: float, share: float) -> None:
    """Derivatives of the negative binomial's loss; see :func:`_count_losses`."""
    for b in range(T):
        log = min(LOG_MOST, max(-LOG_MOST, _taken(t, b) + t[MORE + b]))
        value = quick_exp(log)
        _put_error(t, b, (value - t[GOAL + b]) / (value + size) * share)


@njit(**PLAIN, inline="always")
def _used(t: Floats, b: int) -> bool:
    """Whether there is a sample in a tile's place."""
    return bool(t[ONE + b] + t[ONE + T + b] + t[ONE + 2 * T + b] + t[ONE + 3 * T + b] > 0.0)


@njit(**PLAIN)
def _count_losses(t: Floats, size: float) -> float:
    """Sum of the losses.

    With mean ``v = exp(output + log exposure)``, size ``k`` and count ``y`` the loss is
    ``(1 + y / k) log(v + k) - (y / k) log v``, its derivative by the output ``(v - y) / (v + k)``.
    """
    loss = 0.0
    for b in range(T):
        if _used(t, b):
            log = min(LOG_MOST, max(-LOG_MOST, _taken(t, b) + t[MORE + b]))
            count = t[GOAL + b] / size
            loss += (1.0 + count) * np.log(np.exp(log) + size) - count * log
    return loss


@njit(**QUICK)
def _value_errors(t: Floats, bend: float, share: float) -> None:
    """Derivatives of Huber's loss."""
    for b in range(T):
        miss = _taken(t, b) - t[GOAL + b]
        _put_error(t, b, min(bend, max(-bend, miss)) * share)


@njit(**PLAIN)
def _value_losses(t: Floats, bend: float) -> float:
    """Sum of Huber's losses."""
    loss = 0.0
    for b in range(T):
        if _used(t, b):
            miss = abs(_taken(t, b) - t[GOAL + b])
            size = min(miss, bend)
            loss += size * (miss - 0.5 * size)
    return loss


@njit(**QUICK)
def _add_gradient(p: Floats, t: Floats, hidden: int, actions: int) -> None:
    """Add a tile's gradient behind the parameters; the slopes turn into errors."""
    for j in range(hidden):
        v0, v1 = p[W2 + j], p[W2 + HIDDEN + j]
        v2, v3 = p[W2 + 2 * HIDDEN + j], p[W2 + 3 * HIDDEN + j]
        h, s = t[H + j * T : H + (j + 1) * T], t[S + j * T : S + (j + 1) * T]
        g0, g1, g2, g3 = 0.0, 0.0, 0.0, 0.0
        for b in range(T):
            e0, e1, e2, e3 = t[Q + b], t[Q + T + b], t[Q + 2 * T + b], t[Q + 3 * T + b]
            g0 += e0 * h[b]
            g1 += e1 * h[b]
            g2 += e2 * h[b]
            g3 += e3 * h[b]
            s[b] *= e0 * v0 + e1 * v1 + e2 * v2 + e3 * v3
        p[G + W2 + j] += g0
        p[G + W2 + HIDDEN + j] += g1
        p[G + W2 + 2 * HIDDEN + j] += g2
        p[G + W2 + 3 * HIDDEN + j] += g3
        _add_inputs(p, t, s, j)
    for d in range(actions):
        total = 0.0
        for b in range(T):
            total += t[Q + d * T + b]
        p[G + B2 + d] += total


@njit(**QUICK)
def _add_inputs(p: Floats, t: Floats, back: Floats, j: int) -> None:
    """Gradients of one hidden unit's weights and bias from its errors, ``(64,)``."""
    a0, a1, a2, a3, a4, a5, a6, a7, total = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for b in range(T):
        e = back[b]
        total += e
        a0 += t[b] * e
        a1 += t[T + b] * e
        a2 += t[2 * T + b] * e
        a3 += t[3 * T + b] * e
        a4 += t[4 * T + b] * e
        a5 += t[5 * T + b] * e
        a6 += t[6 * T + b] * e
        a7 += t[7 * T + b] * e
    p[G + B1 + j] += total
    p[G + j] += a0
    p[G + 12 + j] += a1
    p[G + 24 + j] += a2
    p[G + 36 + j] += a3
    p[G + 48 + j] += a4
    p[G + 60 + j] += a5
    p[G + 72 + j] += a6
    p[G + 84 + j] += a7
