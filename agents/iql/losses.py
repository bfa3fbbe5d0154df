"""Losses of IQL (Kostrikov, Nair and Levine, 2022, arXiv 2110.06169): pure functions."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from hybridrl.planners.errors import ScenarioError

ADVANTAGE_CLIP = 100.0  # largest weight of a row, as in the reference implementation


def expectile_loss(difference: Tensor, expectile: float) -> Tensor:
    """Asymmetric squared error, Eq. (5): ``mean |t - 1(u < 0)| u^2``.

    Args:
        difference: ``u``: the target critics' smaller value minus the state value, ``(B,)``.
        expectile: ``t`` in (0, 1); 0.5 is half the squared error, towards 1 the maximum.

    Returns:
        The mean, shape ``()``.
    """
    below = (difference < 0).to(difference.dtype)
    return ((expectile - below).abs() * difference.square()).mean()


def td_target(
    rewards: Tensor, terminals: Tensor, next_values: Tensor, gamma: Tensor | float
) -> Tensor:
    """``r + gamma (1 - d) V(s')`` of Eq. (6).

    Args:
        rewards: ``(B,)``.
        terminals: 1 where the task ended the episode, ``(B,)``.
        next_values: ``V(s')``, ``(B,)``; no gradient should reach it.
        gamma: Discount, or one for each row.
    """
    return rewards + gamma * (1.0 - terminals) * next_values


def critic_loss(values: Tensor, target: Tensor) -> Tensor:
    """Eq. (6): ``mean sum_j (y - Q_j)^2``.

    Args:
        values: Of every critic, ``(E, B)``.
        target: ``y``, ``(B,)``.

    Returns:
        Sum over critics of the mean over rows, shape ``()``.
    """
    return (values - target).square().mean(dim=1).sum()


def advantage_weights(advantages: Tensor, beta: float) -> Tensor:
    """``min(exp(beta A), 100)`` of Eq. (7), without gradient.

    Args:
        advantages: ``min_j Q_j(s, a) - V(s)``, ``(B,)``.
        beta: Inverse temperature: 0 imitates, large values pick the best actions.
    """
    # Clipping the exponent first keeps infinities out.
    return (beta * advantages.detach()).clamp(max=math.log(ADVANTAGE_CLIP)).exp()


def actor_loss(log_prob: Tensor, weights: Tensor) -> Tensor:
    """Eq. (7): advantage-weighted regression, ``-mean w log pi(a | s)``.

    Args:
        log_prob: Of the data's actions, ``(B,)``.
        weights: Of :func:`advantage_weights`, ``(B,)``.
    """
    return -(weights * log_prob).mean()


def gaussian_log_prob(actions: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """Of a diagonal Gaussian without squashing, summed over dimensions, ``(B,)``.

    Args:
        actions: ``(B, A)``.
        mean: ``(B, A)``.
        log_std: ``(A,)`` or ``(B, A)``.
    """
    scaled = (actions - mean) * (-log_std).exp()
    per_dimension = -0.5 * scaled.square() - log_std - 0.5 * math.log(2.0 * math.pi)
    return per_dimension.sum(dim=-1)


def require_expectile(value: float) -> float:
    """The value itself.

    Raises:
        ScenarioError: If it is not between 0 and 1.
    """
    if not 0.0 < value < 1.0:
        raise ScenarioError("expectile", value, "a number between 0 and 1")
    return value


def cosine_share(done: int, total: int) -> float:
    """Share of the learning rate that is left after ``done`` of ``total`` updates, 1 to 0."""
    if total <= 0:
        return 1.0
    return 0.5 * (1.0 + math.cos(math.pi * min(1.0, done / total)))


def polyak(targets: list[Tensor], sources: list[Tensor], tau: float) -> None:
    """Move targets by a share ``tau`` towards the sources, in place."""
    with torch.no_grad():
        torch._foreach_lerp_(targets, sources, tau)
