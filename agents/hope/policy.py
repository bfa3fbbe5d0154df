"""Actor and critic of ``HopePPO``: a categorical over the 42 motions that obeys the mask."""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from gymnasium import spaces
from stable_baselines3.common.distributions import CategoricalDistribution
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from torch import Tensor, nn

from hybridrl.agents.hope.extractors import ParkingFeatures, ParkingTokens
from hybridrl.agents.hope.features import MASK, feature_rows
from hybridrl.agents.hope.losses import entropy, masked_log_probs
from hybridrl.envs.parking.kernels.records import ACTION_SPEED, ACTION_STEER
from hybridrl.planners.errors import ScenarioError, UnknownNameError

WIDTH = 256
MASKINGS = ("hard", "input", "none")


class HopePolicy(ActorCriticPolicy):
    """Two networks on the feature row; motions whose ``action_mask`` is 0 have probability 0.

    Besides the methods of Stable-Baselines3, which take observations, there are those on feature
    rows: rollouts compute a row once and keep it.

    Args:
        observation_space: Of a parking environment.
        action_space: ``Discrete(42)``.
        lr_schedule: Learning rate by remaining progress.
        net_arch: Hidden layers, by default two of 256 for each of actor and critic.
        features_extractor_class: :class:`ParkingFeatures` or a subclass.
        normalize: Normalise lidar and target by running statistics.
        masking: ``hard``; for comparison ``input`` (the mask is seen, but forbids nothing: a
            blocked motion just does not move) or ``none`` (it is not even seen).
        **kwargs: Of ``ActorCriticPolicy``.

    Raises:
        ScenarioError: If the actions are not the 42 motions.
        UnknownNameError: If there is no such masking.
    """

    features_extractor: ParkingFeatures

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Schedule,
        net_arch: list[int] | dict[str, list[int]] | None = None,
        features_extractor_class: type[ParkingFeatures] = ParkingFeatures,
        normalize: bool = False,
        masking: str = "hard",
        **kwargs: Any,
    ) -> None:
        if masking not in MASKINGS:
            raise UnknownNameError("masking", masking, MASKINGS)
        self.masking = masking
        if not (isinstance(action_space, spaces.Discrete) and action_space.n == MASK):
            expected = f'Discrete({MASK}): make the environment with action_type="discrete"'
            raise ScenarioError("action_space", action_space, expected)
        if net_arch is None:
            net_arch = {"pi": [WIDTH, WIDTH], "vf": [WIDTH, WIDTH]}
        if normalize:
            extra = kwargs.get("features_extractor_kwargs") or {}
            kwargs["features_extractor_kwargs"] = {**extra, "normalize": True}
        super().__init__(
            observation_space,
            action_space,
            lr_schedule,
            net_arch=net_arch,
            features_extractor_class=features_extractor_class,
            **kwargs,
        )

    def log_probs(self, rows: Tensor) -> Tensor:
        """Log-probabilities of the motions for feature rows, shape ``(N, 42)``."""
        return self._log_probs(rows, self._encode(rows))

    def values(self, rows: Tensor) -> Tensor:
        """State values of feature rows, shape ``(N,)``."""
        return self._values(self._encode(rows))

    def act(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Sampled motions, state values and log-probabilities for feature rows, each ``(N,)``."""
        encoded = self._encode(rows)
        log_probs = self._log_probs(rows, encoded)
        # The exponential race: argmax of p / Exp(1) is a sample of p.
        race = torch.empty_like(log_probs).exponential_()
        actions = (log_probs.exp() / race).argmax(dim=1)
        taken = log_probs.gather(1, actions[:, None])[:, 0]
        return actions, self._values(encoded), taken

    def evaluate_rows(self, rows: Tensor, actions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Values, log-probabilities of ``actions`` and entropies of feature rows, each ``(N,)``."""
        encoded = self._encode(rows)
        log_probs = self._log_probs(rows, encoded)
        taken = log_probs.gather(1, actions[:, None])[:, 0]
        return self._values(encoded), taken, entropy(log_probs)

    def forward(
        self, obs: PyTorchObs, deterministic: bool = False
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Motions, values ``(N, 1)`` and log-probabilities for observations."""
        rows = rows_of(obs)
        distribution = self._distribution(self.log_probs(rows))
        actions = distribution.get_actions(deterministic=deterministic)
        return actions, self.values(rows)[:, None], distribution.log_prob(actions)

    def evaluate_actions(
        self, obs: PyTorchObs, actions: Tensor
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Values ``(N, 1)``, log-probabilities and entropies for observations."""
        values, taken, entropies = self.evaluate_rows(rows_of(obs), actions.long())
        return values[:, None], taken, entropies

    def get_distribution(self, obs: PyTorchObs) -> CategoricalDistribution:
        """The masked categorical for observations."""
        return self._distribution(self.log_probs(rows_of(obs)))

    def predict_values(self, obs: PyTorchObs) -> Tensor:
        """State values for observations, shape ``(N, 1)``."""
        return self.values(rows_of(obs))[:, None]

    def _encode(self, rows: Tensor) -> Tensor:
        if self.masking == "none":
            rows = torch.cat([torch.zeros_like(rows[:, :MASK]), rows[:, MASK:]], dim=1)
        return self.features_extractor.encode(rows)

    def _log_probs(self, rows: Tensor, encoded: Tensor) -> Tensor:
        logits = self.action_net(self.mlp_extractor.forward_actor(encoded))
        if self.masking == "hard":
            return masked_log_probs(logits, rows[:, :MASK] > 0.0)
        return torch.log_softmax(logits, dim=1)

    def _values(self, encoded: Tensor) -> Tensor:
        values: Tensor = self.value_net(self.mlp_extractor.forward_critic(encoded))
        return values[:, 0]

    def _distribution(self, log_probs: Tensor) -> CategoricalDistribution:
        return CategoricalDistribution(MASK).proba_distribution(action_logits=log_probs)


class HopeTokenPolicy(HopePolicy):
    """HOPE's token transformer, shared by a small actor and a small critic.

    Args:
        observation_space: Of a parking environment.
        action_space: ``Discrete(42)``.
        lr_schedule: Learning rate by remaining progress.
        net_arch: Hidden layers on the transformer's output.
        features_extractor_class: :class:`ParkingTokens` or a subclass.
        **kwargs: Of ``ActorCriticPolicy``.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Schedule,
        net_arch: list[int] | dict[str, list[int]] | None = None,
        features_extractor_class: type[ParkingFeatures] = ParkingTokens,
        **kwargs: Any,
    ) -> None:
        net_arch = {"pi": [128], "vf": [128]} if net_arch is None else net_arch
        super().__init__(
            observation_space,
            action_space,
            lr_schedule,
            net_arch,
            features_extractor_class,
            **kwargs,
        )


class HopeGaussianPolicy(HopePolicy):
    """HOPE's own way: a Gaussian over steering and step, weighted by the mask (``parking.md`` 8).

    The densities of the 42 motions, each dimension's logarithm clipped to [-10, 10], times their
    free shares make the categorical that is drawn from. Unlike HOPE's, the log-probability is that
    of this categorical and not of the Gaussian. The arguments are those of :class:`HopePolicy`.
    """

    motions: Tensor

    def _build(self, lr_schedule: Schedule) -> None:
        super()._build(lr_schedule)
        steer, speed = torch.from_numpy(ACTION_STEER), torch.from_numpy(ACTION_SPEED)
        motions = torch.stack([steer, speed], dim=1).float()
        self.register_buffer("motions", motions, persistent=False)
        self.action_net = nn.Linear(self.mlp_extractor.latent_dim_pi, 2)
        self.init_weights(self.action_net, gain=0.01)
        self.log_std = nn.Parameter(torch.zeros(2))
        rate = lr_schedule(1)
        self.optimizer = self.optimizer_class(  # type: ignore[call-arg]
            self.parameters(), lr=rate, **self.optimizer_kwargs
        )

    def _log_probs(self, rows: Tensor, encoded: Tensor) -> Tensor:
        mean = torch.tanh(self.action_net(self.mlp_extractor.forward_actor(encoded)))
        z = (self.motions - mean[:, None]) * torch.exp(-self.log_std)
        densities = -0.5 * z.square() - self.log_std - 0.5 * math.log(2.0 * math.pi)
        shares = rows[:, :MASK]
        scores = densities.clamp(-10.0, 10.0).sum(dim=2) + shares.clamp(min=1e-6).log()
        return masked_log_probs(scores, shares > 0.0)


def rows_of(observations: PyTorchObs) -> Tensor:
    """Feature rows of observations that torch holds, shape ``(N, inputs)``."""
    rows: Tensor = feature_rows(cast(dict[str, Tensor], observations), torch)
    return rows
