"""IQL's networks: a Gaussian with tanh on the mean only, twin critics, a state value."""

from __future__ import annotations

from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.policies import BaseModel, BasePolicy
from stable_baselines3.common.preprocessing import get_action_dim
from stable_baselines3.common.torch_layers import (
    BaseFeaturesExtractor,
    CombinedExtractor,
    FlattenExtractor,
    create_mlp,
    get_actor_critic_arch,
)
from stable_baselines3.common.type_aliases import Schedule
from torch import Tensor, nn

from hybridrl.agents.common.adam import LeanAdam
from hybridrl.agents.common.policies import EnsembleCritic
from hybridrl.agents.iql.losses import gaussian_log_prob

LOG_STD_RANGE = (-5.0, 2.0)


class IQLActor(BaseModel):
    """``N(tanh(mean(s)), std^2)``, clipped to [-1, 1]; one deviation a dimension for all states.

    Args:
        observation_space: Of the environment.
        action_space: Of the environment.
        features_extractor: From observations to features.
        features_dim: How many of them.
        net_arch: Widths of the hidden layers.
        activation_fn: Between layers.
        dropout: Of hidden units, 0 to 1.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Box,
        features_extractor: BaseFeaturesExtractor,
        features_dim: int,
        net_arch: list[int],
        activation_fn: type[nn.Module] = nn.ReLU,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(observation_space, action_space, features_extractor=features_extractor)
        size = get_action_dim(action_space)
        layers = create_mlp(features_dim, size, net_arch, activation_fn)
        if dropout:
            layers = [
                part
                for layer in layers
                for part in (
                    [layer, nn.Dropout(dropout)] if isinstance(layer, activation_fn) else [layer]
                )
            ]
        self.net = nn.Sequential(*layers)
        self.log_std = nn.Parameter(torch.zeros(size))

    def gaussian(self, obs: Any) -> tuple[Tensor, Tensor]:
        """Mean ``(B, A)`` in [-1, 1] and log deviation ``(A,)``."""
        assert self.features_extractor is not None
        features = self.extract_features(obs, self.features_extractor)
        return torch.tanh(self.net(features)), self.log_std.clamp(*LOG_STD_RANGE)

    def forward(self, obs: Any, deterministic: bool = False) -> Tensor:
        """Actions in [-1, 1], ``(B, A)``."""
        mean, log_std = self.gaussian(obs)
        if deterministic:
            return mean
        return (mean + log_std.exp() * torch.randn_like(mean)).clamp(-1.0, 1.0)

    def log_prob(self, obs: Any, actions: Tensor) -> Tensor:
        """Log-density of actions in [-1, 1], ``(B,)``."""
        return gaussian_log_prob(actions, *self.gaussian(obs))


class StateValue(BaseModel):
    """``V(s)``.

    Args:
        observation_space: Of the environment.
        action_space: Of the environment.
        features_extractor: From observations to features.
        features_dim: How many of them.
        net_arch: Widths of the hidden layers.
        activation_fn: Between layers.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Box,
        features_extractor: BaseFeaturesExtractor,
        features_dim: int,
        net_arch: list[int],
        activation_fn: type[nn.Module] = nn.ReLU,
    ) -> None:
        super().__init__(observation_space, action_space, features_extractor=features_extractor)
        self.net = nn.Sequential(*create_mlp(features_dim, 1, net_arch, activation_fn))

    def forward(self, obs: Any) -> Tensor:
        """Values, ``(B,)``."""
        assert self.features_extractor is not None
        values: Tensor = self.net(self.extract_features(obs, self.features_extractor))
        return values.squeeze(-1)


class IQLPolicy(BasePolicy):
    """Actor, critics with targets, and state value; each has its own optimiser and extractor.

    Args:
        observation_space: Of the environment.
        action_space: A ``Box``.
        lr_schedule: Learning rate of all of them.
        net_arch: Hidden widths, or ``{"pi": [...], "qf": [...]}``; the value uses ``qf``.
        activation_fn: Between layers.
        dropout: Of the actor's hidden units.
        n_critics: Critics.
        features_extractor_class: From observations to features.
        features_extractor_kwargs: Of it.
        normalize_images: Divide images by 255.
        optimizer_class: Of all parts.
        optimizer_kwargs: Of it.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Box,
        lr_schedule: Schedule,
        net_arch: list[int] | dict[str, list[int]] | None = None,
        activation_fn: type[nn.Module] = nn.ReLU,
        dropout: float = 0.0,
        n_critics: int = 2,
        features_extractor_class: type[BaseFeaturesExtractor] = FlattenExtractor,
        features_extractor_kwargs: dict[str, Any] | None = None,
        normalize_images: bool = True,
        optimizer_class: Any = LeanAdam,
        optimizer_kwargs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            observation_space,
            action_space,
            features_extractor_class,
            features_extractor_kwargs,
            normalize_images=normalize_images,
            optimizer_class=optimizer_class,
            optimizer_kwargs=optimizer_kwargs,
            squash_output=True,
        )
        self.net_arch = [256, 256] if net_arch is None else net_arch
        self.activation_fn, self.dropout, self.n_critics = activation_fn, dropout, n_critics
        self._build(lr_schedule)

    def _build(self, lr_schedule: Schedule) -> None:
        pi, qf = get_actor_critic_arch(self.net_arch)
        self.actor = IQLActor(net_arch=pi, dropout=self.dropout, **self._parts())
        critic = {**self._parts(), "net_arch": qf, "n_critics": self.n_critics}
        self.critic = EnsembleCritic(**critic)
        self.critic_target = EnsembleCritic(**critic | self._parts())
        self.critic_target.load_state_dict(self.critic.state_dict())
        self.critic_target.set_training_mode(False)
        self.value = StateValue(net_arch=qf, **self._parts())
        for part in (self.actor, self.critic, self.value):
            part.to(self.device)
            make: Any = self.optimizer_class
            part.optimizer = make(part.parameters(), lr=lr_schedule(1), **self.optimizer_kwargs)
        self.critic_target.to(self.device)

    def _parts(self) -> dict[str, Any]:
        extractor = self.make_features_extractor()
        return {
            "observation_space": self.observation_space,
            "action_space": self.action_space,
            "features_extractor": extractor,
            "features_dim": extractor.features_dim,
            "activation_fn": self.activation_fn,
        }

    def _get_constructor_parameters(self) -> dict[str, Any]:
        own = ("net_arch", "activation_fn", "dropout", "n_critics")
        parts = ("features_extractor_class", "features_extractor_kwargs")
        optimizer = ("optimizer_class", "optimizer_kwargs")
        return {
            **super()._get_constructor_parameters(),
            **{key: getattr(self, key) for key in (*own, *parts, *optimizer)},
            "lr_schedule": self._dummy_schedule,
        }

    def _predict(self, observation: Any, deterministic: bool = False) -> Tensor:
        actions: Tensor = self.actor(observation, deterministic)
        return actions


class IQLMultiInputPolicy(IQLPolicy):
    """The same for ``Dict`` observations."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("features_extractor_class", CombinedExtractor)
        super().__init__(*args, **kwargs)
