"""From discriminators to what H2O needs: weights of simulated rows and shares of the gap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from hybridrl.agents.h2o.discriminators import Discriminators
from hybridrl.agents.h2o.losses import (
    LOG_RATIO_BOUND,
    U_LOW,
    gap,
    log_gap_share,
    sim_weight,
    uniform_share,
)

StdMode = Literal["data", "public"]
_PUBLIC_ROWS = 11  # the public code's array is 11 times the dataset, zeros where nothing is yet


@dataclass(frozen=True)
class GapOptions:
    """How gap and ratio are used.

    Args:
        use_ratio: Weigh the Bellman error of simulated rows by the dynamics ratio (2.3).
        use_gap: Weigh the penalty by the gap (2.4); uniform without.
        samples: K jittered next states; 0 takes the next state itself.
        w_clip: Bounds of the weight.
        soft: ``softplus`` instead of the clip at 1e-45.
        normalise_w: Divide the weights by their mean.
    """

    use_ratio: bool = True
    use_gap: bool = True
    samples: int = 10
    w_clip: tuple[float, float] = (1e-5, 1.0)
    soft: bool = False
    normalise_w: bool = False


@dataclass(frozen=True)
class GapTerms:
    """Of a batch of simulated rows, none with a gradient; shapes may have leading dimensions.

    Args:
        weight: ``(M,)`` of the Bellman errors.
        log_omega: ``(M,)`` of the penalty.
        g: ``(M,)`` log ratio at the next state.
        u: ``(M,)`` estimated gap.
    """

    weight: Tensor
    log_omega: Tensor
    g: Tensor
    u: Tensor

    def metrics(self) -> dict[str, Tensor]:
        """Scalars to log: mean and effective size of the weights, gap, what is cut off."""
        w = self.weight
        return {
            "weight_mean": w.mean(),
            "weight_ess": w.sum().square() / (w.square().sum() * w.numel()),
            "gap_mean": self.u.mean(),
            "gap_clipped": (self.u <= U_LOW).float().mean(),
            "ratio_saturated": (self.g.abs() > 0.95 * LOG_RATIO_BOUND).float().mean(),
        }


def gap_terms(
    discriminators: Discriminators,
    obs: Tensor,
    actions: Tensor,
    next_obs: Tensor,
    spread: Tensor,
    options: GapOptions,
) -> GapTerms:
    """Weights, shares and diagnostics of simulated rows (2.3 and 2.4).

    Args:
        discriminators: For S problems.
        obs: ``(S, M, O)``.
        actions: ``(S, M, A)``.
        next_obs: ``(S, M, O)``.
        spread: Deviation of the jitter, ``(S, 1, O)``.
        options: What is used.

    Returns:
        Terms of shape ``(S, M)``.
    """
    if not (options.use_ratio or options.use_gap):
        zeros = torch.zeros(obs.shape[:-1], device=obs.device)
        return GapTerms(torch.ones_like(zeros), uniform_share(zeros), zeros, zeros)
    count = options.samples if options.use_gap else 0
    g, around = discriminators.around(obs, actions, next_obs, spread, count)
    u = gap(around, options.soft)
    weight = sim_weight(g, *options.w_clip) if options.use_ratio else torch.ones_like(g)
    if options.normalise_w:
        weight = weight / weight.mean(dim=-1, keepdim=True)
    return GapTerms(weight, log_gap_share(u) if options.use_gap else uniform_share(u), g, u)


def jitter_spread(observations: Tensor, jitter: float, mode: StdMode = "data") -> Tensor:
    """Deviation of the jitter around next states, ``(..., 1, O)`` from ``(..., n, O)``.

    Args:
        observations: Of the dataset.
        jitter: Share of the deviation of each component.
        mode: ``public`` takes the deviation over an array that is ten elevenths zeros, as the
            public code does.
    """
    if mode == "data":
        return jitter * observations.std(dim=-2, keepdim=True)
    mean = observations.mean(dim=-2, keepdim=True) / _PUBLIC_ROWS
    square = observations.square().mean(dim=-2, keepdim=True) / _PUBLIC_ROWS
    return jitter * (square - mean.square()).clamp(min=0.0).sqrt()
