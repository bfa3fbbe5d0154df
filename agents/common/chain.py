"""Large normalised perceptrons side by side: forwards and backwards one member at a time.

Layer after layer, every operation on all members walks through memory again, and results of many
megabytes are asked from the system each time. One member's layers stay in the cache.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

EPSILON = 1e-5  # torch's, in its layer normalisation
HIDDEN, LAST = 4, 2  # parameters of a hidden layer (weight, bias, gain, shift), of the last one

Member = tuple[Tensor, ...]  # of every layer in turn: weight (in, out), the others (1, out)
Kept = list[tuple[Tensor, ...]]  # of every layer: inputs; of hidden ones what made the outputs too


def member_by_member(inputs: Tensor, parameters: Sequence[Tensor]) -> Tensor:
    """``linear, layer normalisation, ReLU, ..., linear`` of E members.

    Args:
        inputs: ``(B, in)`` for all members, or ``(E, B, in)``.
        parameters: Of every layer in turn: weight ``(E, in, out)``, bias ``(E, 1, out)`` and, but
            for the last layer, gain and shift ``(E, 1, out)`` of its normalisation.

    Returns:
        ``(E, B, out)``. It can be differentiated once, not twice (``RuntimeError``).
    """
    values: Tensor = _Chain.apply(inputs, *parameters)  # type: ignore[no-untyped-call]
    return values


class _Chain(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, *parameters: Tensor) -> Tensor:
        ctx.save_for_backward(inputs, *parameters)
        members = list(_members(parameters))
        own = inputs if inputs.dim() == 3 else [inputs] * len(members)
        passes = [_forward(x, member) for x, member in zip(own, members, strict=True)]
        ctx.kept = [kept for _, kept in passes]
        return torch.stack([values for values, _ in passes])

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():  # silence would mean a second derivative of nothing
            raise RuntimeError("members that are run one by one have no second derivatives")
        inputs, *parameters = ctx.saved_tensors
        to_inputs, learned = ctx.needs_input_grad[0], any(ctx.needs_input_grad[1:])
        slopes = [torch.empty_like(p) for p in parameters] if learned else []
        into = _members(slopes) if learned else [()] * len(slope)
        rows = zip(slope, _members(parameters), ctx.kept, into, strict=True)
        ahead = [_backward(*row, to_inputs) for row in rows]
        first = None
        if to_inputs:
            first = torch.stack(ahead) if inputs.dim() == 3 else torch.stack(ahead).sum(0)
        return (first, *slopes) if slopes else (first, *[None] * len(parameters))


def _members(parameters: Sequence[Tensor]) -> Iterable[Member]:
    return zip(*(parameter.unbind() for parameter in parameters), strict=True)


def _forward(x: Tensor, member: Member) -> tuple[Tensor, Kept]:
    """Values ``(B, out)`` of one member for ``(B, in)``, and what its backward pass needs."""
    kept: Kept = []
    for k in range(0, len(member) - LAST, HIDDEN):
        weight, bias, gain, shift = member[k : k + HIDDEN]
        linear = torch.addmm(bias, x, weight)
        y, mean, scale = torch.native_layer_norm(
            linear, linear.shape[-1:], gain[0], shift[0], EPSILON
        )
        kept.append((x, linear, mean, scale, y.relu_()))
        x = y
    weight, bias = member[-LAST:]
    kept.append((x,))
    return torch.addmm(bias, x, weight), kept


def _backward(g: Tensor, member: Member, kept: Kept, into: Member, to_inputs: bool) -> Tensor:
    """Write the slopes of a member's parameters, where asked for; return that of its inputs.

    Args:
        g: Slope of the values, ``(B, out)``.
        member: Its parameters.
        kept: Of :func:`_forward`.
        into: Where to write; empty for nowhere.
        to_inputs: Whether the slope of the inputs is asked for.
    """
    (x,) = kept[-1]
    _linear_slopes(x, g, into[-LAST:])
    g = g @ member[-LAST].T
    for k in range(len(member) - LAST - HIDDEN, -1, -HIDDEN):
        x, linear, mean, scale, y = kept[k // HIDDEN]
        weight, _, gain, shift = member[k : k + HIDDEN]
        g = torch.ops.aten.threshold_backward(g, y, 0)
        g, *affine = torch.ops.aten.native_layer_norm_backward(
            g, linear, linear.shape[-1:], mean, scale, gain[0], shift[0], [True, *[bool(into)] * 2]
        )
        for slope, found in zip(into[k + 2 : k + HIDDEN], affine, strict=False):
            slope.copy_(found)
        _linear_slopes(x, g, into[k : k + 2])
        if k or to_inputs:
            g = g @ weight.T
    return g


def _linear_slopes(x: Tensor, g: Tensor, into: Member) -> None:
    """Slopes of weight and bias from inputs ``(B, in)`` and the outputs' slope ``(B, out)``."""
    if into:
        torch.mm(x.T, g, out=into[0])
        torch.sum(g, 0, keepdim=True, out=into[1])
