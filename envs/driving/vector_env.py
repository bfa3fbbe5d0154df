"""The native vector environment: B driving scenes in a few compiled calls."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from hybridrl.envs.driving.config import DrivingOptions
from hybridrl.envs.driving.fast import FastWorld
from hybridrl.envs.driving.task import DrivingArrays
from hybridrl.envs.rows_vector import RowsVectorEnv
from hybridrl.planners.errors import ScenarioError


class DrivingVectorEnv(RowsVectorEnv):
    """B scenes of the fast back end stepped together; a finished one begins anew in the step.

    Row ``i`` of a reset with seed ``s`` is :class:`~hybridrl.envs.driving.env.DrivingEnv` reset
    with seed ``s + i``, number for number. The last observation and the facts of a finished
    episode stand in ``info["final_obs"]`` and ``info["final_info"]``.

    Args:
        num_envs: Number of scenes B.
        render_mode: ``None`` or ``rgb_array``: one picture a scene.
        **options: The fields of :class:`~hybridrl.envs.driving.config.DrivingOptions`.

    Raises:
        ScenarioError: If the back end is not ``fast``.
    """

    metadata = {  # noqa: RUF012
        "autoreset_mode": AutoresetMode.SAME_STEP,
        "render_modes": ["rgb_array"],
        "render_fps": 5,
    }

    def __init__(
        self, num_envs: int = 1, *, render_mode: str | None = None, **options: Any
    ) -> None:
        self.options = DrivingOptions.from_keywords(options)
        if self.options.backend != "fast":
            raise ScenarioError(
                "backend",
                self.options.backend,
                '"fast"; for highway-env pass vectorization_mode="sync" to gym.make_vec',
            )
        self.arrays = DrivingArrays(num_envs, self.options)
        spaces = self.arrays.observation_space(), self.arrays.action_space()
        super().__init__(num_envs, *spaces, render_mode)
        self._world = FastWorld(self.arrays)
        self._all = np.arange(num_envs)

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin B new scenes.

        Args:
            seed: Of the first scene; the others count up from it, or one each.
            options: None are known.

        Raises:
            ScenarioError: If there are not B seeds.
        """
        self._seed_rows(seed)
        self._begin(self._all)
        return self.arrays.observations(), self.arrays.info()

    def step(
        self, actions: NDArray[Any]
    ) -> tuple[Any, NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """Take one decision in every scene; ``actions`` is ``(B,)``."""
        a = self.arrays
        self._world.step(self._all, a.canonical[np.asarray(actions, np.int64)])
        rewards = a.rows["reward"].copy()
        terminated, truncated = a.rows["terminated"].copy(), a.rows["truncated"].copy()
        ended = terminated | truncated
        final = self._finish(ended) if ended.any() else {}
        return a.observations(), rewards, terminated, truncated, a.info() | final

    def action_masks(self) -> NDArray[np.bool_]:
        """Which actions are open in each scene, shape ``(B, actions)``; never all false."""
        return self.arrays.masks()

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """One picture a scene, each ``(H, W, 3)`` uint8."""
        if self.render_mode is None:
            gym.logger.warn('render() needs render_mode="rgb_array" at construction')
            return None
        from hybridrl.envs.driving.drawing import draw_scene

        return tuple(draw_scene(self.arrays, i) for i in range(self.num_envs))

    def _begin(self, which: NDArray[np.int64]) -> None:
        for i in which:
            self._world.seed(int(i), int(self._rngs[i].integers(2**31)))
        self._world.begin(which)

    def _finish(self, ended: NDArray[np.bool_]) -> dict[str, Any]:
        """Set aside the ends of finished episodes and begin new ones."""
        facts = self.arrays.info() | self.arrays.endings()
        info = self._endings(ended, self.arrays.observations(), facts)
        self._begin(np.flatnonzero(ended))
        return info
