"""The gap pendulum as a Gymnasium environment, and its native vector form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from hybridrl.envs.gap.pendulum_rows import PendulumOptions, PendulumRows, observe
from hybridrl.envs.rows_vector import RowsVectorEnv

Observation = NDArray[np.float32]
SIZE = 240  # pixels of a picture


def _spaces() -> tuple[Any, Any]:
    return Box(-np.inf, np.inf, (3,), np.float32), Box(-1.0, 1.0, (1,), np.float32)


class GapPendulumEnv(gym.Env[Observation, NDArray[np.float32]]):
    """Swing up a pendulum whose dynamics differ in a stated way.

    Args:
        render_mode: ``rgb_array`` or ``None``.
        **options: Fields of :class:`~hybridrl.envs.gap.pendulum_rows.PendulumOptions`.

    Raises:
        UnknownNameError: If a keyword is unknown.
        ScenarioError: If a value is out of range.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 20}  # noqa: RUF012

    def __init__(self, *, render_mode: str | None = None, **options: Any) -> None:
        self.rows = PendulumRows(1, PendulumOptions.from_keywords(options))
        self.observation_space, self.action_space = _spaces()
        self.render_mode = render_mode

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode; ``np_random`` is the only source of draws, no option is known."""
        super().reset(seed=seed)
        self.rows.begin([0], [self.np_random])
        return self.rows.observations[0].copy(), {}

    def step(
        self, action: NDArray[np.float32]
    ) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """One step of 0.05 s.

        Args:
            action: Torque over 2 N m, shape ``(1,)``; clipped to [-1, 1].

        Returns:
            Observation ``(3,)``, reward, never terminated, truncated at the time limit, and info,
            whose last one has ``outcome``: ``timeout``.
        """
        self.rows.step(np.asarray(action, np.float64).reshape(1), [self.np_random])
        truncated = bool(self.rows.ended[0])
        info = {"outcome": "timeout"} if truncated else {}
        return self.rows.observations[0].copy(), float(self.rows.rewards[0]), False, truncated, info

    def get_state(self) -> dict[str, Any]:
        """State, elapsed steps, delayed actions and generator: arrays and JSON-able values."""
        return {**self.rows.save(), "generator": self.np_random.bit_generator.state}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on where :meth:`get_state` was called, to the last bit."""
        self.rows.restore(state)
        self.np_random.bit_generator.state = state["generator"]

    @property
    def physics(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Angle (radians) and speed (rad/s) now, each of shape ``(1,)``."""
        return self.rows.state[0, :1].copy(), self.rows.state[0, 1:].copy()

    def set_physics(
        self, qpos: NDArray[Any], qvel: NDArray[Any], late: Sequence[NDArray[Any]] = ()
    ) -> Observation:
        """Put the pendulum into a given state, for comparing physics.

        Args:
            qpos: Angle, radians, shape ``(1,)``.
            qvel: Speed, rad/s, shape ``(1,)``.
            late: Actions before, oldest first; the last ones act late where there is a delay.

        Returns:
            The observation there.
        """
        self.rows.state[0] = qpos[0], qvel[0]
        for action in late if self.rows.options.delay else ():
            self.rows.queue[:-1] = self.rows.queue[1:]
            self.rows.queue[-1] = np.ravel(action)
        observe(self.rows.state, self.rows.observations)
        observation: Observation = self.rows.observations[0].copy()
        return observation

    def render(self) -> NDArray[np.uint8] | None:
        """A picture of the rod, ``(240, 240, 3)``."""
        if self.render_mode is None:
            gym.logger.warn('render() needs render_mode="rgb_array" at construction')
            return None
        from PIL import Image, ImageDraw

        middle, reach = SIZE / 2, 0.4 * SIZE * min(self.rows.options.length, 1.2)
        angle = self.rows.state[0, 0]
        tip = (middle - reach * np.sin(angle), middle - reach * np.cos(angle))
        picture = Image.new("RGB", (SIZE, SIZE), "white")
        draw = ImageDraw.Draw(picture)
        draw.line([(middle, middle), tip], fill=(204, 77, 77), width=14)
        draw.ellipse([tip[0] - 9, tip[1] - 9, tip[0] + 9, tip[1] + 9], fill=(204, 77, 77))
        draw.ellipse([middle - 5, middle - 5, middle + 5, middle + 5], fill=(0, 0, 0))
        return np.array(picture, np.uint8)


class GapPendulumVectorEnv(RowsVectorEnv):
    """N pendulums in one compiled call; finished ones begin anew within the step.

    Row ``i`` equals :class:`GapPendulumEnv` with the same seed bit for bit, so N training seeds
    can share one environment.

    Args:
        num_envs: Number of pendulums N.
        render_mode: Only ``None``.
        **options: Fields of :class:`~hybridrl.envs.gap.pendulum_rows.PendulumOptions`.
    """

    def __init__(
        self, num_envs: int = 1, *, render_mode: str | None = None, **options: Any
    ) -> None:
        super().__init__(num_envs, *_spaces(), render_mode)
        self.rows = PendulumRows(num_envs, PendulumOptions.from_keywords(options))

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin N episodes.

        Args:
            seed: Of the first row; the others count up from it, or one each.
            options: None are known.

        Raises:
            ScenarioError: If there are not N seeds.
        """
        self._seed_rows(seed)
        self.rows.begin(range(self.num_envs), self._rngs)
        return self.rows.observations.copy(), {}

    def step(
        self, actions: NDArray[np.float32]
    ) -> tuple[Observation, NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """One step of every row; ``actions`` is ``(N, 1)``."""
        self.rows.step(np.asarray(actions, np.float64).reshape(self.num_envs), self._rngs)
        truncated = self.rows.ended
        rewards = self.rows.rewards.copy()
        info = self._finish(truncated) if truncated.any() else {}
        never = np.zeros(self.num_envs, np.bool_)
        return self.rows.observations.copy(), rewards, never, truncated, info

    def get_state(self) -> dict[str, Any]:
        """States, elapsed steps, delayed actions and generators: arrays and JSON-able values."""
        return {**self.rows.save(), "generators": self._generators_state()}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on where :meth:`get_state` was called, to the last bit."""
        self.rows.restore(state)
        self._restore_generators(state["generators"])

    def _finish(self, ended: NDArray[np.bool_]) -> dict[str, Any]:
        """Set aside the ends of finished episodes and begin new ones."""
        outcome = np.where(ended, "timeout", "").astype(object)
        info = self._endings(ended, self.rows.observations.copy(), {"outcome": outcome})
        self.rows.begin(np.flatnonzero(ended), self._rngs)
        return info
