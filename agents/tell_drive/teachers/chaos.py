"""Teachers that are bad in a known way: what a student has to survive."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hybridrl.agents.tell_drive.teachers.advice import Advice, advice_for, invalid
from hybridrl.envs.driving.names import ACTIONS
from hybridrl.planners.errors import ScenarioError, UnknownNameError

if TYPE_CHECKING:
    from hybridrl.envs.driving.scene import Scene

MODES = ("garbage", "slow", "unsafe", "constant", "flipping")


class ChaosTeacher:
    """Advises badly.

    Args:
        mode: ``garbage`` (answers that cannot be used), ``slow`` (right for nothing, and late),
            ``unsafe`` (the action with the highest forecast risk), ``constant`` (always
            ``action``), ``flipping`` (fastest and slowest by turns).
        rate: Share of the answers that are so; the others are uniform.
        action: Of ``constant``.
        delay_s: Of ``slow``, for a batch.
        seed: Of the draws.

    Raises:
        UnknownNameError: If there is no such mode or action.
        ScenarioError: If the rate is outside [0, 1].
    """

    name = "chaos"
    quality = "demo"

    def __init__(
        self,
        mode: str = "constant",
        rate: float = 1.0,
        action: str = "FASTER",
        delay_s: float = 0.0,
        seed: int = 0,
    ) -> None:
        if mode not in MODES:
            raise UnknownNameError("chaos", mode, MODES)
        if action not in ACTIONS:
            raise UnknownNameError("action", action, ACTIONS)
        if not 0.0 <= rate <= 1.0:
            raise ScenarioError("rate", rate, "a share in [0, 1]")
        self.mode = mode
        self.rate = rate
        self.action = action
        self.delay_s = delay_s
        self._rng = np.random.default_rng(seed)
        self._flips = 0

    def advise(self, scenes: Sequence[Scene]) -> list[Advice]:
        """One bad advice for each scene."""
        if self.mode == "slow":
            time.sleep(self.delay_s)
        return [self._one(scene) for scene in scenes]

    def _one(self, scene: Scene) -> Advice:
        free = scene.available
        action = free[int(self._rng.integers(len(free)))]
        if self._rng.random() < self.rate:
            if self.mode == "garbage":
                return invalid(scene, self.name, "garbage")
            action = self._bad(scene, action)
        return advice_for(scene, action, 1.0, self.name)

    def _bad(self, scene: Scene, drawn: str) -> str:
        free = scene.available
        if self.mode == "unsafe":
            return max(free, key=lambda name: scene.action_risk[ACTIONS.index(name)])
        if self.mode == "constant":
            return self.action if self.action in free else drawn
        if self.mode == "flipping":
            self._flips += 1
            wanted = ("FASTER", "SLOWER")[self._flips % 2]
            return wanted if wanted in free else drawn
        return drawn
