"""Replay of feature rows: computed once, kept as float32, drawn many batches at a time."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.buffers import ReplayBuffer
from torch import Tensor

from hybridrl.agents.hope.features import PARTS, feature_count, feature_rows
from hybridrl.planners.errors import ScenarioError

Demonstrations = Any  # whatever ``as_dataset`` reads, or None


class Batch(NamedTuple):
    """Transitions to learn from; ``dones`` is 1 where nothing follows (not where time ran out)."""

    rows: Tensor
    next_rows: Tensor
    actions: Tensor
    rewards: Tensor
    dones: Tensor

    def joined(self, other: Batch) -> Batch:
        """This batch with another one behind it."""
        return Batch(*(torch.cat(pair) for pair in zip(self, other, strict=True)))


class RowReplay(ReplayBuffer):
    """Stable-Baselines3's buffer of feature rows instead of dictionaries.

    Args:
        buffer_size: Transitions in all.
        observation_space: Of a parking environment.
        action_space: Steering and speed.
        **kwargs: Of ``ReplayBuffer``.
    """

    def __init__(
        self,
        buffer_size: int,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        **kwargs: Any,
    ) -> None:
        rows = spaces.Box(-np.inf, np.inf, (feature_count(observation_space),), np.float32)
        super().__init__(buffer_size, rows, action_space, **kwargs)

    def batches(self, count: int, size: int) -> list[Batch]:
        """Random batches, drawn with replacement by one gather an array.

        Args:
            count: How many.
            size: Of each.
        """
        filled = (self.buffer_size if self.full else self.pos) * self.n_envs
        drawn = np.random.randint(0, filled, count * size)  # noqa: NPY002 as Stable-Baselines3
        ended = (self.dones * (1.0 - self.timeouts)).reshape(-1)
        columns = [
            self._gather(self.observations.reshape(-1, *self.obs_shape), drawn),
            self._gather(self.next_observations.reshape(-1, *self.obs_shape), drawn),
            self._gather(self.actions.reshape(-1, self.action_dim), drawn),
            self._gather(self.rewards.reshape(-1), drawn),
            self._gather(ended, drawn),
        ]
        pieces = [torch.split(column, size) for column in columns]
        return [Batch(*parts) for parts in zip(*pieces, strict=True)]

    def _gather(self, array: NDArray[Any], drawn: NDArray[np.int64]) -> Tensor:
        taken = np.take(array, drawn, axis=0).astype(np.float32, copy=False)
        return torch.from_numpy(taken).to(self.device)


def demonstration_buffer(
    source: Demonstrations,
    observation_space: spaces.Space[Any],
    action_space: spaces.Space[Any],
    device: torch.device | str = "cpu",
) -> RowReplay | None:
    """Demonstrated transitions as a full buffer, or ``None`` without any.

    Args:
        source: An ``OfflineDataset``, a mapping with its columns or the path of an ``.npz``.
        observation_space: Of the environment that is learned in.
        action_space: Steering and speed.
        device: Where batches go.

    Raises:
        ScenarioError: If the data is of another task.
    """
    if source is None:
        return None
    from hybridrl.datasets.sources import as_dataset

    data = as_dataset(source)
    if data is None or not len(data.rewards):
        return None
    buffer = RowReplay(len(data.rewards), observation_space, action_space, device=device, n_envs=1)
    buffer.observations[:, 0] = _rows(data.observations, observation_space)
    buffer.next_observations[:, 0] = _rows(data.next_observations, observation_space)
    actions = np.asarray(data.actions, np.float32)
    if actions.shape != (len(data.rewards), 2):
        expected = '(steering, speed) rows, as with action_type="continuous"'
        raise ScenarioError("demonstrations.actions", actions.shape, expected)
    buffer.actions[:, 0] = actions
    buffer.rewards[:, 0] = data.rewards
    buffer.dones[:, 0] = data.terminations
    buffer.full = True
    return buffer


def _rows(seen: Any, space: spaces.Space[Any]) -> NDArray[np.float32]:
    wanted = [key for key in (*PARTS, "lidar") if key in getattr(space, "spaces", {})]
    missing = [key for key in wanted if key not in seen]
    if missing:
        raise ScenarioError("demonstrations.observations", sorted(seen), f"also {missing}")
    rows: NDArray[np.float32] = feature_rows({key: np.asarray(seen[key]) for key in wanted}, np)
    if rows.shape[1] != feature_count(space):
        raise ScenarioError("demonstrations.observations", rows.shape, "rows of this environment")
    return rows
