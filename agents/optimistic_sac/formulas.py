"""The formulas of optimistic exploration as pure functions of tensors.

Numbers in brackets are those of ``agents/optimistic_sac/README.md``. Source: Ciosek, Vuong, Loftin,
Hofmann, "Better exploration with optimistic actor-critic", 2019 (arXiv 1910.12807), sections 4.1
and 4.2; growth tests after Wang, Zhou, Gu, 2021 (arXiv 2101.02195).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

_TINY = 1e-30


def critic_slopes(
    values: Callable[[Any, Tensor], Tensor], n_critics: int, observations: Any, mean: Tensor
) -> tuple[Tensor, Tensor]:
    """Values of every critic and their gradients with respect to the mean before the squashing.

    Each critic gets a copy of the states of its own, so that one backward pass serves all.

    Args:
        values: Observations and actions to ``(..., E, B)``.
        n_critics: E.
        observations: ``(..., B, O)``, images, or a dictionary of such.
        mean: Of the policy before the squashing, ``(..., B, A)``.

    Returns:
        Values ``(..., E, B)`` and gradients ``(..., E, B, A)``.
    """
    dim = mean.dim() - 2

    def copies(each: Tensor) -> Tensor:
        return torch.cat([each] * n_critics, dim=dim)

    seen = observations
    repeated = {k: copies(v) for k, v in seen.items()} if isinstance(seen, dict) else copies(seen)
    with torch.enable_grad():
        at = copies(mean.detach()).requires_grad_()
        q = values(repeated, torch.tanh(at))
        own = q.reshape(*q.shape[:-1], n_critics, -1).diagonal(dim1=-3, dim2=-2)
        (slopes,) = torch.autograd.grad(own.sum(), at)
    shape = (*mean.shape[:dim], n_critics, *mean.shape[dim:])
    return own.detach().transpose(-1, -2), slopes.reshape(shape)


def bound_slopes(q: Tensor, slopes: Tensor, beta: float) -> tuple[Tensor, Tensor]:
    """(1) Gradients of both parts of ``Q_UB = mean_j Q_j + beta std_j Q_j``, one after the other.

    Args:
        q: Values of E critics, ``(..., E, B)``.
        slopes: Their gradients, ``(..., E, B, A)``.
        beta: Deviations (of the population) above the mean.

    Returns:
        Of the mean and of the bonus, ``(..., B, A)`` each; the bonus has none where all agree.
    """
    centred = q - q.mean(dim=-2, keepdim=True)
    spread = centred.square().mean(dim=-2, keepdim=True).sqrt()
    bonus = (centred / spread.clamp_min(_TINY)).unsqueeze(-1) * slopes
    return slopes.mean(dim=-3), beta * bonus.mean(dim=-3)


def doubt(log_std: Tensor, mean_slope: Tensor, bonus_slope: Tensor) -> Tensor:
    """(2a) ``|b| / (|m| + |b|)``: how much of the upward direction is optimism, state by state.

    Where the critics agree about the direction there is nothing to find out, and the policy climbs
    their mean by itself.

    Args:
        log_std: Log deviations of the policy before the squashing, ``(..., A)``; norms count in
            these.
        mean_slope: m, ``(..., A)``.
        bonus_slope: b, ``(..., A)``.

    Returns:
        From 0 to 1, ``(..., 1)``.
    """
    both = torch.stack([mean_slope, bonus_slope]) * log_std.exp()
    # Scaled, neither tiny nor huge gradients leave float's range.
    both = both / both.abs().amax(dim=(0, -1), keepdim=True).clamp_min(_TINY)
    known, unknown = both.norm(dim=-1, keepdim=True).unbind()
    share: Tensor = unknown / (known + unknown).clamp_min(_TINY)
    return share


def tilt(
    q: Tensor, slopes: Tensor, log_std: Tensor, beta: float, delta: float, by_doubt: bool
) -> Tensor:
    """(2), scaled by (2a) if asked for: how far the mean moves, ``(..., B, A)``.

    Args:
        q: Values of E critics, ``(..., E, B)``.
        slopes: Their gradients, ``(..., E, B, A)``.
        log_std: Of the policy, ``(..., B, A)``.
        beta: Deviations above the mean.
        delta: Divergence, at most.
        by_doubt: Scale by (2a).
    """
    mean_slope, bonus_slope = bound_slopes(q, slopes, beta)
    moved = shift(log_std, mean_slope + bonus_slope, delta)
    return moved * doubt(log_std, mean_slope, bonus_slope) if by_doubt else moved


def shift(log_std: Tensor, gradient: Tensor, delta: Tensor | float) -> Tensor:
    """(2) ``sqrt(2 delta) Sigma g / sqrt(g' Sigma g)``: how far the mean moves, state by state.

    Args:
        log_std: Log deviations of the policy before the squashing, ``(..., A)``.
        gradient: g, of (1) with respect to the mean before the squashing, ``(..., A)``.
        delta: Kullback-Leibler divergence of the shifted policy from the policy; broadcasts
            against ``(..., 1)``.

    Returns:
        ``(..., A)``; 0 where the gradient is 0.
    """
    # Only its direction counts: scaled, neither tiny nor huge gradients leave float's range.
    scaled = gradient / gradient.abs().amax(dim=-1, keepdim=True).clamp_min(_TINY)
    std = log_std.exp()
    length = (scaled * std).square().sum(dim=-1, keepdim=True).sqrt()
    root = torch.as_tensor(2.0 * delta, dtype=std.dtype, device=std.device).sqrt()
    return root * std.square() * scaled / length.clamp_min(_TINY)


def divergence(moved: Tensor, log_std: Tensor) -> Tensor:
    """(3) ``KL(N(mu + d, Sigma) || N(mu, Sigma)) = d' Sigma^-1 d / 2``.

    Args:
        moved: d, ``(..., A)``.
        log_std: ``(..., A)``.

    Returns:
        ``(...)``.
    """
    return 0.5 * (moved / log_std.exp()).square().sum(dim=-1)


def ramp(steps: int, warm: int) -> float:
    """(4) ``min(1, n / n_warm)``: after a switch the tilt grows from nothing again.

    Args:
        steps: n, since the switch.
        warm: n_warm; 0 tilts fully at once.
    """
    return 1.0 if warm <= 0 else min(1.0, steps / warm)


def grown(size: float, at_switch: float, factor: float) -> bool:
    """(5) Whether the data grew by ``factor`` since the last switch."""
    return size >= factor * at_switch


def doubled(log_det: float, at_switch: float) -> bool:
    """(6) Whether ``det(lambda I + sum psi psi')`` doubled since the last switch."""
    return log_det - at_switch > math.log(2.0)
