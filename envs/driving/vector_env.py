"""The native vector environment: B driving scenes in a few compiled calls."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from hybridrl.envs.driving.config import DrivingOptions
from hybridrl.envs.driving.fast import FastWorld
from hybridrl.envs.driving.task import DrivingArrays
from hybridrl.planners.errors import ScenarioError


class DrivingVectorEnv(VectorEnv[Any, NDArray[Any], NDArray[Any]]):
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
        self.num_envs, self.render_mode = num_envs, render_mode
        self.options = DrivingOptions.from_keywords(options)
        if self.options.backend != "fast":
            raise ScenarioError(
                "backend",
                self.options.backend,
                '"fast"; for highway-env pass vectorization_mode="sync" to gym.make_vec',
            )
        self.arrays = DrivingArrays(num_envs, self.options)
        self.single_observation_space = self.arrays.observation_space()
        self.single_action_space = self.arrays.action_space()
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._world = FastWorld(self.arrays)
        self._all = np.arange(num_envs)
        self._rngs = [np.random.default_rng() for _ in range(num_envs)]

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
        if seed is None or isinstance(seed, int | np.integer):
            seeds = [None if seed is None else int(seed) + i for i in range(self.num_envs)]
        else:
            seeds = list(seed)
        if len(seeds) != self.num_envs:
            raise ScenarioError("seed", seed, f"{self.num_envs} seeds, one a scene")
        for i, value in enumerate(seeds):
            if value is not None:
                self._rngs[i] = gym.utils.seeding.np_random(int(value))[0]
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
        a = self.arrays
        done = np.flatnonzero(ended)
        facts = a.info() | a.endings()
        seen = a.observations()
        final_obs = np.full(self.num_envs, None, object)
        for i in done:
            parts = isinstance(seen, dict)
            final_obs[i] = {k: v[i] for k, v in seen.items()} if parts else seen[i]
        self._begin(done)
        return {
            "final_obs": final_obs,
            "_final_obs": ended,
            "final_info": facts | {f"_{name}": ended for name in facts},
            "_final_info": ended,
        }
