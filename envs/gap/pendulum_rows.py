"""N pendulums with changeable dynamics, stepped together in one compiled call (``h2o.md`` 5.2).

The angle is 0 upright and grows counter-clockwise. One step lasts 0.05 s::

    w' = clip(w + 0.05 (15 g/l sin(theta) + 3 k/(m l^2) u - c w + b cos(theta)), -8, 8)
    theta' = theta + 0.05 w'            u = 2 clip(a, -1, 1)
    reward = -(theta^2 + 0.1 w^2 + 0.001 u^2)        theta in [-pi, pi), of the state before

with gravity ``g``, length ``l``, gain ``k``, mass ``m``, damping ``c`` and wind ``b``. With
``g = l = k = m = 1`` and ``c = b = 0`` these are the dynamics of Gymnasium's Pendulum-v1, and with
``region="below"`` they are those wherever ``cos(theta) >= 0``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hybridrl.envs.gap.options import number, whole
from hybridrl.planners.errors import UnknownNameError

Array = NDArray[np.float64]
DT = 0.05
TORQUE = 2.0  # N m at action 1
MAX_SPEED = 8.0
STARTS = ("uniform", "hanging")
REGIONS = ("everywhere", "below")


@dataclass(frozen=True, kw_only=True)
class PendulumOptions:
    """What may differ between the real pendulum and a simulator; the defaults are the real one.

    Args:
        gain: Factor of the torque in the dynamics, above 0; the reward is that of the asked torque.
        gravity: Factor of gravity, at least 0.
        length: Factor of the length, above 0.
        mass: Factor of the mass, above 0.
        damping: Viscous deceleration ``c w``, 1/s, at least 0.
        wind: Angular acceleration ``b cos(theta)``, rad/s2, at least 0.
        action_noise: Standard deviation of normal noise on the action, before it is clipped.
        noise_in_reward: The reward's torque is the noisy one.
        delay: Whole steps by which an action acts late; zeros act until then.
        region: Where gravity, length, gain, mass, damping and wind differ: ``everywhere``, or only
            ``below`` the pivot; a gap that depends on the state.
        start: ``uniform`` (any angle, speed within 1 rad/s) or ``hanging`` (within 0.1 rad of
            straight down, at rest).
        time_limit: Steps after which an episode is truncated, at least 1.
    """

    gain: float = 1.0
    gravity: float = 1.0
    length: float = 1.0
    mass: float = 1.0
    damping: float = 0.0
    wind: float = 0.0
    action_noise: float = 0.0
    noise_in_reward: bool = False
    delay: int = 0
    region: str = "everywhere"
    start: str = "uniform"
    time_limit: int = 200

    @classmethod
    def from_keywords(cls, keywords: Mapping[str, Any]) -> PendulumOptions:
        """Build from keywords.

        Raises:
            UnknownNameError: If one is not a field; the message gives the nearest ones.
            ScenarioError: If a value is out of range.
        """
        for name in keywords:
            if name not in cls.__dataclass_fields__:
                raise UnknownNameError("keyword of the pendulum", name, cls.__dataclass_fields__)
        return cls(**keywords)

    def __post_init__(self) -> None:
        """Check every field."""
        for name in ("gain", "length", "mass"):
            number(name, getattr(self, name), above=0.0)
        for name in ("gravity", "damping", "wind", "action_noise"):
            number(name, getattr(self, name), least=0.0)
        whole("delay", self.delay, 0)
        whole("time_limit", self.time_limit, 1)
        for name, allowed in (("start", STARTS), ("region", REGIONS)):
            if getattr(self, name) not in allowed:
                raise UnknownNameError(name, str(getattr(self, name)), allowed)

    @property
    def coefficients(self) -> Array:
        """What a step multiplies: gravity, torque, damping and wind; below and above, (2, 4)."""
        pull = 15.0 * self.gravity / self.length
        push = 3.0 * self.gain / (self.mass * self.length**2)
        own = [pull, push, self.damping, self.wind]
        return np.array([own, [15.0, 3.0, 0.0, 0.0] if self.region == "below" else own])


class PendulumRows:
    """States of N pendulums; nothing in it knows Gymnasium's interface.

    Args:
        count: Number of pendulums N.
        options: The dynamics, equal for all rows.

    Attributes:
        state: Angle (radians, not wrapped) and angular speed (rad/s), shape ``(N, 2)``.
        steps: Elapsed steps of each episode, shape ``(N,)``.
        observations: Cosine, sine and speed after the last step or reset, float32 ``(N, 3)``.
        rewards: Of the last step, shape ``(N,)``.
    """

    def __init__(self, count: int, options: PendulumOptions) -> None:
        self.options = options
        self.state = np.zeros((count, 2))
        self.steps = np.zeros(count, np.int64)
        self.queue = np.zeros((options.delay, count))
        self.observations = np.zeros((count, 3), np.float32)
        self.rewards = np.zeros(count)
        self._coefficients = options.coefficients

    def begin(self, rows: Sequence[int] | NDArray[np.int64], generators: Sequence[Any]) -> None:
        """Start new episodes.

        Args:
            rows: Which ones.
            generators: One a row of all N.
        """
        for i in rows:
            if self.options.start == "hanging":
                self.state[i] = math.pi + generators[i].uniform(-0.1, 0.1), 0.0
            else:
                self.state[i] = generators[i].uniform((-math.pi, -1.0), (math.pi, 1.0))
            self.steps[i] = 0
            self.queue[:, i] = 0.0
        observe(self.state, self.observations)

    def step(self, actions: Array, generators: Sequence[Any]) -> None:
        """Advance every row.

        Args:
            actions: In [-1, 1], clipped, shape ``(N,)``.
            generators: One a row, drawn from only with ``action_noise``.
        """
        options = self.options
        asked = np.ascontiguousarray(actions, np.float64)
        noise = None
        if options.action_noise:
            draws = [generator.standard_normal() for generator in generators]
            noise = options.action_noise * np.array(draws)
            if options.noise_in_reward:
                asked = asked + noise
        acting = asked
        if options.delay:
            acting = self.queue[0].copy()
            self.queue[:-1] = self.queue[1:]
            self.queue[-1] = asked
        if noise is not None and not options.noise_in_reward:
            acting = acting + noise
        advance(self.state, acting, asked, self._coefficients, self.observations, self.rewards)
        self.steps += 1

    @property
    def ended(self) -> NDArray[np.bool_]:
        """Rows whose time is up, shape ``(N,)``."""
        return self.steps >= self.options.time_limit

    def save(self) -> dict[str, Any]:
        """States, elapsed steps and delayed actions as arrays."""
        return {"state": self.state.copy(), "steps": self.steps.copy(), "queue": self.queue.copy()}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Put back what :meth:`save` returned."""
        self.state[:] = saved["state"]
        self.steps[:] = saved["steps"]
        self.queue[:] = saved["queue"]
        observe(self.state, self.observations)


