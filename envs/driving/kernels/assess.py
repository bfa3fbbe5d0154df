"""Scores and shows whole batches of scenes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridrl.envs.driving.kernels.compiled import compiled
from hybridrl.envs.driving.kernels.describe import describe
from hybridrl.envs.driving.kernels.judge import begin, judge, shape
from hybridrl.envs.driving.kernels.lanes import survey
from hybridrl.envs.driving.kernels.observe import observe

Array = NDArray[np.float64]
Floats = NDArray[np.float32]
Records = NDArray[Any]
EVERYWHERE = np.bool_(True)


@compiled
def assess(
    config: Records,
    lanes: Records,
    goal: float,
    cars: Records,
    rows: Records,
    s: Array,
    r: Array,
    which: NDArray[np.int64],
    fresh: bool,
) -> None:
    """Score some scenes of a batch, or begin their episodes.

    Args:
        config: The configuration, shape ``(1,)``.
        lanes: The road table.
        goal: Progress coordinate of the goal.
        cars: Shape ``(B, cars)``.
        rows: Shape ``(B,)``; progress, ends, reward, terms and mask are written.
        s: Written: coordinates of every car along every lane, shape ``(B, cars, lanes)``.
        r: Written: the same, lateral.
        which: Rows to look at.
        fresh: The episodes have just begun: nothing is scored.
    """
    cfg = config[0]
    for b in which:
        row, here = rows[b], cars[b]
        for i in range(row.n):
            survey(lanes, here[i], s[b, i], r[b, i], EVERYWHERE)
        if fresh:
            begin(cfg, lanes, goal, here, row, s[b], r[b])
        else:
            judge(cfg, lanes, here, row, s[b], r[b])


@compiled
def show(
    config: Records,
    lanes: Records,
    cars: Records,
    rows: Records,
    which: NDArray[np.int64],
    seen: Floats,
) -> None:
    """Write the observations of some scenes of a batch, shape ``(B, rows, 7 or 9)``."""
    for b in which:
        observe(config[0], lanes, cars[b], rows[b], seen[b])


@compiled
def tell(
    config: Records,
    lanes: Records,
    cars: Records,
    rows: Records,
    s: Array,
    r: Array,
    which: NDArray[np.int64],
    fresh: bool,
    scenes: Floats,
) -> None:
    """Write the scenes of some rows of a batch, shape ``(B, 48)``, and add the risk term."""
    for b in which:
        risk = describe(config[0], lanes, cars[b], rows[b], s[b], r[b], scenes[b])
        shape(config[0], rows[b], risk, fresh)
