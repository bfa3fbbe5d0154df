"""At which step of its episode a row of offline data happened."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hybridrl.datasets.errors import DatasetError
from hybridrl.datasets.offline import OfflineDataset

PERIOD = "step_period"  # key of the metadata: row i is at step i mod this number


def step_indices(dataset: OfflineDataset, horizon: int | None = None) -> NDArray[np.int64]:
    """The step within its episode of every row, from 0, ``(n,)``.

    Where rows are single transitions that cycle through the steps, the metadata say so
    (:data:`PERIOD`).

    Args:
        dataset: Whose rows.
        horizon: Most steps that an episode may have; ``None`` allows any.

    Raises:
        DatasetError: If an episode is longer than the horizon.
    """
    if PERIOD in dataset.metadata:
        steps = np.arange(len(dataset)) % int(dataset.metadata[PERIOD])
    else:
        steps = np.arange(len(dataset)) - np.repeat(dataset.starts, dataset.lengths)
    if horizon is not None and steps.max() >= horizon:
        longest = int(steps.max()) + 1
        raise DatasetError("episodes", f"{longest} steps", f"at most {horizon}, the horizon")
    return steps
