"""The losses of masked PPO as pure functions (Schulman et al. 2017, arXiv:1707.06347)."""

from __future__ import annotations

import torch
from torch import Tensor

MASKED = -1e8  # a logit whose probability is 0 in float32 and whose entropy is no NaN


def masked_log_probs(logits: Tensor, allowed: Tensor) -> Tensor:
    """Log-probabilities of a categorical restricted to the allowed entries.

    Where nothing is allowed the mask is ignored, so that the result is always a distribution.

    Args:
        logits: Shape ``(N, A)``.
        allowed: Boolean, same shape.

    Returns:
        Shape ``(N, A)``; forbidden entries are below -1e7, probability exactly 0.
    """
    usable = allowed | ~allowed.any(dim=1, keepdim=True)
    return torch.log_softmax(torch.where(usable, logits, MASKED), dim=1)


def entropy(log_probs: Tensor) -> Tensor:
    """Entropy of each row of log-probabilities, nats, shape ``(N,)``."""
    return -(log_probs.exp() * log_probs).sum(dim=1)


def clipped_policy_loss(ratio: Tensor, advantage: Tensor, clip: float) -> Tensor:
    """Minus the clipped surrogate, Eq. (7) of the PPO paper.

    Args:
        ratio: New over old probability of the taken action, shape ``(N,)``.
        advantage: Shape ``(N,)``.
        clip: Half-width of the trusted band around 1.

    Returns:
        The mean loss, shape ``()``.
    """
    clipped = ratio.clamp(1.0 - clip, 1.0 + clip)
    return -torch.min(ratio * advantage, clipped * advantage).mean()


def approximate_kl(log_ratio: Tensor) -> Tensor:
    """Estimate of KL(old, new) from samples of old: the mean of ``r - 1 - log r``, shape ``()``.

    Args:
        log_ratio: ``log(new / old)`` of the taken actions, shape ``(N,)``.
    """
    return (log_ratio.exp() - 1.0 - log_ratio).mean()


def normalised(advantage: Tensor) -> Tensor:
    """Zero mean and unit deviation; a single number is left as it is."""
    if len(advantage) < 2:
        return advantage
    return (advantage - advantage.mean()) / (advantage.std() + 1e-8)
