"""RLPD: reinforcement learning with prior data, as a Stable-Baselines3 algorithm."""

from __future__ import annotations

from typing import Any

import numpy as np
from stable_baselines3.common.type_aliases import GymEnv
from stable_baselines3.sac.policies import SACPolicy

from hybridrl.agents.common.hybrid_sac import OBSERVED, HybridSAC, critic_kwargs
from hybridrl.agents.common.sac_core import Metrics, SACRules, critic_update, sac_update
from hybridrl.planners.errors import ScenarioError


class RLPD(HybridSAC):
    """Soft actor-critic with symmetric sampling, many normalised critics and many updates a step.

    ``gradient_steps`` (UTD) updates of critics and targets follow each environment step, then one
    of actor and temperature on the last batch. With two critics and one update it is
    ``rlpd-lite``, and without normalisation ``hyq-sac``: presets, not classes.

    Args:
        policy: See :class:`HybridSAC`.
        env: To learn in.
        n_critics: E.
        n_target_critics: A fresh random subset of so many gives the target; 1 for mazes and
            pixels, ``None`` for all.
        layer_norm: Normalise in the critics.
        mean_of_critics: The actor climbs the mean of all critics instead of the lowest.
        policy_delay: Critic updates for each update of the actor within a call of ``train``;
            ``None``: one actor update a call, on its last batch.
        gradient_steps: Updates of the critics after each environment step.
        learning_starts: Random steps before the first update.
        target_entropy: A number, ``auto`` (``-dim(A)``) or ``half`` (``-dim(A) / 2``).
        policy_kwargs: Of the policy; they go before ``n_critics`` and ``layer_norm``.
        **kwargs: Of :class:`HybridSAC`: ``offline_dataset``, ``offline_fraction``, ... With
            ``offline_fraction="uniform"``, one update and two critics it is SACfD.

    Raises:
        ScenarioError: If a number is out of range.
    """

    def __init__(
        self,
        policy: str | type[SACPolicy] = "MlpPolicy",
        env: GymEnv | str | None = None,
        *,
        n_critics: int = 10,
        n_target_critics: int | None = 2,
        layer_norm: bool = True,
        mean_of_critics: bool = True,
        policy_delay: int | None = None,
        gradient_steps: int = 20,
        learning_starts: int = 5000,
        target_entropy: str | float = "half",
        policy_kwargs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        for name, value in (
            ("n_critics", n_critics),
            ("n_target_critics", n_target_critics),
            ("policy_delay", policy_delay),
        ):
            if value is not None and value < 1:
                raise ScenarioError(name, value, "a whole number from 1, or None")
        self.n_target_critics, self.mean_of_critics = n_target_critics, mean_of_critics
        self.policy_delay = policy_delay
        super().__init__(
            policy,
            env,
            gradient_steps=gradient_steps,
            learning_starts=learning_starts,
            target_entropy=target_entropy,
            policy_kwargs=critic_kwargs(policy, n_critics, layer_norm, policy_kwargs),
            **kwargs,
        )

    def _setup_model(self) -> None:
        if self.target_entropy == "half":
            self.target_entropy = -0.5 * float(np.prod(self.action_space.shape or ()))
        super()._setup_model()

    @property
    def rules(self) -> SACRules:
        """What RLPD changes in the shared update."""
        return SACRules(self.backup_entropy, self.n_target_critics, self.mean_of_critics)

    def train(self, gradient_steps: int, batch_size: int = 256) -> None:
        """``gradient_steps`` updates of the critics; see ``policy_delay`` for the actor's."""
        self._steps_of_train = gradient_steps
        super().train(gradient_steps, batch_size)

    def learn_from(self, batch: Any, follow: bool) -> Metrics:
        """One update of the critics, and of the actor where it is due."""
        every = self.policy_delay or self._steps_of_train
        observe = self.due(OBSERVED)
        if (self._step_of_train + 1) % every:
            return critic_update(self, batch, self.rules, follow=follow, observe=observe)
        return sac_update(self, batch, self.rules, follow=follow, observe=observe)

    _steps_of_train = 1

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "_steps_of_train"]
