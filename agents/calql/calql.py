"""Cal-QL and CQL with online fine-tuning, as a Stable-Baselines3 algorithm."""

from __future__ import annotations

from typing import Any

import torch
from stable_baselines3.common.type_aliases import GymEnv
from stable_baselines3.sac.policies import SACPolicy
from torch import Tensor

from hybridrl.agents.calql import losses
from hybridrl.agents.common.adam import LeanAdam
from hybridrl.agents.common.hybrid_sac import OBSERVED, HybridSAC, critic_kwargs
from hybridrl.agents.common.sac_core import (
    Metrics,
    action_log_prob,
    actor_step,
    critic_step,
    critic_values,
    policy_values,
    polyak,
    source_metrics,
    temperature_step,
)
from hybridrl.agents.common.sac_losses import actor_loss, soft_value, td_target
from hybridrl.planners.errors import ScenarioError


class CalQL(HybridSAC):
    """Soft actor-critic whose critics are pushed down where the data do not go.

    ``calibrated=True`` (Cal-QL) does not push them below the Monte-Carlo return of the data, so
    that fine-tuning does not begin with unlearning; ``False`` is CQL. ``pretrain(n_updates)`` is
    the offline phase, ``learn(n)`` fine-tunes on half offline, half online rows.

    Args:
        policy: See :class:`HybridSAC`.
        env: To act in.
        calibrated: Cal-QL or CQL.
        n_actions: Sampled actions of each kind a state; the cost grows with it.
        penalty_weight: w; 5 for mazes, 1 for dexterous hands.
        penalty_temperature: T of the soft maximum.
        gap_clip: Bounds of the penalty of a row.
        target_gap: With a number, w is scaled by a multiplier that holds the penalty there (0.8
            for mazes); ``None`` keeps w.
        max_backup: Bootstrap from the best of ``n_actions`` next actions instead of one.
        backup_entropy: Entropy belongs to the target value.
        failure_reward: For sparse tasks: reward of a step without success; an episode with nothing
            else has the return of failing for ever.
        actor_learning_rate: Of actor and temperature; ``learning_rate`` is the critics'.
        n_critics: E.
        layer_norm: Normalise in the critics.
        pretrain_steps: Offline updates that the first ``learn`` makes before it acts.
        learning_starts: Random steps before the policy acts.
        policy_kwargs: Of the policy; a learned affine log deviation unless said otherwise.
        **kwargs: Of :class:`HybridSAC`: ``offline_dataset``, ``reward_scale``, ``reward_bias``, ...

    Raises:
        ScenarioError: If a number is out of range.
    """

    def __init__(
        self,
        policy: str | type[SACPolicy] = "MlpPolicy",
        env: GymEnv | str | None = None,
        *,
        calibrated: bool = True,
        n_actions: int = 10,
        penalty_weight: float = 5.0,
        penalty_temperature: float = 1.0,
        gap_clip: tuple[float, float] = (float("-inf"), float("inf")),
        target_gap: float | None = None,
        max_backup: bool = True,
        backup_entropy: bool = False,
        failure_reward: float | None = None,
        actor_learning_rate: float = 1e-4,
        n_critics: int = 2,
        layer_norm: bool = False,
        pretrain_steps: int = 0,
        learning_starts: int = 0,
        policy_kwargs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if n_actions < 1:
            raise ScenarioError("n_actions", n_actions, "a whole number from 1")
        self.calibrated, self.n_actions, self.max_backup = calibrated, n_actions, max_backup
        self.penalty_weight, self.penalty_temperature = penalty_weight, penalty_temperature
        self.gap_clip = (float(gap_clip[0]), float(gap_clip[1]))
        self.target_gap, self.failure_reward = target_gap, failure_reward
        self.actor_learning_rate, self.pretrain_steps = actor_learning_rate, pretrain_steps
        own = critic_kwargs(policy, n_critics, layer_norm, policy_kwargs)
        if policy == "MlpPolicy":
            own = {"affine_log_std": True, **own}
        super().__init__(
            policy,
            env,
            backup_entropy=backup_entropy,
            learning_starts=learning_starts,
            policy_kwargs=own,
            **kwargs,
        )

    def _setup_model(self) -> None:
        super()._setup_model()
        self.log_multiplier = torch.zeros(1, device=self.device, requires_grad=True)
        rate = self.lr_schedule(1)
        self._multiplier_optimizer = LeanAdam([self.log_multiplier], lr=rate)

    def learn(self, total_timesteps: int, *args: Any, **kwargs: Any) -> Any:
        """Fine-tune online, after ``pretrain_steps`` offline updates if none were made yet."""
        if self.pretrain_steps and self.offline_dataset is not None and not self._n_updates:
            self.pretrain(self.pretrain_steps)
        return super().learn(total_timesteps, *args, **kwargs)

    def update(self, batch_size: int, follow: bool) -> Metrics:
        """Temperature, critics, actor, targets."""
        batch = self.sample_batch(batch_size)
        metrics: Metrics = {}
        actions, log_prob = action_log_prob(self, batch.observations)
        ent_coef = temperature_step(self, log_prob, metrics)
        proposed, densities = self._proposals(batch)
        target = self._target(batch, proposed, densities, ent_coef)
        q, gap = self._penalised(batch, proposed, densities)
        penalty = self.penalty_weight * gap.sum()
        if self.target_gap is not None:
            penalty = self._multiplied(gap, metrics)
        critic_step(self, losses.bellman_error(q, target) + penalty, metrics)
        q_pi = policy_values(self.critic, batch.observations, actions)
        actor_step(self, actor_loss(log_prob, q_pi, ent_coef, mean_of_critics=False), metrics)
        if follow:
            polyak(self)
        metrics["conservative_gap"] = gap.detach().mean()
        if self.due(OBSERVED):
            source_metrics(q.detach(), target, batch.n_offline, metrics)
            metrics["returns_known"] = (batch.mc_returns > -torch.inf).float().mean()
        return metrics

    @torch.no_grad()
    def _proposals(self, batch: Any) -> tuple[Tensor, Tensor]:
        """Actions of the policy at s, then at s': ``(B, 2 n, A)``, and ``log pi (B, 2 n)``."""
        drawn = [
            action_log_prob(self, _repeated(seen, self.n_actions))
            for seen in (batch.observations, batch.next_observations)
        ]
        count = len(batch.actions)
        actions = [a.reshape(count, self.n_actions, -1) for a, _ in drawn]
        densities = [p.reshape(count, self.n_actions) for _, p in drawn]
        return torch.cat(actions, dim=1), torch.cat(densities, dim=1)

    @torch.no_grad()
    def _target(self, batch: Any, proposed: Tensor, densities: Tensor, ent_coef: Tensor) -> Tensor:
        n = self.n_actions if self.max_backup else 1
        first = self.n_actions
        actions = proposed[:, first : first + n].flatten(0, 1)
        seen = _repeated(batch.next_observations, n)
        q = critic_values(self.critic_target, seen, actions)
        q = q.reshape(len(q), -1, n)
        if self.max_backup:
            value = losses.backup_values(q)
        else:
            log_prob = densities[:, first]
            value = soft_value(q.squeeze(-1), log_prob, ent_coef, self.backup_entropy)
        discounts = self.gamma if batch.discounts is None else batch.discounts.squeeze(1)
        return td_target(batch.rewards.squeeze(1), batch.dones.squeeze(1), discounts, value)

    def _penalised(self, batch: Any, proposed: Tensor, densities: Tensor) -> tuple[Tensor, Tensor]:
        """Q of the data's actions ``(E, B)`` and the penalty of each critic ``(E,)``: one pass."""
        n = self.n_actions
        count, size = batch.actions.shape
        uniform = 2.0 * torch.rand(count, n, size, device=self.device) - 1.0
        actions = torch.cat([batch.actions.unsqueeze(1), uniform, proposed], dim=1)
        seen = _repeated(batch.observations, actions.shape[1])
        q = critic_values(self.critic, seen, actions.flatten(0, 1))
        q = q.reshape(len(q), count, -1)
        data, others, own = q[..., 0], q[..., 1 : n + 1], q[..., n + 1 :]
        if self.calibrated:
            own = losses.calibrated(own, batch.mc_returns.squeeze(1))
        soft = losses.soft_maximum(others, own, densities, size, self.penalty_temperature)
        return data, losses.conservative_gap(soft, data, *self.gap_clip)

    def _multiplied(self, gap: Tensor, metrics: Metrics) -> Tensor:
        """The penalty with its multiplier, which rises where the gap is above its target."""
        assert self.target_gap is not None
        excess = self.penalty_weight * (gap - self.target_gap).sum()
        self._multiplier_optimizer.zero_grad()
        loss = -losses.lagrange_weight(self.log_multiplier).sum() * excess.detach()
        loss.backward()  # type: ignore[no-untyped-call]
        self._multiplier_optimizer.step()
        weight = losses.lagrange_weight(self.log_multiplier.detach())
        metrics["multiplier"] = weight.squeeze()
        return weight * excess

    def _update_learning_rate(self, optimizers: Any) -> None:
        super()._update_learning_rate(optimizers)
        for optimizer in (self.actor.optimizer, self.ent_coef_optimizer):
            for group in () if optimizer is None else optimizer.param_groups:
                group["lr"] = self.actor_learning_rate

    def _buffer_options(self) -> dict[str, Any]:
        own = {"with_returns": True, "gamma": self.gamma, "failure_reward": self.failure_reward}
        return {**super()._buffer_options(), **own}

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "_multiplier_optimizer"]

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        parts, tensors = super()._get_torch_save_params()
        return [*parts, "_multiplier_optimizer"], [*tensors, "log_multiplier"]


def _repeated(observations: Any, count: int) -> Any:
    """Every row ``count`` times in a row; dictionaries key by key."""
    if isinstance(observations, dict):
        return {key: part.repeat_interleave(count, dim=0) for key, part in observations.items()}
    return observations.repeat_interleave(count, dim=0)
