"""The one update that every agent built on soft actor-critic shares.

With list critics (``policy="ListPolicy"``) and default rules it is Stable-Baselines3's, bit for
bit: same order of draws, same order of steps. With ``HybridSACPolicy`` it is the same mathematics
with fewer operations: no gradient that is thrown away, no copy to the host, one operation for all
critics, targets and optimisers.

``model`` is an agent, or anything with the same networks and optimisers: those of
``stacked.StackedSAC`` have a leading dimension for many problems side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from stable_baselines3.common.policies import ContinuousCritic
from torch import Tensor, nn

from hybridrl.agents.common.sac_losses import (
    actor_loss,
    bellman_loss,
    soft_value,
    td_target,
    temperature_loss,
)

Metrics = dict[str, Tensor]
_FOUND: WeakKeyDictionary[nn.Module, list[Tensor]] = WeakKeyDictionary()
CriticObjective = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class SACRules:
    """What agents change in the update.

    Args:
        backup_entropy: Entropy belongs to the target value.
        n_target_critics: Size of a random subset of target critics (RLPD); all when ``None``.
        mean_of_critics: The actor climbs the mean of all critics instead of the lowest.
        stale_critic: The actor sees the critics of before their step (H2O), not the new ones.
    """

    backup_entropy: bool = True
    n_target_critics: int | None = None
    mean_of_critics: bool = False
    stale_critic: bool = False


def sac_update(
    model: Any,
    batch: Any,
    rules: SACRules,
    objective: CriticObjective = bellman_loss,
    follow: bool = True,
    observe: bool = True,
) -> Metrics:
    """One gradient step of temperature, critics and actor, then of the targets.

    Args:
        model: Its networks and optimisers are used.
        batch: As the replay buffer samples it.
        rules: Of the agent.
        objective: Loss of the critics from ``q (E, B)`` and ``target (B,)``.
        follow: Move the target critics.
        observe: Measure values and errors by source too.

    Returns:
        Detached scalars on the model's device.
    """
    metrics: Metrics = {}
    actions, log_prob = action_log_prob(model, batch.observations)
    ent_coef = temperature_step(model, log_prob, metrics)
    target = target_values(model, batch, rules, ent_coef)
    q = critic_values(model.critic, batch.observations, batch.actions)
    loss = objective(q, target)
    if rules.stale_critic:
        actor = _actor_loss(model, batch.observations, actions, log_prob, ent_coef, rules)
        actor_step(model, actor, metrics)
        critic_step(model, loss, metrics)
    else:
        critic_step(model, loss, metrics)
        actor = _actor_loss(model, batch.observations, actions, log_prob, ent_coef, rules)
        actor_step(model, actor, metrics)
    if follow:
        polyak(model)
    if observe:
        source_metrics(q.detach(), target, getattr(batch, "n_offline", 0), metrics)
    return metrics


def critic_update(
    model: Any,
    batch: Any,
    rules: SACRules,
    objective: CriticObjective = bellman_loss,
    follow: bool = True,
    observe: bool = True,
) -> Metrics:
    """A step of critics and targets alone, for many of them an actor step."""
    metrics: Metrics = {}
    target = target_values(model, batch, rules, entropy_coefficient(model))
    q = critic_values(model.critic, batch.observations, batch.actions)
    critic_step(model, objective(q, target), metrics)
    if follow:
        polyak(model)
    if observe:
        source_metrics(q.detach(), target, getattr(batch, "n_offline", 0), metrics)
    return metrics


def action_log_prob(model: Any, observations: Any) -> tuple[Tensor, Tensor]:
    """Actions of the current policy ``(B, A)`` and their log-probabilities ``(B,)``."""
    if model.use_sde:
        model.actor.reset_noise()
    drawn: tuple[Tensor, Tensor] = model.actor.action_log_prob(observations)
    return drawn


def entropy_coefficient(model: Any) -> Tensor:
    """The temperature as it is now, without gradient, ``(1,)`` or a scalar."""
    learned = model.log_ent_coef is not None
    now: Tensor = model.log_ent_coef.detach().exp() if learned else model.ent_coef_tensor
    return now


def temperature_step(model: Any, log_prob: Tensor, metrics: Metrics) -> Tensor:
    """Step the temperature where it is learned; returns the one of before the step."""
    ent_coef = entropy_coefficient(model)
    metrics["ent_coef"] = ent_coef.mean()
    optimizer = model.ent_coef_optimizer
    if optimizer is not None and model.log_ent_coef is not None:
        loss = temperature_loss(model.log_ent_coef, log_prob, float(model.target_entropy))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        metrics["ent_coef_loss"] = loss.detach()
    return ent_coef


@torch.no_grad()
def target_values(model: Any, batch: Any, rules: SACRules, ent_coef: Tensor) -> Tensor:
    """Bellman targets ``(B,)`` with an action of the current policy at the next state."""
    actions, log_prob = model.actor.action_log_prob(batch.next_observations)
    members = _random_members(model, rules.n_target_critics)
    q = critic_values(model.critic_target, batch.next_observations, actions, members)
    value = soft_value(q, log_prob, ent_coef, rules.backup_entropy)
    discounts = model.gamma if batch.discounts is None else batch.discounts.squeeze(-1)
    return td_target(batch.rewards.squeeze(-1), batch.dones.squeeze(-1), discounts, value)


def critic_values(
    critic: Any, observations: Any, actions: Tensor, members: Tensor | None = None
) -> Tensor:
    """Q of all members (or some) as ``(E, B)``, of an ensemble or of a list of critics."""
    if not isinstance(critic, ContinuousCritic):
        values: Tensor = critic.values(observations, actions, members)
        return values
    q = torch.cat(critic(observations, actions), dim=1).T
    return q if members is None else q[members]


def policy_values(critic: Any, observations: Any, actions: Tensor) -> Tensor:
    """Q of a policy's own actions, ``(E, B)``; slopes reach the actions, not the critics."""
    learning = [parameter for parameter in _parameters_of(critic) if parameter.requires_grad]
    for parameter in learning:
        parameter.requires_grad_(False)
    try:
        return critic_values(critic, observations, actions)
    finally:
        for parameter in learning:
            parameter.requires_grad_(True)


