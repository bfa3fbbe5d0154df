"""Implicit Q-learning with fine-tuning, as a Stable-Baselines3 algorithm."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from gymnasium import spaces
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv, MaybeCallback, Schedule
from torch import Tensor

from hybridrl.agents.common.hybrid import HybridOffPolicyMixin
from hybridrl.agents.iql import losses
from hybridrl.agents.iql.policy import IQLMultiInputPolicy, IQLPolicy
from hybridrl.planners.errors import ScenarioError


class IQL(HybridOffPolicyMixin, OffPolicyAlgorithm):
    """Learns from a dataset without ever asking for actions outside it; then goes on online.

    A state value follows an upper expectile of the critics' values of the data's actions, the
    critics bootstrap from it, and the actor imitates actions weighted by their advantage.
    ``pretrain(n_updates)`` is the offline phase, ``learn(n)`` fine-tunes with one update a step.

    Args:
        policy: ``MlpPolicy``, ``MultiInputPolicy`` or a class.
        env: To act in; for offline learning alone only its spaces matter.
        learning_rate: Of actor, critics and value.
        buffer_size: Online transitions, beside the dataset.
        learning_starts: Random steps before the policy acts.
        batch_size: Rows an update.
        tau: Polyak factor of the target critics.
        gamma: Discount.
        expectile: In (0, 1); 0.7 for locomotion, 0.9 for mazes.
        beta: Inverse temperature of the advantages; 3 for locomotion, 10 for mazes.
        reward_scale: Rewards of data and environment are multiplied by this.
        reward_bias: And this is added.
        pretrain_steps: Offline updates that the first ``learn`` makes before it acts, if there is
            a dataset.
        actor_decay: Cosine decay of the actor's learning rate while pre-training, to 0.
        offline_dataset: Anything that ``hybridrl.datasets.sources.as_dataset`` reads.
        offline_fraction: Share of offline rows in a batch when fine-tuning; ``None`` draws from
            all rows alike, as if the dataset had been copied into the buffer.
        **kwargs: Of ``OffPolicyAlgorithm``.

    Raises:
        ScenarioError: If ``expectile`` is not between 0 and 1, or gSDE is asked for.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {
        "MlpPolicy": IQLPolicy,
        "MultiInputPolicy": IQLMultiInputPolicy,
    }
    policy: Any
    actor: Any
    value: Any
    critic: Any
    critic_target: Any

    def __init__(
        self,
        policy: str | type[IQLPolicy] = "MlpPolicy",
        env: GymEnv | str | None = None,
        learning_rate: float | Schedule = 3e-4,
        buffer_size: int = 1_000_000,
        learning_starts: int = 0,
        batch_size: int = 256,
        tau: float = 0.005,
        gamma: float = 0.99,
        *,
        expectile: float = 0.7,
        beta: float = 3.0,
        reward_scale: float = 1.0,
        reward_bias: float = 0.0,
        pretrain_steps: int = 0,
        actor_decay: bool = True,
        offline_dataset: Any = None,
        offline_fraction: float | str | None = None,
        _init_setup_model: bool = True,
        **kwargs: Any,
    ) -> None:
        if kwargs.get("use_sde"):
            raise ScenarioError("use_sde", True, "False: the deviation does not depend on states")
        self.expectile = losses.require_expectile(expectile)
        self.beta = beta
        self.pretrain_steps, self.actor_decay = pretrain_steps, actor_decay
        self._decay = (0, 0)  # offline updates done and planned, while they are made
        super().__init__(
            policy,
            env,
            learning_rate=learning_rate,
            buffer_size=buffer_size,
            learning_starts=learning_starts,
            batch_size=batch_size,
            tau=tau,
            gamma=gamma,
            offline_dataset=offline_dataset,
            offline_fraction=offline_fraction,
            reward_scale=reward_scale,
            reward_bias=reward_bias,
            sde_support=False,
            support_multi_env=True,
            supported_action_spaces=(spaces.Box,),
            **kwargs,
        )
        if _init_setup_model:
            self._setup_model()

    def _setup_model(self) -> None:
        super()._setup_model()
        self.actor, self.value = self.policy.actor, self.policy.value
        self.critic, self.critic_target = self.policy.critic, self.policy.critic_target

    def train(self, gradient_steps: int, batch_size: int = 256) -> None:
        """Updates in the order of the reference: value, actor, critics, targets."""
        self.policy.set_training_mode(True)
        parts = (self.actor, self.value, self.critic)
        self._update_learning_rate([part.optimizer for part in parts])
        for _ in range(gradient_steps):
            self._decay_actor()
            self._means.add(self.update(self.sample_batch(batch_size)))
        self._n_updates += gradient_steps
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")

    def update(self, batch: Any) -> dict[str, Tensor]:
        """One update on a batch; returns detached scalars for the log."""
        rewards = batch.rewards.squeeze(1)
        discounts = self.gamma if batch.discounts is None else batch.discounts.squeeze(1)
        with torch.no_grad():
            values = self.critic_target.values(batch.observations, batch.actions)
            target_q = values.min(dim=0).values
        advantages = target_q - self.value(batch.observations)
        value_loss = losses.expectile_loss(advantages, self.expectile)
        self._step(self.value, value_loss)

        with torch.no_grad():  # with the new value, as in the reference
            advantages = target_q - self.value(batch.observations)
            next_values = self.value(batch.next_observations)
        weights = losses.advantage_weights(advantages, self.beta)
        log_prob = self.actor.log_prob(batch.observations, batch.actions)
        actor_loss = losses.actor_loss(log_prob, weights)
        self._step(self.actor, actor_loss)

        target = losses.td_target(rewards, batch.dones.squeeze(1), next_values, discounts)
        q_values = self.critic.values(batch.observations, batch.actions)
        critic_loss = losses.critic_loss(q_values, target)
        self._step(self.critic, critic_loss)
        losses.polyak(
            list(self.critic_target.parameters()), list(self.critic.parameters()), self.tau
        )
        return {
            "value_loss": value_loss.detach(),
            "actor_loss": actor_loss.detach(),
            "critic_loss": critic_loss.detach(),
            "advantage": advantages.mean(),
            "weight": weights.mean(),
            "q_value": q_values.detach().mean(),
        }

    def pretrain(self, n_updates: int, callback: MaybeCallback = None) -> Any:
        """The offline phase; the actor's learning rate decays over these updates.

        Args:
            n_updates: Gradient steps.
            callback: As of ``learn``; its ``on_step`` is called after every update.

        Returns:
            The agent itself.

        Raises:
            ScenarioError: If there is no dataset.
        """
        self._decay = (0, n_updates if self.actor_decay else 0)
        try:
            return super().pretrain(n_updates, callback)
        finally:
            self._decay = (0, 0)

    def learn(self, total_timesteps: int, *args: Any, **kwargs: Any) -> Any:
        """Train online, after ``pretrain_steps`` offline updates if none were made yet."""
        offline = self.pretrain_steps and self.offline_dataset is not None
        if offline and self._n_updates == 0:
            self.pretrain(self.pretrain_steps)
        return super().learn(total_timesteps, *args, **kwargs)

    def _decay_actor(self) -> None:
        done, planned = self._decay
        if planned:
            share = losses.cosine_share(done, planned)
            for group in self.actor.optimizer.param_groups:
                group["lr"] = share * self.lr_schedule(self._current_progress_remaining)
            self._decay = (done + 1, planned)

    def _step(self, part: Any, loss: Tensor) -> None:
        part.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        part.optimizer.step()

    def _excluded_save_params(self) -> list[str]:
        own = ["actor", "critic", "critic_target", "value", "_decay"]
        return [*super()._excluded_save_params(), *own]

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        parts = ["actor.optimizer", "critic.optimizer", "value.optimizer"]
        return ["policy", *parts], []
