"""Small Q-networks that decide and learn inside compiled code.

Everything a network needs is three flat arrays, a :class:`Brain`, so that a compiled simulator can
hold it, ask it for actions and train it without going back to Python. An observation is a row of
*bins* (``uint8``); the input of the network is ``bin / (bins - 1)`` in [0, 1].

The hidden activation is swish with a rational sigmoid. The head holds either one value an action,
or the logits of ``atoms`` fixed returns an action (C51, Bellemare et al., 2017, arXiv:1707.06887),
or the logarithm of an expected count an action, over an exposure that is given with the sample.
Networks of at most 8 - 12 - 4 with values as their head take the unrolled path of
:mod:`hybridrl.agents.common.small_q`. Training is in :mod:`hybridrl.agents.common.compiled_update`,
the same updates with torch in :mod:`hybridrl.agents.common.torch_q`.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hybridrl.agents.common.brain_spec import (
    MAX_INPUTS,
    MAX_LAYERS,
    OPTIMISERS,
    SMALL_ROWS,
    SMALL_TILE,
    TILE,
    BrainSpec,
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
    Eight,
    best_of_four,
    sigmoid,
    small_values,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bytes = NDArray[np.uint8]

# Places in ``Brain.counts``; WIDTH and on: one a layer, inputs first; then places and actions.
SIZE, HEAD, UPDATES, WRITTEN, ACTIONS, ATOMS, BATCH, OPTIMISER = range(8)
DOUBLE, RNG, PARAMETERS, LAYERS, SMALL_NET, WAIT, COUNT, WIDTH = range(8, 16)
# Places in ``Brain.numbers``; behind the scales of the inputs are the parameters that act.
RATE, EXPLORATION, BETA1, BETA2, SMALL, V_MIN, V_MAX, HUBER, SCALE = range(9)
ACTING = SCALE + MAX_INPUTS
CHOSEN = WIDTH + MAX_LAYERS + 1


class Brain(NamedTuple):
    """A Q-network, its copy for acting, its optimiser and its replay memory.

    Few arrays, because compiled code passes each of them as seven words. The copy for acting is
    also the target network: it is renewed by
    :func:`hybridrl.agents.common.compiled_update.copy_weights`.

    Args:
        numbers: Knobs and scales of the inputs; parameters that act; parameters in training,
            gradient and two rows of optimiser state; reward and discount of every transition; room
            for one decision; room for the samples that are worked on at a time.
        counts: Fill and head of the memory, counters, shape, state of the generator; room for the
            places of a batch and 32 actions.
        memory: Ring of transitions in bins: observation, next observation and action,
            ``(capacity, 2 * inputs + 1)``.
    """

    numbers: Floats
    counts: Ints
    memory: Bytes


def make_brain(spec: BrainSpec) -> Brain:
    """A network with uniform Glorot weights and an empty memory."""
    rng = np.random.default_rng(spec.seed)
    widths, adam = spec.widths, spec.optimiser == "adam"
    size = PADDED if spec.small else spec.parameters
    atoms = spec.atoms if spec.head == "c51" else 1
    tiles = (2 * sum(widths) + max(widths) + atoms) * TILE
    if spec.small:
        tiles = SMALL_ROWS * SMALL_TILE
    columns = INPUTS if spec.small else len(spec.bins)
    numbers = np.zeros(ACTING + 5 * size + 2 * spec.capacity + 2 * max(widths) + tiles)
    numbers[[RATE, EXPLORATION]] = spec.learning_rate, spec.exploration
    numbers[[BETA1, BETA2, SMALL]] = (0.9, 0.999, 1e-8) if adam else (0.0, 0.95, 1e-2)
    numbers[[V_MIN, V_MAX, HUBER]] = spec.v_min, spec.v_max, spec.huber
    numbers[SCALE : SCALE + len(spec.bins)] = 1.0 / (np.array(spec.bins, np.float64) - 1.0)
    counts = np.zeros(CHOSEN + spec.batch_size + TILE, np.int64)
    counts[[ACTIONS, BATCH, DOUBLE]] = spec.actions, spec.batch_size, spec.double
    counts[[ATOMS, SMALL_NET]] = atoms, spec.small
    counts[COUNT] = spec.head == "count"
    counts[OPTIMISER] = OPTIMISERS.index(spec.optimiser)
    counts[[PARAMETERS, LAYERS]] = size, len(widths) - 1
    counts[WIDTH : WIDTH + len(widths)] = widths
    layers = []
    for inputs, outputs in itertools.pairwise(widths):
        bound = float(np.sqrt(6.0 / (inputs + outputs)))
        layers.append((rng.uniform(-bound, bound, (outputs, inputs)), np.zeros(outputs)))
    counts[RNG] = rng.integers(1, 2**62)
    brain = Brain(numbers, counts, np.zeros((spec.capacity, 2 * columns + 1), np.uint8))
    set_layers(brain, layers)
    acting(brain)[:] = learned(brain)[:size]
    new_wait(brain)
    return brain


def set_layers(brain: Brain, layers: Sequence[tuple[Floats, Floats]]) -> None:
    """Put weights ``(outputs, inputs)`` and biases into the network in training."""
    if not brain.counts[SMALL_NET]:
        flat = np.concatenate([part.ravel() for layer in layers for part in layer])
        learned(brain)[: len(flat)] = flat
        return
    (w1, b1), (w2, b2) = layers
    learned(brain)[:B1].reshape(INPUTS, HIDDEN)[: w1.shape[1], : w1.shape[0]] = w1.T
    learned(brain)[B1 : B1 + len(b1)] = b1
    learned(brain)[W2:B2].reshape(OUTPUTS, HIDDEN)[: w2.shape[0], : w2.shape[1]] = w2
    learned(brain)[B2 : B2 + len(b2)] = b2


def layers_of(brain: Brain, parameters: Floats) -> list[tuple[Floats, Floats]]:
    """Weights ``(outputs, inputs)`` and biases of each layer, copied.

    Args:
        brain: Gives the shape.
        parameters: ``learned(brain)`` or ``acting(brain)``.
    """
    widths = brain.counts[WIDTH : WIDTH + int(brain.counts[LAYERS]) + 1].tolist()
    if brain.counts[SMALL_NET]:
        n_in, hidden, n_out = widths
        w1 = parameters[:B1].reshape(INPUTS, HIDDEN)[:n_in, :hidden].T
        w2 = parameters[W2:B2].reshape(OUTPUTS, HIDDEN)[:n_out, :hidden]
        b1, b2 = parameters[B1 : B1 + hidden], parameters[B2 : B2 + n_out]
        return [(w1.copy(), b1.copy()), (w2.copy(), b2.copy())]
    layers, first = [], 0
    for n_in, n_out in itertools.pairwise(widths):
        bias = first + n_in * n_out
        weight = parameters[first:bias].reshape(n_out, n_in)
        layers.append((weight.copy(), parameters[bias : bias + n_out].copy()))
        first = bias + n_out
    return layers


def memory_bytes(brain: Brain) -> dict[str, int]:
    """Bytes of a brain: ``networks``, ``optimiser``, ``replay`` and ``scratch``."""
    size = 8 * int(brain.counts[PARAMETERS])
    replay = brain.memory.nbytes + 16 * len(brain.memory)
    total = sum(array.nbytes for array in brain)
    parts = {"networks": 2 * size, "optimiser": 3 * size, "replay": replay}
    return parts | {"scratch": total - sum(parts.values())}


def acting(brain: Brain) -> Floats:
    """Parameters that act and give the targets, ``(parameters,)``; a view."""
    return brain.numbers[ACTING : ACTING + brain.counts[PARAMETERS]]


def learned(brain: Brain) -> Floats:
    """Parameters in training, gradient and two rows of optimiser state; a view."""
    size = int(brain.counts[PARAMETERS])
    return brain.numbers[ACTING + size : ACTING + 5 * size]


@njit(**PLAIN, inline="always")
def returns_at(brain: Brain) -> int:
    """Where rewards begin in ``numbers``; each is followed by its discount."""
    return int(ACTING + 5 * brain.counts[PARAMETERS])


@njit(**PLAIN, inline="always")
def room_at(brain: Brain) -> int:
    """Where the room for one decision begins in ``numbers``."""
    return int(ACTING + 5 * brain.counts[PARAMETERS] + 2 * len(brain.memory))


@njit(**PLAIN, inline="always")
def draw(counts: Ints) -> float:
    """A number in [0, 1) by Marsaglia's xorshift; the state in ``counts`` moves on."""
    x = np.uint64(counts[RNG])
    x ^= x << np.uint64(13)
    x ^= x >> np.uint64(7)
    x ^= x << np.uint64(17)
    counts[RNG] = np.int64(x)
    return np.float64(x >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@njit(**PLAIN, inline="always")
def inputs_of(knobs: Floats, bins: Bytes) -> Eight:
    """The eight inputs of a small network from ``(8,)`` bins; padding has scale 0."""
    return (
        knobs[SCALE] * bins[0],
        knobs[SCALE + 1] * bins[1],
        knobs[SCALE + 2] * bins[2],
        knobs[SCALE + 3] * bins[3],
        knobs[SCALE + 4] * bins[4],
        knobs[SCALE + 5] * bins[5],
        knobs[SCALE + 6] * bins[6],
        knobs[SCALE + 7] * bins[7],
    )


@njit(**QUICK)
def outputs_of(brain: Brain, parameters: Floats, bins: Bytes) -> int:
    """Run one observation through a network of any shape.

    Args:
        brain: Gives shape, scales and room.
        parameters: ``acting`` or ``learned``.
        bins: ``(inputs,)`` or longer.

    Returns:
        Where the outputs begin in ``numbers``.
    """
    numbers, counts = brain.numbers, brain.counts
    layers = counts[LAYERS]
    widest = 0
    for layer in range(layers + 1):
        widest = max(widest, counts[WIDTH + layer])
    room = room_at(brain)
    other = room + widest
    for i in range(counts[WIDTH]):
        numbers[room + i] = bins[i] * numbers[SCALE + i]
    first = 0
    for layer in range(layers):
        n_in, n_out = counts[WIDTH + layer], counts[WIDTH + layer + 1]
        bias = first + n_in * n_out
        weight = parameters[first:bias].reshape(n_out, n_in)
        source, target = numbers[room : room + n_in], numbers[other : other + n_out]
        for j in range(n_out):
            z = parameters[bias + j]
            for i in range(n_in):
                z += weight[j, i] * source[i]
            target[j] = z if layer == layers - 1 else z * sigmoid(z)
        first = bias + n_out
        room, other = other, room
    return int(room)


@njit(**PLAIN)
def mean_return(numbers: Floats, start: int, atoms: int) -> float:
    """Mean of the softmax over ``atoms`` logits that begin at ``start`` of ``numbers``."""
    top = numbers[start]
    for k in range(1, atoms):
        top = max(top, numbers[start + k])
    low = numbers[V_MIN]
    step = (numbers[V_MAX] - low) / (atoms - 1)
    total, mean = 0.0, 0.0
    for k in range(atoms):
        weight = np.exp(numbers[start + k] - top)
        total += weight
        mean += weight * (low + k * step)
    return mean / total


@njit(**PLAIN)
def greedy(brain: Brain, bins: Bytes) -> int:
    """The action of highest value under the acting weights; the first of equals.

    Args:
        brain: Whose.
        bins: ``(inputs,)`` or longer; at least eight for a small network.
    """
    numbers, counts = brain.numbers, brain.counts
    if counts[SMALL_NET]:
        values = small_values(numbers[ACTING:], inputs_of(numbers, bins))
        return int(best_of_four(values, counts[ACTIONS]))
    start = outputs_of(brain, numbers[ACTING : ACTING + counts[PARAMETERS]], bins)
    atoms = counts[ATOMS]
    best, best_value = 0, -np.inf
    for action in range(counts[ACTIONS]):
        value = numbers[start + action]
        if atoms > 1:
            value = mean_return(numbers, start + action * atoms, atoms)
        if value > best_value:
            best, best_value = action, value
    return best


@njit(**PLAIN)
def act(brain: Brain, bins: Bytes) -> int:
    """Greedy, or uniform with the exploration probability.

    How many greedy decisions lie between two uniform ones is drawn at once (it is geometric), so
    that a decision costs no random number. Arguments are those of :func:`greedy`.
    """
    brain.counts[WAIT] -= 1
    if brain.counts[WAIT] < 0:
        new_wait(brain)
        if brain.numbers[EXPLORATION] > 0.0:
            return int(draw(brain.counts) * brain.counts[ACTIONS])
    return int(greedy(brain, bins))


@njit(**PLAIN)
def new_wait(brain: Brain) -> None:
    """Draw the number of greedy decisions before the next uniform one."""
    chance, counts = brain.numbers[EXPLORATION], brain.counts
    if chance <= 0.0:
        counts[WAIT] = 1 << 62
    elif chance >= 1.0:
        counts[WAIT] = 0
    else:
        counts[WAIT] = int(np.log(1.0 - draw(counts)) / np.log(1.0 - chance))


@njit(**PLAIN, forceinline=True)
def remember(
    brain: Brain, bins: Bytes, action: int, reward: float, next_bins: Bytes, discount: float
) -> None:
    """Put a transition into the ring, over the oldest one when it is full.

    With counts as the head, ``reward`` is what was counted and ``discount`` the logarithm of the
    exposure: there is no next value.
    """
    counts, memory = brain.counts, brain.memory
    at, columns = counts[HEAD], memory.shape[1] // 2
    for i in range(counts[WIDTH]):
        memory[at, i] = bins[i]
        memory[at, columns + i] = next_bins[i]
    memory[at, 2 * columns] = action
    returns = returns_at(brain)
    brain.numbers[returns + 2 * at] = reward
    brain.numbers[returns + 2 * at + 1] = discount
    counts[HEAD] = (at + 1) % len(memory)
    counts[SIZE] = min(counts[SIZE] + 1, len(memory))
    counts[WRITTEN] += 1