def critic_step(model: Any, loss: Tensor, metrics: Metrics) -> None:
    """Step the critics down a loss."""
    model.critic.optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    model.critic.optimizer.step()
    metrics["critic_loss"] = loss.detach()


def actor_step(model: Any, loss: Tensor, metrics: Metrics) -> None:
    """Step the actor down a loss; nothing is computed for the critics' weights."""
    model.actor.optimizer.zero_grad()
    loss.backward(inputs=trained_parameters(model.actor.optimizer))  # type: ignore[no-untyped-call]
    model.actor.optimizer.step()
    metrics["actor_loss"] = loss.detach()


@torch.no_grad()
def polyak(model: Any, tau: float | None = None) -> None:
    """Move the target critics: ``target <- (1 - tau) target + tau online``."""
    share = model.tau if tau is None else tau
    targets, online = _parameters_of(model.critic_target), _parameters_of(model.critic)
    if isinstance(model.critic, ContinuousCritic):  # rounds as Stable-Baselines3 does
        torch._foreach_mul_(targets, 1.0 - share)
        torch._foreach_add_(targets, online, alpha=share)
    else:
        torch._foreach_lerp_(targets, online, share)
    copy_running_stats(model.batch_norm_stats, model.batch_norm_stats_target)


def copy_running_stats(source: Iterable[Tensor], target: Iterable[Tensor]) -> None:
    """Batch normalisation's statistics are copied, not averaged."""
    for new, old in zip(source, target, strict=True):
        old.copy_(new)


def source_metrics(q: Tensor, target: Tensor, n_offline: int, metrics: Metrics) -> None:
    """Mean value and squared error; for a mixed batch those of each source."""
    error = (q - target.unsqueeze(-2)).square()
    mixed = 0 < n_offline < target.shape[-1]
    parts = {"offline_": slice(0, n_offline), "online_": slice(n_offline, None)}
    for name, part in (parts if mixed else {"": slice(None)}).items():
        metrics[f"{name}q_value"] = q[..., part].mean()
        metrics[f"{name}td_error"] = error[..., part].mean()


def _actor_loss(
    model: Any,
    observations: Any,
    actions: Tensor,
    log_prob: Tensor,
    ent_coef: Tensor,
    rules: SACRules,
) -> Tensor:
    q = policy_values(model.critic, observations, actions)
    return actor_loss(log_prob, q, ent_coef, rules.mean_of_critics)


def _random_members(model: Any, count: int | None) -> Tensor | None:
    total = model.critic.n_critics
    if count is None or count >= total:
        return None
    return torch.randperm(total, device=model.device)[:count]


def _parameters_of(module: nn.Module) -> list[Tensor]:
    """All parameters, found once: walking through modules costs as much as averaging them."""
    known = _FOUND.get(module)
    if known is None:
        known = _FOUND[module] = list(module.parameters())
    return known


def trained_parameters(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """All that an optimiser steps, in its order."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]
