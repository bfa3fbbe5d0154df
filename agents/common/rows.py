"""Transitions as packed rows of float32: one matrix, one gather a batch."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[Any]


class RowLayout:
    """Where each part of a transition stands in a row.

    ``[observation | next observation | action | reward | terminal | timeout | return to go]``;
    dictionaries are laid out key by key in the order of the space.

    Args:
        space: Of observations: a ``Box`` or a ``Dict`` of them.
        action_dim: Numbers an action.
    """

    def __init__(self, space: spaces.Space[Any], action_dim: int) -> None:
        inner = space.spaces if isinstance(space, spaces.Dict) else {"": space}
        self.shapes: dict[str, tuple[int, ...]] = {
            key: tuple(part.shape or (1,)) for key, part in inner.items()
        }
        self.nested = isinstance(space, spaces.Dict)
        sizes = [int(np.prod(shape)) for shape in self.shapes.values()]
        self.obs_size = sum(sizes)
        edges = np.cumsum([0, *sizes]).tolist()
        self.keys = {
            key: slice(low, high)
            for key, low, high in zip(self.shapes, edges[:-1], edges[1:], strict=True)
        }
        end = 2 * self.obs_size + action_dim
        self.actions = slice(2 * self.obs_size, end)
        self.reward, self.terminal, self.timeout, self.mc_return = range(end, end + 4)
        self.width = end + 4

    def write_observations(self, rows: Array, observations: Any, follows: bool) -> None:
        """Write ``(n, ...)`` observations (or a dictionary of them) into ``(n, width)`` rows."""
        offset = self.obs_size if follows else 0
        for key, part in self.keys.items():
            values = observations[key] if self.nested else observations
            target = slice(part.start + offset, part.stop + offset)
            rows[:, target] = np.asarray(values).reshape(len(rows), -1)

    def observations(self, rows: Tensor, follows: bool = False) -> Any:
        """Observations of ``(..., width)`` rows; a dictionary where the space is one."""
        start = self.obs_size if follows else 0
        if not self.nested:
            flat = rows[..., start : start + self.obs_size]
            shape = self.shapes[""]
            return flat if len(shape) == 1 else flat.reshape(*rows.shape[:-1], *shape)
        return {
            key: rows[..., part.start + start : part.stop + start].reshape(
                *rows.shape[:-1], *self.shapes[key]
            )
            for key, part in self.keys.items()
        }

    def column(self, rows: Tensor, index: int) -> Tensor:
        """One column of ``(..., width)`` rows as ``(..., 1)``."""
        return rows[..., index : index + 1]
