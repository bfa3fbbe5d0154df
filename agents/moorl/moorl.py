"""MOORL: a Reptile meta-update over an offline and an online source (arXiv 2506.09574)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch
from stable_baselines3.common.type_aliases import GymEnv
from stable_baselines3.sac.policies import SACPolicy
from torch import Tensor

from hybridrl.agents.common.adam import LeanAdam
from hybridrl.agents.common.hybrid_sac import OBSERVED, HybridSAC, critic_kwargs
from hybridrl.agents.common.replay import Source
from hybridrl.agents.common.sac_core import (
    Metrics,
    SACRules,
    polyak,
    sac_update,
    trained_parameters,
)
from hybridrl.agents.moorl.meta import (
    SlowWeights,
    annealed,
    chooses_offline,
    forget_moments,
    outer_tau,
    reptile_step,
    sac_gradients,
)
from hybridrl.planners.errors import ScenarioError, UnknownNameError

RANDOM_STEPS = 100  # before the first update where there is no dataset, as in SAC
CHOICES = {
    "inner_source": ("single", "alternate"),
    "meta_update": ("reptile", "fomaml"),
    "target_follow": ("inner", "outer"),
}


class MOORL(HybridSAC):
    """Adapts a copy of actor and critic on one source for K steps, then moves towards the copy.

    The networks are the copy (fast weights); the meta parameters (slow weights) are kept beside
    them and both are equal after every meta-update, which is when the agent acts. With
    ``meta_step=1`` and ``offline_prob=0`` it is :class:`HybridSAC` bit for bit.

    Args:
        policy: See :class:`HybridSAC`.
        env: To learn in.
        inner_steps: K, gradient steps of a meta-iteration.
        meta_step: Share of the way to the adapted weights, in (0, 1], or a function of the
            remaining progress (1 to 0).
        meta_step_end: It falls linearly to this over the training, as Reptile's does.
        offline_prob: Probability that a meta-iteration adapts on the dataset, or such a function.
        offline_prob_end: It moves linearly to this.
        inner_source: ``single`` source a meta-iteration (the paper), or ``alternate``: offline and
            online batches in turn (ours).
        meta_update: ``reptile``, or ``fomaml``: the gradient of one more batch at the adapted
            weights, applied to the meta parameters with an Adam of its own (experimental).
        target_follow: Targets follow the fast weights after every ``inner`` step, or the slow
            ones once a meta-update (``outer``).
        reuse_batch: One batch for all K steps instead of a fresh one each.
        reset_inner_optim: Adam forgets its moments at the start of each meta-iteration.
        meta_alpha: The temperature takes part in the meta-update.
        inner_beta1: Adam's first decay in the inner loop; 0 as in Reptile's own experiments.
        n_critics: E.
        n_target_critics: A random subset of so many gives the target; all when ``None``.
        layer_norm: Normalise in the critics.
        pretrain_steps: Gradient steps on the dataset alone before the first ``learn`` acts.
        gradient_steps: Inner steps after each environment step; with the defaults one
            meta-iteration a step.
        learning_starts: Random steps before the first update; by default 0 with a dataset, whose
            batches are all there are until the online buffer holds a batch, and 100 without.
        policy_kwargs: Of the policy.
        **kwargs: Of :class:`HybridSAC`: ``offline_dataset``, ``backup_entropy``, ``guide``, ...

    Raises:
        ScenarioError: If a number is out of range.
        UnknownNameError: If a switch has no such value.
    """

    slow_weights: SlowWeights

    def __init__(
        self,
        policy: str | type[SACPolicy] = "MlpPolicy",
        env: GymEnv | str | None = None,
        *,
        inner_steps: int = 4,
        meta_step: float | Callable[[float], float] = 0.5,
        meta_step_end: float | None = None,
        offline_prob: float | Callable[[float], float] = 0.5,
        offline_prob_end: float | None = None,
        inner_source: Literal["single", "alternate"] = "single",
        meta_update: Literal["reptile", "fomaml"] = "reptile",
        target_follow: Literal["inner", "outer"] = "inner",
        reuse_batch: bool = False,
        reset_inner_optim: bool = False,
        meta_alpha: bool = False,
        inner_beta1: float = 0.9,
        n_critics: int = 2,
        n_target_critics: int | None = None,
        layer_norm: bool = False,
        pretrain_steps: int = 0,
        gradient_steps: int = 4,
        learning_starts: int | None = None,
        policy_kwargs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self.inner_steps = inner_steps
        self.meta_step, self.meta_step_end = meta_step, meta_step_end
        self.offline_prob, self.offline_prob_end = offline_prob, offline_prob_end
        self.inner_source, self.meta_update = inner_source, meta_update
        self.target_follow = target_follow
        self.reuse_batch, self.reset_inner_optim = reuse_batch, reset_inner_optim
        self.meta_alpha, self.inner_beta1 = meta_alpha, inner_beta1
        self.n_target_critics, self.pretrain_steps = n_target_critics, pretrain_steps
        self.random_steps = learning_starts
        self._source_seed = int(np.random.SeedSequence().generate_state(1)[0])
        self._check()
        super().__init__(
            policy,
            env,
            gradient_steps=gradient_steps,
            learning_starts=RANDOM_STEPS if learning_starts is None else learning_starts,
            policy_kwargs=critic_kwargs(policy, n_critics, layer_norm, policy_kwargs),
            **kwargs,
        )

    def _check(self) -> None:
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise UnknownNameError(name, getattr(self, name), known)
        if self.inner_steps < 1:
            raise ScenarioError("inner_steps", self.inner_steps, "a whole number from 1")
        for name in ("meta_step", "meta_step_end"):
            value = getattr(self, name)
            if isinstance(value, int | float) and not 0.0 < value <= 1.0:
                raise ScenarioError(name, value, "a share above 0 and at most 1")
        for name in ("offline_prob", "offline_prob_end"):
            value = getattr(self, name)
            if isinstance(value, int | float) and not 0.0 <= value <= 1.0:
                raise ScenarioError(name, value, "a probability")
        if not 0.0 <= self.inner_beta1 < 1.0:
            raise ScenarioError("inner_beta1", self.inner_beta1, "a number from 0 to below 1")

    def _setup_model(self) -> None:
        super()._setup_model()
        if self.random_steps is None:
            self.learning_starts = RANDOM_STEPS if self.offline_dataset is None else 0
        if self.seed is not None:
            self._source_seed = self.seed
        for optimizer in (self.actor.optimizer, self.critic.optimizer):
            for group in optimizer.param_groups:
                group["betas"] = (self.inner_beta1, group["betas"][1])
        # What the optimisers train: an encoder that both networks use stands in it once.
        self._fast: list[Tensor] = [
            *trained_parameters(self.actor.optimizer),
            *trained_parameters(self.critic.optimizer),
        ]
        self._meta_optimizer = LeanAdam(list(self._fast), lr=self.lr_schedule(1))
        if self.meta_alpha and self.log_ent_coef is not None:
            self._fast.append(self.log_ent_coef)
        self.slow_weights = SlowWeights(self._fast)
        self._kept: dict[Source, Any] = {}  # batches that are used again
        self._begun, self._now = -1, False  # meta-iteration under way, and whether it is offline

    @property
    def rules(self) -> SACRules:
        """What this agent changes in the shared update."""
        return SACRules(self.backup_entropy, self.n_target_critics)

    def learn(self, total_timesteps: int, *args: Any, **kwargs: Any) -> Any:
        """Train online, after ``pretrain_steps`` offline updates if none were made yet."""
        if self.pretrain_steps and self.offline_dataset is not None and not self._n_updates:
            self.pretrain(self.pretrain_steps)
        return super().learn(total_timesteps, *args, **kwargs)

    def update(self, batch_size: int, follow: bool) -> Metrics:
        """One inner step; the first of a meta-iteration chooses its source, the last ends it."""
        iteration, k = divmod(self._n_updates + self._step_of_train, self.inner_steps)
        if iteration != self._begun:
            self._begin(iteration, k)
        source = self._source_of(k, batch_size)
        batch = self._kept.get(source) or self._draw(batch_size, source)
        if self.reuse_batch:
            self._kept[source] = batch
        metrics = sac_update(
            self,
            batch,
            self.rules,
            follow=follow and self.target_follow == "inner",
            observe=self.due(OBSERVED),
        )
        if k == self.inner_steps - 1:
            self._meta_step(batch_size, source)
        for name in ("critic_loss", "q_value", "td_error"):
            if name in metrics:
                metrics[f"{source}_{name}"] = metrics[name]
        return metrics

    def offline_probability(self) -> float:
        """Probability that a meta-iteration adapts on the dataset, now."""
        value = self.offline_prob
        left = self._current_progress_remaining
        return value(left) if callable(value) else annealed(value, self.offline_prob_end, left)

    def meta_share(self) -> float:
        """Share of the way to the adapted weights that a meta-update goes, now."""
        value, left = self.meta_step, self._current_progress_remaining
        return value(left) if callable(value) else annealed(value, self.meta_step_end, left)

    def _begin(self, iteration: int, k: int) -> None:
        self._begun, self._kept = iteration, {}
        self._now = chooses_offline(self._source_seed, iteration, self.offline_probability())
        if self.reset_inner_optim and k == 0:
            forget_moments(self.optimizers())

    def _source_of(self, k: int, batch_size: int) -> Source:
        """Source of inner step ``k``; while there is no online batch, the dataset."""
        if self.offline_dataset is None:
            return "online"
        if self._source == "offline":  # pre-training
            return "offline"
        held = self.replay_buffer.size() * self.n_envs
        if not held or (held < batch_size and self.offline_probability() > 0.0):
            return "offline"
        if self.inner_source == "alternate":
            return "online" if k % 2 else "offline"
        return "offline" if self._now else "online"

    def _draw(self, batch_size: int, source: Source) -> Any:
        before, self._source = self._source, source
        try:
            return self.sample_batch(batch_size)
        finally:
            self._source = before

    def _meta_step(self, batch_size: int, source: Source) -> None:
        slow = self.slow_weights.tensors
        if self.meta_update == "fomaml":
            self._fomaml_step(slow, self._draw(batch_size, source))
        else:
            reptile_step(slow, self._fast, self.meta_share())
        if self.target_follow == "outer":
            polyak(self, outer_tau(self.tau, self.inner_steps))

    def _fomaml_step(self, slow: list[Tensor], batch: Any) -> None:
        """A step from the meta parameters along the gradient at the adapted ones (3.2)."""
        actor, critic = sac_gradients(self, batch, self.rules)
        adapted = self._fast[: len(actor) + len(critic)]
        with torch.no_grad():
            torch._foreach_copy_(adapted, slow[: len(adapted)])
        for parameter, gradient in zip(adapted, [*actor, *critic], strict=True):
            parameter.grad = gradient
        rate = self.lr_schedule(self._current_progress_remaining)
        for group in self._meta_optimizer.param_groups:
            group["lr"] = rate
        self._meta_optimizer.step()
        reptile_step(slow, self._fast, 1.0)

    def _excluded_save_params(self) -> list[str]:
        own = ["_fast", "_kept", "_begun", "_now", "_meta_optimizer", "slow_weights"]
        return [*super()._excluded_save_params(), *own]

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        parts, tensors = super()._get_torch_save_params()
        return [*parts, "slow_weights", "_meta_optimizer"], tensors
