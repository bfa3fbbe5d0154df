"""The student's policy: ego-attention, masked actions, actor and critic heads."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.distributions import CategoricalDistribution, Distribution
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from torch import Tensor, nn

from hybridrl.agents.hope.losses import entropy, masked_log_probs
from hybridrl.agents.tell_drive.losses import behaviour_log_prob
from hybridrl.agents.tell_drive.network import EgoAttentionExtractor
from hybridrl.agents.tell_drive.observation import ADVICE, MASK, VALID, canonical_places, layout_of
from hybridrl.planners.errors import ScenarioError


class EgoAttentionPolicy(ActorCriticPolicy):
    """Actor and critic on one ego-attention encoder; unavailable actions have probability 0.

    The mask is part of the observation (``action_mask``), so stored log-probabilities are those of
    the distribution that acted, and any algorithm of Stable-Baselines3 can use the policy.

    Args:
        observation_space: Of a driving environment; with ``observation="dict"`` it has a mask.
        action_space: Discrete.
        lr_schedule: Learning rate by remaining progress.
        net_arch: Hidden layers of the heads; two of 64 by default.
        width: Of an encoding.
        heads: Of the attention.
        encoder: ``attention``, or ``flat`` for comparison.
        advice_token: Let the attention see advice (4.3 b).
        view: What the encoders are shown: see ``EgoAttentionExtractor``.
        **kwargs: Of ``ActorCriticPolicy``.

    Raises:
        ScenarioError: If the actions are not discrete.
    """

    features_extractor: EgoAttentionExtractor

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Schedule,
        net_arch: list[int] | dict[str, list[int]] | None = None,
        width: int = 64,
        heads: int = 2,
        encoder: str = "attention",
        advice_token: bool = False,
        view: str = "rows",
        **kwargs: Any,
    ) -> None:
        if not isinstance(action_space, spaces.Discrete):
            raise ScenarioError("action_space", action_space, "discrete actions")
        self.layout = layout_of(observation_space)
        # Teacher-executed steps (4.4): the share of rows with advice that the teacher decides.
        self.teacher_share = 0.0
        self._places = canonical_places(int(action_space.n)) if self.layout.advice else None
        own = {"width": width, "heads": heads, "encoder": encoder, "view": view}
        own["advice_token"] = advice_token
        # One call a step instead of one a tensor: a tenth of an update of so small a network.
        kwargs.setdefault("optimizer_kwargs", {"eps": 1e-5, "fused": True})
        arch = net_arch if net_arch is not None else {"pi": [64, 64], "vf": [64, 64]}
        super().__init__(
            observation_space,
            action_space,
            lr_schedule,
            net_arch=arch,
            activation_fn=kwargs.pop("activation_fn", nn.ReLU),
            ortho_init=False,
            features_extractor_class=EgoAttentionExtractor,
            features_extractor_kwargs=own,
            **kwargs,
        )

    def _build(self, lr_schedule: Schedule) -> None:
        """Heads by Xavier; the last layer of the actor is small, so that no action is preferred."""
        super()._build(lr_schedule)
        for module in (*self.mlp_extractor.modules(), self.value_net, self.action_net):
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight, 0.01 if module is self.action_net else 1.0)
                nn.init.zeros_(module.bias)

    def log_probs_and_values(self, obs: PyTorchObs) -> tuple[Tensor, Tensor]:
        """Masked log-probabilities ``(B, A)`` and values ``(B,)``."""
        actor, critic = self.mlp_extractor(self.extract_features(obs))
        return self._masked(obs, self.action_net(actor)), self.value_net(critic)[:, 0]

    def forward(
        self, obs: PyTorchObs, deterministic: bool = False
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Actions, values ``(B, 1)`` and log-probabilities of the behaviour that drew them."""
        log_probs, values = self.log_probs_and_values(obs)
        if deterministic:
            actions = log_probs.argmax(dim=1)
        else:
            actions = log_probs.exp().multinomial(1)[:, 0]
        if self.teacher_share > 0.0 and self._places is not None:
            return self._guided(obs, log_probs, values, actions)
        return actions, values[:, None], log_probs.gather(1, actions[:, None])[:, 0]

    def evaluate_actions(
        self, obs: PyTorchObs, actions: Tensor
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Values, log-probabilities of the actions, and entropies."""
        log_probs, values = self.log_probs_and_values(obs)
        taken = log_probs.gather(1, actions.long().view(-1, 1))[:, 0]
        return values[:, None], taken, entropy(log_probs)

    def get_distribution(self, obs: PyTorchObs) -> Distribution:
        """The masked categorical."""
        return self._distribution(self.log_probs_and_values(obs)[0])

    def attention_weights(self, observation: Any) -> NDArray[np.float32]:
        """How much each head looks at each row of cars.

        Args:
            observation: Of the environment, or a batch of them.

        Returns:
            Shape ``(heads, N)``, or ``(B, heads, N)`` for a batch.
        """
        obs, many = self.obs_to_tensor(observation)
        with torch.no_grad():
            weights: NDArray[np.float32] = self.features_extractor.weights(obs).cpu().numpy()
        return weights if many else weights[0]

    def teacher_probs(self, obs: Any) -> tuple[Tensor, Tensor]:
        """The teacher's probabilities ``(B, A)`` in native order, and validity times confidence."""
        advice: Tensor = obs[ADVICE]
        return advice[:, self._places], advice[:, VALID] * advice[:, 5]

    def _distribution(self, log_probs: Tensor) -> CategoricalDistribution:
        made = CategoricalDistribution(log_probs.shape[1])
        return made.proba_distribution(action_logits=log_probs)

    def _masked(self, obs: Any, logits: Tensor) -> Tensor:
        if not self.layout.mask:
            return torch.log_softmax(logits, dim=1)
        return masked_log_probs(logits, obs[MASK] > 0.5)

    def _guided(
        self, obs: Any, log_probs: Tensor, values: Tensor, actions: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Some rows act as the teacher says; the log-probability is that of the mixture (4.4)."""
        probs, weight = self.teacher_probs(obs)
        share = self.teacher_share * (weight > 0).float()
        probs = torch.where(weight[:, None] > 0, probs, log_probs.exp())
        taken = torch.where(torch.rand_like(share) < share, probs.multinomial(1)[:, 0], actions)
        student = log_probs.gather(1, taken[:, None])[:, 0]
        teacher = probs.gather(1, taken[:, None])[:, 0]
        return taken, values[:, None], behaviour_log_prob(student, teacher, share)
