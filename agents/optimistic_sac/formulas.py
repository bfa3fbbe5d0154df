"""The formulas of optimistic exploration as pure functions of tensors.

Numbers in brackets are those of ``agents/optimistic_sac/README.md``. Source: Ciosek, Vuong, Loftin,
Hofmann, "Better exploration with optimistic actor-critic", 2019 (arXiv 1910.12807), sections 4.1
and 4.2; growth tests after Wang, Zhou, Gu, 2021 (arXiv 2101.02195).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_TINY = 1e-30


def upper_bound(q: Tensor, beta: float) -> Tensor:
    """(1) ``Q_UB = mean_j Q_j + beta std_j Q_j`` with the population's deviation.

    Args:
        q: Values of E critics, ``(..., E, B)``.
        beta: Deviations above the mean.

    Returns:
        ``(..., B)``; with two critics the deviation is half of their distance.
    """
    mean = q.mean(dim=-2)
    if q.shape[-2] == 2:  # has a gradient where both agree
        return mean + 0.5 * beta * (q[..., 0, :] - q[..., 1, :]).abs()
    # The small number keeps the root's gradient finite where all agree.
    spread = (q - mean.unsqueeze(-2)).square().mean(dim=-2)
    return mean + beta * (spread + 1e-12).sqrt()


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
