"""Offline data of transitions that were just lived through."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from hybridrl.datasets.errors import DatasetError
from hybridrl.datasets.offline import OfflineDataset

COLUMNS = (
    "observations",
    "actions",
    "rewards",
    "next_observations",
    "terminations",
    "truncations",
)


def from_transitions(rows: Iterable[tuple[Any, ...]], **facts: Any) -> OfflineDataset:
    """Transitions in the order they happened, as a dataset.

    Args:
        rows: ``(observation, action, reward, next observation, terminated, truncated)`` each.
        **facts: More fields of :class:`~hybridrl.datasets.offline.OfflineDataset`.

    Raises:
        DatasetError: If there is none.
    """
    parts = [np.array(part) for part in zip(*rows, strict=True)]
    if not parts:
        raise DatasetError("rows", "none", "at least one transition")
    columns: dict[str, Any] = dict(zip(COLUMNS, parts, strict=True))
    return OfflineDataset(**columns, **facts)
