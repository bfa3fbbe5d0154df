"""The mixed store: states with advice of past rollouts, learnt from again beside the new ones.

A teacher's answer is dear and a rollout is learnt from a few times only. The reference system
keeps what its teacher said in a store that both streams are drawn from; this is its half of advice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hybridrl.agents.tell_drive.observation import ADVICE, VALID


class AdviceStore:
    """A ring of observations whose advice slot is filled.

    Args:
        capacity: States that are kept; the oldest make room.
        seed: Of the draws.

    Attributes:
        size: States in it now.
    """

    def __init__(self, capacity: int, seed: int | None) -> None:
        self.capacity = capacity
        self.size = 0
        self._at = 0
        self._rng = np.random.default_rng(seed)
        self._kept: dict[str, NDArray[Any]] = {}

    def add(self, observations: Mapping[str, NDArray[Any]]) -> int:
        """Keep those states of a rollout that have valid advice.

        Args:
            observations: Of the rollout buffer, each ``(steps, environments, ...)``.

        Returns:
            How many were kept.
        """
        flat = {key: part.reshape(-1, *part.shape[2:]) for key, part in observations.items()}
        chosen = np.flatnonzero(flat[ADVICE][:, VALID] > 0)[-self.capacity :]
        if not self._kept:
            self._kept = {
                key: np.zeros((self.capacity, *part.shape[1:]), part.dtype)
                for key, part in flat.items()
            }
        places = (self._at + np.arange(len(chosen))) % self.capacity
        for key, part in flat.items():
            self._kept[key][places] = part[chosen]
        self._at = int(self._at + len(chosen)) % self.capacity
        self.size = min(self.capacity, self.size + len(chosen))
        return len(chosen)

    def draw(self, count: int, device: torch.device | str = "cpu") -> dict[str, Tensor]:
        """States at random, with replacement.

        Args:
            count: How many.
            device: Where to.

        Returns:
            A batch of observations, float32; empty where nothing is kept.
        """
        if not self.size:
            return {}
        rows = self._rng.integers(self.size, size=count)
        return {
            key: torch.as_tensor(part[rows], dtype=torch.float32, device=device)
            for key, part in self._kept.items()
        }

    def state(self) -> dict[str, Any]:
        """All that is remembered, as plain arrays and numbers."""
        kept = {key: part[: self.size].copy() for key, part in self._kept.items()}
        return {"kept": kept, "at": self._at, "rng": self._rng.bit_generator.state}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from :meth:`state`."""
        self._kept, self.size = {}, 0
        for key, part in state["kept"].items():
            self._kept[key] = np.zeros((self.capacity, *part.shape[1:]), part.dtype)
            self._kept[key][: len(part)] = part
            self.size = len(part)
        self._at = int(state["at"])
        self._rng.bit_generator.state = state["rng"]
