"""Training of a :class:`~hybridrl.agents.common.compiled_q.Brain`: batches, gradients, optimisers.

Samples are worked on in tiles of 32: activations lie as ``[unit, sample]`` so that every inner loop
runs over samples and becomes vector instructions. Rows of the tiles: activations of all
layers, slopes of all layers, errors (of the widest layer), targets. Small networks have tiles of
their own in :mod:`hybridrl.agents.common.small_update`.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from hybridrl.agents.common.brain_spec import TILE
from hybridrl.agents.common.compiled_q import (
    ACTING,
    ACTIONS,
    ATOMS,
    BATCH,
    BETA1,
    BETA2,
    CHOSEN,
    DOUBLE,
    HUBER,
    LAYERS,
    OPTIMISER,
    PARAMETERS,
    RATE,
    SCALE,
    SIZE,
    SMALL,
    SMALL_NET,
    UPDATES,
    V_MAX,
    V_MIN,
    WIDTH,
    Brain,
    Floats,
    Ints,
    draw,
    returns_at,
    room_at,
)
from hybridrl.agents.common.small_q import PLAIN, QUICK, sigmoid
from hybridrl.agents.common.small_update import add_small


@njit(**PLAIN)
def copy_weights(brain: Brain) -> None:
    """Let the acting (and target) network be the trained one."""
    size = brain.counts[PARAMETERS]
    for p in range(ACTING, ACTING + size):
        brain.numbers[p] = brain.numbers[p + size]


@njit(**PLAIN)
def train(brain: Brain, batches: int) -> None:
    """Update with uniformly drawn batches; does nothing before one transition is stored.

    Args:
        brain: Is changed.
        batches: How many of ``batch_size`` transitions, drawn with replacement.
    """
    if brain.counts[SIZE] == 0:
        return
    chosen = brain.counts[CHOSEN : CHOSEN + brain.counts[BATCH]]
    for _ in range(batches):
        for k in range(len(chosen)):
            chosen[k] = int(draw(brain.counts) * brain.counts[SIZE])
        _descend(brain, chosen, False)


@njit(**PLAIN)
def update(brain: Brain, chosen: Ints) -> float:
    """One step of the optimiser on the mean loss of a batch.

    Args:
        brain: Is changed.
        chosen: Places in the replay memory, a multiple of 32 of them.

    Returns:
        The mean loss before the step.
    """
    return float(_descend(brain, chosen, True) / len(chosen))


@njit(**PLAIN)
def _descend(brain: Brain, chosen: Ints, want_loss: bool) -> float:
    """One step; returns the sum of the losses, or anything if it is not wanted."""
    size = brain.counts[PARAMETERS]
    brain.numbers[ACTING + 2 * size : ACTING + 3 * size] = 0.0
    if brain.counts[SMALL_NET]:
        loss = add_small(brain, chosen, want_loss)
    else:
        loss = _add_tiles(brain, chosen)
    brain.counts[UPDATES] += 1
    _step(brain)
    return float(loss)


@njit(**PLAIN)
def _add_tiles(brain: Brain, chosen: Ints) -> float:
    """Gradient of the loss of any network; returns the sum of the losses."""
    numbers, counts = brain.numbers, brain.counts
    size, rows = counts[PARAMETERS], _rows(counts)[3] + counts[ATOMS]
    tiles = numbers[len(numbers) - rows * TILE :].reshape(rows, TILE)
    used = numbers[ACTING : ACTING + size]
    ours = numbers[ACTING + size : ACTING + 5 * size]
    columns = brain.memory.shape[1] // 2
    choices = counts[len(counts) - TILE :]
    loss = 0.0
    for first in range(0, len(chosen), TILE):
        _gather(brain, tiles, chosen, first, columns)
        if counts[DOUBLE]:
            _forward(ours, counts, tiles)
            _choose(brain, tiles, choices)
        _forward(used, counts, tiles)
        if not counts[DOUBLE]:
            _choose(brain, tiles, choices)
        _targets(brain, tiles, chosen, first, choices)
        _gather(brain, tiles, chosen, first, 0)
        _forward(ours, counts, tiles)
        loss += _errors(brain, tiles, chosen, first)
        _backward(ours, counts, tiles)
    return loss


@njit(**PLAIN)
def _gather(brain: Brain, tiles: Floats, chosen: Ints, first: int, column: int) -> None:
    memory = brain.memory
    for b in range(TILE):
        row = chosen[first + b]
        for i in range(brain.counts[WIDTH]):
            tiles[i, b] = memory[row, column + i] * brain.numbers[SCALE + i]


@njit(**PLAIN)
def _rows(counts: Ints) -> tuple[int, int, int, int]:
    """First rows of outputs, slopes, errors and targets."""
    total, widest = 0, 0
    for layer in range(counts[LAYERS] + 1):
        total += counts[WIDTH + layer]
        widest = max(widest, counts[WIDTH + layer])
    return total - counts[WIDTH + counts[LAYERS]], total, 2 * total, 2 * total + widest


@njit(**QUICK)
def _forward(parameters: Floats, counts: Ints, tiles: Floats) -> None:
    """Activations and slopes of a tile whose inputs are in place."""
    slopes = _rows(counts)[1]
    source, first = 0, 0
    layers = counts[LAYERS]
    for layer in range(layers):
        n_in, n_out = counts[WIDTH + layer], counts[WIDTH + layer + 1]
        bias = first + n_in * n_out
        x, y = tiles[source : source + n_in], tiles[source + n_in : source + n_in + n_out]
        weight = parameters[first:bias].reshape(n_out, n_in)
        for j in range(n_out):
            for b in range(TILE):
                y[j, b] = parameters[bias + j]
            _add_rows(weight[j], x, y[j])
            if layer < layers - 1:
                slope = tiles[slopes + source + n_in + j]
                for b in range(TILE):
                    z = y[j, b]
                    s = sigmoid(z)
                    slope[b] = s * (1.0 + z * (1.0 - s))
                    y[j, b] = z * s
        first = bias + n_out
        source += n_in


@njit(**QUICK)
def _add_rows(weight: Floats, x: Floats, y: Floats) -> None:
    """``y += weight @ x``, four rows of ``x`` at a time so that ``y`` is touched less often."""
    whole = len(weight) // 4 * 4
    for i in range(0, whole, 4):
        w0, w1, w2, w3 = weight[i], weight[i + 1], weight[i + 2], weight[i + 3]
        for b in range(TILE):
            y[b] += w0 * x[i, b] + w1 * x[i + 1, b] + w2 * x[i + 2, b] + w3 * x[i + 3, b]
    for i in range(whole, len(weight)):
        w0 = weight[i]
        for b in range(TILE):
            y[b] += w0 * x[i, b]


@njit(**PLAIN)
def _choose(brain: Brain, tiles: Floats, choices: Ints) -> None:
    """The action of highest value in each sample; the first of equals."""
    counts = brain.counts
    out, atoms = _rows(counts)[0], counts[ATOMS]
    probability = brain.numbers[room_at(brain) : room_at(brain) + atoms]
    low, step = _support(brain.numbers, counts)
    for b in range(TILE):
        best = -np.inf
        for action in range(counts[ACTIONS]):
            value = tiles[out + action, b]
            if atoms > 1:
                _softmax(tiles, out + action * atoms, b, probability)
                value = 0.0
                for k in range(atoms):
                    value += probability[k] * (low + k * step)
            if value > best:
                best, choices[b] = value, action


@njit(**PLAIN)
def _support(knobs: Floats, counts: Ints) -> tuple[float, float]:
    return knobs[V_MIN], (knobs[V_MAX] - knobs[V_MIN]) / max(1, counts[ATOMS] - 1)


@njit(**PLAIN)
def _softmax(tiles: Floats, start: int, b: int, probability: Floats) -> float:
    """Softmax of one sample's atoms; returns the logarithm of the normaliser."""
    top, total = -np.inf, 0.0
    for k in range(len(probability)):
        top = max(top, tiles[start + k, b])
    for k in range(len(probability)):
        probability[k] = np.exp(tiles[start + k, b] - top)
        total += probability[k]
    for k in range(len(probability)):
        probability[k] /= total
    return float(top + np.log(total))


