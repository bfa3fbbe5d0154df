"""Losses of CQL (arXiv 2006.04779) and Cal-QL (arXiv 2303.05479): pure functions."""

from __future__ import annotations

import math

import torch
from torch import Tensor

WEIGHT_RANGE = (0.0, 1e6)  # of the Lagrange multiplier, as in the reference


def calibrated(values: Tensor, returns: Tensor) -> Tensor:
    """``max(Q, V_mc)``: never below what the behaviour policy is known to have reached.

    Args:
        values: Of the policy's actions, ``(E, B, n)``.
        returns: Monte-Carlo returns ``(B,)``; ``-inf`` where unknown, which changes nothing.
    """
    return torch.maximum(values, returns[:, None])


def soft_maximum(
    uniform: Tensor,
    proposed: Tensor,
    log_prob: Tensor,
    action_dim: int,
    temperature: float = 1.0,
) -> Tensor:
    """``T logsumexp((Q - log density) / T)`` over uniform and proposed actions.

    Args:
        uniform: Q of actions that are uniform in [-1, 1], ``(E, B, n)``.
        proposed: Q (of Cal-QL: calibrated) of the policy's actions, ``(E, B, m)``.
        log_prob: Of these, ``(B, m)``.
        action_dim: Numbers an action; the uniform density is ``0.5^action_dim``.
        temperature: T.

    Returns:
        ``(E, B)``.
    """
    weighed = torch.cat([uniform + action_dim * math.log(2.0), proposed - log_prob], dim=-1)
    return temperature * torch.logsumexp(weighed / temperature, dim=-1)


def conservative_gap(soft_max: Tensor, data: Tensor, low: float, high: float) -> Tensor:
    """How far the soft maximum lies above the data's actions: ``mean_b clip(C_j)``, ``(E,)``.

    Args:
        soft_max: ``(E, B)``.
        data: Q of the data's actions, ``(E, B)``.
        low: Clip below.
        high: Clip above.
    """
    return (soft_max - data).clamp(low, high).mean(dim=-1)


def bellman_error(q: Tensor, target: Tensor) -> Tensor:
    """``sum_j mean_b (Q_j - y)^2`` of ``(E, B)`` against ``(B,)``."""
    return (q - target).square().mean(dim=-1).sum()


def lagrange_weight(log_multiplier: Tensor) -> Tensor:
    """``clip(exp(l), 0, 1e6)``."""
    return log_multiplier.exp().clamp(*WEIGHT_RANGE)


def backup_values(q: Tensor) -> Tensor:
    """The best of n proposed next actions by the lower critic: ``(E, B, n)`` to ``(B,)``."""
    best: Tensor = q.min(dim=0).values.max(dim=-1).values
    return best
