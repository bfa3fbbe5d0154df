"""The gap environment: a stock MuJoCo task whose physics differs in a stated way."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from hybridrl.envs.gap.options import GapOptions
from hybridrl.envs.gap.robots import load_physics, make_robot, save_physics
from hybridrl.envs.gap.variants import has_pybullet
from hybridrl.planners.errors import ScenarioError

Array = NDArray[np.float64]
WIND_FULL_SPEED = 5.0  # m/s forward at which the wind has its full force
RENDER_MODES = ("human", "rgb_array", "depth_array")


class GapEnv(gym.Env[Array, NDArray[np.float32]]):
    """HalfCheetah, Hopper, Walker2d or Ant of Gymnasium (-v5) with changed dynamics.

    Observation, reward and termination are the stock ones. Without keywords the episode equals
    the stock environment's bit for bit.

    Args:
        render_mode: As in the stock environment; PyBullet's states are drawn by MuJoCo too.
        **options: Fields of :class:`~hybridrl.envs.gap.options.GapOptions`.

    Raises:
        UnknownNameError: If a keyword or a name is unknown.
        ScenarioError: If a value is out of range.
    """

    metadata = {"render_modes": list(RENDER_MODES)}  # noqa: RUF012

    def __init__(self, *, render_mode: str | None = None, **options: Any) -> None:
        self.options = GapOptions.from_keywords(options)
        self.robot = make_robot(self.options, render_mode)
        self.render_mode = render_mode
        self.metadata = self.robot.metadata
        self.observation_space = self.robot.observation_space
        self.action_space = self.robot.action_space
        self._bullet: Any = None
        if self.options.engine == "bullet":
            if not has_pybullet():
                raise ScenarioError("engine", "bullet", "mujoco, or an installed pybullet 3.2.7")
            from hybridrl.envs.gap.bullet import BulletPhysics

            self._bullet = BulletPhysics(self.robot)
        self.robot.drive = self._drive
        self._queue: deque[Array] = deque()
        self._steps = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Begin an episode as the stock environment does.

        Args:
            seed: Of ``np_random``, the only source of draws.
            options: None are known; they are ignored as in the stock environment.
        """
        super().reset(seed=seed)
        self.robot.np_random = self.np_random
        observation, info = self.robot.reset()
        if self._bullet is not None:
            self._bullet.load(self.robot.data.qpos, self.robot.data.qvel)
        zeros = np.zeros(self.robot.model.nu)
        self._queue = deque([zeros] * self.options.delay)
        self._steps = 0
        return observation, info

    def step(self, action: NDArray[np.float32]) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """One step of the stock task on this physics.

        Args:
            action: Shape ``(nu,)``, in [-1, 1]; actuators clamp what is outside.

        Returns:
            The stock observation, reward, termination and info; truncation is the time limit. The
            last info has ``outcome``: ``fell`` or ``timeout``.
        """
        action = np.asarray(action)
        if self.options.noise_in_reward:
            action = self._noisy(action)
        observation, reward, terminated, _, info = self.robot.step(action)
        self._steps += 1
        truncated = self._steps >= self.options.time_limit
        if terminated or truncated:
            info["outcome"] = "fell" if terminated else "timeout"
        return observation, float(reward), bool(terminated), truncated, info

    def get_state(self) -> dict[str, Any]:
        """Everything that later steps depend on: physics, generator, elapsed steps, late actions.

        Returns:
            Arrays and JSON-able values, for :meth:`set_state` of an equal environment.
        """
        physics = save_physics(self.robot)
        if self._bullet is not None:
            physics["bullet"] = self._bullet.save()
        return {
            "physics": physics,
            "generator": self.np_random.bit_generator.state,
            "steps": self._steps,
            "queue": np.array(self._queue).reshape(-1, self.robot.model.nu),
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on where :meth:`get_state` was called, to the last bit.

        Raises:
            ScenarioError: If the state belongs to another robot or engine.
        """
        saved = state["physics"]
        shape = np.shape(saved["xpos"])
        if shape != self.robot.data.xpos.shape or ("bullet" in saved) != (self._bullet is not None):
            raise ScenarioError(
                "state",
                sorted(saved),
                f"the state of a {self.options.robot} on {self.options.engine}",
            )
        load_physics(self.robot, saved)
        if self._bullet is not None:
            self._bullet.restore(saved["bullet"])
        self.np_random.bit_generator.state = state["generator"]
        self.robot.np_random = self.np_random
        self._steps = int(state["steps"])
        self._queue = deque(np.asarray(state["queue"], np.float64))

    @property
    def physics(self) -> tuple[Array, Array]:
        """Positions and velocities of the joints now, as the MuJoCo model orders them."""
        return self.robot.data.qpos.copy(), self.robot.data.qvel.copy()

    def set_physics(self, qpos: Array, qvel: Array, late: Sequence[Array] = ()) -> Array:
        """Put the robot into a given state, for comparing physics.

        Args:
            qpos: Positions as the MuJoCo model orders them.
            qvel: Velocities.
            late: Actions before, oldest first; the last ones act late where there is a delay.

        Returns:
            The observation there.
        """
        self.robot.set_state(np.asarray(qpos, np.float64), np.asarray(qvel, np.float64))
        for action in late if self.options.delay else ():
            self._queue.append(np.array(action, np.float64))
            self._queue.popleft()
        if self._bullet is not None:
            self._bullet.load(self.robot.data.qpos, self.robot.data.qvel)
        observation: Array = self.robot._get_obs()
        return observation

    def render(self) -> Any:
        """A picture of the present state, as the stock environment draws it."""
        if self._bullet is not None:
            self._bullet.show()
        return self.robot.render()

    def close(self) -> None:
        """Close the window and the physics server."""
        self.robot.close()
        if self._bullet is not None:
            self._bullet.close()

    def _drive(self, control: Array, frames: int) -> None:
        """From the policy's action to the motors: delay, noise, wind, physics."""
        if self.options.delay:
            self._queue.append(np.array(control, np.float64))
            control = self._queue.popleft()
        if not self.options.noise_in_reward:
            control = self._noisy(control)
        if self.options.wind:
            self._blow()
        if self._bullet is not None:
            self._bullet.step(control, frames)
        else:
            self.robot._step_mujoco_simulation(control, frames)

    def _noisy(self, control: Any) -> Any:
        if not self.options.action_noise:
            return control
        return control + self.options.action_noise * self.np_random.standard_normal(control.shape)

    def _blow(self) -> None:
        """Push the root back with a force that depends on the forward speed.

        As a generalised force: the Ant's observation and reward have contact forces, in which a
        force on a body would show.
        """
        model, data = self.robot.model, self.robot.data
        weight = float(model.body_mass.sum()) * 9.81
        share = min(max(float(data.qvel[0]) / WIND_FULL_SPEED, 0.0), 1.0)
        data.qfrc_applied[0] = -self.options.wind * weight * share
