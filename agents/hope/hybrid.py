"""The hybrid agent step by step: the policy, and the Reeds-Shepp path when one is free."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hybridrl.envs.parking.following import decisions_of
from hybridrl.envs.parking.kernels.records import ACTION_SPEED, ACTION_STEER
from hybridrl.planners.vehicle import VehicleSpec

Observation = Mapping[str, NDArray[Any]]


class _Policy(Protocol):
    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: Any = 0
    ) -> tuple[Any, Any]: ...


class HybridDriver:
    """Decides in an environment with continuous actions and ``rs="info"`` (``parking.md`` 12).

    Where ``rs="auto"`` drives a found path within one step, this shows every decision of it.

    Args:
        policy: A ``HopePPO``.
        vehicle: Who drives.
        deterministic: Whether the policy's most likely motion is taken.
    """

    def __init__(
        self, policy: _Policy, vehicle: VehicleSpec | None = None, *, deterministic: bool = False
    ) -> None:
        self.policy = policy
        self.vehicle = vehicle or VehicleSpec()
        self.deterministic = deterministic
        self._pieces: deque[NDArray[np.float32]] = deque()
        self._state: Any = None

    def reset(self) -> None:
        """Forget the path that was followed: an episode begins."""
        self._pieces.clear()
        self._state = None

    def decide(
        self, observation: Observation, info: Mapping[str, Any]
    ) -> tuple[NDArray[np.float32], str]:
        """The next decision and who took it.

        Args:
            observation: Of one environment.
            info: Of the same step or reset.

        Returns:
            ``(steering, speed)`` in [-1, 1], and ``"rs"`` or ``"rl"``.
        """
        path = info.get("rs_path")
        if not self._pieces and path is not None:
            self._pieces.extend(decisions_of(path, self.vehicle))
        if self._pieces:
            self._state = None
            return self._pieces.popleft(), "rs"
        choice, self._state = self.policy.predict(
            observation, self._state, deterministic=self.deterministic
        )
        motion = int(choice)
        # As far as the mask tells that it is free: the rest would be a bump.
        share = float(observation["action_mask"][motion])
        action = (ACTION_STEER[motion], share * ACTION_SPEED[motion])
        return np.array(action, np.float32), "rl"
