"""Decisions of profile ``default`` from observations alone, at the prices of the last run."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hybridrl.agents.common.compiled_q import (
    SCALE,
    Brain,
    acting,
    layers_of,
    learned,
    set_layers,
)
from hybridrl.agents.harmonia.profiles import StorageSettings
from hybridrl.agents.harmonia.worth_state import Worth
from hybridrl.envs.storage.kernels.features import (
    ACC_FREQ,
    CURR_DEV,
    FAST_CAP,
    REQ_SIZE,
    REQ_TYPE,
)

QUARTER = float(np.log(2.0) / 4.0)
LARGEST = 8.0


class Market(NamedTuple):
    """What a run leaves to decide by without an engine; times in microseconds.

    Args:
        offset: Logarithm of what an access so far promises.
        scales: Of each device's values, its 4 KiB read over the fastest one's.
        prices: Of a page of room on each device but the slowest.
    """

    offset: float
    scales: list[float]
    prices: list[float]

    @classmethod
    def of(cls, state: Worth, devices: int) -> Market:
        """The last prices of a run."""
        level = state.levels[:devices]
        prices = (level["price"] * level["caution"])[:-1]
        return cls(float(state.rules["offset"][0]), level["scale"].tolist(), prices.tolist())

    @classmethod
    def unknown(cls, devices: int) -> Market:
        """Before the first run: room costs nothing."""
        return cls(0.0, [1.0] * devices, [0.0] * (devices - 1))


def equal_values(brain: Brain) -> None:
    """Let a new network think nothing of any action: its last layer is 0."""
    layers = layers_of(brain, learned(brain))
    weight, bias = layers[-1]
    set_layers(brain, [*layers[:-1], (0.0 * weight, 0.0 * bias)])
    acting(brain)[:] = learned(brain)[: len(acting(brain))]


def cheapest_devices(
    brain: Brain, bins: NDArray[np.int64], market: Market, settings: StorageSettings
) -> NDArray[np.int64]:
    """The device with the least cost to come.

    Args:
        brain: The placement or the migration network.
        bins: Features, ``(batch, 7)`` or wider.
        market: Prices.
        settings: Whether there is a prior, and whether all features are seen.

    Returns:
        Devices, ``(batch,)``. A page does not leave its device by itself: it is named as a victim
        when another one needs its room.
    """
    seen = bins.copy()
    if not settings.coordination:
        seen[:, FAST_CAP : FAST_CAP + 3] = 0
    logs = _outputs(brain, seen)
    if settings.prior:
        logs = logs + (QUARTER * bins[:, ACC_FREQ] + market.offset)[:, None]
    scales = np.array(market.scales)
    cost = np.exp(np.minimum(LARGEST, logs[:, : len(scales)])) * scales
    cost += scales * bins[:, [REQ_TYPE]]  # what a write takes longer
    cost[:, 0] = 0.0
    pages = 2.0 ** bins[:, REQ_SIZE]
    here = bins[:, CURR_DEV]
    full = bins[:, FAST_CAP] == 0
    for d in range(len(scales) - 1):
        climb = np.array([sum(market.prices[d:h]) for h in here])
        cost[:, d] += pages * climb * (full if d == 0 else 1.0)
    return np.asarray(cost.argmin(axis=1), np.int64)


def _outputs(brain: Brain, bins: NDArray[np.int64]) -> NDArray[np.float64]:
    layers = layers_of(brain, acting(brain))
    x = bins[:, :7] * brain.numbers[SCALE : SCALE + 7]
    (w1, b1), (w2, b2) = layers
    z = x @ w1.T + b1
    return np.asarray((z / (1.0 + np.exp(-z))) @ w2.T + b2)
