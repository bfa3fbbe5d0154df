"""Losses of H2O as pure functions; equation numbers are those of ``h2o.md`` section 2.

Shapes: ``N`` real and ``M`` simulated rows, ``E`` critics, ``K`` jittered next states. Leading
dimensions may stand before them: each is a problem of its own, and losses add up over them.
Logits have two columns, index 0 for real and 1 for simulated.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import softplus

LOG_RATIO_BOUND = 4.0  # of |g|: two heads that are bounded by 2 tanh
U_LOW, U_HIGH = 1e-45, 10.0
PENALTY_BOUND = 1000.0


def bounded(raw: Tensor) -> Tensor:
    """``2 tanh`` of a discriminator's raw output (2.1)."""
    return 2.0 * torch.tanh(raw)


def discriminator_loss(real: Tensor, sim: Tensor) -> Tensor:
    """``mean_real[-log p_0] + mean_sim[-log p_1]`` with ``p = softmax(l)`` (2.1).

    Args:
        real: ``(N, 2)`` logits of real rows.
        sim: ``(M, 2)`` logits of simulated rows.
    """
    of_real = softplus(real[..., 1] - real[..., 0]).mean(dim=-1)
    of_sim = softplus(sim[..., 0] - sim[..., 1]).mean(dim=-1)
    return (of_real + of_sim).sum()


def log_ratio(h: Tensor) -> Tensor:
    """``g = log P_sim / P_real = h_1 - h_0`` from the bounded head of D_sas alone (2.2).

    Args:
        h: ``(..., 2)`` from :func:`bounded`.

    Returns:
        ``(...)`` in [-4, 4].
    """
    return h[..., 1] - h[..., 0]


def sim_weight(g: Tensor, low: float = 1e-5, high: float = 1.0) -> Tensor:
    """``w = clip(exp(-g), low, high)``, weight of a simulated row's Bellman error (2.3)."""
    return torch.exp(-g).clamp(low, high)


def gap(g: Tensor, soft: bool = False) -> Tensor:
    """``u = clip(mean_k g, 1e-45, 10)``, the estimated dynamics gap (2.4).

    Args:
        g: ``(K, M)`` log ratios around each simulated next state.
        soft: ``softplus`` instead of the lower clip, so that no row is removed.

    Returns:
        ``(M,)``.
    """
    mean = g.mean(dim=-2)
    return softplus(mean) if soft else mean.clamp(U_LOW, U_HIGH)


def log_gap_share(u: Tensor) -> Tensor:
    """``log omega_i = log(u_i / sum_j u_j)`` over the simulated rows (2.4), ``(M,)``."""
    # A subnormal u may have been flushed to zero: the bound is put back in the logarithm.
    logarithm = u.log().clamp(min=math.log(1e-38))
    return logarithm - torch.logsumexp(logarithm, dim=-1, keepdim=True)


def uniform_share(like: Tensor) -> Tensor:
    """``log omega`` when every simulated row counts the same, the ablation without gap."""
    return torch.full_like(like, -math.log(like.shape[-1]))


def soft_maximum(q_sim: Tensor, log_omega: Tensor, temperature: float = 1.0) -> Tensor:
    """``LSE_j = T log sum_i exp((Q_j + log omega_i) / T)`` (2.5), ``(E,)``.

    Args:
        q_sim: ``(E, M)``.
        log_omega: ``(M,)``.
        temperature: T.
    """
    scores = (q_sim + log_omega.unsqueeze(-2)) / temperature
    return temperature * torch.logsumexp(scores, dim=-1)


def weighted_mean(q_sim: Tensor, log_omega: Tensor) -> Tensor:
    """``sum_i omega_i Q_j``, the variant that replaces the soft maximum (2.5), ``(E,)``."""
    return (log_omega.exp().unsqueeze(-2) * q_sim).sum(dim=-1)


def penalty(pushed_down: Tensor, q_real: Tensor) -> Tensor:
    """``clip(LSE_j - mean_real Q_j, -1000, 1000)`` (2.5), ``(E,)``."""
    return (pushed_down - q_real.mean(dim=-1)).clamp(-PENALTY_BOUND, PENALTY_BOUND)


def critic_loss(
    q: Tensor,
    target: Tensor,
    n_real: int,
    weight: Tensor,
    log_omega: Tensor | None,
    beta: float | Tensor = 0.01,
    temperature: float = 1.0,
    mean_penalty: bool = False,
) -> Tensor:
    """Equation (2.5), summed over critics: real error, weighted simulated error, penalty.

    ``mean_real (Q - y)^2 + mean_sim w (Q - y)^2 + beta clip(LSE - mean_real Q)``

    Args:
        q: ``(E, N + M)``, real rows first.
        target: ``(N + M,)``.
        n_real: N.
        weight: ``(M,)`` of :func:`sim_weight`.
        log_omega: ``(M,)`` of :func:`log_gap_share`; ``None`` for no penalty.
        beta: Weight of the penalty; a tensor that broadcasts to ``(E,)``.
        temperature: T of the soft maximum.
        mean_penalty: Use :func:`weighted_mean` instead of it.

    Returns:
        A scalar.
    """
    error = (q - target.unsqueeze(-2)).square()
    total = error[..., :n_real].mean(dim=-1)
    total = total + (weight.unsqueeze(-2) * error[..., n_real:]).mean(dim=-1)
    if log_omega is not None:
        q_sim = q[..., n_real:]
        pushed = (
            weighted_mean(q_sim, log_omega)
            if mean_penalty
            else soft_maximum(q_sim, log_omega, temperature)
        )
        total = total + beta * penalty(pushed, q[..., :n_real])
    return total.sum()
