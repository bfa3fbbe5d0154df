"""A point that must cross a room: one reward, at the goal, and nothing before it.

Uniform actions wander about four tenths of a half-width in an episode, the goal is 1.5 away:
without a direction that lasts, it is hardly ever found. Steps are exact and cheap, and N rooms are
one array operation.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from hybridrl.envs.rows_vector import RowsVectorEnv
from hybridrl.planners.errors import ScenarioError, UnknownNameError

Observation = NDArray[np.float32]
# Rectangles are (x from, x to, y from, y to), in half-widths of the room.
Rectangle = tuple[float, float, float, float]
GOALS: dict[str, Rectangle] = {
    "cross": (0.7, 1.01, -1.0, 1.01),  # all of the far side
    "corner": (0.6, 1.01, 0.6, 1.01),
    "wall": (0.6, 1.01, -1.0, -0.6),
}
WALLS: dict[str, tuple[Rectangle, ...]] = {
    "cross": (),
    "corner": (),
    "wall": ((-0.1, 0.1, -1.0, 0.4),),
}
START, START_SPREAD = (-0.8, -0.8), 0.05
SIZE = 240  # pixels of a picture


class PointRows:
    """N points in equal rooms.

    Args:
        count: N.
        layout: ``cross`` to the far side, to the far ``corner``, or round a ``wall``.
        horizon: Steps until the time is up, from 1.
        stride: Half-widths of the room that a full action moves, between 0 and 1.

    Raises:
        UnknownNameError: If the layout is unknown.
        ScenarioError: If a number is out of range.
    """

    def __init__(
        self, count: int, layout: str = "cross", horizon: int = 50, stride: float = 0.1
    ) -> None:
        if layout not in GOALS:
            raise UnknownNameError("layout", layout, GOALS)
        if not (isinstance(horizon, int | np.integer) and horizon >= 1):
            raise ScenarioError("horizon", horizon, "a whole number from 1")
        if not 0.0 < stride < 1.0:
            raise ScenarioError("stride", stride, "a number between 0 and 1")
        self.walls, self.goal = WALLS[layout], GOALS[layout]
        self.horizon, self.stride = horizon, stride
        self.at = np.zeros((count, 2))
        self.steps = np.zeros(count, np.int64)

    def begin(self, rows: Iterable[int], generators: Sequence[np.random.Generator]) -> None:
        """Put some points near the start, each with a draw from its own generator."""
        for i in rows:
            self.at[i] = START + generators[i].uniform(-START_SPREAD, START_SPREAD, 2)
            self.steps[i] = 0

    def step(self, actions: NDArray[Any]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Move every point along x, then along y; what would enter a wall stops before it.

        Args:
            actions: ``(N, 2)``; clipped to [-1, 1].

        Returns:
            Which points are in the goal, and whose time is up without it; ``(N,)`` each.
        """
        moves = self.stride * np.clip(np.asarray(actions, np.float64), -1.0, 1.0)
        for axis in (0, 1):
            later = self.at.copy()
            later[:, axis] = np.clip(later[:, axis] + moves[:, axis], -1.0, 1.0)
            blocked = np.zeros(len(later), np.bool_)
            for wall in self.walls:
                blocked |= inside(later, wall)
            self.at = np.where(blocked[:, None], self.at, later)
        self.steps += 1
        reached = inside(self.at, self.goal)
        return reached, ~reached & (self.steps >= self.horizon)

    @property
    def observations(self) -> Observation:
        """Positions, ``(N, 2)``; a copy."""
        return self.at.astype(np.float32)

    def save(self) -> dict[str, Any]:
        """Positions and elapsed steps, as arrays."""
        return {"at": self.at.copy(), "steps": self.steps.copy()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where :meth:`save` was called."""
        self.at[:], self.steps[:] = state["at"], state["steps"]


def inside(points: NDArray[np.float64], area: Rectangle) -> NDArray[np.bool_]:
    """Which points ``(..., 2)`` are in a rectangle, its lower bounds included."""
    x, y = points[..., 0], points[..., 1]
    found: NDArray[np.bool_] = (area[0] <= x) & (x < area[1]) & (area[2] <= y) & (y < area[3])
    return found


def _spaces() -> tuple[Any, Any]:
    return Box(-1.0, 1.0, (2,), np.float32), Box(-1.0, 1.0, (2,), np.float32)


class SparsePointEnv(gym.Env[Observation, NDArray[np.float32]]):
    """Cross the room.

    Args:
        render_mode: ``rgb_array`` or ``None``.
        **options: ``layout``, ``horizon`` and ``stride`` of :class:`PointRows`.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 20}  # noqa: RUF012

    def __init__(self, *, render_mode: str | None = None, **options: Any) -> None:
        self.rows = PointRows(1, **options)
        self.observation_space, self.action_space = _spaces()
        self.render_mode = render_mode

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode near the lower left corner; no option is known."""
        super().reset(seed=seed)
        self.rows.begin([0], [self.np_random])
        return self.rows.observations[0], {}

    def step(
        self, action: NDArray[np.float32]
    ) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Move by ``stride * action``, ``(2,)``.

        Returns:
            Position ``(2,)``; 1 in the goal, else 0; terminated in the goal; truncated when the
            time is up; and info, whose last one has ``is_success`` and ``outcome``: ``goal`` or
            ``timeout``.
        """
        reached, late = self.rows.step(np.reshape(action, (1, 2)))
        terminated, truncated = bool(reached[0]), bool(late[0])
        info: dict[str, Any] = {}
        if terminated or truncated:
            info = {"is_success": terminated, "outcome": "goal" if terminated else "timeout"}
        return self.rows.observations[0], float(terminated), terminated, truncated, info

    def get_state(self) -> dict[str, Any]:
        """Position, elapsed steps and generator: arrays and JSON-able values."""
        return {**self.rows.save(), "generator": self.np_random.bit_generator.state}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on where :meth:`get_state` was called, to the last bit."""
        self.rows.restore(state)
        self.np_random.bit_generator.state = state["generator"]

    def render(self) -> NDArray[np.uint8] | None:
        """A picture of the room from above, ``(240, 240, 3)``."""
        if self.render_mode is None:
            gym.logger.warn('render() needs render_mode="rgb_array" at construction')
            return None
        axis = np.linspace(-1.0, 1.0, SIZE)
        grid = np.stack(np.meshgrid(axis, axis[::-1]), axis=-1)
        picture = np.full((SIZE, SIZE, 3), 255, np.uint8)
        picture[inside(grid, self.rows.goal)] = (170, 215, 170)
        for wall in self.rows.walls:
            picture[inside(grid, wall)] = 90
        picture[np.square(grid - self.rows.at[0]).sum(-1) <= 0.04**2] = (204, 77, 77)
        return picture


class SparsePointVectorEnv(RowsVectorEnv):
    """N rooms at once; finished ones begin anew within the step.

    Row ``i`` equals :class:`SparsePointEnv` with the same seed bit for bit.

    Args:
        num_envs: Number of rooms N.
        render_mode: Only ``None``.
        **options: ``layout``, ``horizon`` and ``stride`` of :class:`PointRows`.
    """

    def __init__(
        self, num_envs: int = 1, *, render_mode: str | None = None, **options: Any
    ) -> None:
        super().__init__(num_envs, *_spaces(), render_mode)
        self.rows = PointRows(num_envs, **options)

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
        return self.rows.observations, {}

    def step(
        self, actions: NDArray[np.float32]
    ) -> tuple[Observation, NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """One step of every row; ``actions`` is ``(N, 2)``."""
        reached, late = self.rows.step(actions)
        ended = reached | late
        info = self._finish(reached, ended) if ended.any() else {}
        return self.rows.observations, reached.astype(np.float64), reached, late, info

    def get_state(self) -> dict[str, Any]:
        """Positions, elapsed steps and generators: arrays and JSON-able values."""
        return {**self.rows.save(), "generators": self._generators_state()}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on where :meth:`get_state` was called, to the last bit."""
        self.rows.restore(state)
        self._restore_generators(state["generators"])

    def _finish(self, reached: NDArray[np.bool_], ended: NDArray[np.bool_]) -> dict[str, Any]:
        """Set aside the ends of finished episodes and begin new ones."""
        words = np.where(reached, "goal", "timeout")
        outcome = np.where(ended, words, "").astype(object)
        facts = {"outcome": outcome, "is_success": reached.copy()}
        info = self._endings(ended, self.rows.observations, facts)
        self.rows.begin(np.flatnonzero(ended), self._rngs)
        return info
