"""One decision of one scene as compiled code can call it: what planners roll copies with."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridrl.envs.driving.kernels.compiled import inner
from hybridrl.envs.driving.kernels.judge import judge
from hybridrl.envs.driving.kernels.populate import flow
from hybridrl.envs.driving.kernels.simulate import drive
from hybridrl.envs.driving.kernels.traffic import command
from hybridrl.envs.driving.names import INTERSECTION

Array = NDArray[np.float64]
Records = NDArray[Any]


@inner
def decision(
    cfg: Any,
    lanes: Records,
    routes: NDArray[np.int16],
    origins: NDArray[np.int64],
    cars: Records,
    row: Any,
    s: Array,
    r: Array,
    action: int,
    corners: Array,
    found: Array,
) -> None:
    """Simulate and score one decision of one scene.

    Args:
        cfg: The configuration record.
        lanes: The road table.
        routes: Roads from each lane to each end.
        origins: Lanes cars begin on.
        cars: Cars of the scene.
        row: Its row.
        s: Coordinates of every car along every lane.
        r: The same, lateral.
        action: Canonical.
        corners: Scratch, shape ``(2, 4, 2)``.
        found: Scratch, shape ``(2,)``.
    """
    command(cfg, lanes, row, cars[row.ego], s[row.ego], r[row.ego], action)
    drive(cfg, lanes, cars, row, s, r, cfg.frames, corners, found)
    if cfg.scenario == INTERSECTION:
        flow(cfg, lanes, routes, origins, cars, row, s, r)
    judge(cfg, lanes, cars, row, s, r)
