"""The networks of HNPG: a critic and a policy for every step of the episode, stacked."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.preprocessing import get_flattened_obs_dim, preprocess_obs
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor, FlattenExtractor
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from torch import Tensor, nn

from hybridrl.agents.common.ensemble import EnsembleMLP
from hybridrl.agents.hnpg.features import RandomConvFeatures
from hybridrl.agents.hnpg.heads import CategoricalHead, GaussianHead, Head
from hybridrl.planners.errors import ScenarioError

ARCH = {"pi": [16, 16], "qf": [64, 64]}  # the paper's; hnpg.md 1.2
SHRUNK = 0.1  # factor of the last layers' initial weights


class HNPGPolicy(BasePolicy):
    """E policies and E critics of equal shape, each pair for one step of the episode.

    ``predict`` takes and returns the step of each environment as ``state``, as recurrent policies
    of Stable-Baselines3 do: without one, every observation is a first one.

    Args:
        observation_space: ``Box`` or ``Discrete``; images go through a frozen extractor.
        action_space: ``Box`` (unsquashed Gaussian) or ``Discrete``.
        lr_schedule: Of the critics.
        n_members: E, the horizon, or 1.
        net_arch: Widths ``{"pi": [...], "qf": [...]}``.
        activation_fn: Between layers: ``torch.nn.Tanh`` or ``torch.nn.ReLU``.
        log_std_init: Of the Gaussian.
        features_extractor_class: Its parameters are never trained.
        features_extractor_kwargs: Of it.
        clip_actions: Whether :meth:`for_env` clips to the bounds of a ``Box``.

    Raises:
        ScenarioError: If a space or the activation is of another kind.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Schedule,
        use_sde: bool = False,
        n_members: int = 1,
        net_arch: dict[str, list[int]] | list[int] | None = None,
        activation_fn: type[nn.Module] = nn.Tanh,
        log_std_init: float = 0.0,
        features_extractor_class: type[BaseFeaturesExtractor] = FlattenExtractor,
        features_extractor_kwargs: dict[str, Any] | None = None,
        normalize_images: bool = True,
        clip_actions: bool = True,
    ) -> None:
        if use_sde:
            raise ScenarioError("use_sde", True, "False: the deviation does not depend on states")
        if activation_fn not in (nn.Tanh, nn.ReLU):
            raise ScenarioError("activation_fn", activation_fn, "torch.nn.Tanh or torch.nn.ReLU")
        super().__init__(
            observation_space,
            action_space,
            features_extractor_class,
            features_extractor_kwargs,
            normalize_images=normalize_images,
        )
        self.n_members, self.activation_fn = n_members, activation_fn
        self.log_std_init, self.clip_actions = log_std_init, clip_actions
        self.net_arch = {"pi": net_arch, "qf": net_arch} if isinstance(net_arch, list) else net_arch
        arch = {**ARCH, **(self.net_arch or {})}
        self.head, self.action_size = _head(action_space)
        self.features_extractor = self.make_features_extractor().requires_grad_(False)
        width = self.features_extractor.features_dim
        more, out = (0, self.action_size) if self.head.discrete else (self.action_size, 1)
        self.actor = EnsembleMLP(n_members, width, self.action_size, arch["pi"], activation_fn)
        self.critic = EnsembleMLP(n_members, width + more, out, arch["qf"], activation_fn)
        for network in (self.actor, self.critic):
            with torch.no_grad():
                network.head.weight.mul_(SHRUNK)
                network.head.bias.zero_()
        shape = (n_members, 1, 0 if self.head.discrete else self.action_size)
        self.log_std = nn.Parameter(torch.full(shape, float(log_std_init)))

    @property
    def actor_parameters(self) -> list[nn.Parameter]:
        """What the policy step moves; the first axis of each is E."""
        own = list(self.actor.parameters())
        return own if self.head.discrete else [*own, self.log_std]

    def features(self, observations: Any) -> Tensor:
        """Features of raw observations, ``(M, F)``, without gradient."""
        tensor = torch.as_tensor(np.asarray(observations), device=self.device)
        with torch.no_grad():
            return self.extract_features(tensor, self.features_extractor)

    def fit_features(self, observations: Any) -> None:
        """Let the extractor take the moments of raw observations, if it wants them."""
        fit = getattr(self.features_extractor, "fit", None)
        if fit is not None:
            tensor = torch.as_tensor(np.asarray(observations), device=self.device)
            shown = preprocess_obs(tensor, self.observation_space, self.normalize_images)
            with torch.no_grad():
                fit(shown)

    def outputs(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """The head's inputs for ``(E, B, F)`` features."""
        return self.actor(features), self.log_std

    def q_values(self, features: Tensor, actions: Tensor) -> Tensor:
        """Q of ``(E, B, F)`` features and ``(E, B[, A])`` actions, ``(E, B)``."""
        if self.head.discrete:
            values: Tensor = self.critic(features).gather(-1, actions.unsqueeze(-1)).squeeze(-1)
            return values
        joined: Tensor = self.critic(torch.cat([features, actions], dim=-1)).squeeze(-1)
        return joined

    def values(self, features: Tensor, samples: int) -> Tensor:
        """V = E_pi Q, exactly where actions are discrete, else the mean of drawn actions.

        Args:
            features: ``(E, B, F)``.
            samples: Actions drawn for each row.

        Returns:
            ``(E, B)``.
        """
        return self._values(features, self.log_std, samples, None)

    def member_values(self, features: Tensor, member: int, samples: int) -> Tensor:
        """V of one network's states, ``(B, F)`` to ``(B,)``; as :meth:`values`."""
        chosen = torch.tensor([member], device=features.device)
        return self._values(features[None], self.log_std[chosen], samples, chosen)[0]

    def values_at(self, features: Tensor, steps: Tensor, samples: int) -> Tensor:
        """V of rows at steps of their own, ``(N, F)`` and ``(N,)`` to ``(N,)``."""
        log_std = self.log_std[steps]
        return self._values(features.unsqueeze(1), log_std, samples, steps).squeeze(1)

    def act(
        self, features: Tensor, steps: Tensor, deterministic: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Actions and their log probabilities for rows at steps of their own.

        Args:
            features: ``(N, F)``.
            steps: ``(N,)``, from 0 to E - 1; only 0 matters where E is 1.
            deterministic: The most likely ones.

        Returns:
            ``(N[, A])`` and ``(N,)``.
        """
        outputs, log_std = self._own_rows(features, steps)
        actions = self.head.mode(outputs) if deterministic else self.head.sample(outputs, log_std)
        return actions, self.head.log_prob(actions, outputs, log_std)

    def forward(self, obs: Any, deterministic: bool = False) -> Tensor:
        """Actions of first steps."""
        return self._predict(obs, deterministic)

    def predict(
        self,
        observation: Any,
        state: tuple[NDArray[Any], ...] | None = None,
        episode_start: NDArray[Any] | None = None,
        deterministic: bool = False,
    ) -> tuple[NDArray[Any], tuple[NDArray[Any], ...] | None]:
        """Actions as the environment takes them, and the steps of the next call.

        Args:
            observation: One or several.
            state: ``(steps,)`` of the call before.
            episode_start: Where an episode begins, the step is 0 again.
            deterministic: The most likely actions.
        """
        self.set_training_mode(False)
        seen, several = self.obs_to_tensor(observation)
        features = self.extract_features(seen, self.features_extractor)
        steps = np.zeros(len(features), np.int64) if state is None else np.array(state[0])
        if episode_start is not None:
            steps[np.asarray(episode_start, bool)] = 0
        with torch.no_grad():
            members = torch.as_tensor(steps.clip(max=self.n_members - 1), device=self.device)
            drawn = self.act(features, members, deterministic)[0].cpu().numpy()
        actions = self.for_env(drawn)
        return actions if several else actions.squeeze(axis=0), (steps + 1,)

    def for_env(self, actions: NDArray[Any]) -> NDArray[Any]:
        """Drawn actions ``(N[, A])`` in the space's shape, clipped to its bounds if asked for."""
        shaped = actions.reshape(-1, *(self.action_space.shape or ()))
        if isinstance(self.action_space, spaces.Box) and self.clip_actions:
            bounds = self.action_space.low, self.action_space.high
            clipped: NDArray[Any] = np.clip(shaped, *bounds)
            return clipped
        return shaped

    def _predict(self, observation: PyTorchObs, deterministic: bool = False) -> Tensor:
        features = self.extract_features(observation, self.features_extractor)
        steps = torch.zeros(len(features), dtype=torch.int64, device=self.device)
        return self.act(features, steps, deterministic)[0]

    def _values(
        self, features: Tensor, log_std: Tensor, samples: int, members: Tensor | None
    ) -> Tensor:
        outputs = self.actor(features, members)
        if self.head.discrete:
            exact: Tensor = (outputs.softmax(-1) * self.critic(features, members)).sum(-1)
            return exact
        count, rows = features.shape[:2]
        wide = outputs.unsqueeze(2).expand(-1, -1, samples, -1)
        actions = self.head.sample(wide, log_std[:, None])
        repeated = features.unsqueeze(2).expand(-1, -1, samples, -1)
        joined = torch.cat([repeated, actions], dim=-1).reshape(count, rows * samples, -1)
        mean: Tensor = self.critic(joined, members).reshape(count, rows, samples).mean(-1)
        return mean

    def _own_rows(self, features: Tensor, steps: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs of every row by the network of its step, ``(N, A)``."""
        first = int(steps[0])
        if self.n_members == 1 or bool((steps == first).all()):
            member = steps[:1]
            return self.actor(features[None], member)[0], self.log_std[first]
        return self.actor(features.unsqueeze(1), steps).squeeze(1), self.log_std[steps].squeeze(1)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return {
            **super()._get_constructor_parameters(),
            "lr_schedule": self._dummy_schedule,
            "n_members": self.n_members,
            "net_arch": self.net_arch,
            "activation_fn": self.activation_fn,
            "log_std_init": self.log_std_init,
            "features_extractor_class": self.features_extractor_class,
            "features_extractor_kwargs": self.features_extractor_kwargs,
            "clip_actions": self.clip_actions,
        }


class HNPGConvPolicy(HNPGPolicy):
    """The same on frozen random convolutional features of images."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"features_extractor_class": RandomConvFeatures, **kwargs})


def _head(space: spaces.Space[Any]) -> tuple[Head, int]:
    if isinstance(space, spaces.Discrete) and space.start == 0:
        return CategoricalHead(), int(space.n)
    if isinstance(space, spaces.Box):
        return GaussianHead(), get_flattened_obs_dim(space)
    raise ScenarioError("action_space", space, "a Box, or a Discrete that starts at 0")
