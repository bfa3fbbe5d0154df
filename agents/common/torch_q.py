"""The updates of :mod:`hybridrl.agents.common.compiled_update` with torch, number for number."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hybridrl.agents.common.compiled_q import (
    ACTIONS,
    ATOMS,
    BETA1,
    BETA2,
    COUNT,
    DOUBLE,
    HUBER,
    LAYERS,
    OPTIMISER,
    RATE,
    SCALE,
    SMALL,
    UPDATES,
    V_MAX,
    V_MIN,
    WIDTH,
    Brain,
    acting,
    layers_of,
    learned,
    returns_at,
    set_layers,
)
from hybridrl.agents.common.compiled_update import copy_weights
from hybridrl.agents.common.small_update import LOG_MOST


class _Swish(torch.autograd.Function):
    """``x * sigmoid(x)`` with the rational sigmoid of the compiled path and its derivative."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = (0.5 * x).clamp(-4.97, 4.97)
        s = y * y
        top = y * (135135.0 + s * (17325.0 + s * (378.0 + s)))
        below = 135135.0 + s * (62370.0 + s * (3150.0 + s * 28.0))
        gate = 0.5 + 0.5 * (top / below)
        ctx.save_for_backward(x, gate)
        return x * gate

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        x, gate = ctx.saved_tensors
        return gradients[0] * gate * (1.0 + x * (1.0 - gate))


class Swish(nn.Module):
    """Swish as the compiled networks have it."""

    def forward(self, x: Tensor) -> Tensor:
        """``x * sigmoid(x)``, within 1e-3."""
        result: Tensor = _Swish.apply(x)  # type: ignore[no-untyped-call]
        return result


def huber_loss(values: Tensor, targets: Tensor, bend: float) -> Tensor:
    """Mean of ``0.5 d^2`` up to ``|d| = bend`` and ``bend (|d| - bend / 2)`` beyond.

    Args:
        values: Of the taken actions, ``(batch,)``.
        targets: ``(batch,)``.
        bend: Above 0; infinity gives half the squared error.
    """
    miss = (values - targets).abs()
    size = miss.clamp(max=bend)
    return (size * (miss - 0.5 * size)).mean()


def count_loss(logs: Tensor, counts: Tensor, size: float) -> Tensor:
    """Mean negative binomial loss over its size, without what does not depend on the mean.

    Args:
        logs: Logarithms of the expected counts, ``(batch,)``.
        counts: Observed ones, from 0, ``(batch,)``.
        size: Of the distribution; infinity would be Poisson's.
    """
    means = logs.exp()
    return ((1 + counts / size) * (means + size).log() - counts / size * logs).mean()


def projected(rewards: Tensor, discounts: Tensor, probabilities: Tensor, support: Tensor) -> Tensor:
    """Project ``reward + discount * Z`` onto the support (arXiv:1707.06887, Eq. 7).

    Args:
        rewards: ``(batch,)``.
        discounts: ``(batch,)``.
        probabilities: Of ``Z``'s atoms, ``(batch, atoms)``.
        support: Evenly spaced returns, ``(atoms,)``.

    Returns:
        Probabilities, ``(batch, atoms)``.
    """
    low, step, last = support[0], support[1] - support[0], len(support) - 1
    place = (rewards[:, None] + discounts[:, None] * support - low) / step
    place = place.clamp(0, last)
    # The share of an atom that goes to another falls with their distance and ends one step away.
    near = (1 - (place[:, :, None] - torch.arange(last + 1, dtype=place.dtype)).abs()).clamp(min=0)
    return (probabilities[:, :, None] * near).sum(dim=1)


