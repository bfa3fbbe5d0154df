"""Soft actor-critic with an optional dataset: the base of H2O, MOORL, RLPD and others."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from stable_baselines3 import SAC
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv
from stable_baselines3.sac.policies import SACPolicy

from hybridrl.agents.common.adam import LeanAdam
from hybridrl.agents.common.hybrid import HybridOffPolicyMixin
from hybridrl.agents.common.policies import POLICIES, HybridSACPolicy
from hybridrl.agents.common.sac_core import Metrics, SACRules, sac_update

OBSERVED = 10  # updates between two looks at values and errors by source


class HybridSAC(HybridOffPolicyMixin, SAC):
    """SAC on batches of offline and online transitions; without a dataset plain SAC.

    Subclasses change :meth:`rules` or :meth:`update`.

    Args:
        policy: ``MlpPolicy`` and ``MultiInputPolicy`` (ensemble critics), ``ListPolicy``
            (Stable-Baselines3's own, for bitwise comparison) or a class.
        env: To learn in.
        backup_entropy: Entropy belongs to the target value; turn it off for 0/1 rewards.
        **kwargs: ``offline_dataset``, ``offline_fraction`` and those of
            ``stable_baselines3.SAC``.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = POLICIES

    _step_of_train = 0

    def __init__(
        self,
        policy: str | type[SACPolicy] = "MlpPolicy",
        env: GymEnv | str | None = None,
        *,
        backup_entropy: bool = True,
        **kwargs: Any,
    ) -> None:
        self.backup_entropy = backup_entropy
        super().__init__(policy, env, **kwargs)

    def _setup_model(self) -> None:
        super()._setup_model()
        optimizer = self.ent_coef_optimizer
        if optimizer is not None and isinstance(self.policy, HybridSACPolicy) and self.policy.fused:
            rate = optimizer.param_groups[0]["lr"]
            assert self.log_ent_coef is not None
            self.ent_coef_optimizer = LeanAdam([self.log_ent_coef], lr=rate)

    @property
    def rules(self) -> SACRules:
        """What this agent changes in the shared update."""
        return SACRules(backup_entropy=self.backup_entropy)

    def train(self, gradient_steps: int, batch_size: int = 64) -> None:
        """Do ``gradient_steps`` updates of ``batch_size`` rows each."""
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.optimizers())
        for step in range(gradient_steps):
            self._step_of_train = step
            follow = step % self.target_update_interval == 0
            self._means.add(self.update(batch_size, follow))
        self._n_updates += gradient_steps
        self._step_of_train = 0
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")

    def update(self, batch_size: int, follow: bool) -> Metrics:
        """One update on a fresh batch; ``follow`` moves the target critics."""
        batch = self.sample_batch(batch_size)
        return sac_update(self, batch, self.rules, follow=follow, observe=self.due(OBSERVED))

    def due(self, every: int) -> bool:
        """Whether this update is one of every so many."""
        return (self._n_updates + self._step_of_train) % every == 0

    def optimizers(self) -> list[torch.optim.Optimizer]:
        """All whose learning rate follows the schedule."""
        own = [self.actor.optimizer, self.critic.optimizer]
        return own if self.ent_coef_optimizer is None else [*own, self.ent_coef_optimizer]
