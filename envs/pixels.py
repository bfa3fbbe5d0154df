"""Any environment that draws itself, seen through its pictures alone (``moorl.md`` 4)."""

from __future__ import annotations

from collections import deque
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from hybridrl.planners.errors import ScenarioError

Picture = NDArray[np.uint8]
COLOURS = 3


class PixelView(gym.ObservationWrapper[Picture, Any, Any]):
    """The newest pictures instead of the observation.

    A picture is made smaller by averaging squares of pixels, so its sides must be multiples of
    ``size``. Right after a reset all frames are the first one.

    Args:
        env: With ``render_mode="rgb_array"``.
        size: Pixels of each side, from 12.
        frames: Newest pictures side by side in the last axis, oldest first, from 1.

    Raises:
        ScenarioError: If the environment does not draw, or a number is out of range.
    """

    def __init__(self, env: gym.Env[Any, Any], size: int = 24, frames: int = 1) -> None:
        super().__init__(env)
        if env.render_mode != "rgb_array":
            raise ScenarioError("render_mode", env.render_mode, "rgb_array")
        if size < 12:
            raise ScenarioError("size", size, "a whole number from 12")
        if frames < 1:
            raise ScenarioError("frames", frames, "a whole number from 1")
        self.size, self.frames = size, frames
        self._seen: deque[Picture] = deque(maxlen=frames)
        self.observation_space = Box(0, 255, (size, size, COLOURS * frames), np.uint8)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Picture, dict[str, Any]]:
        """Begin an episode; the arguments are the environment's."""
        self._seen.clear()
        return super().reset(seed=seed, options=options)

    def observation(self, observation: Any) -> Picture:
        """The newest pictures, ``(size, size, 3 * frames)``; what the environment says is dropped.

        Raises:
            ScenarioError: If pictures cannot be divided into squares.
        """
        picture: Any = self.env.render()
        height, width = picture.shape[:2]
        if height % self.size or width % self.size:
            raise ScenarioError("size", self.size, f"a divisor of {height} and of {width}")
        blocks = picture.reshape(
            self.size, height // self.size, self.size, width // self.size, COLOURS
        )
        self._seen.append(blocks.mean(axis=(1, 3)).astype(np.uint8))
        while len(self._seen) < self.frames:
            self._seen.append(self._seen[0])
        return np.concatenate(self._seen, axis=-1)


def sparse_point(
    size: int = 24, frames: int = 1, render_mode: str | None = None, **options: Any
) -> PixelView:
    """The point of ``hybridrl/SparsePoint-v0``, seen from above.

    Args:
        size: Of :class:`PixelView`.
        frames: Of :class:`PixelView`.
        render_mode: ``rgb_array`` or ``None``; the pictures are drawn in any case.
        **options: Of the environment.
    """
    from hybridrl.envs.sparse.point import SparsePointEnv

    if render_mode not in (None, "rgb_array"):
        raise ScenarioError("render_mode", render_mode, "None or rgb_array")
    return PixelView(SparsePointEnv(render_mode="rgb_array", **options), size, frames)
