"""Stable-Baselines3 replay buffers, told by their attributes: nothing is imported for them."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from hybridrl.datasets.arrays import Array, Observations, mapped, named, whole_rows
from hybridrl.datasets.errors import DatasetError
from hybridrl.datasets.offline import OfflineDataset


def is_replay(source: Any) -> bool:
    """Whether something looks like a replay buffer (or a model that has one)."""
    source = getattr(source, "replay_buffer", source)
    return all(hasattr(source, name) for name in ("pos", "full", "observations", "dones"))


def from_replay_buffer(source: Any) -> OfflineDataset:
    """The transitions of a replay buffer, oldest first, the environments one after the other.

    Actions are put back from [-1, 1] into the units of the action space. Where an environment was
    reset without an episode's end, and at the end of each stream, the episode is cut without flag.

    Args:
        source: A ``ReplayBuffer``, a ``DictReplayBuffer``, or a model with one.

    Raises:
        DatasetError: If it is empty or shares memory between observations.
    """
    buffer = getattr(source, "replay_buffer", source)
    filled = buffer.buffer_size if buffer.full else buffer.pos
    if filled < 1:
        raise DatasetError("replay_buffer", "empty", "at least one transition")
    if getattr(buffer, "optimize_memory_usage", False):
        raise DatasetError("optimize_memory_usage", True, "False: true last observations are kept")
    order = np.arange(filled)
    if buffer.full:
        order = np.roll(order, -buffer.pos)

    def streams(array: Array) -> Array:
        rows = np.swapaxes(array[order], 0, 1)  # time by environment -> environment by time
        return rows.reshape(-1, *rows.shape[2:])

    observations = mapped(streams, buffer.observations)
    following = mapped(streams, buffer.next_observations)
    dones, timeouts = streams(buffer.dones) > 0, streams(buffer.timeouts) > 0
    return OfflineDataset(
        observations=observations,
        actions=_unscaled(streams(buffer.actions), buffer.action_space),
        rewards=streams(buffer.rewards),
        next_observations=following,
        terminations=dones & ~timeouts,
        truncations=dones & timeouts,
        ends=_ends(observations, following, dones, filled),
        observation_space=buffer.observation_space,
        action_space=buffer.action_space,
    )


def fill_replay_buffer(dataset: OfflineDataset, buffer: Any) -> None:
    """Put all transitions into a replay buffer of one environment, in place of what is there.

    Args:
        dataset: Whose shapes fit.
        buffer: A ``ReplayBuffer`` or ``DictReplayBuffer`` with ``n_envs=1``.

    Raises:
        DatasetError: If it is too small, has several environments, or other shapes.
    """
    rows = len(dataset)
    if buffer.n_envs != 1:
        raise DatasetError("n_envs", buffer.n_envs, "1")
    if rows > buffer.buffer_size:
        raise DatasetError("buffer_size", buffer.buffer_size, f"at least {rows}")
    columns: dict[str, Any] = {
        "observations": dataset.observations,
        "next_observations": dataset.next_observations,
        "actions": _scaled(dataset.actions, buffer.action_space),
        "rewards": dataset.rewards,
        "dones": dataset.terminations | dataset.truncations,
        "timeouts": dataset.truncations & ~dataset.terminations,
    }
    for column, data in columns.items():
        target = dict(named(column, getattr(buffer, column)))
        for name, array in named(column, data):
            if name not in target or target[name].shape[2:] != _row(array, column):
                raise DatasetError(name, array.shape[1:], "shapes as in the buffer")
            target[name][:rows, 0] = array.reshape(rows, *target[name].shape[2:])
    buffer.pos = rows % buffer.buffer_size
    buffer.full = rows == buffer.buffer_size


def _row(array: Array, column: str) -> tuple[int, ...]:
    single = column == "actions" and array.ndim == 1
    return (1,) if single else array.shape[1:]


def _ends(observations: Observations, following: Observations, dones: Array, filled: int) -> Array:
    """Rows after which an episode ends, or after which the next row does not continue."""
    broken = np.zeros(len(dones), bool)
    before = dict(named("", observations))
    for name, array in named("", following):
        broken[:-1] |= ~whole_rows(array[:-1] == before[name][1:])
    broken[filled - 1 :: filled] = True
    return np.flatnonzero(dones | broken) + 1


def _unscaled(actions: Array, space: Any) -> Any:
    if isinstance(space, gym.spaces.Discrete):
        return actions.reshape(len(actions)).astype(np.int64)
    if not isinstance(space, gym.spaces.Box) or _is_unit(space):
        return actions
    return np.clip(
        space.low + 0.5 * (actions + 1.0) * (space.high - space.low), space.low, space.high
    )


def _scaled(actions: Array, space: Any) -> Any:
    if not isinstance(space, gym.spaces.Box) or _is_unit(space):
        return actions
    return 2.0 * (actions - space.low) / (space.high - space.low) - 1.0


def _is_unit(space: gym.spaces.Box) -> bool:
    return bool((space.low == -1).all() and (space.high == 1).all())
