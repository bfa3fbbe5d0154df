"""Keywords of the MuJoCo gap environments, checked once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hybridrl.planners.errors import ScenarioError, UnknownNameError

# Keyword ``robot`` -> groups of joints that ``joint_group`` may name; "" means all of them.
JOINT_GROUPS = {
    "halfcheetah": ("thigh", "shin", "foot"),
    "hopper": ("thigh", "leg", "foot"),
    "walker2d": ("thigh", "leg", "foot"),
    "ant": ("hip", "ankle"),
}
ENGINES = ("mujoco", "bullet")
TIME_LIMIT = 1000  # steps, as Gymnasium registers the stock environments


@dataclass(frozen=True, kw_only=True)
class GapOptions:
    """What may differ from the stock environment; the defaults change nothing.

    Args:
        robot: ``halfcheetah``, ``hopper``, ``walker2d`` or ``ant``.
        engine: ``mujoco``, or ``bullet`` for PyBullet on a model made from MuJoCo's.
        gravity: Factor of gravity, at least 0.
        friction: Factor of every number of ``geom_friction``, above 0.
        action_noise: Standard deviation of normal noise on each control, at least 0.
        noise_in_reward: The public behaviour: the reward's control cost is that of the noisy,
            unclamped control, about ``0.1 dim`` a step worse for unit noise (``h2o.md`` 7.1).
        gain: Factor of the actuators' gear, above 0.
        damping: Factor of the damping of the driven joints, at least 0.
        mass: Factor of all masses and inertias, above 0.
        delay: Whole steps by which an action acts late; zeros act until then.
        joint_range: Factor in (0, 1] of the range of ``joint_group``. A range on one side of zero
            keeps the end nearer zero.
        joint_group: Part of the names of the joints that ``joint_range`` is for; all if empty.
        morphology: ``family-level`` of :data:`hybridrl.envs.gap.morphology.MORPHOLOGIES`, or empty.
        wind: Share of the weight that pushes the torso back at 5 m/s forward or more; it grows
            linearly from standstill, so it depends on the state, and does not act backwards.
        time_limit: Steps after which an episode is truncated, at least 1.
    """

    robot: str = "halfcheetah"
    engine: str = "mujoco"
    gravity: float = 1.0
    friction: float = 1.0
    action_noise: float = 0.0
    noise_in_reward: bool = False
    gain: float = 1.0
    damping: float = 1.0
    mass: float = 1.0
    delay: int = 0
    joint_range: float = 1.0
    joint_group: str = ""
    morphology: str = ""
    wind: float = 0.0
    time_limit: int = TIME_LIMIT

    @classmethod
    def from_keywords(cls, keywords: Mapping[str, Any]) -> GapOptions:
        """Build from keywords.

        Raises:
            UnknownNameError: If one is not a field; the message gives the nearest ones.
            ScenarioError: If a value is out of range.
        """
        for name in keywords:
            if name not in cls.__dataclass_fields__:
                raise UnknownNameError(
                    "keyword of the gap environment", name, cls.__dataclass_fields__
                )
        return cls(**keywords)

    def __post_init__(self) -> None:
        """Check every field."""
        _one_of("robot", self.robot, JOINT_GROUPS)
        _one_of("engine", self.engine, ENGINES)
        if self.joint_group:
            _one_of("joint_group", self.joint_group, JOINT_GROUPS[self.robot])
        for name in ("friction", "gain", "mass"):
            number(name, getattr(self, name), above=0.0)
        for name in ("gravity", "damping", "action_noise", "wind"):
            number(name, getattr(self, name), least=0.0)
        number("joint_range", self.joint_range, above=0.0, most=1.0)
        whole("delay", self.delay, 0)
        whole("time_limit", self.time_limit, 1)


def number(
    name: str,
    value: Any,
    *,
    least: float = -math.inf,
    above: float = -math.inf,
    most: float = math.inf,
) -> float:
    """A finite number within bounds.

    Raises:
        ScenarioError: If it is not; the message names the bounds.
    """
    real = isinstance(value, int | float) and not isinstance(value, bool)
    if not (real and math.isfinite(value) and value >= least and value > above and value <= most):
        bounds = [f"at least {least:g}"] * math.isfinite(least)
        bounds += [f"above {above:g}"] * math.isfinite(above)
        bounds += [f"at most {most:g}"] * math.isfinite(most)
        raise ScenarioError(name, value, " ".join(["a finite number", " and ".join(bounds)]))
    return float(value)


def whole(name: str, value: Any, least: int) -> int:
    """A whole number of at least ``least``.

    Raises:
        ScenarioError: If it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ScenarioError(name, value, f"a whole number of at least {least}")
    return value


def _one_of(kind: str, name: Any, known: Any) -> None:
    if name not in known:
        raise UnknownNameError(kind, str(name), known)
