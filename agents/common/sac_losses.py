"""Losses of soft actor-critic as pure functions of tensors.

Shapes: ``(B,)`` for a batch, ``(E, B)`` for the values of E critics. Leading dimensions may stand
before them (``(S, B)``, ``(S, E, B)``): each is a problem of its own, and losses add up over them,
so that their gradients do not mix.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def td_target(
    rewards: Tensor, dones: Tensor, discounts: Tensor | float, next_values: Tensor
) -> Tensor:
    """``y = r + (1 - d) gamma V(s')`` (``moorl.md`` 3.1), ``(..., B)``."""
    return rewards + (1.0 - dones) * discounts * next_values


def soft_value(q: Tensor, log_prob: Tensor, ent_coef: Tensor, backup_entropy: bool) -> Tensor:
    """``V = min_j Q_j - alpha log pi`` (the entropy only if asked for), ``(..., B)``."""
    lowest = lowest_of(q)
    return lowest - ent_coef * log_prob if backup_entropy else lowest


def lowest_of(q: Tensor) -> Tensor:
    """The smallest of ``(..., E, B)`` over members, ``(..., B)``."""
    if q.shape[-2] == 2:  # equal to ``min(dim)`` and faster
        return torch.minimum(q[..., 0, :], q[..., 1, :])
    return q.min(dim=-2).values


def bellman_loss(q: Tensor, target: Tensor) -> Tensor:
    """``1/2 sum_j mean_b (Q_j - y)^2`` of ``(E, B)`` against ``(B,)``; a scalar."""
    means = q[..., 0].numel()  # how many means add up: critics, and problems where there are more
    return 0.5 * means * functional.mse_loss(q, target.unsqueeze(-2).expand_as(q))


def actor_loss(log_prob: Tensor, q: Tensor, ent_coef: Tensor, mean_of_critics: bool) -> Tensor:
    """``mean(alpha log pi - Q)`` with the lowest or (RLPD) the mean critic, over all problems."""
    value = q.mean(dim=-2) if mean_of_critics else lowest_of(q)
    return (ent_coef * log_prob - value).mean(dim=-1).sum()


def temperature_loss(log_ent_coef: Tensor, log_prob: Tensor, target_entropy: float) -> Tensor:
    """``-mean(log alpha (log pi + H*))``; only ``log alpha`` gets a gradient."""
    gap = (log_prob + target_entropy).detach()
    return -(log_ent_coef * gap).mean(dim=-1).sum()
