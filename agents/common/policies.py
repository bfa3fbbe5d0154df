"""The soft actor-critic policy with ensemble critics and without detours."""

from __future__ import annotations

import math
from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.policies import BaseModel, BasePolicy
from stable_baselines3.common.preprocessing import get_action_dim, is_image_space
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor, FlattenExtractor
from stable_baselines3.sac.policies import LOG_STD_MAX, LOG_STD_MIN, Actor, SACPolicy
from torch import Tensor, nn

from hybridrl.agents.common.adam import LeanAdam
from hybridrl.agents.common.ensemble import EnsembleMLP
from hybridrl.planners.errors import ScenarioError

LOG_SQRT_2PI = 0.5 * math.log(2.0 * math.pi)
TANH_EPSILON = 1e-6  # Stable-Baselines3's, in the logarithm of the Jacobian
_MODAL = (nn.Dropout, nn.modules.batchnorm._BatchNorm)


def squashed_gaussian(mean: Tensor, log_std: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """A tanh-Gaussian action from standard normal noise, and its log-probability.

    Args:
        mean: ``(..., A)`` before the squashing.
        log_std: ``(..., A)``.
        noise: ``(..., A)`` draws of N(0, 1); gradients go through mean and deviation.

    Returns:
        Actions ``(..., A)`` in [-1, 1] and log-probabilities ``(...)``.
    """
    action = torch.tanh(torch.addcmul(mean, log_std.exp(), noise))
    jacobian = (1.0 + TANH_EPSILON - action * action).log()
    # The part of the density without parameters needs no gradient and no shape of the batch.
    constant = noise.square().sum(-1) * 0.5 + noise.shape[-1] * LOG_SQRT_2PI
    return action, -(log_std + jacobian).sum(-1) - constant


class EnsembleCritic(BaseModel):
    """``n_critics`` action-value networks in one batched network.

    Args:
        observation_space: Of the environment.
        action_space: Of the environment.
        net_arch: Widths of the hidden layers.
        features_extractor: From observations to features.
        features_dim: How many of them.
        activation_fn: Between layers.
        normalize_images: Divide images by 255.
        n_critics: E.
        share_features_extractor: The extractor is the actor's and is not trained here.
        layer_norm: Normalise before each activation.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Box,
        net_arch: list[int],
        features_extractor: BaseFeaturesExtractor,
        features_dim: int,
        activation_fn: type[nn.Module] = nn.ReLU,
        normalize_images: bool = True,
        n_critics: int = 2,
        share_features_extractor: bool = False,
        layer_norm: bool = False,
    ) -> None:
        super().__init__(
            observation_space,
            action_space,
            features_extractor=features_extractor,
            normalize_images=normalize_images,
        )
        self.n_critics = n_critics
        self.share_features_extractor = share_features_extractor
        self.plain = is_plain(observation_space, features_extractor)
        inputs = features_dim + get_action_dim(action_space)
        self.net = EnsembleMLP(n_critics, inputs, 1, net_arch, activation_fn, layer_norm)

    def values(self, obs: Any, actions: Tensor, members: Tensor | None = None) -> Tensor:
        """Q of every member (or of those in ``members``), ``(E, B)``."""
        features = obs.float() if self.plain else self._features(obs)
        inputs = torch.cat([features, actions], dim=-1)
        values: Tensor = self.net(inputs, members).squeeze(-1)
        return values

    def forward(self, obs: Any, actions: Tensor) -> tuple[Tensor, ...]:
        """As Stable-Baselines3's critic: one ``(B, 1)`` tensor a member."""
        return tuple(self.values(obs, actions).unsqueeze(-1).unbind(0))

    def q1_forward(self, obs: Any, actions: Tensor) -> Tensor:
        """The first member alone, ``(B, 1)``."""
        first = torch.zeros(1, dtype=torch.long, device=actions.device)
        return self.values(obs, actions, first)[0].unsqueeze(-1)

    def _features(self, obs: Any) -> Tensor:
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.share_features_extractor):
            extractor: Any = self.features_extractor
            return self.extract_features(obs, extractor)


