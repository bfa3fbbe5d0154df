"""One iteration of HNPG: critics, advantages, policies, in the order of ``hnpg.md`` 1.2."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hybridrl.agents.hnpg import losses
from hybridrl.agents.hnpg.critic import fit_member
from hybridrl.agents.hnpg.policy import HNPGPolicy
from hybridrl.agents.hnpg.rows import OfflineRows, OnlineRows, grouped
from hybridrl.agents.hnpg.step import PolicyRows, TrustRegion, natural_step


@dataclass(frozen=True, kw_only=True)
class Update:
    """Settings of an iteration; the names are those of :class:`~hybridrl.agents.hnpg.HNPG`.

    Args:
        gamma: Discount.
        gae_lambda: Of the online advantages.
        lam: Weight of the online term.
        critic_steps: Of Adam.
        critic_lr: Of Adam.
        critic_l2: Weight of the squared critic parameters.
        critic_sweeps: Fits in a row with new targets.
        n_value_samples: Actions drawn for a value.
        centre_advantages: Subtract each network's mean from its online advantages.
        own_actions: Offline states with the policy's own actions in the policy step.
        offline_critic: Use offline rows in the critics.
        offline_policy: Use offline rows in the policy step.
        region: Of the policy step.
    """

    gamma: float
    gae_lambda: float
    lam: float
    critic_steps: int
    critic_lr: float
    critic_l2: float
    critic_sweeps: int
    n_value_samples: int
    centre_advantages: bool
    own_actions: bool
    offline_critic: bool
    offline_policy: bool
    region: TrustRegion


@dataclass(frozen=True, kw_only=True)
class _Grouped:
    """Online rows sorted by network: features, actions, targets y, mask; all ``(E, B, ...)``."""

    index: Tensor
    features: Tensor
    actions: Tensor
    targets: Tensor
    mask: Tensor


def update(
    policy: HNPGPolicy, online: OnlineRows | None, offline: OfflineRows | None, settings: Update
) -> dict[str, float]:
    """Improve critics and policies in place.

    Args:
        policy: The networks.
        online: The last rollout; ``None`` learns offline only.
        offline: Rows of the dataset; ``None`` is on-policy TRPO with the same critic.
        settings: Of the iteration.

    Returns:
        Numbers for the log.
    """
    sorted_rows = None if online is None else _sort(policy, online, settings)
    for _ in range(settings.critic_sweeps):
        facts = _fit_critics(
            policy, sorted_rows, offline if settings.offline_critic else None, settings
        )
    parts = []
    if online is not None and sorted_rows is not None:
        parts.append(_online_part(policy, online, sorted_rows, settings))
    if offline is not None and settings.offline_policy:
        parts.append(_offline_part(policy, offline, settings))
    step = natural_step(policy, _joined(parts), settings.region)
    return facts | {name: float(value.mean()) for name, value in step.items()}


def _sort(policy: HNPGPolicy, online: OnlineRows, settings: Update) -> _Grouped:
    targets = losses.monte_carlo_returns(
        online.rewards, online.dones, online.last_values, settings.gamma
    )
    index, mask = grouped(online.members.flatten(), policy.n_members)
    return _Grouped(
        index=index,
        features=online.features.flatten(0, 1)[index],
        actions=online.actions.flatten(0, 1)[index],
        targets=targets.flatten()[index],
        mask=mask,
    )


def _fit_critics(
    policy: HNPGPolicy, online: _Grouped | None, offline: OfflineRows | None, settings: Update
) -> dict[str, float]:
    """Hybrid policy evaluation, from the last step of the episode to the first."""
    if online is None and offline is None:
        return {}
    empty = torch.zeros(policy.n_members, 0, device=policy.device)
    masks = [empty if rows is None else rows.mask for rows in (online, offline)]
    weights = losses.row_weights(masks[0], masks[1], settings.lam)
    rows = [part for part in (online, offline) if part is not None]
    features = torch.cat([part.features for part in rows], dim=1)
    actions = torch.cat([part.actions for part in rows], dim=1)
    inputs = features if policy.head.discrete else torch.cat([features, actions], dim=-1)
    targets = torch.zeros_like(weights)
    if online is not None:
        targets[:, : masks[0].shape[1]] = online.targets
    for member in reversed(range(policy.n_members)):
        if offline is not None:
            targets[member, masks[0].shape[1] :] = _offline_targets(
                policy, offline, member, settings
            )
        fit_member(
            policy.critic,
            member,
            inputs[member],
            actions[member] if policy.head.discrete else None,
            targets[member],
            weights[member],
            settings.critic_steps,
            settings.critic_lr,
            settings.critic_l2,
        )
    with torch.no_grad():
        errors = (policy.q_values(features, actions) - targets).square()
    split = masks[0].shape[1]
    kinds = (("online_mse", online, slice(0, split)), ("offline_td", offline, slice(split, None)))
    return {
        name: float(losses.masked_mean(errors[:, part], rows.mask).mean())
        for name, rows, part in kinds
        if rows is not None
    }


@torch.no_grad()
def _offline_targets(
    policy: HNPGPolicy, offline: OfflineRows, member: int, settings: Update
) -> Tensor:
    """Bellman targets with one action of the present policy, from the critic after this one."""
    rewards, ends = offline.rewards[member], offline.terminations[member]
    following = member if policy.n_members == 1 else member + 1
    if following == policy.n_members:  # nothing follows the last step
        return rewards
    values = policy.member_values(offline.next_features[member], following, samples=1)
    return losses.offline_targets(rewards, ends, values, settings.gamma)


@torch.no_grad()
def _online_part(
    policy: HNPGPolicy, online: OnlineRows, rows: _Grouped, settings: Update
) -> PolicyRows:
    """Online rows with the advantages of the new critics."""
    grid = online.rewards
    found = policy.values(rows.features, settings.n_value_samples)
    real = rows.mask > 0
    values = torch.empty(grid.numel(), device=grid.device)
    values[rows.index[real]] = found[real]
    advantages = losses.gae(
        grid, values.view_as(grid), online.dones, online.last_values,
        settings.gamma, settings.gae_lambda,
    )  # fmt: skip
    advantages = advantages.flatten()[rows.index]
    if settings.centre_advantages:
        advantages = advantages - losses.masked_mean(advantages, rows.mask).unsqueeze(-1)
    return PolicyRows(
        features=rows.features,
        actions=rows.actions,
        log_prob=online.log_prob.flatten()[rows.index],
        advantages=advantages,
        mask=rows.mask,
    )


@torch.no_grad()
def _offline_part(policy: HNPGPolicy, offline: OfflineRows, settings: Update) -> PolicyRows:
    """Offline states, with actions of the present policy or of the data (conflict C1)."""
    outputs = policy.outputs(offline.features)
    actions = policy.head.sample(*outputs) if settings.own_actions else offline.actions
    q = policy.q_values(offline.features, actions)
    values = policy.values(offline.features, settings.n_value_samples)
    return PolicyRows(
        features=offline.features,
        actions=actions,
        log_prob=policy.head.log_prob(actions, *outputs),
        advantages=losses.centred(q, values),
        mask=offline.mask,
    )


def _joined(parts: list[PolicyRows]) -> PolicyRows:
    if len(parts) == 1:
        return parts[0]
    names = PolicyRows.__dataclass_fields__
    return PolicyRows(**{n: torch.cat([getattr(p, n) for p in parts], dim=1) for n in names})
