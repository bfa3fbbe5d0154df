"""Scalars of training that stay on the device until somebody looks at them."""

from __future__ import annotations

import torch
from torch import Tensor

_FOLD = 1024  # scalars of one name that are kept before they become one sum


class MetricMeans:
    """Means of detached scalars, read once when they are logged: no copy to the host before.

    Names may come and go; each mean is over the updates that had the name.
    """

    def __init__(self) -> None:
        self._kept: dict[str, list[Tensor]] = {}
        self._sums: dict[str, tuple[Tensor, int]] = {}

    def add(self, metrics: dict[str, Tensor]) -> None:
        """Count one update's scalars."""
        for name, value in metrics.items():
            kept = self._kept.setdefault(name, [])
            kept.append(value)
            if len(kept) == _FOLD:
                self._fold(name)

    def flush(self) -> dict[str, float]:
        """Means since the last flush."""
        for name in self._kept:
            self._fold(name)
        means = {name: float(total) / count for name, (total, count) in self._sums.items()}
        self._kept, self._sums = {}, {}
        return means

    def _fold(self, name: str) -> None:
        kept = self._kept[name]
        if kept:
            total, count = self._sums.get(name, (0.0, 0))
            added = torch.stack(kept).double().sum()
            self._sums[name] = (added + total, count + len(kept))
            kept.clear()