@njit(cache=True)
def advance(
    state: Array,
    acting: Array,
    asked: Array,
    coefficients: Array,
    observations: NDArray[np.float32],
    rewards: Array,
) -> None:
    """One step of N pendulums (``h2o.md`` 5.2).

    Args:
        state: Angles and speeds before, changed to those after, shape ``(N, 2)``.
        acting: Actions that reach the motor, shape ``(N,)``.
        asked: Actions that the reward charges, shape ``(N,)``.
        coefficients: As :attr:`PendulumOptions.coefficients`, shape ``(2, 4)``.
        observations: Written, shape ``(N, 3)``.
        rewards: Written, shape ``(N,)``.
    """
    for i in range(len(state)):
        angle, speed = state[i, 0], state[i, 1]
        pull, push, damping, wind = coefficients[1 if math.cos(angle) >= 0.0 else 0]
        wrapped = (angle + math.pi) % (2.0 * math.pi) - math.pi
        torque = TORQUE * min(max(asked[i], -1.0), 1.0)
        rewards[i] = -(wrapped * wrapped + 0.1 * speed * speed + 0.001 * torque * torque)
        torque = TORQUE * min(max(acting[i], -1.0), 1.0)
        change = pull * math.sin(angle) + push * torque - damping * speed + wind * math.cos(angle)
        speed = min(max(speed + DT * change, -MAX_SPEED), MAX_SPEED)
        angle += DT * speed
        state[i, 0], state[i, 1] = angle, speed
        observations[i, 0] = math.cos(angle)
        observations[i, 1] = math.sin(angle)
        observations[i, 2] = speed


def observe(state: Array, observations: NDArray[np.float32]) -> None:
    """Write cosine, sine and speed of states ``(N, 2)`` into ``(N, 3)``."""
    observations[:, 0] = np.cos(state[:, 0])
    observations[:, 1] = np.sin(state[:, 0])
    observations[:, 2] = state[:, 1]
