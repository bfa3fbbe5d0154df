"""Hybrid natural policy gradient, as a Stable-Baselines3 algorithm on sb3-contrib's TRPO."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from sb3_contrib import TRPO
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv, Schedule
from stable_baselines3.common.utils import configure_logger
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor

from hybridrl.agents.hnpg.policy import HNPGConvPolicy, HNPGPolicy
from hybridrl.agents.hnpg.rows import OfflineSteps, OnlineRows
from hybridrl.agents.hnpg.step import TrustRegion
from hybridrl.agents.hnpg.update import Update, update
from hybridrl.datasets.sources import as_dataset
from hybridrl.planners.errors import ScenarioError

SOURCES = ("policy", "data")
# Of TRPO, without a meaning here: each iteration uses all of its rows, as they are.
_ONE_BATCH = ("batch_size", "n_critic_updates", "normalize_advantage", "sub_sampling_factor")


class HNPG(TRPO):
    """Natural policy gradient whose critic is fitted on fresh and on offline data at once.

    Each iteration collects ``n_steps`` steps of every environment, regresses the critics on
    Monte-Carlo returns of these and on Bellman targets of as many offline rows, from the last step
    of the episode to the first, and then takes one trust-region step of every policy on both.

    Args:
        policy: ``MlpPolicy``, ``CnnPolicy`` (frozen random features of images) or a class.
        env: To act in.
        learning_rate: Of the critics' Adam.
        n_steps: Of each environment and iteration; with per-step networks best a multiple of the
            horizon, so that episodes are whole.
        gamma: Discount; ``None`` is 1 with per-step networks (anything less makes failing early
            the better way to fail) and 0.99 without.
        gae_lambda: Of the online advantages.
        target_kl: KL of each policy's step.
        cg_max_steps: Iterations of conjugate gradients.
        cg_damping: Added to the Fisher matrix.
        line_search_shrinking_factor: Of the next try.
        line_search_max_iter: Tries.
        offline_dataset: Anything that ``hybridrl.datasets.sources.as_dataset`` reads, with actions
            in the units of the action space. ``None`` is the purely on-policy ablation. It is never
            saved with the model: give it to ``load`` again.
        horizon: Steps of an episode [default: the environment's ``horizon``, if it has one].
        per_step: A critic and a policy for each step [default: where the horizon is known].
        lam: Weight of the online term against the offline one (lambda).
        critic_steps: Of Adam, anew in each fit.
        critic_l2: Weight of the squared critic parameters.
        critic_sweeps: Fits in a row with new targets (K2); 1 is enough with per-step networks.
        n_value_samples: Actions drawn for a state's value, where they are continuous.
        centre_advantages: Subtract their mean from the online advantages: no bias, and less noise
            while the critic is far off [default: where there is one network for all steps].
        offline_action_source: ``policy``: the policy step uses offline states with actions of the
            present policy, as the published code does; ``data``: the dataset's own (C1).
        kl_check: As of :class:`~hybridrl.agents.hnpg.step.TrustRegion` (C2).
        clip_actions: Clip what the environment gets to its bounds, as Stable-Baselines3 does.
        offline_critic: Use the offline term in the critics.
        offline_policy: Use the offline rows in the policy step.
        **kwargs: Of sb3-contrib's TRPO.

    Raises:
        ScenarioError: If a choice or number is not possible, or a horizon is needed and missing.
        DatasetError: If the dataset does not fit the environment or the horizon.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {
        "MlpPolicy": HNPGPolicy,
        "CnnPolicy": HNPGConvPolicy,
    }
    policy: Any
    _env_steps: Tensor
    _offline: OfflineSteps | None
    _rollout: OnlineRows | None
    _depths: list[int]

    def __init__(
        self,
        policy: str | type[HNPGPolicy] = "MlpPolicy",
        env: GymEnv | str | None = None,
        learning_rate: float | Schedule = 3e-4,
        n_steps: int = 1000,
        gamma: float | None = None,
        gae_lambda: float = 0.97,
        target_kl: float = 0.01,
        cg_max_steps: int = 10,
        cg_damping: float = 0.1,
        line_search_shrinking_factor: float = 0.5,
        line_search_max_iter: int = 10,
        *,
        offline_dataset: Any = None,
        horizon: int | None = None,
        per_step: bool | None = None,
        lam: float = 1.0,
        critic_steps: int = 30,
        critic_l2: float = 0.0,
        critic_sweeps: int = 1,
        n_value_samples: int = 10,
        centre_advantages: bool | None = None,
        offline_action_source: str = "policy",
        kl_check: bool = True,
        clip_actions: bool = True,
        offline_critic: bool = True,
        offline_policy: bool = True,
        _init_setup_model: bool = True,
        **kwargs: Any,
    ) -> None:
        for name in _ONE_BATCH:
            if name in kwargs:
                raise ScenarioError(name, kwargs[name], "nothing: an iteration is one whole batch")
        if offline_action_source not in SOURCES:
            raise ScenarioError("offline_action_source", offline_action_source, f"one of {SOURCES}")
        for name, value in (("lam", lam), ("critic_l2", critic_l2)):
            if not value >= 0.0:
                raise ScenarioError(name, value, "a number from 0 up")
        self.offline_dataset = offline_dataset
        self.lam, self.critic_steps, self.critic_l2 = lam, critic_steps, critic_l2
        self.critic_sweeps, self.n_value_samples = critic_sweeps, n_value_samples
        self.offline_action_source, self.kl_check = offline_action_source, kl_check
        self.clip_actions = clip_actions
        self.offline_critic, self.offline_policy = offline_critic, offline_policy
        super().__init__(
            policy,  # type: ignore[arg-type]
            env,  # type: ignore[arg-type]
            learning_rate=learning_rate,
            n_steps=n_steps,
            batch_size=n_steps,
            gamma=1.0 if gamma is None else gamma,
            gae_lambda=gae_lambda,
            target_kl=target_kl,
            cg_max_steps=cg_max_steps,
            cg_damping=cg_damping,
            line_search_shrinking_factor=line_search_shrinking_factor,
            line_search_max_iter=line_search_max_iter,
            normalize_advantage=False,
            _init_setup_model=False,
            **kwargs,
        )
        self.horizon = _horizon(self.env) if horizon is None else int(horizon)
        self.per_step = self.horizon is not None if per_step is None else per_step
        if self.per_step and self.horizon is None:
            raise ScenarioError("horizon", None, "the steps of an episode, for per_step=True")
        self.centre_advantages = (
            not self.per_step if centre_advantages is None else centre_advantages
        )
        if gamma is None and not self.per_step:
            self.gamma = 0.99
        if _init_setup_model:
            self._setup_model()

    @property
    def n_members(self) -> int:
        """Number of critics and policies, E."""
        return self.horizon if self.per_step and self.horizon is not None else 1

    def pretrain(self, n_iterations: int) -> HNPG:
        """Iterations on the dataset alone: no step of the environment, no online term.

        Raises:
            ScenarioError: If there is no dataset.
        """
        if self._offline is None:
            raise ScenarioError("offline_dataset", None, "a dataset to train on before acting")
        if getattr(self, "_logger", None) is None:
            self._logger = configure_logger(self.verbose, self.tensorboard_log, "pretrain")
        for _ in range(n_iterations):
            self._improve(None)
        return self

    def collect_rollouts(
        self,
        env: VecEnv,
        callback: BaseCallback,
        rollout_buffer: RolloutBuffer,
        n_rollout_steps: int,
    ) -> bool:
        """Act with the policies of each environment's own step; the arguments are TRPO's."""
        assert self._last_obs is not None and self._last_episode_starts is not None
        self.policy.set_training_mode(False)
        rollout_buffer.reset()
        callback.on_rollout_start()
        rows: list[tuple[Tensor, ...]] = []
        self._begin_counting(env.num_envs)
        for _ in range(n_rollout_steps):
            members = self._members()
            features = self.policy.features(self._last_obs)
            with torch.no_grad():
                actions, log_prob = self.policy.act(features, members)
            raw = actions.cpu().numpy()
            new_obs, rewards, dones, infos = env.step(self.policy.for_env(raw))
            self.num_timesteps += env.num_envs
            callback.update_locals(locals())
            if not callback.on_step():
                return False
            self._update_info_buffer(infos, dones)
            self._note_depths(infos, dones)
            self._env_steps += 1
            rewards = rewards + self._after_time_limits(infos, dones)
            starts = self._last_episode_starts
            flat = raw.reshape(env.num_envs, -1)
            unknown = torch.zeros(env.num_envs)
            rollout_buffer.add(self._last_obs, flat, rewards, starts, unknown, log_prob)  # type: ignore[arg-type]
            ended = torch.as_tensor(dones, device=self.device).float()
            paid = torch.as_tensor(rewards, device=self.device).float()
            rows.append((features, actions, log_prob, paid, ended, members))
            self._env_steps[torch.as_tensor(dones)] = 0
            self._last_obs, self._last_episode_starts = new_obs, dones  # type: ignore[assignment]
        columns = [torch.stack(column) for column in zip(*rows, strict=True)]
        self._rollout = OnlineRows(
            features=columns[0], actions=columns[1], log_prob=columns[2], rewards=columns[3],
            dones=columns[4], members=columns[5], last_values=self._last_values(),
        )  # fmt: skip
        callback.update_locals(locals())
        callback.on_rollout_end()
        return True

    def train(self) -> None:
        """One iteration on the last rollout and as many offline rows."""
        assert self._rollout is not None
        self._improve(self._rollout)

    def _improve(self, online: OnlineRows | None) -> None:
        self.policy.set_training_mode(True)
        settings = Update(
            gamma=self.gamma,
            gae_lambda=self.gae_lambda,
            lam=self.lam,
            critic_steps=self.critic_steps,
            critic_lr=self.lr_schedule(self._current_progress_remaining),
            critic_l2=self.critic_l2,
            critic_sweeps=self.critic_sweeps,
            n_value_samples=self.n_value_samples,
            centre_advantages=self.centre_advantages,
            own_actions=self.offline_action_source == "policy",
            offline_critic=self.offline_critic,
            offline_policy=self.offline_policy,
            region=TrustRegion(
                max_kl=self.target_kl,
                damping=self.cg_damping,
                iterations=self.cg_max_steps,
                shrink=self.line_search_shrinking_factor,
                tries=self.line_search_max_iter,
                accept=0.1,
                kl_check=self.kl_check,
            ),
        )
        rows = max(1, self.n_steps * self.n_envs // self.n_members)
        offline = None if self._offline is None else self._offline.sample(rows)
        for name, value in update(self.policy, online, offline, settings).items():
            self.logger.record(f"train/{name}", value)
        self._n_updates += 1
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        if self._depths:
            self.logger.record("rollout/max_good_step", max(self._depths))
            self._depths.clear()

    def _setup_model(self) -> None:
        """Networks and offline rows from the attributes alone, since ``load`` calls this too."""
        if isinstance(self.observation_space, spaces.Dict):
            raise ScenarioError("observation_space", "Dict", "a Box: wrap it in FlattenObservation")
        own = {"n_members": self.n_members, "clip_actions": self.clip_actions}
        own = {**self.policy_kwargs, **own}
        given, self.policy_kwargs = self.policy_kwargs, own
        try:
            super()._setup_model()
        finally:
            self.policy_kwargs = given
        self.offline_dataset = as_dataset(self.offline_dataset, self._spaces())
        self._offline = None
        if self.offline_dataset is not None:
            if self._vec_normalize_env is not None:
                raise ScenarioError(
                    "env", "VecNormalize", "none: offline rows are used as they are"
                )
            horizon = self.horizon if self.per_step else None
            self._offline = OfflineSteps(self.offline_dataset, self.policy, horizon)
        self._rollout = None
        self._depths = []
        self._env_steps = torch.zeros(self.n_envs, dtype=torch.int64)

    def _spaces(self) -> Any:
        """The spaces that a dataset has to fit: actions of the data may lie outside the bounds."""
        return _Spaces(self.observation_space)

    def _begin_counting(self, n_envs: int) -> None:
        if len(self._env_steps) != n_envs:
            self._env_steps = torch.zeros(n_envs, dtype=torch.int64)
        self._env_steps[torch.as_tensor(np.asarray(self._last_episode_starts, bool))] = 0

    def _members(self) -> Tensor:
        """The network of each environment's present step."""
        if not self.per_step:
            return torch.zeros_like(self._env_steps, device=self.device)
        if int(self._env_steps.max()) >= self.n_members:
            longest = int(self._env_steps.max()) + 1
            raise ScenarioError("horizon", self.horizon, f"at least {longest}, an episode's steps")
        return self._env_steps.to(self.device, copy=True)

    def _note_depths(self, infos: list[dict[str, Any]], dones: NDArray[np.bool_]) -> None:
        self._depths += [infos[i]["depth"] for i in np.flatnonzero(dones) if "depth" in infos[i]]

    def _after_time_limits(
        self, infos: list[dict[str, Any]], dones: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        """Discounted value of what a time limit cut off, 0 for all else."""
        after = np.zeros(len(dones), np.float32)
        for i in np.flatnonzero(dones):
            if infos[i].get("TimeLimit.truncated", False):
                last = np.asarray(infos[i]["terminal_observation"])[None]
                after[i] = self.gamma * float(self._value(last, self._env_steps[i : i + 1]))
        return after

    def _last_values(self) -> Tensor:
        going = ~torch.as_tensor(np.asarray(self._last_episode_starts, bool))
        values = torch.zeros(len(going), device=self.device)
        if bool(going.any()):
            chosen = np.asarray(self._last_obs)[going.numpy()]
            values[going.to(self.device)] = self._value(chosen, self._env_steps[going])
        return values

    @torch.no_grad()
    def _value(self, observations: NDArray[Any], steps: Tensor) -> Tensor:
        """Values of states at some steps; 0 after the last."""
        steps = steps.to(self.device) if self.per_step else torch.zeros_like(steps)
        known = steps < self.n_members
        features = self.policy.features(observations)
        values = self.policy.values_at(
            features, steps.clamp_max(self.n_members - 1), self.n_value_samples
        )
        return torch.where(known, values, 0.0)

    def _excluded_save_params(self) -> list[str]:
        own = ["offline_dataset", "_offline", "_rollout", "_depths"]
        return [*super()._excluded_save_params(), *own]

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        return ["policy"], ["_env_steps"]


class _Spaces:
    """Only the observations are checked: an unsquashed Gaussian leaves the bounds."""

    def __init__(self, observation_space: Any) -> None:
        self.observation_space, self.action_space = observation_space, None


def _horizon(env: VecEnv | None) -> int | None:
    """The environment's own number of steps, if it tells one."""
    if env is None or not env.has_attr("horizon"):
        return None
    return int(env.get_attr("horizon")[0])
