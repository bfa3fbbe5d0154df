"""How each robot's behaviour policies are trained: one table, one seed, and so repeatable."""

from __future__ import annotations

from typing import Any, NamedTuple

from hybridrl.planners.errors import UnknownNameError


class Behaviour(NamedTuple):
    """One robot.

    Args:
        env: Id of the real environment.
        steps: Environment steps of the training.
        every: Steps between checkpoints; each is evaluated and may become a level.
        rows: Transitions of a rolled-out dataset.
        settings: Of Stable-Baselines3's SAC, over its defaults.
    """

    env: str
    steps: int
    every: int
    rows: int
    settings: dict[str, Any]


# Small enough for an hour on one core; D4RL's policies had 1M to 3M steps.
_MUJOCO: dict[str, Any] = {
    "learning_rate": 1e-3,
    "learning_starts": 1_000,
    "policy_kwargs": {"net_arch": [128, 128], "optimizer_kwargs": {"fused": True}},
}
_PENDULUM: dict[str, Any] = {  # as the agents on this task, h2o.md 5.2
    "learning_rate": 1e-3,
    "learning_starts": 300,
    "batch_size": 64,
    "gamma": 0.98,
    "policy_kwargs": {"net_arch": [64, 64], "optimizer_kwargs": {"fused": True}},
}


def _mujoco(robot: str, steps: int) -> Behaviour:
    return Behaviour(f"{robot}-v5", steps, 5_000, 100_000, _MUJOCO)


_REAL_PENDULUM = "hybridrl/Gap-Pendulum-GravityX2-Real-v0"
BEHAVIOURS: dict[str, Behaviour] = {
    "halfcheetah": _mujoco("HalfCheetah", 45_000),
    "hopper": _mujoco("Hopper", 45_000),
    "walker2d": _mujoco("Walker2d", 60_000),
    "ant": _mujoco("Ant", 60_000),
    "pendulum": Behaviour(_REAL_PENDULUM, 6_000, 200, 2_000, _PENDULUM),
}


def behaviour(robot: str) -> Behaviour:
    """The row of a robot.

    Raises:
        UnknownNameError: If there is none; the message gives the nearest ones.
    """
    if robot not in BEHAVIOURS:
        raise UnknownNameError("robot", robot, BEHAVIOURS)
    return BEHAVIOURS[robot]
