"""One highway-env scene behind the arrays that everything else reads."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hybridrl.envs.driving.highway import make_scene
from hybridrl.envs.driving.kernels.records import ROW
from hybridrl.envs.driving.mirror import mirror
from hybridrl.envs.driving.names import ACTIONS
from hybridrl.envs.driving.task import ONLY, DrivingArrays


class HighwayWorld:
    """Steps highway-env and mirrors it into the first row of the arrays.

    Args:
        arrays: Arrays of one scene.
        render_mode: ``None`` or ``rgb_array``.
    """

    def __init__(self, arrays: DrivingArrays, render_mode: str | None = None) -> None:
        self.arrays = arrays
        self.scene = make_scene(arrays.options, render_mode)
        numbers = {name: i for i, name in self.scene.action_type.actions.items()}
        self._native = [numbers[ACTIONS[action]] for action in arrays.canonical]

    def begin(self, seed: int) -> None:
        """Draw a new scene from a seed."""
        self.scene.action_space.seed(seed)
        self.scene.reset(seed=seed)
        self.arrays.rows[0] = np.zeros(1, ROW)[0]
        self._settle(fresh=True)

    def step(self, action: int) -> None:
        """Take one decision in the environment's own numbers."""
        row = self.arrays.rows[0]
        self.scene.changed_lane = False
        self.scene.step(self._native[action])
        row["previous"] = self.arrays.canonical[action]
        row["lane_change"] = self.scene.changed_lane
        self._settle(fresh=False)

    def _settle(self, *, fresh: bool) -> None:
        a = self.arrays
        mirror(self.scene, a.table, a.cars[0], a.rows[0])
        a.score(ONLY, fresh=fresh)
        a.look(ONLY, fresh=fresh)

    def render(self) -> NDArray[np.uint8]:
        """highway-env's own picture, ``(H, W, 3)``."""
        return np.asarray(self.scene.render(), np.uint8)
