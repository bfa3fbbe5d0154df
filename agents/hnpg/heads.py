"""From a policy network's outputs to actions: Gaussian or categorical, many policies at once."""

from __future__ import annotations

import math

import torch
from torch import Tensor


class GaussianHead:
    """Independent normals; the outputs are the mean, beside a log deviation for each policy.

    Outputs are ``mean (..., A)`` and ``log_std``, which broadcasts against it.
    """

    discrete = False

    def sample(self, mean: Tensor, log_std: Tensor) -> Tensor:
        """Actions, of the mean's shape."""
        return mean + log_std.exp() * torch.randn_like(mean)

    def mode(self, mean: Tensor) -> Tensor:
        """The most likely actions."""
        return mean

    def log_prob(self, actions: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
        """Log density, without the last axis."""
        z = (actions - mean) * torch.exp(-log_std)
        size = mean.shape[-1] * math.log(2.0 * math.pi)
        return -0.5 * (z.square().sum(-1) + size) - log_std.expand_as(mean).sum(-1)

    def kl(self, old: tuple[Tensor, Tensor], new: tuple[Tensor, Tensor]) -> Tensor:
        """KL(old || new), without the last axis."""
        spread = torch.exp(2.0 * (old[1] - new[1]))
        shift = (old[0] - new[0]).square() * torch.exp(-2.0 * new[1])
        return 0.5 * (spread + shift - 1.0 - 2.0 * (old[1] - new[1])).sum(-1)


class CategoricalHead:
    """One of A actions; the outputs are logits ``(..., A)``."""

    discrete = True

    def sample(self, logits: Tensor, log_std: Tensor) -> Tensor:
        """Action numbers, without the last axis (the Gumbel trick: no normalisation)."""
        noise = torch.empty_like(logits).exponential_().log()
        return (logits - noise).argmax(-1)

    def mode(self, logits: Tensor) -> Tensor:
        """The most likely actions."""
        return logits.argmax(-1)

    def log_prob(self, actions: Tensor, logits: Tensor, log_std: Tensor) -> Tensor:
        """Log probability of action numbers."""
        return logits.log_softmax(-1).gather(-1, actions.unsqueeze(-1)).squeeze(-1)

    def kl(self, old: tuple[Tensor, Tensor], new: tuple[Tensor, Tensor]) -> Tensor:
        """KL(old || new), without the last axis."""
        before, after = old[0].log_softmax(-1), new[0].log_softmax(-1)
        return (before.exp() * (before - after)).sum(-1)


Head = GaussianHead | CategoricalHead