class TorchLearner:
    """Trains a :class:`Brain` with torch: same batches, same weights up to rounding.

    Args:
        brain: Whose weights and memory are used; :meth:`update` writes the new weights back.
    """

    def __init__(self, brain: Brain) -> None:
        self.brain = brain
        self.network = _network(brain, learned(brain))
        self.target = _network(brain, acting(brain))
        knobs = brain.numbers
        rate, small = float(knobs[RATE]), float(knobs[SMALL])
        parameters = self.network.parameters()
        kind = int(brain.counts[OPTIMISER])
        self.optimiser: torch.optim.Optimizer = torch.optim.SGD(parameters, rate)
        if kind == 1:
            betas = (float(knobs[BETA1]), float(knobs[BETA2]))
            self.optimiser = torch.optim.Adam(self.network.parameters(), rate, betas, small)
        elif kind == 2:
            self.optimiser = torch.optim.RMSprop(
                self.network.parameters(), rate, float(knobs[BETA2]), small, centered=True
            )

    def update(self, chosen: NDArray[np.int64]) -> float:
        """One step on the given places of the replay memory; returns the mean loss before it."""
        loss = self.loss(chosen)
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        self.brain.counts[UPDATES] += 1
        linear = [part for part in self.network if isinstance(part, nn.Linear)]
        set_layers(
            self.brain, [(p.weight.detach().numpy(), p.bias.detach().numpy()) for p in linear]
        )
        return float(loss.detach())

    def copy_weights(self) -> None:
        """Renew the acting (and target) network."""
        self.target.load_state_dict(self.network.state_dict())
        copy_weights(self.brain)

    def loss(self, chosen: NDArray[np.int64]) -> Tensor:
        """Mean loss of a batch."""
        brain = self.brain
        rows = torch.from_numpy(brain.memory[chosen].astype(np.int64))
        inputs, columns = int(brain.counts[WIDTH]), brain.memory.shape[1] // 2
        scale = torch.from_numpy(brain.numbers[SCALE : SCALE + inputs])
        now, after = rows[:, :inputs] * scale, rows[:, columns : columns + inputs] * scale
        first = returns_at(brain)
        pairs = brain.numbers[first : first + 2 * len(brain.memory)].reshape(-1, 2)
        returns = torch.from_numpy(pairs[chosen])
        actions, atoms = rows[:, -1], int(brain.counts[ATOMS])
        shape = (len(chosen), int(brain.counts[ACTIONS]), atoms)
        each = torch.arange(len(chosen))
        taken = self.network(now).reshape(shape)[each, actions]
        if brain.counts[COUNT]:
            logs = (taken[:, 0] + returns[:, 1]).clamp(-LOG_MOST, LOG_MOST)
            return count_loss(logs, returns[:, 0], float(brain.numbers[HUBER]))
        with torch.no_grad():
            ahead = self.target(after).reshape(shape)
            judge = self.network(after).reshape(shape) if brain.counts[DOUBLE] else ahead
            best = self._means(judge).argmax(dim=1)
            ahead = ahead[each, best]
            if atoms == 1:
                targets = returns[:, 0] + returns[:, 1] * ahead[:, 0]
            else:
                ahead = ahead.softmax(dim=1)
                targets = projected(returns[:, 0], returns[:, 1], ahead, self._support())
        if atoms == 1:
            return huber_loss(taken[:, 0], targets, float(brain.numbers[HUBER]))
        entropy: Tensor = -(targets * taken.log_softmax(dim=1)).sum(dim=1).mean()
        return entropy

    def _support(self) -> Tensor:
        low, high = self.brain.numbers[[V_MIN, V_MAX]]
        return torch.linspace(low, high, int(self.brain.counts[ATOMS]), dtype=torch.float64)

    def _means(self, outputs: Tensor) -> Tensor:
        if outputs.shape[2] == 1:
            return outputs[:, :, 0]
        means: Tensor = (outputs.softmax(dim=2) * self._support()).sum(dim=2)
        return means


def _network(brain: Brain, parameters: NDArray[np.float64]) -> nn.Sequential:
    """The network with copies of the parameters, in float64."""
    widths = brain.counts[WIDTH : WIDTH + int(brain.counts[LAYERS]) + 1].tolist()
    parts: list[nn.Module] = []
    for (n_in, n_out), (weight, bias) in zip(
        itertools.pairwise(widths), layers_of(brain, parameters), strict=True
    ):
        linear = nn.Linear(n_in, n_out, dtype=torch.float64)
        linear.weight.data = torch.from_numpy(weight)
        linear.bias.data = torch.from_numpy(bias)
        parts += [linear, Swish()]
    return nn.Sequential(*parts[:-1])
