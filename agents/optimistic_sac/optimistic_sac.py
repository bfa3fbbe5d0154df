"""OptimisticSAC: soft actor-critic that explores where an ensemble of critics is optimistic."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.type_aliases import GymEnv
from stable_baselines3.sac.policies import SACPolicy
from torch import Tensor

from hybridrl.agents.common.hybrid_sac import HybridSAC, critic_kwargs
from hybridrl.agents.common.policies import EnsembleCritic
from hybridrl.agents.common.sac_core import SACRules, critic_update, critic_values
from hybridrl.agents.optimistic_sac.formulas import critic_slopes, ramp, tilt
from hybridrl.agents.optimistic_sac.switching import SwitchTest, make_switch
from hybridrl.planners.errors import ScenarioError, UnknownNameError

RESETS = ("tilt", "none")
Reset = Literal["tilt", "none"]


class OptimisticSAC(HybridSAC):
    """Soft actor-critic with optimistic exploration (arXiv 1910.12807, 2505.03710).

    While it collects, the policy's mean moves against a bound on the divergence towards the upper
    confidence value of an exploration critic: a copy of the critics that is renewed rarely. What
    it learns and how it is evaluated is plain soft actor-critic. With ``delta=0``, two critics and
    no normalisation it is :class:`HybridSAC` bit for bit; with ``switch="every_step"``,
    ``reset="none"``, ``scale_by_doubt=False`` and two critics it is OAC (the preset ``oac``).

    Args:
        policy: See :class:`HybridSAC`.
        env: To learn in.
        beta_ub: Deviations of the ensemble above its mean; negative values make it cautious.
        delta: Divergence between exploring and target policy, at most; 0 is no exploration.
        scale_by_doubt: The shift is scaled, state by state, by the share of the bonus in the
            upward direction; ``False`` spends all of ``delta`` everywhere, as OAC does.
        optimism: Factor on ``beta_ub`` and ``delta``; 0 turns both off: RLPD without its update
            ratio where there is a dataset.
        switch: When the exploration critic is renewed: ``replay_doubling``, ``logdet`` or
            ``every_step``.
        switch_growth: Of the number of transitions between two switches of ``replay_doubling``.
        switch_ridge: Lambda of ``logdet``.
        reset: ``tilt`` begins again at the target policy after a switch, ``none`` does not.
        warm_steps: Steps until the tilt is whole again after a switch.
        n_critics: E.
        n_target_critics: A random subset of so many gives the target; all when ``None``.
        layer_norm: Normalise in the critics.
        mean_of_critics: The actor climbs the mean of all critics instead of the lowest.
        pretrain_steps: Updates of the critics alone on offline batches before the first step.
        policy_kwargs: Of the policy; they go before ``n_critics`` and ``layer_norm``.
        **kwargs: Of :class:`HybridSAC`: ``offline_dataset``, ``offline_fraction``, ...

    Raises:
        ScenarioError: If a number is out of range, or gSDE is asked for.
        UnknownNameError: If a switch or a reset is unknown.
    """

    explorer: Any
    switch_test: SwitchTest

    def __init__(
        self,
        policy: str | type[SACPolicy] = "MlpPolicy",
        env: GymEnv | str | None = None,
        *,
        beta_ub: float = 4.66,
        delta: float = 4.0,
        scale_by_doubt: bool = True,
        optimism: float = 1.0,
        switch: str = "replay_doubling",
        switch_growth: float = 1.5,
        switch_ridge: float = 1.0,
        reset: Reset = "tilt",
        warm_steps: int = 100,
        n_critics: int = 2,
        n_target_critics: int | None = None,
        layer_norm: bool = True,
        mean_of_critics: bool = False,
        pretrain_steps: int = 0,
        policy_kwargs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        for name, value in (("delta", delta), ("optimism", optimism), ("warm_steps", warm_steps)):
            if not 0.0 <= value < np.inf:
                raise ScenarioError(name, value, "a number from 0 up")
        if reset not in RESETS:
            raise UnknownNameError("reset", reset, RESETS)
        if kwargs.get("use_sde") and delta * optimism:
            raise ScenarioError("use_sde", True, "False, or delta=0: the shift needs plain noise")
        make_switch(switch, switch_growth, switch_ridge, 1, 0)
        self.beta_ub, self.delta, self.optimism = beta_ub, delta, optimism
        self.scale_by_doubt = scale_by_doubt
        self.switch, self.switch_growth, self.switch_ridge = switch, switch_growth, switch_ridge
        self.reset, self.warm_steps = reset, warm_steps
        self.n_target_critics, self.mean_of_critics = n_target_critics, mean_of_critics
        self.pretrain_steps = pretrain_steps
        self.n_switches = 0
        super().__init__(
            policy,
            env,
            policy_kwargs=critic_kwargs(policy, n_critics, layer_norm, policy_kwargs),
            **kwargs,
        )

    def _setup_model(self) -> None:
        super()._setup_model()
        width = self._features(None, None).shape[-1] if self.switch == "logdet" else 1
        self.switch_test = make_switch(
            self.switch, self.switch_growth, self.switch_ridge, width, self.seed or 0
        ).to(self.device)
        self.explorer = self.critic if self.switch == "every_step" else _frozen(self.critic)

    @property
    def rules(self) -> SACRules:
        """What this agent changes in the shared update."""
        return SACRules(self.backup_entropy, self.n_target_critics, self.mean_of_critics)

    @property
    def tilts(self) -> bool:
        """Whether it explores otherwise than plain soft actor-critic."""
        return self.delta * self.optimism > 0.0

    def learn(self, *args: Any, **kwargs: Any) -> Any:
        """Train; the arguments are those of Stable-Baselines3."""
        if self.pretrain_steps and self.offline_dataset is not None and not self._n_updates:
            self._source = "offline"
            for _ in range(self.pretrain_steps):
                batch = self.sample_batch(self.batch_size)
                self._means.add(critic_update(self, batch, self.rules))
            self._source = "mixed"
        return super().learn(*args, **kwargs)

    def explore(self, observations: Any) -> Tensor:
        """Actions in [-1, 1] of the shifted policy, ``(B, A)``, for a batch of observations."""
        with torch.no_grad():
            mean, log_std, _ = self.actor.get_action_dist_params(observations)
        share = ramp(int(self.switch_test.since), self.warm_steps) if self.reset == "tilt" else 1.0
        delta = self.delta * self.optimism * share
        if delta > 0.0:
            beta, critic = self.beta_ub * self.optimism, self.explorer
            q, slopes = critic_slopes(
                partial(critic_values, critic), critic.n_critics, observations, mean
            )
            mean = mean + tilt(q, slopes, log_std, beta, delta, self.scale_by_doubt)
        return torch.tanh(torch.addcmul(mean, log_std.exp(), torch.randn_like(mean)))

    def renew(self) -> None:
        """Switch: the exploration critic becomes a copy of the critics."""
        if self.explorer is not self.critic:
            with torch.no_grad():
                for old, new in zip(
                    self.explorer.parameters(), self.critic.parameters(), strict=True
                ):
                    old.copy_(new)
            self.n_switches += 1
        self.switch_test.done(float(self.num_timesteps))

    def resumable(self) -> dict[str, Any]:
        """What a resumed training needs besides networks, buffer, counters and generators."""
        return {**super().resumable(), "n_switches": self.n_switches}

    def resume(self, state: dict[str, Any]) -> None:
        """Take what :meth:`resumable` gave."""
        super().resume(state)
        self.n_switches = int(state.get("n_switches", 0))

    def _sample_action(
        self, learning_starts: int, action_noise: Any = None, n_envs: int = 1
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        guided = self._guide is not None and self._guide.acting().any()
        if not self.tilts or guided or self.num_timesteps < learning_starts:
            return super()._sample_action(learning_starts, action_noise, n_envs)
        if self.switch_test.due(float(self.num_timesteps)):
            self.renew()
        seen: Any = self._last_obs
        observations = self.policy.obs_to_tensor(seen)[0]
        flat = self.explore(observations)
        if self.switch_test.needs_features:
            self.switch_test.observe(self._features(observations, flat))
        self.switch_test.since += 1
        scaled = flat.cpu().numpy().reshape(n_envs, *(self.action_space.shape or ()))
        if action_noise is not None:
            scaled = np.clip(scaled + action_noise(), -1.0, 1.0)
        return self.policy.unscale_action(scaled), scaled

    @torch.no_grad()
    def _features(self, observations: Any, actions: Tensor | None) -> Tensor:
        """Last hidden layer of the first exploration critic, ``(B, h)``; of nothing: only h."""
        critic: Any = getattr(self, "explorer", self.critic)
        if not isinstance(critic, EnsembleCritic):
            raise ScenarioError("switch", "logdet", "another one, or policy='MlpPolicy'")
        if actions is None:
            return torch.empty(0, critic.net.head.weight.shape[1])
        inputs = observations.float() if critic.plain else critic._features(observations)
        hidden = torch.cat([inputs, actions], dim=-1).unsqueeze(0)
        first = torch.zeros(1, dtype=torch.long, device=actions.device)
        for layer in list(critic.net.layers)[:-1]:
            hidden = layer(hidden, first) if hasattr(layer, "weight") else layer(hidden)
        return hidden[0]

    def _record_means(self) -> None:
        super()._record_means()
        if self.tilts and self.explorer is not self.critic:
            self.logger.record("train/switches", self.n_switches)

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "explorer", "switch_test"]

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        names, tensors = super()._get_torch_save_params()
        own = ["switch_test"] if self.switch == "every_step" else ["explorer", "switch_test"]
        return [*names, *own], tensors


def _frozen(critic: Any) -> Any:
    """A copy of critics without their optimiser and without gradients."""
    optimizer = critic.__dict__.pop("optimizer", None)
    try:
        copied = copy.deepcopy(critic)
    finally:
        if optimizer is not None:
            critic.optimizer = optimizer
    return copied.requires_grad_(False)
