"""What hybrid agents add to an off-policy algorithm of Stable-Baselines3."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import SAC
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.type_aliases import MaybeCallback
from stable_baselines3.common.utils import configure_logger

from hybridrl.agents.common.episodes import EpisodeReplayBuffer
from hybridrl.agents.common.metrics import MetricMeans
from hybridrl.agents.common.pixels import channels_first
from hybridrl.agents.common.policies import LeanActor
from hybridrl.agents.common.replay import HybridReplayBuffer, Source, require_fraction
from hybridrl.datasets.sources import as_dataset
from hybridrl.planners.errors import ScenarioError

if TYPE_CHECKING:
    _Base = SAC
else:
    _Base = object


class HybridOffPolicyMixin(_Base):
    """An offline dataset beside the environment; stands before the algorithm in the bases.

    Args:
        *args: Of the algorithm.
        offline_dataset: Anything that ``hybridrl.datasets.sources.as_dataset`` reads, with actions
            in the units of the action space; ``None`` learns online only. It is never saved with
            the model: give it to ``load`` again.
        offline_fraction: Share of offline rows in a mixed batch; ``None`` or ``"uniform"`` draws
            from all rows alike, as if the dataset had been copied into the buffer (SACfD).
        reward_scale: Rewards of data and environment are multiplied by this before they are kept.
        reward_bias: And this is added.
        **kwargs: Of the algorithm; ``n_steps`` above 1 sums rewards of data and environment alike.

    Raises:
        ScenarioError: If the dataset does not fit the environment.
    """

    _logger: Logger
    replay_buffer: Any
    replay_buffer_class: Any

    def __init__(
        self,
        *args: Any,
        offline_dataset: Any = None,
        offline_fraction: float | str | None = 0.5,
        reward_scale: float = 1.0,
        reward_bias: float = 0.0,
        **kwargs: Any,
    ) -> None:
        self.offline_dataset = offline_dataset
        self.uniform = offline_fraction in (None, "uniform")
        self.offline_fraction = 0.5 if self.uniform else require_fraction(offline_fraction)
        self.reward_scale, self.reward_bias = reward_scale, reward_bias
        self._source: Source = "mixed"
        self._means = MetricMeans()
        super().__init__(*args, **kwargs)

    def _setup_model(self) -> None:
        """Networks and buffer from the attributes alone, since ``load`` calls this too."""
        self.offline_dataset = as_dataset(self.offline_dataset)
        if self.replay_buffer_class is None:
            special = self._buffer_options()
            self.replay_buffer_class = EpisodeReplayBuffer if special else HybridReplayBuffer
            self.replay_buffer_kwargs = {**(self.replay_buffer_kwargs or {}), **special}
        with warnings.catch_warnings():  # our buffer is told the number of steps
            warnings.filterwarnings("ignore", "`n_steps=", UserWarning)
            super()._setup_model()
        self._means, self._source = MetricMeans(), "mixed"
        if self._buffer_options() and not isinstance(self.replay_buffer, EpisodeReplayBuffer):
            raise ScenarioError(
                "replay_buffer_class",
                type(self.replay_buffer).__name__,
                "EpisodeReplayBuffer (or none) for n_steps, transformed rewards and returns",
            )
        if isinstance(self.replay_buffer, HybridReplayBuffer):
            self.replay_buffer.seed(self.seed)
            self._attach()
        elif self.offline_dataset is not None:
            raise ScenarioError(
                "replay_buffer_class",
                type(self.replay_buffer).__name__,
                "HybridReplayBuffer to learn from a dataset",
            )

    def set_random_seed(self, seed: int | None = None) -> None:
        """Seed everything, the replay buffer's generator too."""
        super().set_random_seed(seed)
        if seed is not None and isinstance(self.replay_buffer, HybridReplayBuffer):
            self.replay_buffer.seed(seed)

    def load_replay_buffer(self, path: Any, truncate_last_traj: bool = True) -> None:
        """Read a pickled buffer (trusted files only) and attach the dataset again."""
        super().load_replay_buffer(path, truncate_last_traj)
        if isinstance(self.replay_buffer, HybridReplayBuffer):
            self._attach()

    def pretrain(self, n_updates: int, callback: MaybeCallback = None) -> Any:
        """Update on offline batches alone, before or between calls of ``learn``.

        Args:
            n_updates: Gradient steps.
            callback: As of ``learn``; its ``on_step`` is called after every update.

        Returns:
            The agent itself.

        Raises:
            ScenarioError: If there is no dataset.
        """
        if self.offline_dataset is None:
            raise ScenarioError("offline_dataset", None, "a dataset to train on before acting")
        if getattr(self, "_logger", None) is None:
            self._logger = configure_logger(self.verbose, self.tensorboard_log, "pretrain")
        called = self._init_callback(callback)
        called.on_training_start(locals(), globals())
        self._source = "offline"
        try:
            for _ in range(n_updates):
                self.train(1, self.batch_size)
                called.update_locals(locals())
                if not called.on_step():
                    break
        finally:
            self._source = "mixed"
        called.on_training_end()
        self._record_means()
        return self

    def learn(self, *args: Any, **kwargs: Any) -> Any:
        """Train; the arguments are those of Stable-Baselines3."""
        super().learn(*args, **kwargs)
        self._record_means()
        return self

    def dump_logs(self) -> None:
        """Write the logs, with the means of the updates since the last time."""
        self._record_means()
        super().dump_logs()

    def sample_batch(self, batch_size: int) -> Any:
        """A batch of the current source, normalised as the environment is; pictures are shifted."""
        batch = self._drawn(batch_size)
        augmented = getattr(self.policy, "augmented", None)
        return batch if augmented is None else augmented(batch)

    def _drawn(self, batch_size: int) -> Any:
        if isinstance(self.replay_buffer, HybridReplayBuffer):
            if self.uniform:
                offline = self.replay_buffer.n_offline
                rows = offline + self.replay_buffer.size() * self.n_envs
                self.replay_buffer.offline_fraction = offline / max(1, rows)
            return self.replay_buffer.sample(batch_size, self._vec_normalize_env, self._source)
        return self.replay_buffer.sample(batch_size, self._vec_normalize_env)

    def _buffer_options(self) -> dict[str, Any]:
        """What only an :class:`EpisodeReplayBuffer` can do and this agent asks for."""
        options: dict[str, Any] = {}
        if (self.reward_scale, self.reward_bias) != (1.0, 0.0):
            options |= {"reward_scale": self.reward_scale, "reward_bias": self.reward_bias}
        if self.n_steps > 1:
            options |= {"n_steps": self.n_steps, "gamma": self.gamma}
        return options

    def _attach(self) -> None:
        self.replay_buffer.offline_fraction = self.offline_fraction
        self.replay_buffer.attach_offline(
            channels_first(self.offline_dataset, self.observation_space)
        )

    def _record_means(self) -> None:
        for name, value in self._means.flush().items():
            self.logger.record(f"train/{name}", value)

    def _sample_action(
        self, learning_starts: int, action_noise: Any = None, n_envs: int = 1
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Actions for the environments and in [-1, 1], straight from the actor where possible."""
        lean = isinstance(self.actor, LeanActor) and self.actor.plain and action_noise is None
        if not lean or self.num_timesteps < learning_starts:
            actions: tuple[NDArray[Any], NDArray[Any]] = super()._sample_action(
                learning_starts, action_noise, n_envs
            )
            return actions
        obs = torch.as_tensor(np.asarray(self._last_obs, np.float32), device=self.device)
        with torch.inference_mode():
            flat = self.actor(obs).cpu().numpy()
        scaled = flat.reshape(n_envs, *(self.action_space.shape or ()))
        return self.policy.unscale_action(scaled), scaled

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "offline_dataset", "_means", "_source"]
