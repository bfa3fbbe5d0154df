"""What ``HopePPO`` needs to collect experience: feature rows, masks and scene classes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.vec_env import VecEnv

from hybridrl.agents.hope.features import feature_count

Observation = Mapping[str, NDArray[Any]]


class FeatureBuffer(RolloutBuffer):
    """A rollout buffer of feature rows: one contiguous float32 array instead of a dictionary."""

    def __init__(
        self,
        buffer_size: int,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        **kwargs: Any,
    ) -> None:
        rows = spaces.Box(-np.inf, np.inf, (feature_count(observation_space),), np.float32)
        super().__init__(buffer_size, rows, action_space, **kwargs)


def masked(observation: Observation, masks: NDArray[Any] | None) -> dict[str, NDArray[Any]]:
    """The observation with zeros in ``action_mask`` where the environment allows no motion."""
    seen = dict(observation)
    if masks is not None:
        seen["action_mask"] = seen["action_mask"] * masks
    return seen


def classes_of(env: VecEnv | None) -> tuple[str, ...]:
    """The scene classes whose probabilities an environment lets be set."""
    if env is None or not env.has_attr("set_class_weights"):
        return ()
    classes: tuple[str, ...] = env.get_attr("class_names")[0]
    return classes


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Let torch use ``count`` CPU threads for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
