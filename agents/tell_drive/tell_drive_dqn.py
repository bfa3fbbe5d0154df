"""TellDriveDQN: deep Q-learning with ego-attention and the same guidance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3 import DQN
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv, MaybeCallback, PyTorchObs, Schedule
from stable_baselines3.dqn.policies import DQNPolicy, QNetwork
from torch import Tensor, nn

from hybridrl.agents.tell_drive.guidance import GuidanceConfig, Strength, Trust
from hybridrl.agents.tell_drive.guide import Guide, scenes_of
from hybridrl.agents.tell_drive.losses import q_distillation_loss, q_margin_loss
from hybridrl.agents.tell_drive.network import EgoAttentionExtractor
from hybridrl.agents.tell_drive.observation import (
    ADVICE,
    CONFIDENCE,
    MASK,
    VALID,
    canonical_places,
    layout_of,
)
from hybridrl.agents.tell_drive.teachers.advice import Teacher
from hybridrl.agents.tell_drive.teachers.local import warn_of_demo
from hybridrl.agents.tell_drive.teachers.registry import as_teacher
from hybridrl.planners.errors import ScenarioError

TESTED = 64  # answers behind each test of validity
CLOSED = -1e6  # Q of an unavailable action: below any other, and finite


class MaskedQNetwork(QNetwork):
    """Q values; those of unavailable actions are far below all others."""

    def forward(self, obs: PyTorchObs) -> Tensor:
        """Shape ``(B, A)``."""
        values: Tensor = super().forward(obs)
        if isinstance(obs, dict) and MASK in obs:
            return torch.where(obs[MASK] > 0.5, values, CLOSED)
        return values


class EgoAttentionQPolicy(DQNPolicy):
    """DQN's policy on the ego-attention encoder.

    Args:
        observation_space: Of a driving environment.
        action_space: Discrete.
        lr_schedule: Learning rate by remaining progress.
        net_arch: Hidden layers of the head; two of 64 by default.
        width: Of an encoding.
        heads: Of the attention.
        encoder: ``attention`` or ``flat``.
        **kwargs: Of ``DQNPolicy``.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Discrete,
        lr_schedule: Schedule,
        net_arch: list[int] | None = None,
        width: int = 64,
        heads: int = 2,
        encoder: str = "attention",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            observation_space,
            action_space,
            lr_schedule,
            net_arch=[64, 64] if net_arch is None else net_arch,
            features_extractor_class=EgoAttentionExtractor,
            features_extractor_kwargs={"width": width, "heads": heads, "encoder": encoder},
            **kwargs,
        )

    def make_q_net(self) -> QNetwork:
        """The masked network."""
        args = self._update_features_extractor(self.net_args, features_extractor=None)
        return MaskedQNetwork(**args).to(self.device)


