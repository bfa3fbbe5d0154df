"""The natural policy gradient step of all policies at once (``hnpg.md`` 1.2.6)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hybridrl.agents.hnpg import losses
from hybridrl.agents.hnpg.policy import HNPGPolicy


@dataclass(frozen=True, kw_only=True)
class TrustRegion:
    """How far a step goes.

    Args:
        max_kl: Of each policy.
        damping: Added to the Fisher matrix.
        iterations: Of conjugate gradients.
        shrink: Factor of each further try of the line search.
        tries: At most.
        accept: Least share of the expected improvement.
        kl_check: Refuse a step whose KL is above ``max_kl`` (the paper) instead of looking at the
            improvement only (its code): conflict C2.
    """

    max_kl: float
    damping: float
    iterations: int
    shrink: float
    tries: int
    accept: float
    kl_check: bool


@dataclass(frozen=True, kw_only=True)
class PolicyRows:
    """Rows that every policy learns from.

    Args:
        features: ``(E, B, F)``.
        actions: ``(E, B[, A])``.
        log_prob: Of the policy that drew the actions, ``(E, B)``.
        advantages: ``(E, B)``.
        mask: 1 for a row that counts, 0 for padding, ``(E, B)``.
    """

    features: Tensor
    actions: Tensor
    log_prob: Tensor
    advantages: Tensor
    mask: Tensor


def natural_step(policy: HNPGPolicy, rows: PolicyRows, region: TrustRegion) -> dict[str, Tensor]:
    """Move every policy along its natural gradient as far as its trust region allows.

    Returns:
        ``kl`` and ``linesearch_accept`` of every policy, ``(E,)``.
    """
    parameters = policy.actor_parameters
    outputs, log_std = policy.outputs(rows.features)
    old = (outputs.detach(), log_std.detach().clone())
    objective = _objective(policy, rows, (outputs, log_std))
    slope = flat_members(torch.autograd.grad(objective.sum(), parameters, retain_graph=True))
    kl = losses.masked_mean(policy.head.kl(old, (outputs, log_std)), rows.mask)
    kl_slope = flat_members(torch.autograd.grad(kl.sum(), parameters, create_graph=True))

    def product(vector: Tensor) -> Tensor:
        inner = (kl_slope * vector).sum()
        curved = torch.autograd.grad(inner, parameters, retain_graph=True)
        return flat_members(curved) + region.damping * vector

    direction = losses.conjugate_gradient(product, slope, region.iterations)
    curvature = (direction * product(direction)).sum(-1, keepdim=True)
    usable = (curvature > 0.0) & torch.isfinite(curvature)
    length = torch.sqrt(2.0 * region.max_kl / torch.where(usable, curvature, 1.0))
    full = torch.where(usable, length * direction, 0.0)
    expected = (slope * full).sum(-1)
    return _line_search(policy, rows, region, old, objective.detach(), full, expected)


def flat_members(tensors: tuple[Tensor, ...] | list[Tensor]) -> Tensor:
    """Tensors whose first axis is E, as one row for each member, ``(E, P)``."""
    return torch.cat([t.reshape(len(t), -1) for t in tensors], dim=1)


def _objective(policy: HNPGPolicy, rows: PolicyRows, outputs: tuple[Tensor, Tensor]) -> Tensor:
    log_prob = policy.head.log_prob(rows.actions, *outputs)
    return losses.surrogate(log_prob, rows.log_prob, rows.advantages, rows.mask)


@torch.no_grad()
def _line_search(
    policy: HNPGPolicy,
    rows: PolicyRows,
    region: TrustRegion,
    old: tuple[Tensor, Tensor],
    objective: Tensor,
    full: Tensor,
    expected: Tensor,
) -> dict[str, Tensor]:
    """Try ever shorter steps; each policy takes its first that is good enough, or none."""
    parameters = policy.actor_parameters
    before = flat_members([p.detach() for p in parameters])
    chosen, kl = before.clone(), torch.zeros_like(objective)
    accepted, share = torch.zeros_like(objective, dtype=torch.bool), 1.0
    for _ in range(region.tries):
        _assign(policy, before + share * full)
        outputs = policy.outputs(rows.features)
        gained = _objective(policy, rows, outputs) - objective
        moved = losses.masked_mean(policy.head.kl(old, outputs), rows.mask)
        good = (gained > 0.0) & (gained > region.accept * share * expected)
        if region.kl_check:
            good &= moved <= region.max_kl
        fresh = good & ~accepted
        chosen = torch.where(fresh.unsqueeze(1), before + share * full, chosen)
        kl, accepted = torch.where(fresh, moved, kl), accepted | good
        if bool(accepted.all()):
            break
        share *= region.shrink
    _assign(policy, chosen)
    return {"kl": kl, "linesearch_accept": accepted.to(kl.dtype)}


def _assign(policy: HNPGPolicy, flat: Tensor) -> None:
    first = 0
    for parameter in policy.actor_parameters:
        size = parameter[0].numel()
        parameter.data.copy_(flat[:, first : first + size].reshape(parameter.shape))
        first += size
