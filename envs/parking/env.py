"""The parking environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from hybridrl.envs.parking.config import ParkingOptions
from hybridrl.envs.parking.kernels.records import (
    ACTION_STEER,
    OUTCOMES,
    REWARD_TERMS,
    RUNNING,
    STEERS,
    TIMEOUT,
)
from hybridrl.envs.parking.task import ParkingTask
from hybridrl.planners.errors import ScenarioError, UnknownNameError
from hybridrl.planners.path import Path
from hybridrl.planners.scenario import Scenario

Observation = dict[str, NDArray[Any]]


class ParkingEnv(gym.Env[Observation, Any]):
    """Park a car-like vehicle among static obstacles, one half-second decision at a time.

    See ``docs/parking.md`` for observations, actions, rewards and ``info``.

    Args:
        render_mode: ``None``, ``rgb_array`` or ``human``.
        **options: The fields of :class:`~hybridrl.envs.parking.config.ParkingOptions`.

    Raises:
        UnknownNameError: If a keyword or one of its words is unknown; the nearest are given.
        ScenarioError: If a value cannot be used; the message names it and the fix.
    """

    metadata = {"render_modes": ["rgb_array", "human"], "render_fps": 10}  # noqa: RUF012

    def __init__(self, *, render_mode: str | None = None, **options: Any) -> None:
        self.render_mode = render_mode
        self.task = ParkingTask(1, ParkingOptions.from_keywords(options))
        self.observation_space: gym.Space[Any] = self.task.observation_space()
        self.action_space = self.task.action_space()
        self._criterion_level = ""
        self._trail: list[tuple[float, float, float]] = []
        self._renderer: Any = None
        self._window: Any = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin a new scene.

        Args:
            seed: Of ``np_random``, the only source of draws.
            options: ``{"scenario": ...}`` begins exactly that scene: a ``Scenario`` or its JSON.

        Raises:
            ScenarioError: If the scenario cannot be used; the message names the field.
        """
        super().reset(seed=seed)
        for name in options or {}:
            if name != "scenario":
                raise UnknownNameError("reset option", name, ("scenario",))
        if options and "scenario" in options:
            self.task.load(0, options["scenario"])
        else:
            self.task.draw(0, self.np_random)
        self.task.begin(np.zeros(1, np.int64), [self.np_random])
        self._criterion_level = self.task.criterion_level(0)
        self._renderer = None
        self._trail = [self._pose()]
        return self.task.observation(0), self._info()

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Drive one decision (with ``rs="auto"`` also the free path it leads to).

        Args:
            action: A number from 0 to 41, or ``(steering, speed)`` in [-1, 1].
        """
        self.task.act(np.asarray(action)[None])
        rows = self.task.rows
        outcome = int(rows["outcome"][0])
        terminated = outcome not in (RUNNING, TIMEOUT)
        if self.render_mode is not None:
            self._trail.append(self._pose())
            if self.render_mode == "human":
                self.render()
        reward = float(rows["reward"][0])
        return self.task.observation(0), reward, terminated, outcome == TIMEOUT, self._info()

    def set_reward_weights(self, changes: Mapping[str, float]) -> None:
        """Weigh these reward terms anew from the next decision on; see the vector environment.

        Raises:
            UnknownNameError: If a name is not one of the reward terms.
            ScenarioError: If a weight is not a finite number.
        """
        self.task.set_reward_weights(changes)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The scene classes that are drawn from."""
        return self.task.level.classes

    def set_class_weights(self, weights: Mapping[str, float]) -> None:
        """Draw new scenes with these class probabilities; see the vector environment.

        Raises:
            UnknownNameError: If a name is not one of the level's classes.
            ScenarioError: If a weight is negative or all are 0.
        """
        self.task.set_class_weights(weights)

    def action_masks(self) -> NDArray[np.bool_]:
        """Which of the 42 motions may be chosen; never all false."""
        return np.asarray(self.task.rows["allowed"][0], np.bool_)

    def max_step_length(self, steer: float, direction: float) -> float:
        """How far the vehicle can drive at a steering angle before contact, metres (7.3).

        Interpolated between the neighbouring motions of the mask, so a planner's step can be cut
        short instead of bumping.

        Args:
            steer: Normalised steering in [-1, 1], left positive.
            direction: Forward when positive, else reverse.

        Raises:
            ScenarioError: If ``steer`` is outside [-1, 1].
        """
        if not -1.0 <= steer <= 1.0:
            raise ScenarioError("steer", steer, "normalised steering in [-1, 1]")
        first = 0 if direction > 0 else STEERS
        free = self.task.rows["free"][0, first : first + STEERS]
        grid = ACTION_STEER[:STEERS]
        return float(np.interp(-steer, -grid, free))

    @property
    def scenario(self) -> Scenario:
        """The present scene; ``save_scenarios`` writes it."""
        return self.task.scenario(0)

    @property
    def driven_path(self) -> Path:
        """What has been driven in this episode."""
        return self.task.simulator.driven_path(0)

    def render(self) -> Any:
        """Draw the present scene: ``(H, W, 3)`` uint8 for ``rgb_array``, a window for ``human``."""
        if self.render_mode is None:
            gym.logger.warn('render() needs render_mode="rgb_array" or "human" at construction')
            return None
        from hybridrl.envs.parking.drawing.render import SceneRenderer, Window

        if self._renderer is None:
            self._renderer = SceneRenderer(self.scenario)
        row = self.task.rows[0]
        text = f"{int(row['decisions'])} decisions, {OUTCOMES[row['outcome']].replace('_', ' ')}"
        steer = float(row["steer"]) * self.task.simulator.vehicle_of(0).max_steer
        trail = np.array(self._trail[:-1]).reshape(-1, 3)
        frame = self._renderer.frame(self._pose(), trail=trail, steer=steer, info=text)
        if self.render_mode == "rgb_array":
            return frame
        if self._window is None:
            self._window = Window((frame.shape[1], frame.shape[0]), self.metadata["render_fps"])
        self._window.show(frame)
        return None

    def close(self) -> None:
        """Close the window, if there is one."""
        if self._window is not None:
            self._window.close()
            self._window = None

    def _pose(self) -> tuple[float, float, float]:
        row = self.task.rows[0]
        return float(row["x"]), float(row["y"]), float(row["heading"])

    def _info(self) -> dict[str, Any]:
        terms = self.task.rows["terms"][0].tolist()
        return self.task.facts(0) | {
            "rs_path": self.task.simulator.found_path(0),
            "reward_terms": dict(zip(REWARD_TERMS, terms, strict=True)),
            "criterion_level": self._criterion_level,
        }