@njit(**PLAIN)
def _targets(brain: Brain, tiles: Floats, chosen: Ints, first: int, choices: Ints) -> None:
    """Reward plus discounted next value; for C51 its projection (arXiv:1707.06887, Eq. 7)."""
    atoms, returns = brain.counts[ATOMS], returns_at(brain)
    out, _, _, target = _rows(brain.counts)
    low, step = _support(brain.numbers, brain.counts)
    probability = brain.numbers[room_at(brain) : room_at(brain) + atoms]
    for b in range(TILE):
        row = chosen[first + b]
        reward = brain.numbers[returns + 2 * row]
        discount = brain.numbers[returns + 2 * row + 1]
        if atoms == 1:
            tiles[target, b] = reward + discount * tiles[out + choices[b], b]
            continue
        _softmax(tiles, out + choices[b] * atoms, b, probability)
        for k in range(atoms):
            tiles[target + k, b] = 0.0
        for k in range(atoms):
            place = (reward + discount * (low + k * step) - low) / step
            place = min(atoms - 1.0, max(0.0, place))
            below = int(place)
            tiles[target + below, b] += probability[k] * (1.0 - (place - below))
            if place > below:
                tiles[target + below + 1, b] += probability[k] * (place - below)


@njit(**PLAIN)
def _errors(brain: Brain, tiles: Floats, chosen: Ints, first: int) -> float:
    """Derivatives of the mean loss by the outputs; returns the sum of the losses.

    Huber's loss of the taken action's value, or cross entropy with the projected return.
    """
    counts = brain.counts
    atoms, inputs, bend = counts[ATOMS], brain.memory.shape[1] // 2, brain.numbers[HUBER]
    out, _, error, target = _rows(counts)
    tiles[error : error + counts[ACTIONS] * atoms] = 0.0
    probability = brain.numbers[room_at(brain) : room_at(brain) + atoms]
    loss, batch = 0.0, len(chosen)
    for b in range(TILE):
        start = brain.memory[chosen[first + b], 2 * inputs] * atoms
        if atoms == 1:
            miss = tiles[out + start, b] - tiles[target, b]
            size = min(abs(miss), bend)
            loss += size * (abs(miss) - 0.5 * size)
            tiles[error + start, b] = min(bend, max(-bend, miss)) / batch
            continue
        normaliser = _softmax(tiles, out + start, b, probability)
        for k in range(atoms):
            loss -= tiles[target + k, b] * (tiles[out + start + k, b] - normaliser)
            tiles[error + start + k, b] = (probability[k] - tiles[target + k, b]) / batch
    return loss


