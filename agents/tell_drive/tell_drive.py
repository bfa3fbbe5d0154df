"""TellDrive: PPO with ego-attention that a teacher guides at the beginning."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.common.type_aliases import GymEnv, Schedule
from stable_baselines3.common.vec_env import VecEnv

from hybridrl.agents.common.schedules import LinearDecay
from hybridrl.agents.tell_drive.guidance import GuidanceConfig, Strength, Trust
from hybridrl.agents.tell_drive.guide import Guide, Watching, expose
from hybridrl.agents.tell_drive.observation import ADVICE
from hybridrl.agents.tell_drive.policy import EgoAttentionPolicy
from hybridrl.agents.tell_drive.store import AdviceStore
from hybridrl.agents.tell_drive.teachers.advice import Teacher
from hybridrl.agents.tell_drive.teachers.local import warn_of_demo
from hybridrl.agents.tell_drive.teachers.registry import as_teacher
from hybridrl.agents.tell_drive.update import GuidedRule, advantages_by_agreement, guided_steps
from hybridrl.planners.errors import ScenarioError


class AttentionPPO(PPO):
    """Stable-Baselines3's PPO with the ego-attention policy and weights that can ship.

    Args:
        policy: ``EgoAttentionPolicy``.
        env: A driving environment; with ``observation="dict"`` unavailable actions are masked.
        learning_rate: At the beginning, or a schedule.
        final_lr_share: Share of it that a number has decayed to at the end.
        **kwargs: Of PPO.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {
        "EgoAttentionPolicy": EgoAttentionPolicy,
        "MlpPolicy": EgoAttentionPolicy,
        "MultiInputPolicy": EgoAttentionPolicy,
    }
    policy: EgoAttentionPolicy

    def __init__(
        self,
        policy: str | type[ActorCriticPolicy] = "EgoAttentionPolicy",
        env: GymEnv | str | None = None,
        learning_rate: float | Schedule = 5e-4,
        final_lr_share: float = 0.2,
        **kwargs: Any,
    ) -> None:
        self.final_lr_share = final_lr_share
        super().__init__(policy, env, learning_rate=learning_rate, **kwargs)  # type: ignore[arg-type]

    def attention_weights(self, observation: Any) -> NDArray[np.float32]:
        """How much each head looks at each row of cars: ``(heads, N)``, or batched."""
        return self.policy.attention_weights(observation)

    def save_weights(self, folder: str | Path) -> None:
        """Write the policy as safetensors and its description as JSON."""
        from hybridrl.agents.tell_drive.weights import save_weights

        save_weights(self, Path(folder))

    def load_weights(self, folder: str | Path) -> None:
        """Fill the policy from :meth:`save_weights`; nothing is unpickled.

        Raises:
            ScenarioError: If a file is missing, damaged or of another network.
        """
        from hybridrl.agents.tell_drive.weights import load_weights

        load_weights(self, Path(folder))

    def _setup_lr_schedule(self) -> None:
        rate = self.learning_rate
        self.lr_schedule = rate if callable(rate) else LinearDecay(rate, self.final_lr_share)


