"""HopePPO: PPO over the 42 collision-free motions, on hundreds of scenes at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.common.type_aliases import GymEnv, MaybeCallback, Schedule
from stable_baselines3.common.utils import explained_variance
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor

from hybridrl.agents.hope.collect import FeatureBuffer, Observation, masked, torch_threads
from hybridrl.agents.hope.features import feature_rows
from hybridrl.agents.hope.learners import Learners, learners
from hybridrl.agents.hope.phases import Phase, PhasedDecay, phase_at, read_phases
from hybridrl.agents.hope.policy import HopeGaussianPolicy, HopePolicy, HopeTokenPolicy
from hybridrl.agents.hope.scene_choice import ChoosesScenes
from hybridrl.agents.hope.stall import unstick
from hybridrl.agents.hope.update import UpdateRule, gradient_steps
from hybridrl.envs.parking.task import CLASS_NAMES
from hybridrl.planners.errors import ScenarioError

if TYPE_CHECKING:
    from hybridrl.planners.path import PlanResult
    from hybridrl.planners.scenario import Scenario


class HopePPO(ChoosesScenes, PPO):
    """Proximal policy optimisation with a masked categorical over the 42 motions.

    The mask travels in the observation (``action_mask``), so stored log-probabilities are exactly
    those of the distribution that acted. With ``rs="auto"`` the environment drives a free
    Reeds-Shepp path within the step that finds it, which makes the policy a hybrid planner.

    Args:
        policy: ``TokenPolicy`` (HOPE's transformer), ``MultiInputPolicy`` (two networks of
            256 x 2), ``GaussianPolicy`` (its weighting) or a subclass of ``HopePolicy``.
        env: A parking environment with ``action_type="discrete"``, or a vector of them.
        learning_rate: At the beginning, or a schedule.
        final_lr_share: Share of it that a number has decayed to at the end.
        n_steps: Decisions an environment between two updates.
        batch_size: Rows of a gradient step.
        n_epochs: Passes over the rows of an update.
        gamma: Discount a decision.
        gae_lambda: Of generalised advantage estimation.
        clip_range: Half-width of the trusted band of probability ratios.
        ent_coef: Weight of the entropy bonus.
        vf_coef: Weight of the value loss.
        max_grad_norm: Gradients are scaled down to this length.
        target_kl: An update ends when its estimated KL exceeds 1.5 times this.
        normalize: Normalise lidar and target by running statistics, saved with the policy;
            they stand still while an update learns from the rows they were used on.
        curriculum: Draw scene classes by what is left to learn, where the environment can
            (``set_class_weights``); a mapping gives target success rates by class.
        phases: What changes later, ``[{"begin": 0.5, "reward_weights": {"gear_change": 1}}]``;
            keywords of :class:`~hybridrl.agents.hope.phases.Phase`.
        start_from: Weights folder or ``"shipped"``; inputs that they lack begin with weight 0.
        stall_breaker: ``predict`` replaces the motion by a random allowed one when the goal's
            relative position has not changed since the last decision (HOPE's evaluation rule);
            needs the ``state`` that ``predict`` returned, so never acts on a first decision.
        threads: CPU threads of torch while learning; more than one gains little.
        workers: Processes that learn together, each of them in as many scenes as ``env`` has: a
            gradient step averages theirs over ``batch_size`` rows in all. ``env`` must come from
            ``make_vec``; two of one thread each are faster than one of two threads.
        policy_kwargs: Of the policy.
        stats_window_size: Episodes that logged means run over.
        tensorboard_log: Folder of its logs.
        verbose: 0 to 2.
        seed: Of networks, sampling and environments.
        device: As torch names it, or ``auto``.
        _init_setup_model: Build the networks now.

    Raises:
        ScenarioError: If the environment has not the 42 motions or no parking observation.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {
        "TokenPolicy": HopeTokenPolicy,
        "MultiInputPolicy": HopePolicy,
        "GaussianPolicy": HopeGaussianPolicy,
    }
    policy: HopePolicy

    def __init__(
        self,
        policy: str | type[ActorCriticPolicy] = "TokenPolicy",
        env: GymEnv | str | None = None,
        learning_rate: float | Schedule = 7e-4,
        final_lr_share: float = 0.05,
        n_steps: int = 64,
        batch_size: int = 1024,
        n_epochs: int = 4,
        gamma: float = 0.98,
        gae_lambda: float = 0.95,
        clip_range: float | Schedule = 0.2,
        ent_coef: float = 0.003,
        vf_coef: float = 0.5,
        max_grad_norm: float = 0.5,
        target_kl: float | None = 0.02,
        normalize: bool = False,
        curriculum: bool | Mapping[str, float] = True,
        phases: Sequence[Mapping[str, Any]] = (),
        start_from: str | Path | None = None,
        stall_breaker: bool = False,
        threads: int = 1,
        workers: int = 1,
        policy_kwargs: dict[str, Any] | None = None,
        stats_window_size: int = 1000,
        tensorboard_log: str | None = None,
        verbose: int = 0,
        seed: int | None = None,
        device: torch.device | str = "auto",
        _init_setup_model: bool = True,
    ) -> None:
        super().__init__(
            policy,
            env,  # type: ignore[arg-type]
            learning_rate=learning_rate,
            n_steps=n_steps,
            # A buffer smaller than a batch is one batch: what Stable-Baselines3 only warns of.
            batch_size=max(2, batch_size),
            n_epochs=n_epochs,
            gamma=gamma,
            gae_lambda=gae_lambda,
            clip_range=clip_range,
            ent_coef=ent_coef,
            vf_coef=vf_coef,
            max_grad_norm=max_grad_norm,
            target_kl=target_kl,
            rollout_buffer_class=FeatureBuffer,
            policy_kwargs=policy_kwargs,
            stats_window_size=stats_window_size,
            tensorboard_log=tensorboard_log,
            verbose=verbose,
            seed=seed,
            device=device,
            _init_setup_model=False,
        )
        self.final_lr_share = final_lr_share
        self.normalize = normalize
        self.curriculum = curriculum
        first = Phase(0.0, None if callable(learning_rate) else learning_rate)
        self.phases = read_phases(phases, first)
        self.stall_breaker = stall_breaker
        self.threads = threads
        self.workers = workers
        self._group: Learners | None = None
        self._outcomes = torch.zeros(len(CLASS_NAMES), 2, dtype=torch.int64)
        if workers < 1:
            raise ScenarioError("workers", workers, "a number of processes, 1 or more")
        if _init_setup_model:
            self._setup_model()
            if start_from is not None:
                self.load_weights(start_from)

    def learn(
        self,
        total_timesteps: int,
        callback: MaybeCallback = None,
        log_interval: int = 1,
        tb_log_name: str = "HopePPO",
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> HopePPO:
        """Train; the arguments are those of Stable-Baselines3."""
        wanted = {
            "total_timesteps": total_timesteps,
            "callback": callback,
            "log_interval": log_interval,
            "tb_log_name": tb_log_name,
            "reset_num_timesteps": reset_num_timesteps,
            "progress_bar": progress_bar,
        }
        if self.workers > 1:
            with learners(self, total_timesteps, reset_num_timesteps) as group:
                return self.learn_with(group, **wanted)
        return self.learn_with(None, **wanted)

    def learn_with(self, group: Learners | None, **wanted: Any) -> HopePPO:
        """Learn as one of several processes, or alone.

        Args:
            group: The others; every one of them has to call this with the same numbers.
            **wanted: Of :meth:`learn`.
        """
        self._group = group
        try:
            with torch_threads(self.threads):
                super().learn(**wanted)
        finally:
            self._group = None
        return self

    def collect_rollouts(
        self,
        env: VecEnv,
        callback: BaseCallback,
        rollout_buffer: RolloutBuffer,
        n_rollout_steps: int,
    ) -> bool:
        """Drive ``n_rollout_steps`` decisions in every environment.

        Returns:
            False if a callback asked to stop.
        """
        self.policy.set_training_mode(False)
        rollout_buffer.reset()
        if self._group is not None:
            self._group.follow(self.policy)
        self._weigh_classes(env)
        if self._phase().reward_weights:
            env.env_method("set_reward_weights", self._phase().reward_weights)
        callback.on_rollout_start()
        rows = self._rows(self._last_obs, env)  # type: ignore[arg-type]
        for _ in range(n_rollout_steps):
            with torch.inference_mode():
                actions, values, log_probs = self.policy.act(self._tensor(rows))
            taken = actions.cpu().numpy()
            new_obs, rewards, dones, infos = env.step(taken)
            self.num_timesteps += env.num_envs * (self._group.count if self._group else 1)
            callback.update_locals(locals())
            if not callback.on_step():
                return False
            self._update_info_buffer(infos, dones)
            self._count_episodes(infos, dones)
            rewards = rewards + self._beyond_timeout(infos, dones)
            rollout_buffer.add(
                rows,
                taken[:, None],
                rewards,
                self._last_episode_starts,  # type: ignore[arg-type]
                values,
                log_probs,
            )
            rows = self._rows(new_obs, env)  # type: ignore[arg-type]
            self._last_obs = new_obs  # type: ignore[assignment]
            self._last_episode_starts = dones
        with torch.inference_mode():
            last_values = self.policy.values(self._tensor(rows))
        self._pool_outcomes()
        rollout_buffer.compute_returns_and_advantage(last_values, self._last_episode_starts)  # type: ignore[arg-type]
        callback.update_locals(locals())
        callback.on_rollout_end()
        return True

    def train(self) -> None:
        """Up to ``n_epochs`` passes of clipped policy gradient over the rollout buffer."""
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        clip = self.clip_range(self._current_progress_remaining)  # type: ignore[operator]
        sums = np.zeros(4)
        steps = 0
        own = max(2, self.batch_size // self.workers) if self._group else self.batch_size
        entropy = self._phase().ent_coef
        weights = (self.vf_coef, self.ent_coef if entropy is None else entropy)
        rule = UpdateRule(self.n_epochs, own, clip, *weights, self.max_grad_norm, self.target_kl)
        average = None if self._group is None else self._group.average
        for kl, terms in gradient_steps(self.policy, self.rollout_buffer, rule, average):
            sums += [kl, *terms]
            steps += 1
        self._n_updates += self.n_epochs
        names = ("approx_kl", "policy_gradient_loss", "value_loss", "entropy_loss")
        for name, value in zip(names, sums / max(steps, 1), strict=True):
            self.logger.record(f"train/{name}", float(value))
        buffer = self.rollout_buffer
        explained = explained_variance(buffer.values.flatten(), buffer.returns.flatten())
        self.logger.record("train/explained_variance", float(explained))
        self.logger.record("train/gradient_steps", steps)
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        if self.policy.features_extractor.scale is not None:
            # Only now, so that stored log-probabilities were those of the updated network.
            rows = torch.from_numpy(buffer.observations)
            self.policy.features_extractor.scale.update(rows.to(self.device))

    def predict(  # type: ignore[override]
        self,
        observation: Observation,
        state: tuple[NDArray[Any], ...] | None = None,
        episode_start: NDArray[Any] | None = None,
        deterministic: bool = False,
        action_masks: NDArray[Any] | None = None,
    ) -> tuple[NDArray[Any], tuple[NDArray[Any], ...] | None]:
        """The motion for an observation, or one for each row of a batch of them.

        Args:
            observation: Of a parking environment.
            state: What the last call returned (only the stall breaker needs it).
            episode_start: Which rows begin an episode, shape ``(N,)``.
            deterministic: Take the most likely motion instead of drawing one.
            action_masks: ``env.action_masks()``; only differs from the observation's mask where
                nothing is free, and there names the motion with the most room.

        Returns:
            Numbers 0 to 41, and the state for the next call.
        """
        seen = masked(observation, action_masks)
        actions, _ = super().predict(seen, deterministic=deterministic)
        if not self.stall_breaker:
            return actions, None
        targets, masks = np.atleast_2d(observation["target"]), np.atleast_2d(seen["action_mask"])
        return unstick(actions, targets, masks, state, episode_start)

    def plan(
        self, scenario: Scenario, budget: float = 2.0, seed: int = 0, **options: Any
    ) -> PlanResult:
        """The policy as a planner; see :class:`~hybridrl.agents.hope.planner.HopePlanner`.

        Args:
            scenario: The problem; start and goal must be free.
            budget: CPU seconds.
            seed: Of the draws.
            **options: Of the planner, as in ``rollouts=16``.
        """
        from hybridrl.agents.hope.planner import HopePlanner
        from hybridrl.agents.hope.weights import network_of

        return HopePlanner(weights=network_of(self), **options).plan(scenario, budget, seed)

    def save_weights(self, folder: str | Path) -> None:
        """Write the networks as safetensors and their description as JSON."""
        from hybridrl.agents.hope.weights import save_weights

        save_weights(self, Path(folder))

    def load_weights(self, folder: str | Path) -> None:
        """Fill the networks from :meth:`save_weights`; nothing is unpickled.

        Args:
            folder: Weights folder, or ``"shipped"``.

        Raises:
            ScenarioError: If a file is missing, damaged or of another network.
        """
        from hybridrl.agents.hope.weights import SHIPPED, load_weights

        load_weights(self, SHIPPED if folder == "shipped" else Path(folder))

    def _setup_lr_schedule(self) -> None:
        rate = self.learning_rate
        if not callable(rate):
            rate = PhasedDecay(self.phases, self.final_lr_share)
        self.lr_schedule = rate

    def _setup_model(self) -> None:
        if self.normalize:
            self.policy_kwargs = {**self.policy_kwargs, "normalize": True}
        super()._setup_model()
        self._set_up_scenes()

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "_group", "_outcomes"]

    def _count_episodes(self, infos: list[dict[str, Any]], dones: NDArray[np.bool_]) -> None:
        """At once when alone, else with those of the others when the rollout is over."""
        if self._group is None:
            return super()._count_episodes(infos, dones)
        for i in np.flatnonzero(dones):
            if infos[i].get("label", -1) >= 0:
                self._outcomes[infos[i]["label"], int(infos[i]["is_success"])] += 1

    def _pool_outcomes(self) -> None:
        if self._group is not None:
            self._group.add_up(self._outcomes)
            self.scenes.add_counts(self._outcomes.tolist())
            self._outcomes.zero_()

    def _phase(self) -> Phase:
        return phase_at(self.phases, 1.0 - self._current_progress_remaining)

    def _rows(self, observation: Observation, env: VecEnv) -> NDArray[np.float32]:
        """Feature rows of the environments, masked by what they allow."""
        masks = np.asarray(env.env_method("action_masks"))
        rows: NDArray[np.float32] = feature_rows(masked(observation, masks), np)
        return rows

    def _tensor(self, rows: NDArray[np.float32]) -> Tensor:
        return torch.from_numpy(rows).to(self.device)

    def _beyond_timeout(
        self, infos: list[dict[str, Any]], dones: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        """Discounted value of the last observation where only the time ran out, else 0."""
        extra = np.zeros(len(dones), np.float32)
        late = [i for i in np.flatnonzero(dones) if infos[i].get("TimeLimit.truncated", False)]
        if late:
            ends = [infos[i]["terminal_observation"] for i in late]
            seen = {key: np.stack([end[key] for end in ends]) for key in ends[0]}
            with torch.inference_mode():
                values = self.policy.values(self._tensor(feature_rows(seen, np)))
            extra[late] = self.gamma * values.cpu().numpy()
        return extra
