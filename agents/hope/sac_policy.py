"""Actor and critics of ``HopeSAC``: continuous actions that cannot ask for more than is free."""

from __future__ import annotations

import math
from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.policies import ContinuousCritic
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from stable_baselines3.sac.policies import LOG_STD_MAX, LOG_STD_MIN, Actor, SACPolicy
from torch import Tensor, nn

from hybridrl.agents.hope.extractors import ParkingFeatures, ParkingTokens
from hybridrl.agents.hope.features import MASK
from hybridrl.agents.hope.policy import rows_of
from hybridrl.agents.hope.step_scaling import scale_step
from hybridrl.planners.errors import ScenarioError

_HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)


class HopeActor(Actor):
    """A squashed Gaussian over steering and the wanted share of the free step."""

    features_extractor: ParkingFeatures

    def draw(self, rows: Tensor, deterministic: bool = False) -> tuple[Tensor, Tensor]:
        """Actions for feature rows.

        Args:
            rows: Shape ``(N, inputs)``.
            deterministic: Take the Gaussian's mean.

        Returns:
            Actions, shape ``(N, 2)``, and their exact log-densities, shape ``(N,)``.
        """
        latent = self.latent_pi(self.features_extractor.encode(rows))
        mean = self.mu(latent)
        log_std = self.log_std(latent).clamp(LOG_STD_MIN, LOG_STD_MAX)  # type: ignore[operator]
        noise = torch.zeros_like(mean) if deterministic else torch.randn_like(mean)
        actions, log_det = scale_step(mean + log_std.exp() * noise, rows[:, :MASK])
        gaussian = (-0.5 * noise.square() - log_std - _HALF_LOG_2PI).sum(dim=1)
        return actions, gaussian - log_det

    def forward(self, obs: PyTorchObs, deterministic: bool = False) -> Tensor:
        """Actions for observations, shape ``(N, 2)``."""
        return self.draw(rows_of(obs), deterministic)[0]

    def action_log_prob(self, obs: PyTorchObs) -> tuple[Tensor, Tensor]:
        """Drawn actions ``(N, 2)`` and their log-densities ``(N,)`` for observations."""
        return self.draw(rows_of(obs))


class HopeCritic(ContinuousCritic):
    """Twin Q networks on feature rows.

    Args:
        *args: Of ``ContinuousCritic``.
        layer_norm: Normalise each hidden layer, which keeps values sane far from the data
            (Ball et al. 2023, arXiv:2302.02948).
        **kwargs: Of ``ContinuousCritic``.
    """

    features_extractor: ParkingFeatures

    def __init__(self, *args: Any, layer_norm: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if layer_norm:
            for i, network in enumerate(self.q_networks):
                self.q_networks[i] = _with_layer_norm(network)
                setattr(self, f"qf{i}", self.q_networks[i])

    def values(self, rows: Tensor, actions: Tensor) -> Tensor:
        """Q of each network, shape ``(n_critics, N)``."""
        x = torch.cat([self.features_extractor.encode(rows), actions], dim=1)
        return torch.stack([network(x)[:, 0] for network in self.q_networks])

    def forward(self, obs: Any, actions: Tensor) -> tuple[Tensor, ...]:
        """Q of each network for observations, each ``(N, 1)``."""
        return tuple(self.values(rows_of(obs), actions)[:, :, None])


class HopeSACPolicy(SACPolicy):
    """Stable-Baselines3's policy with the actor and the critics above.

    Args:
        observation_space: Of a parking environment.
        action_space: Steering and speed in [-1, 1].
        lr_schedule: Learning rate by remaining progress.
        net_arch: Hidden layers.
        layer_norm: Of the critics.
        features_extractor_class: :class:`ParkingFeatures` or a subclass.
        **kwargs: Of ``SACPolicy``.

    Raises:
        ScenarioError: If the actions are not steering and speed in [-1, 1].
    """

    actor: HopeActor
    critic: HopeCritic
    critic_target: HopeCritic

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Box,
        lr_schedule: Schedule,
        net_arch: list[int] | dict[str, list[int]] | None = None,
        layer_norm: bool = True,
        features_extractor_class: type[BaseFeaturesExtractor] = ParkingFeatures,
        **kwargs: Any,
    ) -> None:
        whole = spaces.Box(-1.0, 1.0, (2,), action_space.dtype)
        if action_space != whole:
            expected = f'{whole}: make the environment with action_type="continuous"'
            raise ScenarioError("action_space", action_space, expected)
        self.layer_norm = layer_norm
        # One kernel a step instead of several a tensor.
        kwargs["optimizer_kwargs"] = {"fused": True, **(kwargs.get("optimizer_kwargs") or {})}
        super().__init__(
            observation_space,
            action_space,
            lr_schedule,
            net_arch=net_arch,
            features_extractor_class=features_extractor_class,
            **kwargs,
        )

    def make_actor(self, features_extractor: BaseFeaturesExtractor | None = None) -> HopeActor:
        """The actor."""
        kwargs = self._update_features_extractor(self.actor_kwargs, features_extractor)
        return HopeActor(**kwargs).to(self.device)

    def make_critic(self, features_extractor: BaseFeaturesExtractor | None = None) -> HopeCritic:
        """The critics."""
        kwargs = self._update_features_extractor(self.critic_kwargs, features_extractor)
        return HopeCritic(**kwargs, layer_norm=self.layer_norm).to(self.device)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return {**super()._get_constructor_parameters(), "layer_norm": self.layer_norm}


class HopeSACTokenPolicy(HopeSACPolicy):
    """The same on HOPE's token transformer."""

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Box,
        lr_schedule: Schedule,
        net_arch: list[int] | dict[str, list[int]] | None = None,
        layer_norm: bool = True,
        features_extractor_class: type[BaseFeaturesExtractor] = ParkingTokens,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            observation_space,
            action_space,
            lr_schedule,
            [128] if net_arch is None else net_arch,
            layer_norm,
            features_extractor_class,
            **kwargs,
        )


def _with_layer_norm(network: nn.Module) -> nn.Sequential:
    layers: list[nn.Module] = []
    modules = list(network.children())
    for module in modules:
        layers.append(module)
        if isinstance(module, nn.Linear) and module is not modules[-1]:
            layers.append(nn.LayerNorm(module.out_features))
    return nn.Sequential(*layers)
