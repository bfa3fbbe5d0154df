"""Fitting one critic of the stack: full-batch Adam with gradients worked out by hand.

A critic is small and its batch too, so an automatic gradient would spend its time on bookkeeping.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hybridrl.agents.common.adam import LeanAdam
from hybridrl.agents.common.ensemble import EnsembleLinear, EnsembleMLP


def fit_member(
    network: EnsembleMLP,
    member: int,
    inputs: Tensor,
    actions: Tensor | None,
    targets: Tensor,
    weights: Tensor,
    steps: int,
    learning_rate: float,
    l2: float = 0.0,
) -> None:
    """Minimise ``sum(w (q - y)^2) + l2 |theta|^2`` over one member, with a fresh optimiser.

    Args:
        network: Stack of critics with tanh or ReLU; only this member changes.
        member: Which.
        inputs: ``(B, in)``.
        actions: ``(B,)``, which of the outputs is q; ``None`` where there is one output.
        targets: y, ``(B,)``.
        weights: w, ``(B,)``.
        steps: Of Adam.
        learning_rate: Of Adam.
        l2: Weight of the squared parameters, of all layers (conflict C9).
    """
    layers = [layer for layer in network.layers if isinstance(layer, EnsembleLinear)]
    relu = any(isinstance(layer, nn.ReLU) for layer in network.layers)
    with torch.no_grad():
        own = [t for layer in layers for t in (layer.weight[member], layer.bias[member])]
        theta = torch.cat([t.reshape(-1) for t in own])
        grad = torch.empty_like(theta)
        values, slopes = _views(theta, own), _views(grad, own)
        index = None if actions is None else actions.unsqueeze(1)
        doubled = (2.0 * weights).unsqueeze(1)
        adam = LeanAdam([theta], lr=learning_rate)
        theta.grad = grad
        for _ in range(steps):
            seen, outputs = _forward(values, inputs, relu)
            q = outputs if index is None else outputs.gather(1, index)
            error = doubled * (q - targets.unsqueeze(1))
            if index is not None:
                error = torch.zeros_like(outputs).scatter_(1, index, error)
            _backward(values, slopes, seen, error, relu)
            if l2:
                grad.add_(theta, alpha=2.0 * l2)
            adam.step()
        for tensor, new in zip(own, values, strict=True):
            tensor.copy_(new)


def _views(flat: Tensor, like: list[Tensor]) -> list[Tensor]:
    parts = flat.split([t.numel() for t in like])  # type: ignore[no-untyped-call]
    return [part.view(t.shape) for part, t in zip(parts, like, strict=True)]


def _forward(values: list[Tensor], inputs: Tensor, relu: bool) -> tuple[list[Tensor], Tensor]:
    """What every layer sees, and the outputs."""
    seen = [inputs]
    for k in range(0, len(values) - 2, 2):
        hidden = torch.addmm(values[k + 1], seen[-1], values[k])
        seen.append(hidden.relu_() if relu else hidden.tanh_())
    return seen, torch.addmm(values[-1], seen[-1], values[-2])


def _backward(
    values: list[Tensor], slopes: list[Tensor], seen: list[Tensor], error: Tensor, relu: bool
) -> None:
    """Fill the gradients, from the last layer to the first."""
    for k in range(len(values) - 2, -1, -2):
        below = seen[k // 2]
        torch.mm(below.t(), error, out=slopes[k])
        torch.sum(error, 0, keepdim=True, out=slopes[k + 1])
        if k:
            error = error @ values[k].t()
            error = (
                error * (below > 0)
                if relu
                else torch.addcmul(error, error, below * below, value=-1)
            )
