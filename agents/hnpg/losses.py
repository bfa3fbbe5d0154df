"""The equations of HNPG as pure functions.

Numbers are those of ``hnpg.md`` 1.1 and 1.2 (Zhou et al., 2024, arXiv 2311.08384): HPE is the
hybrid policy evaluation, 1.2.k the k-th step of the practical algorithm. ``E`` is the number of
critics and policies (one for each step of the episode, or one), ``B`` rows of each.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def monte_carlo_returns(
    rewards: Tensor, dones: Tensor, last_values: Tensor, gamma: float
) -> Tensor:
    """The target y of HPE's online term: discounted return to the end of the episode (1.2.2).

    Args:
        rewards: ``(T, N)``; what follows a time limit is already in them.
        dones: ``(T, N)``, whether the episode ended with the row.
        last_values: ``(N,)``, value after the last row of episodes that go on.
        gamma: Discount.

    Returns:
        ``(T, N)``.
    """
    returns, following = torch.empty_like(rewards), last_values
    for t in reversed(range(len(rewards))):
        following = rewards[t] + gamma * following * (1.0 - dones[t])
        returns[t] = following
    return returns


def gae(
    rewards: Tensor,
    values: Tensor,
    dones: Tensor,
    last_values: Tensor,
    gamma: float,
    gae_lambda: float,
) -> Tensor:
    """Generalised advantage estimates of the online rows (1.2.2 and 1.2.5).

    Args:
        rewards: ``(T, N)``.
        values: ``(T, N)``, V of every row's state.
        dones: ``(T, N)``, whether the episode ended with the row.
        last_values: ``(N,)``, value after the last row.
        gamma: Discount.
        gae_lambda: Share of the next advantage; 1 is the Monte-Carlo return minus the value.

    Returns:
        ``(T, N)``.
    """
    advantages = torch.empty_like(rewards)
    carried, following = torch.zeros_like(last_values), last_values
    for t in reversed(range(len(rewards))):
        goes_on = 1.0 - dones[t]
        delta = rewards[t] + gamma * following * goes_on - values[t]
        carried = delta + gamma * gae_lambda * goes_on * carried
        advantages[t], following = carried, values[t]
    return advantages


def offline_targets(
    rewards: Tensor, terminations: Tensor, next_values: Tensor, gamma: float
) -> Tensor:
    """The target of HPE's offline term: r + gamma f(s', a'), a' of the present policy (1.2.4)."""
    return rewards + gamma * (1.0 - terminations) * next_values


def row_weights(online: Tensor, offline: Tensor, lam: float) -> Tensor:
    """Weights that turn one sum over both kinds of rows into HPE's two means.

    Args:
        online: 1 for a row that counts, 0 for padding, ``(E, B)``.
        offline: The same, ``(E, M)``.
        lam: Weight lambda of the online term.

    Returns:
        ``(E, B + M)``.
    """
    parts = (lam * _shares(online), _shares(offline))
    return torch.cat(parts, dim=1)


def hybrid_critic_loss(q: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """HPE's regression: lambda mean_on (f - y)^2 + mean_off (f - r - gamma f')^2 (1.2.4).

    Args:
        q: f(s, a), ``(..., B + M)``.
        targets: Of the same shape.
        weights: Of :func:`row_weights`.

    Returns:
        One loss for each critic, ``(...)``.
    """
    return (weights * (q - targets).square()).sum(-1)


def centred(q: Tensor, values: Tensor) -> Tensor:
    """The centred critic f(s, a) - E_pi f(s, .), the offline rows' advantage (1.2.5)."""
    return q - values


def surrogate(log_prob: Tensor, old_log_prob: Tensor, advantages: Tensor, mask: Tensor) -> Tensor:
    """Importance-weighted mean advantage of each policy (1.2.6), to be made large.

    Args:
        log_prob: Of the candidate, ``(E, B)``.
        old_log_prob: Of the policy that acted, ``(E, B)``.
        advantages: ``(E, B)``.
        mask: 1 for a row that counts, 0 for padding, ``(E, B)``.

    Returns:
        ``(E,)``.
    """
    return (_shares(mask) * torch.exp(log_prob - old_log_prob) * advantages).sum(-1)


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean over the rows that count, ``(E, B)`` to ``(E,)``; 0 where none does."""
    return (_shares(mask) * values).sum(-1)


def conjugate_gradient(
    product: Callable[[Tensor], Tensor], target: Tensor, iterations: int, tolerance: float = 1e-10
) -> Tensor:
    """Solve F x = g for all policies at once (1.2.6); each has its own step lengths.

    Args:
        product: Applies the E matrices to ``(E, P)``.
        target: g, ``(E, P)``.
        iterations: At most.
        tolerance: A policy whose squared residual falls below it is finished.

    Returns:
        x, ``(E, P)``; 0 where g is.
    """
    x, residual = torch.zeros_like(target), target.clone()
    direction, squared = residual.clone(), residual.square().sum(-1, keepdim=True)
    for _ in range(iterations):
        active = squared > tolerance
        if not bool(active.any()):
            break
        curved = product(direction)
        length = (direction * curved).sum(-1, keepdim=True)
        active = active & (length > 0.0)
        alpha = torch.where(active, squared / length, 0.0)
        x = x + alpha * direction
        residual = residual - alpha * curved
        following = residual.square().sum(-1, keepdim=True)
        beta = torch.where(active, following / squared, 0.0)
        direction = residual + beta * direction
        squared = torch.where(active, following, 0.0)
    return x


def _shares(mask: Tensor) -> Tensor:
    return mask / mask.sum(-1, keepdim=True).clamp_min(1.0)