class TellDrive(AttentionPPO):
    """A student that learns from its own driving and, at the beginning, from a teacher's advice.

    ``L = L_PPO + c_v L_V - c_e H + lambda_t mean_s [m_s w_s KL(pi_T || pi_theta)]``. With
    ``teacher=None`` it is PPO with the same policy, bit for bit. ``predict`` never asks anybody,
    and the teacher is not saved. Once the guidance is over the environments make no scenes.

    Args:
        policy: ``EgoAttentionPolicy``.
        env: A driving environment; with a teacher, ``observation="dict"`` and
            ``expose_scene=True``.
        teacher: A teacher, its name, or ``{"name": ..., **settings}``.
        guidance: Settings of the guidance, or a mapping of them.
        **kwargs: Of :class:`AttentionPPO` and PPO.

    Raises:
        ScenarioError: If there is a teacher but no slot for its advice.
    """

    def __init__(
        self,
        policy: str | type[ActorCriticPolicy] = "EgoAttentionPolicy",
        env: GymEnv | str | None = None,
        teacher: Teacher | str | Mapping[str, Any] | None = None,
        guidance: GuidanceConfig | Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self.teacher = teacher
        self.guidance = GuidanceConfig.make(guidance)
        self.trust = Trust()
        self.strength = Strength(self.guidance)
        self._store: AdviceStore | None = None
        self._guide: Guide | None = None
        self._cloned = False
        super().__init__(policy, env, **kwargs)

    def collect_rollouts(
        self,
        env: VecEnv,
        callback: BaseCallback,
        rollout_buffer: RolloutBuffer,
        n_rollout_steps: int,
    ) -> bool:
        """Drive, and while the guidance lasts have what was met advised on.

        Returns:
            False if a callback asked to stop.
        """
        guide = self._active_guide()
        if self.teacher is not None:
            expose(env, guide is not None)
        if guide is None:
            self.policy.teacher_share = 0.0
            return super().collect_rollouts(env, callback, rollout_buffer, n_rollout_steps)
        self._warm_up(env, guide)
        left = self.guidance.left(self._done_share)
        token = self.policy.features_extractor.advice_token
        guide.hidden = 1.0 - (1.0 - self.guidance.token_drop) * left if token else 0.0
        self.policy.teacher_share = self.guidance.teacher_share * left
        guide.live = token or self.policy.teacher_share > 0.0
        watching = Watching(callback, guide, env, n_rollout_steps)
        whole = super().collect_rollouts(env, watching, rollout_buffer, n_rollout_steps)
        self.policy.teacher_share = 0.0
        if whole:
            guide.write(rollout_buffer)  # type: ignore[arg-type]
            if self._store is not None:
                self._store.add(rollout_buffer.observations)  # type: ignore[arg-type]
            self.trust.saw_validity(guide.valid, guide.asked)
            self._log_advice(guide)
        return whole

    def train(self) -> None:
        """PPO's update, with the distillation loss while the guidance lasts."""
        if self._active_guide() is None:
            return super().train()
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        if self.guidance.trust:
            self.trust.saw_advantages(*advantages_by_agreement(self.policy, self.rollout_buffer))
        weight = self.strength.at(self._done_share)
        rule = GuidedRule(
            epochs=self.n_epochs,
            batch_size=self.batch_size,
            clip=self.clip_range(self._current_progress_remaining),  # type: ignore[operator]
            vf_coef=self.vf_coef,
            ent_coef=self.ent_coef,
            max_grad_norm=self.max_grad_norm,
            target_kl=self.target_kl,
            guidance=weight * (self.trust.value if self.guidance.trust else 1.0),
            replay=self.guidance.replay,
        )
        terms = guided_steps(self.policy, self.rollout_buffer, rule, self._store)
        self._n_updates += self.n_epochs
        self.strength.saw(terms["guidance/kl"])
        for name, value in terms.items():
            self.logger.record(name, value)
        self.logger.record("guidance/lambda", weight)
        self.logger.record("guidance/trust", self.trust.value)
        self.logger.record("guidance/agreement", self.trust.agreement)
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        if self.guidance.trust and self.trust.off:
            self.logger.record("guidance/turned_off", self.num_timesteps)

    def predict(
        self,
        observation: Any,
        state: tuple[NDArray[Any], ...] | None = None,
        episode_start: NDArray[Any] | None = None,
        deterministic: bool = False,
    ) -> tuple[NDArray[Any], tuple[NDArray[Any], ...] | None]:
        """The student alone: advice in the observation is hidden from it."""
        if isinstance(observation, dict) and ADVICE in observation:
            observation = {**observation, ADVICE: np.zeros_like(observation[ADVICE])}
        return super().predict(observation, state, episode_start, deterministic)

    def resumable(self) -> dict[str, Any]:
        """What a training state keeps besides networks and counters."""
        return {
            "trust": self.trust.state(),
            "held": self.strength.held,
            "cloned": self._cloned,
            "choices": self._guide.choices() if self._guide is not None else "",
            "store": self._store.state() if self._store is not None else None,
        }

    def resume(self, state: Mapping[str, Any]) -> None:
        """Go on from :meth:`resumable`."""
        self.trust.restore(state["trust"])
        self.strength.held = float(state["held"])
        self._cloned = bool(state["cloned"])
        guide = self._active_guide() if state["choices"] else None
        if guide is not None:
            guide.choose_on(state["choices"])
            if self._store is not None and state.get("store"):
                self._store.restore(state["store"])

    @property
    def _done_share(self) -> float:
        """Share of the training that is over, in [0, 1]."""
        return 1.0 - self._current_progress_remaining

    def _active_guide(self) -> Guide | None:
        """Who asks the teacher; ``None`` without one, after its time, or when it lost trust."""
        over = self.guidance.left(self._done_share) <= 0.0
        if self.teacher is None or over or (self.guidance.trust and self.trust.off):
            return None
        if self._guide is None:
            if not self.policy.layout.advice:
                raise ScenarioError("env", self.observation_space, 'one with observation="dict"')
            teacher = as_teacher(self.teacher)
            assert teacher is not None
            warn_of_demo(teacher.quality)
            self._guide = Guide(teacher, self.guidance, self.seed)
            if self.guidance.keep:
                self._store = AdviceStore(self.guidance.keep, self.seed)
        return self._guide

    def _warm_up(self, env: VecEnv, guide: Guide) -> None:
        """Behaviour cloning before the first update (``driving.md`` 4.3 c), once."""
        if self._cloned or not self.guidance.warm_start:
            return
        from hybridrl.agents.tell_drive.warm_start import warm_start

        self._cloned = True
        losses = warm_start(self, env, guide)
        for name, value in losses.items():
            self.logger.record(f"guidance/{name}", value)

    def _log_advice(self, guide: Guide) -> None:
        rows = self.rollout_buffer.buffer_size * self.n_envs
        self.logger.record("guidance/valid_rate", guide.valid / max(1, guide.asked))
        self.logger.record("guidance/advice_per_step", guide.asked / rows)
        self.logger.record("guidance/teacher_s", guide.seconds)
        ledger = getattr(guide.teacher, "ledger", None)
        if ledger is not None:
            costs = ledger.summary()
            answered = max(1, costs["calls"] + costs["cached"])
            self.logger.record("guidance/cache_hit", costs["cached"] / answered)
            self.logger.record("guidance/calls", costs["calls"])
            self.logger.record("guidance/cost", costs["cost"])

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "teacher", "_guide", "_store"]
