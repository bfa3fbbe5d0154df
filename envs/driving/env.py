"""The driving environments."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from hybridrl.envs.driving.config import DrivingOptions
from hybridrl.envs.driving.task import DrivingArrays


class DrivingEnv(gym.Env[Any, Any]):
    """Drive through traffic by one tactical decision a second.

    See ``docs/driving.md`` for observations, actions, rewards and ``info``.

    Args:
        render_mode: ``None`` or ``rgb_array``.
        **options: The fields of :class:`~hybridrl.envs.driving.config.DrivingOptions`.

    Raises:
        UnknownNameError: If a keyword or one of its words is unknown.
        ScenarioError: If a number is out of range.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 5}  # noqa: RUF012

    def __init__(self, *, render_mode: str | None = None, **options: Any) -> None:
        self.render_mode = render_mode
        self.options = DrivingOptions.from_keywords(options)
        self.arrays = DrivingArrays(1, self.options)
        self.observation_space = self.arrays.observation_space()
        self.action_space = self.arrays.action_space()
        self._world = _world(self.arrays, render_mode)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin a new scene; ``np_random`` is the only source of draws, no option is known."""
        super().reset(seed=seed)
        self._world.begin(int(self.np_random.integers(2**31)))
        return self._observation(), self._info()

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Take one decision.

        Args:
            action: A number of the action space; ``names.NATIVE_ACTIONS`` has their names.
        """
        self._world.step(int(action))
        row = self.arrays.rows[0]
        ended = bool(row["terminated"]), bool(row["truncated"])
        info = self._info()
        if any(ended):
            info |= {name: value[0] for name, value in self.arrays.endings().items()}
            info["is_success"] = bool(info["is_success"])
        return self._observation(), float(row["reward"]), *ended, info

    def action_masks(self) -> NDArray[np.bool_]:
        """Which actions are open, in the environment's own numbers; never all false."""
        masks: NDArray[np.bool_] = self.arrays.masks()[0]
        return masks

    def render(self) -> NDArray[np.uint8] | None:
        """A picture of the present scene, ``(H, W, 3)`` uint8; highway-env draws its own."""
        if self.render_mode is None:
            gym.logger.warn('render() needs render_mode="rgb_array" at construction')
            return None
        picture: NDArray[np.uint8] = self._world.render()
        return picture

    def _observation(self) -> Any:
        seen = self.arrays.observations()
        return {k: v[0] for k, v in seen.items()} if isinstance(seen, dict) else seen[0]

    def _info(self) -> dict[str, Any]:
        info = {name: value[0] for name, value in self.arrays.info().items()}
        terms = {name: float(value[0]) for name, value in self.arrays.reward_terms().items()}
        return info | {"reward_terms": terms}


def _world(arrays: DrivingArrays, render_mode: str | None) -> Any:
    if arrays.options.backend == "fast":
        from hybridrl.envs.driving.fast import FastScene

        return FastScene(arrays)
    from hybridrl.envs.driving.world import HighwayWorld

    return HighwayWorld(arrays, render_mode)
