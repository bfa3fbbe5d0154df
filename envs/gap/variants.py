"""EVERY gap variant, one table: what the simulator changes, as keywords of the environment.

Imports nothing heavy: ``registration.py`` makes its rows from here.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field
from typing import Any

Keywords = dict[str, Any]


@dataclass(frozen=True)
class Variant:
    """One way in which a simulator may be wrong.

    Args:
        keywords: Of the simulator, for every robot that is not in ``by_robot``.
        summary: What is different there.
        by_robot: Keywords of single robots, over ``keywords``.
        robots: Robots it exists for; ``None`` means all.
    """

    keywords: Keywords
    summary: str
    by_robot: dict[str, Keywords] = field(default_factory=dict)
    robots: tuple[str, ...] | None = None


# Name in the id, and keyword ``robot`` of the MuJoCo environments.
ROBOTS = ("HalfCheetah", "Hopper", "Walker2d", "Ant", "Pendulum")
MUJOCO_ROBOTS = ("HalfCheetah", "Hopper", "Walker2d", "Ant")
# Not Hopper: its armature of 1 kg m2 on links of 0.1 kg m2 has no likeness in Bullet (docs/gap.md).
BULLET_ROBOTS = ("HalfCheetah", "Walker2d")

VARIANTS: dict[str, Variant] = {
    "GravityX2": Variant({"gravity": 2.0}, "gravity 19.62 m/s2"),  # h2o.md 4.1
    "FrictionX0.3": Variant(
        {"friction": 0.3}, "every friction number x 0.3", robots=MUJOCO_ROBOTS
    ),  # h2o.md 4.1
    "JointNoise": Variant(
        {"action_noise": 1.0}, "N(0, 1) on every control, below the reward"
    ),  # h2o.md 4.1
    "GainX2.5": Variant({"gain": 2.5}, "actuators 2.5 times as strong"),  # h2o.md 5.2
    "GainBelow": Variant(  # h2o.md 4.4: a gap that depends on the state
        {"gain": 2.5, "region": "below"},
        "motor 2.5 times as strong below the pivot, as in reality above it",
        robots=("Pendulum",),
    ),
    "GravityBelow": Variant(
        {"gravity": 0.1, "region": "below"},
        "a tenth of gravity below the pivot, as in reality above it",
        robots=("Pendulum",),
    ),
    "DampingX3": Variant({"damping": 3.0}, "joint damping x 3", robots=MUJOCO_ROBOTS),
    "MassX1.5": Variant({"mass": 1.5}, "masses and inertias x 1.5"),
    "Delay2": Variant({"delay": 2}, "actions act two steps late"),
    "Kinematic": Variant(  # h2o.md 4.3, medium
        {"joint_range": 0.5},
        "half the range of some joints",
        by_robot={
            "HalfCheetah": {"joint_group": "thigh"},
            "Hopper": {"joint_group": "leg"},
            "Walker2d": {"joint_group": "thigh"},
            "Ant": {"joint_group": "hip"},
        },
        robots=MUJOCO_ROBOTS,
    ),
    "Morph": Variant(  # h2o.md 4.3, medium
        {},
        "other limb lengths",
        by_robot={
            "HalfCheetah": {"morphology": "thigh-medium"},
            "Hopper": {"morphology": "foot-medium"},
            "Walker2d": {"morphology": "leg-medium"},
            "Ant": {"morphology": "halflegs-medium"},
            "Pendulum": {"length": 1.5},
        },
    ),
    "Wind": Variant(
        {"wind": 0.3}, "head wind that grows with speed", by_robot={"Pendulum": {"wind": 4.0}}
    ),
    "Bullet": Variant({"engine": "bullet"}, "PyBullet instead of MuJoCo", robots=BULLET_ROBOTS),
}


def has_pybullet() -> bool:
    """Whether PyBullet is installed; nothing is loaded to find out."""
    return importlib.util.find_spec("pybullet") is not None


def variants_of(robot: str) -> list[str]:
    """Names of the variants that exist for a robot on this machine, in the order of the table."""
    return [
        name
        for name, variant in VARIANTS.items()
        if (variant.robots is None or robot in variant.robots)
        and (name != "Bullet" or has_pybullet())
    ]


def sim_keywords(robot: str, variant: str) -> Keywords:
    """What the simulator of a variant changes, as keywords of the environment."""
    row = VARIANTS[variant]
    return {**row.keywords, **row.by_robot.get(robot, {})}


def gap_ids() -> list[tuple[str, str, Keywords, str]]:
    """Every registered id: id, robot, keywords, and a summary."""
    rows: list[tuple[str, str, Keywords, str]] = []
    for robot in ROBOTS:
        own: Keywords = {} if robot == "Pendulum" else {"robot": robot.lower()}
        for name in variants_of(robot):
            stem = f"hybridrl/Gap-{robot}-{name}"
            change, summary = sim_keywords(robot, name), VARIANTS[name].summary
            if robot == "Pendulum":
                summary = PENDULUM_SUMMARIES.get(name, summary)
            rows.append((f"{stem}-Sim-v0", robot, {**own, **change}, f"simulator: {summary}"))
            rows.append((f"{stem}-Real-v0", robot, dict(own), "real: nothing changed"))
    return rows


PENDULUM_SUMMARIES = {
    "JointNoise": "N(0, 1) on the action, below the reward",
    "MassX1.5": "mass x 1.5: the torque does less",
    "Morph": "length x 1.5",
    "Wind": "wind: angular acceleration 4 cos(theta) rad/s2",
}
