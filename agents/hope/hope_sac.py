"""HopeSAC: soft actor-critic on steering and step, with steps that are scaled to what is free."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import SAC
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv, MaybeCallback, Schedule
from torch import Tensor

from hybridrl.agents.common.schedules import LinearDecay
from hybridrl.agents.hope.collect import Observation, torch_threads
from hybridrl.agents.hope.features import MASK, feature_rows
from hybridrl.agents.hope.replay import Batch, Demonstrations, RowReplay, demonstration_buffer
from hybridrl.agents.hope.sac_policy import (
    HopeActor,
    HopeCritic,
    HopeSACPolicy,
    HopeSACTokenPolicy,
)
from hybridrl.agents.hope.scene_choice import ChoosesScenes
from hybridrl.agents.hope.step_scaling import scale_step
from hybridrl.planners.errors import ScenarioError

WEIGH_EVERY = 50  # steps of all environments between two looks at what is left to learn


class HopeSAC(ChoosesScenes, SAC):
    """Soft actor-critic with step scaling (``sb3_integration.md`` 3.4).

    The actor chooses a steering angle and which share of the free step there it wants; the mask
    of the same observation gives the free step, and of the next observation in the target.

    Args:
        policy: ``MultiInputPolicy`` (networks of 256 x 2), ``TokenPolicy`` (HOPE's transformer)
            or a subclass of ``HopeSACPolicy``.
        env: A parking environment with ``action_type="continuous"``, or a vector of them.
        learning_rate: At the beginning, or a schedule.
        final_lr_share: Share of it that a number has decayed to at the end.
        buffer_size: Transitions that are kept, 2.4 kB each.
        learning_starts: Random ones among them before the first update.
        batch_size: Rows of a gradient step.
        tau: Share of the new critic in its target after each step.
        gamma: Discount a decision.
        train_freq: Steps of all environments between two updates.
        gradient_steps: Of an update; -1: as many as transitions were collected.
        policy_delay: Critic steps for each step of the actor and of the temperature.
        ent_coef: Temperature: a number, ``auto``, or ``auto_x`` to begin with x.
        target_entropy: That ``auto`` aims at, of the action that is driven.
        demonstrations: Transitions of others, as an ``OfflineDataset``, a mapping with its
            columns, a Minari id, or the path of an ``.npz``; neither overwritten nor saved.
        demonstration_share: Of each batch, where there are demonstrations.
        curriculum: As in ``HopePPO``.
        threads: CPU threads of torch while learning.
        policy_kwargs: Of the policy.
        stats_window_size: Episodes that logged means run over.
        tensorboard_log: Folder of its logs.
        verbose: 0 to 2.
        seed: Of networks, sampling and environments.
        device: As torch names it, or ``auto``.
        _init_setup_model: Build the networks now.

    Raises:
        ScenarioError: If the actions are not steering and speed, the environment has no parking
            observation, or the demonstrations are of another task.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {
        "MultiInputPolicy": HopeSACPolicy,
        "TokenPolicy": HopeSACTokenPolicy,
    }
    policy: HopeSACPolicy
    actor: HopeActor
    critic: HopeCritic
    critic_target: HopeCritic

    def __init__(
        self,
        policy: str | type[HopeSACPolicy] = "MultiInputPolicy",
        env: GymEnv | str | None = None,
        learning_rate: float | Schedule = 5e-4,
        final_lr_share: float = 0.1,
        buffer_size: int = 300_000,
        learning_starts: int = 5_000,
        batch_size: int = 256,
        tau: float = 0.005,
        gamma: float = 0.98,
        train_freq: int = 1,
        gradient_steps: int = 16,
        policy_delay: int = 2,
        ent_coef: str | float = "auto_0.05",
        target_entropy: str | float = "auto",
        demonstrations: Demonstrations = None,
        demonstration_share: float = 0.25,
        curriculum: bool | Mapping[str, float] = True,
        threads: int = 1,
        policy_kwargs: dict[str, Any] | None = None,
        stats_window_size: int = 1000,
        tensorboard_log: str | None = None,
        verbose: int = 0,
        seed: int | None = None,
        device: torch.device | str = "auto",
        _init_setup_model: bool = True,
    ) -> None:
        try:
            super().__init__(
                policy,
                env,  # type: ignore[arg-type]
                learning_rate=learning_rate,
                buffer_size=buffer_size,
                learning_starts=learning_starts,
                batch_size=batch_size,
                tau=tau,
                gamma=gamma,
                train_freq=train_freq,
                gradient_steps=gradient_steps,
                replay_buffer_class=RowReplay,
                ent_coef=ent_coef,
                target_entropy=target_entropy,
                policy_kwargs=policy_kwargs,
                stats_window_size=stats_window_size,
                tensorboard_log=tensorboard_log,
                verbose=verbose,
                seed=seed,
                device=device,
                _init_setup_model=False,
            )
        except AssertionError as error:
            expected = f'one with action_type="continuous": {error}'
            raise ScenarioError("env", env, expected) from error
        self.final_lr_share = final_lr_share
        self.policy_delay = policy_delay
        self.demonstrations = demonstrations
        self.demonstration_share = demonstration_share
        self.curriculum = curriculum
        self.threads = threads
        self._shown: RowReplay | None = None
        self._rows = np.zeros((0, 0), np.float32)
        self._steps_taken = 0
        if _init_setup_model:
            self._setup_model()

    def learn(
        self,
        total_timesteps: int,
        callback: MaybeCallback = None,
        log_interval: int = 500,
        tb_log_name: str = "HopeSAC",
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> HopeSAC:
        """Train; the arguments are those of Stable-Baselines3."""
        with torch_threads(self.threads):
            super().learn(
                total_timesteps,
                callback,
                log_interval,
                tb_log_name,
                reset_num_timesteps,
                progress_bar,
            )
        return self

    def train(self, gradient_steps: int, batch_size: int = 256) -> None:
        """``gradient_steps`` steps of the critics, and of the actor every ``policy_delay``."""
        self.policy.set_training_mode(True)
        optimizers = [self.actor.optimizer, self.critic.optimizer]
        if self.ent_coef_optimizer is not None:
            optimizers.append(self.ent_coef_optimizer)
        self._update_learning_rate(optimizers)
        batches = self._draw(gradient_steps, batch_size)
        sums = torch.zeros(4, device=self.device)  # read once: each look would wait
        for batch in batches:
            sums[0] += self._critic_step(batch)
            if self._n_updates % self.policy_delay == 0:
                sums[1:] += self._actor_step(batch)
            self._n_updates += 1
        critic, actor, alpha, entropy = sums.tolist()
        actor_steps = max(1, gradient_steps // self.policy_delay)
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        self.logger.record("train/critic_loss", critic / gradient_steps)
        self.logger.record("train/actor_loss", actor / actor_steps)
        self.logger.record("train/ent_coef", alpha / actor_steps)
        self.logger.record("train/entropy", entropy / actor_steps)

    def _critic_step(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            actions, log_probs = self.actor.draw(batch.next_rows)
            ahead = self.critic_target.values(batch.next_rows, actions).min(dim=0).values
            ahead = ahead - self._temperature() * log_probs
            target = batch.rewards + self.gamma * (1.0 - batch.dones) * ahead
        error = self.critic.values(batch.rows, batch.actions) - target
        loss = 0.5 * error.square().mean(dim=1).sum()
        _step(self.critic.optimizer, loss)
        with torch.no_grad():
            torch._foreach_lerp_(
                list(self.critic_target.parameters()), list(self.critic.parameters()), self.tau
            )
        return loss.detach()

    def _actor_step(self, batch: Batch) -> Tensor:
        """One step of the actor and of the temperature: loss, temperature and entropy."""
        self.critic.requires_grad_(False)  # its gradients would be thrown away
        actions, log_probs = self.actor.draw(batch.rows)
        value = self.critic.values(batch.rows, actions).min(dim=0).values
        alpha = self._temperature()
        loss = (alpha * log_probs - value).mean()
        _step(self.actor.optimizer, loss)
        self.critic.requires_grad_(True)
        mean = log_probs.detach().mean()
        if self.ent_coef_optimizer is not None and self.log_ent_coef is not None:
            gap = -self.log_ent_coef * (mean + float(self.target_entropy))
            _step(self.ent_coef_optimizer, gap.sum())
        return torch.stack([loss.detach(), alpha.reshape(()), -mean])

    def _temperature(self) -> Tensor:
        learned: Tensor | None = self.log_ent_coef
        return self.ent_coef_tensor if learned is None else learned.detach().exp()

    def _draw(self, steps: int, batch_size: int) -> list[Batch]:
        """All batches of an update at once: one gather, then slices."""
        assert isinstance(self.replay_buffer, RowReplay)
        own = batch_size
        if self._shown is not None:
            own -= round(batch_size * self.demonstration_share)
        batches = self.replay_buffer.batches(steps, own)
        if self._shown is not None and own < batch_size:
            others = self._shown.batches(steps, batch_size - own)
            batches = [a.joined(b) for a, b in zip(batches, others, strict=True)]
        return batches

    def _sample_action(
        self, learning_starts: int, action_noise: Any = None, n_envs: int = 1
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Drawn actions; uniform in steering and in the share of the free step at first."""
        rows = torch.from_numpy(self._rows).to(self.device)
        if self.num_timesteps < learning_starts:
            uniform = 2.0 * torch.rand(len(rows), 2, device=self.device) - 1.0
            z = torch.atanh(uniform.clamp(-0.999999, 0.999999))
            actions = scale_step(z, rows[:, :MASK])[0]
        else:
            with torch.inference_mode():
                actions = self.actor.draw(rows)[0]
        taken = actions.cpu().numpy()
        return taken, taken

    def _store_transition(
        self,
        replay_buffer: ReplayBuffer,
        buffer_action: NDArray[Any],
        new_obs: Any,
        reward: NDArray[Any],
        dones: NDArray[np.bool_],
        infos: list[dict[str, Any]],
    ) -> None:
        """Keep feature rows; those after a finished episode are of its true end."""
        following = feature_rows(new_obs, np)
        stored = following.copy()
        ended = np.flatnonzero(dones)
        if len(ended):
            last = [infos[i]["terminal_observation"] for i in ended]
            seen = {key: np.stack([end[key] for end in last]) for key in last[0]}
            stored[ended] = feature_rows(seen, np)
            self._count_episodes(infos, dones)
        replay_buffer.add(self._rows, stored, buffer_action, reward, dones, infos)
        self._last_obs = new_obs
        self._rows = following
        self._steps_taken += 1
        if self._steps_taken % WEIGH_EVERY == 0 and self.env is not None:
            self._weigh_classes(self.env)

    def _setup_learn(self, *args: Any, **kwargs: Any) -> Any:
        prepared = super()._setup_learn(*args, **kwargs)
        observation: Observation = self._last_obs  # type: ignore[assignment]
        self._rows = feature_rows(observation, np)
        return prepared

    def _setup_lr_schedule(self) -> None:
        rate = self.learning_rate
        self.lr_schedule = rate if callable(rate) else LinearDecay(rate, self.final_lr_share)

    def _setup_model(self) -> None:
        super()._setup_model()
        self._set_up_scenes()
        self._shown = demonstration_buffer(
            self.demonstrations, self.observation_space, self.action_space, self.device
        )

    def _excluded_save_params(self) -> list[str]:
        own = ["demonstrations", "_shown", "_rows"]
        return [*super()._excluded_save_params(), *own]


def _step(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