class LeanActor(Actor):
    """Squashed Gaussian with one head for mean and deviation, without distribution objects.

    Args:
        observation_space: Of the environment.
        action_space: Of the environment.
        affine_log_std: Two learned numbers scale (from 1) and shift (from -1) the log deviation.
        **kwargs: Of Stable-Baselines3's actor.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Box,
        affine_log_std: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(observation_space, action_space, **kwargs)
        del self.mu, self.log_std
        width = self.net_arch[-1] if self.net_arch else self.features_dim
        self.action_dim = get_action_dim(action_space)
        self.head = nn.Linear(width, 2 * self.action_dim)
        self.plain = is_plain(observation_space, self.features_extractor)
        for layer in self.latent_pi:
            if isinstance(layer, nn.ReLU):
                layer.inplace = True
        self.affine = nn.Parameter(torch.tensor([1.0, -1.0])) if affine_log_std else None
        self.frozen_features = False  # whether others train the extractor

    def gaussian(self, obs: Any) -> tuple[Tensor, Tensor]:
        """Mean and log deviation before the squashing, both ``(B, A)``."""
        features = obs.float() if self.plain else self._features(obs)
        both = self.head(self.latent_pi(features))
        mean, log_std = both[..., : self.action_dim], both[..., self.action_dim :]
        if self.affine is not None:
            log_std = log_std * self.affine[0] + self.affine[1]
        return mean, log_std.clamp(LOG_STD_MIN, LOG_STD_MAX)

    def _features(self, obs: Any) -> Tensor:
        extractor: Any = self.features_extractor
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen_features):
            return self.extract_features(obs, extractor)

    def get_action_dist_params(self, obs: Any) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """As Stable-Baselines3 gives them."""
        return (*self.gaussian(obs), {})

    def forward(self, obs: Any, deterministic: bool = False) -> Tensor:
        """Actions in [-1, 1], ``(B, A)``."""
        mean, log_std = self.gaussian(obs)
        if deterministic:
            return torch.tanh(mean)
        return torch.tanh(torch.addcmul(mean, log_std.exp(), torch.randn_like(mean)))

    def action_log_prob(self, obs: Any) -> tuple[Tensor, Tensor]:
        """A reparameterised action ``(B, A)`` and its log-probability ``(B,)``."""
        mean, log_std = self.gaussian(obs)
        return squashed_gaussian(mean, log_std, torch.randn_like(mean))


class HybridSACPolicy(SACPolicy):
    """Stable-Baselines3's policy for SAC with :class:`EnsembleCritic` and :class:`LeanActor`.

    Args:
        *args: Observation space, action space and learning rate schedule.
        critic_layer_norm: Normalise in the critics.
        affine_log_std: See :class:`LeanActor`.
        output_gain: Xavier gain of the output layers, whose biases are then 0; ``None`` leaves
            them as torch makes them.
        fused: Use fused Adam where no other optimiser is asked for.
        **kwargs: Of Stable-Baselines3's policy.

    Raises:
        ScenarioError: If gSDE is asked for: ``policy="ListPolicy"`` has it.
    """

    critic: EnsembleCritic  # type: ignore[assignment]
    critic_target: EnsembleCritic  # type: ignore[assignment]
    actor: LeanActor

    def __init__(
        self,
        *args: Any,
        critic_layer_norm: bool = False,
        affine_log_std: bool = False,
        output_gain: float | None = None,
        fused: bool = True,
        **kwargs: Any,
    ) -> None:
        if kwargs.get("use_sde"):
            raise ScenarioError(
                "use_sde", True, 'False with this policy; policy="ListPolicy" has it'
            )
        self.critic_layer_norm = critic_layer_norm
        self.affine_log_std = affine_log_std
        self.output_gain = output_gain
        self.fused = fused
        if fused:
            kwargs.setdefault("optimizer_class", LeanAdam)
        super().__init__(*args, **kwargs)
        # Modes matter to few layers, and switching them costs as much as a small forward pass.
        self._modal = any(isinstance(module, _MODAL) for module in self.modules())

    def make_actor(self, features_extractor: BaseFeaturesExtractor | None = None) -> LeanActor:
        """A new actor."""
        kwargs = self._update_features_extractor(self.actor_kwargs, features_extractor)
        actor = LeanActor(**kwargs, affine_log_std=self.affine_log_std).to(self.device)
        if self.output_gain is not None:
            nn.init.xavier_uniform_(actor.head.weight, self.output_gain)
            nn.init.zeros_(actor.head.bias)
        return actor

    def make_critic(  # type: ignore[override]
        self, features_extractor: BaseFeaturesExtractor | None = None
    ) -> EnsembleCritic:
        """A new ensemble of critics."""
        kwargs = self._update_features_extractor(self.critic_kwargs, features_extractor)
        critic = EnsembleCritic(**kwargs, layer_norm=self.critic_layer_norm).to(self.device)
        if self.output_gain is not None:
            head = critic.net.head
            for weight in head.weight.data:
                nn.init.xavier_uniform_(weight, self.output_gain)
            nn.init.zeros_(head.bias)
        return critic

    def set_training_mode(self, mode: bool) -> None:
        """Switch layers between training and evaluation, where any of them cares."""
        if getattr(self, "_modal", True):
            super().set_training_mode(mode)
        self.training = mode

    def _get_constructor_parameters(self) -> dict[str, Any]:
        own = ("critic_layer_norm", "affine_log_std", "output_gain", "fused")
        return {**super()._get_constructor_parameters(), **{key: getattr(self, key) for key in own}}


class HybridMultiInputPolicy(HybridSACPolicy):
    """The same for ``Dict`` observations."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        from stable_baselines3.common.torch_layers import CombinedExtractor

        kwargs.setdefault("features_extractor_class", CombinedExtractor)
        super().__init__(*args, **kwargs)


# For ``policy_aliases`` of agents that are built on SAC.
POLICIES: dict[str, type[BasePolicy]] = {
    "MlpPolicy": HybridSACPolicy,
    "MultiInputPolicy": HybridMultiInputPolicy,
    "ListPolicy": SACPolicy,
}


def is_plain(space: spaces.Space[Any], extractor: nn.Module | None) -> bool:
    """Whether observations are features already: a flat ``Box`` and no trained extractor."""
    flat = isinstance(space, spaces.Box) and len(space.shape) == 1 and not is_image_space(space)
    return flat and type(extractor) is FlattenExtractor
