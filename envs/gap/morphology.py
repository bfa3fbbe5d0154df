"""Robots with other limbs: edits of the model's specification before it is compiled.

Lengths of every family and level are those of ``h2o.md`` 4.3; masses follow from the geometry, as
in the stock models (HalfCheetah's total stays 14 kg).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from hybridrl.planners.errors import UnknownNameError

LEVELS = ("easy", "medium", "hard")
Edit = Callable[[Any, int], None]

TORSO_HALF_LENGTHS = (0.4, 0.25, 0.1)  # HalfCheetah, stock 0.5
# HalfCheetah: (x, z) from the hip to the end of the thigh's capsule, back and front.
BACK_THIGHS = ((0.11, -0.11), (0.08, -0.08), (0.02, -0.02))
FRONT_THIGHS = ((-0.09, -0.10), (-0.07, -0.08), (-0.04, -0.05))
FOOT_SCALES = (0.8, 0.6, 0.4)  # Hopper: length and radius
TORSO_TOPS = (1.53, 1.69, 1.85)  # Hopper and Walker2d, metres above the floor, stock 1.45
TORSO_RADII = (0.075, 0.10, 0.125)  # stock 0.05
KNEE_HEIGHTS = (0.5, 0.35, 0.2)  # Walker2d, stock 0.6
ANKLE_LENGTHS = (0.32, 0.20, 0.08)  # Ant, along each axis, stock 0.4


def _cheetah_torso(spec: Any, level: int) -> None:
    half = TORSO_HALF_LENGTHS[level]
    shift = 0.5 - half
    torso = spec.geom("torso")
    torso.fromto = [-half, 0, 0, half, 0, 0]
    for thing, sign in (
        (spec.geom("head"), -1),
        (spec.body("bthigh"), 1),
        (spec.body("fthigh"), -1),
    ):
        thing.pos = np.add(thing.pos, [sign * shift, 0, 0])


def _cheetah_thigh(spec: Any, level: int) -> None:
    """Each thigh is a capsule from the hip to its new end, and the shin hangs there."""
    pairs = (("bthigh", "bshin", BACK_THIGHS), ("fthigh", "fshin", FRONT_THIGHS))
    for thigh, shin, ends in pairs:
        x, z = ends[level]
        geom, half = spec.geom(thigh), math.hypot(x, z) / 2
        geom.pos, geom.size = [x / 2, 0, z / 2], [geom.size[0], half, 0]
        geom.alt.axisangle = [0, 1, 0, math.atan2(x, z)]
        spec.body(shin).pos = [x, 0, z]


def _hopper_foot(spec: Any, level: int) -> None:
    geom = spec.geom("foot_geom")
    geom.size = np.asarray(geom.size) * FOOT_SCALES[level]


def _biped_torso(spec: Any, level: int) -> None:
    bottom, geom = 1.05, spec.geom("torso_geom")
    half = (TORSO_TOPS[level] - bottom) / 2
    geom.size = [TORSO_RADII[level], half, 0]
    geom.pos = [0, 0, half - 0.2]  # the hip stays where it is


def _walker_leg(spec: Any, level: int) -> None:
    """The knee moves down: a longer thigh on a shorter leg of the same total."""
    knee = KNEE_HEIGHTS[level]
    thigh_half, leg_half = (1.05 - knee) / 2, (knee - 0.1) / 2
    for side in ("", "_left"):
        thigh, leg = spec.geom(f"thigh{side}_geom"), spec.geom(f"leg{side}_geom")
        thigh.size = [thigh.size[0], thigh_half, 0]
        thigh.pos = [0, 0, -thigh_half]
        leg.size = [leg.size[0], leg_half, 0]
        body, foot = spec.body(f"leg{side}"), spec.body(f"foot{side}")
        before = float(body.pos[2])
        body.pos = [0, 0, -2 * thigh_half - leg_half]  # the leg's frame is its middle
        spec.joint(f"leg{side}_joint").pos = [0, 0, leg_half]
        foot.pos = np.add(foot.pos, [0, 0, before - float(body.pos[2])])


def _ant_legs(geoms: tuple[str, ...]) -> Edit:
    def edit(spec: Any, level: int) -> None:
        for name in geoms:
            geom = spec.geom(name)
            signs = np.sign(np.asarray(geom.fromto))
            geom.fromto = signs * ANKLE_LENGTHS[level]

    return edit


# robot -> family -> edit
MORPHOLOGIES: dict[str, dict[str, Edit]] = {
    "halfcheetah": {"torso": _cheetah_torso, "thigh": _cheetah_thigh},
    "hopper": {"foot": _hopper_foot, "torso": _biped_torso},
    "walker2d": {"torso": _biped_torso, "leg": _walker_leg},
    "ant": {
        "halflegs": _ant_legs(("left_ankle_geom", "right_ankle_geom")),
        "alllegs": _ant_legs(
            ("left_ankle_geom", "right_ankle_geom", "third_ankle_geom", "fourth_ankle_geom")
        ),
    },
}


def names_of(robot: str) -> list[str]:
    """Every ``family-level`` of a robot."""
    return [f"{family}-{level}" for family in MORPHOLOGIES[robot] for level in LEVELS]


def reshape(spec: Any, robot: str, name: str) -> None:
    """Change a ``mujoco.MjSpec`` in place.

    Args:
        spec: Of the stock model.
        robot: Keyword ``robot``.
        name: ``family-level``, as in ``thigh-medium``.

    Raises:
        UnknownNameError: If the robot has no such morphology.
    """
    if name not in names_of(robot):
        raise UnknownNameError(f"morphology of {robot}", name, names_of(robot))
    family, _, level = name.rpartition("-")
    MORPHOLOGIES[robot][family](spec, LEVELS.index(level))