class TellDriveDQN(DQN):
    """DQN whose loss has the teacher's cross-entropy to a softmax over Q, and a margin if wanted.

    Advice is asked for as transitions come in and is kept with them in the replay buffer. With
    ``teacher=None`` it is DQN, except that exploration never takes an unavailable action.

    Args:
        policy: ``EgoAttentionQPolicy``.
        env: A driving environment; with a teacher, ``observation="dict"``, ``expose_scene=True``.
        teacher: A teacher, its name, or ``{"name": ..., **settings}``.
        guidance: Settings of the guidance, or a mapping of them.
        **kwargs: Of DQN.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {
        "EgoAttentionQPolicy": EgoAttentionQPolicy,
        "MlpPolicy": EgoAttentionQPolicy,
        "MultiInputPolicy": EgoAttentionQPolicy,
    }

    def __init__(
        self,
        policy: str | type[DQNPolicy] = "EgoAttentionQPolicy",
        env: GymEnv | str | None = None,
        teacher: Teacher | str | Mapping[str, Any] | None = None,
        guidance: GuidanceConfig | Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self.teacher = teacher
        self.guidance = GuidanceConfig.make(guidance)
        self.strength = Strength(self.guidance)
        self.trust = Trust()
        self._guide: Guide | None = None
        self._asked = self._valid = 0
        super().__init__(policy, env, **kwargs)  # type: ignore[arg-type]

    def learn(
        self,
        total_timesteps: int,
        callback: MaybeCallback = None,
        log_interval: int = 4,
        tb_log_name: str = "TellDriveDQN",
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> TellDriveDQN:
        """Train; the arguments are those of Stable-Baselines3."""
        return super().learn(
            total_timesteps, callback, log_interval, tb_log_name, reset_num_timesteps, progress_bar
        )

    def _sample_action(
        self, learning_starts: int, action_noise: Any = None, n_envs: int = 1
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Have the state advised on before it is acted in."""
        guide = self._active_guide()
        if guide is not None:
            assert self.env is not None
            guide.live = True
            guide.reset(1)
            guide.see(self.env, self._last_obs)
            self._count(guide)
        return super()._sample_action(learning_starts, action_noise, n_envs)

    def train(self, gradient_steps: int, batch_size: int = 100) -> None:
        """DQN's update, with the teacher's losses while the guidance lasts."""
        weight = self.strength.at(1.0 - self._current_progress_remaining)
        if self._active_guide() is None or weight <= 0.0:
            return super().train(gradient_steps, batch_size)
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        losses = []
        for _ in range(gradient_steps):
            batch = self.replay_buffer.sample(batch_size, env=self._vec_normalize_env)  # type: ignore[union-attr]
            temporal, teacher = self._losses(batch)
            loss = temporal + weight * teacher
            self.policy.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(self.policy.parameters(), self.max_grad_norm)
            self.policy.optimizer.step()
            losses.append([float(temporal.detach()), float(teacher.detach())])
        self._n_updates += gradient_steps
        means = np.mean(losses, axis=0)
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        self.logger.record("train/loss", means[0])
        self.logger.record("guidance/loss", means[1])
        self.logger.record("guidance/lambda", weight)

    def predict(
        self,
        observation: Any,
        state: tuple[NDArray[Any], ...] | None = None,
        episode_start: NDArray[Any] | None = None,
        deterministic: bool = False,
    ) -> tuple[NDArray[Any], tuple[NDArray[Any], ...] | None]:
        """Greedy, or exploring among the available actions."""
        rng = self.action_space.np_random  # seeded with the model
        if deterministic or rng.random() >= self.exploration_rate:
            return self.policy.predict(observation, state, episode_start, deterministic=True)
        if isinstance(observation, dict) and MASK in observation:
            masks = np.atleast_2d(observation[MASK])
            drawn = (rng.random(masks.shape) * (masks > 0)).argmax(axis=1)
            return (drawn if np.ndim(observation[MASK]) > 1 else drawn[0]), state
        return self._any(observation, rng), state

    def _count(self, guide: Guide) -> None:
        """Test the validity of advice once enough of it was given."""
        self._asked += guide.asked
        self._valid += guide.valid
        if self._asked >= TESTED:
            self.trust.saw_validity(self._valid, self._asked)
            self._asked = self._valid = 0

    def _any(self, observation: Any, rng: np.random.Generator) -> NDArray[Any]:
        """Uniform actions where there is no mask."""
        rows = next(iter(observation.values())) if isinstance(observation, dict) else observation
        many = self.policy.is_vectorized_observation(observation)
        count = int(self.action_space.n)  # type: ignore[attr-defined]
        return np.asarray(rng.integers(count, size=len(rows) if many else None))

    def _losses(self, batch: Any) -> tuple[Tensor, Tensor]:
        """The temporal-difference loss of DQN, and what the teacher adds."""
        discounts = batch.discounts if batch.discounts is not None else self.gamma
        with torch.no_grad():
            ahead = self.q_net_target(batch.next_observations).max(dim=1).values[:, None]
            target = batch.rewards + (1 - batch.dones) * discounts * ahead
        values = self.q_net(batch.observations)
        taken = values.gather(1, batch.actions.long())
        advice = batch.observations[ADVICE]
        probs = advice[:, self._places]
        weight = advice[:, VALID] * advice[:, CONFIDENCE]
        teacher = q_distillation_loss(values, probs, weight, self.guidance.temperature)
        if self.guidance.margin > 0.0:
            margin = q_margin_loss(values, probs, weight, 0.5)
            teacher = teacher + self.guidance.margin * margin
        return nn.functional.smooth_l1_loss(taken, target), teacher

    @property
    def _places(self) -> NDArray[np.int64]:
        return canonical_places(int(self.action_space.n))  # type: ignore[attr-defined]

    def _active_guide(self) -> Guide | None:
        over = self.guidance.left(1.0 - self._current_progress_remaining) <= 0.0
        if self.teacher is None or over or (self.guidance.trust and self.trust.off):
            return None
        if self._guide is None:
            if not layout_of(self.observation_space).advice:
                raise ScenarioError("env", self.observation_space, 'one with observation="dict"')
            assert self.env is not None
            scenes_of(self.env)
            teacher = as_teacher(self.teacher)
            assert teacher is not None
            warn_of_demo(teacher.quality)
            self._guide = Guide(teacher, self.guidance, self.seed)
        return self._guide

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "teacher", "_guide"]