@njit(**QUICK)
def _backward(learned: Floats, counts: Ints, tiles: Floats) -> None:
    """Add a tile's gradient; inputs of a layer are overwritten by their errors."""
    size = counts[PARAMETERS]
    source, slopes, errors, _ = _rows(counts)
    after = size
    for layer in range(counts[LAYERS] - 1, -1, -1):
        n_in, n_out = counts[WIDTH + layer], counts[WIDTH + layer + 1]
        source -= n_in
        first = after - (n_in + 1) * n_out
        x, e = tiles[source : source + n_in], tiles[errors : errors + n_out]
        weight = learned[first : first + n_in * n_out].reshape(n_out, n_in)
        gradient = learned[size + first : size + first + n_in * n_out].reshape(n_out, n_in)
        for j in range(n_out):
            for i in range(n_in):
                total = 0.0
                for b in range(TILE):
                    total += e[j, b] * x[i, b]
                gradient[j, i] += total
            for b in range(TILE):
                learned[size + after - n_out + j] += e[j, b]
        if layer > 0:
            x[:] = 0.0
            for i in range(n_in):
                _add_rows(weight[:, i], e, x[i])
                for b in range(TILE):
                    x[i, b] *= tiles[slopes + source + i, b]
        errors, after = source, first


@njit(**QUICK)
def _step(brain: Brain) -> None:
    """SGD, Adam or centred RMSprop, as torch has them."""
    counts, knobs = brain.counts, brain.numbers
    ours = knobs[ACTING + counts[PARAMETERS] :]
    kind, rate, small = counts[OPTIMISER], knobs[RATE], knobs[SMALL]
    beta1, beta2 = knobs[BETA1], knobs[BETA2]
    size, count = counts[PARAMETERS], float(counts[UPDATES])
    bias1, bias2 = 1.0 - beta1**count, np.sqrt(1.0 - beta2**count)
    for p in range(size):
        g = ours[size + p]
        if kind == 0:
            ours[p] -= rate * g
            continue
        kept = beta1 if kind == 1 else beta2
        one = kept * ours[2 * size + p] + (1.0 - kept) * g
        two = beta2 * ours[3 * size + p] + (1.0 - beta2) * g * g
        ours[2 * size + p], ours[3 * size + p] = one, two
        if kind == 1:
            ours[p] -= rate / bias1 * one / (np.sqrt(two) / bias2 + small)
        else:
            ours[p] -= rate * g / (np.sqrt(max(0.0, two - one * one)) + small)
