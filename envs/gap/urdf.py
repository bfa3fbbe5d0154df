"""A URDF for PyBullet, written from a compiled MuJoCo model of a planar robot (``h2o.md`` 7.2)."""

from __future__ import annotations

import math
from typing import Any
from xml.etree import ElementTree

import mujoco
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
SLIDE = int(mujoco.mjtJoint.mjJNT_SLIDE)
HINGE = int(mujoco.mjtJoint.mjJNT_HINGE)
CAPSULE = int(mujoco.mjtGeom.mjGEOM_CAPSULE)


def robot_urdf(model: Any) -> str:
    """The robot as a tree of one link a joint, in the pose where every joint has its reference.

    Link frames stand at the joints' anchors and are parallel to the world, so joint ``j`` of the
    URDF is at ``qpos[j] - qpos0[j]`` of MuJoCo. Masses, centres of mass, capsules and the inertia
    about the axis of rotation are those of the compiled model; Bullet refuses inertias that break
    the triangle inequality, so each link gets the same inertia about all axes (only one acts in
    the plane), and the joint's armature is added to it, since Bullet has none.

    Args:
        model: A ``mujoco.MjModel`` of slide and hinge joints with capsules.

    Raises:
        ValueError: If it has another kind of joint or of moving geom.
    """
    if not np.isin(model.jnt_type, (SLIDE, HINGE)).all():
        raise ValueError(f"joint types {sorted(set(model.jnt_type))}; only slides and hinges work")
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    robot = ElementTree.Element("robot", name="robot")
    ElementTree.SubElement(robot, "link", name="world")
    for joint in range(model.njnt):
        body = int(model.jnt_bodyid[joint])
        last = joint == model.body_jntadr[body] + model.body_jntnum[body] - 1
        before, parent = _parent(model, data, joint)
        anchor = data.xanchor[joint]
        _link(robot, model, data, joint, body if last else None, anchor)
        _joint(robot, model, data, joint, parent, anchor - before)
    return ElementTree.tostring(robot, encoding="unicode")


def link_friction(model: Any, joint: int) -> float:
    """Sliding friction of a link for a floor of 1: MuJoCo takes the larger, Bullet the product."""
    body = model.jnt_bodyid[joint]
    geoms = np.flatnonzero(model.geom_bodyid == body)
    floor = model.geom_friction[model.geom_bodyid == 0, 0]
    return float(max(*model.geom_friction[geoms, 0], *floor))


def _parent(model: Any, data: Any, joint: int) -> tuple[Array, str]:
    """Anchor and link that a joint hangs on."""
    body = int(model.jnt_bodyid[joint])
    if joint > model.body_jntadr[body]:
        return data.xanchor[joint - 1], _name(joint - 1)
    above = int(model.body_parentid[body])
    if above == 0:
        return np.zeros(3), "world"
    last = int(model.body_jntadr[above] + model.body_jntnum[above] - 1)
    return data.xanchor[last], _name(last)


def _joint(
    robot: ElementTree.Element, model: Any, data: Any, joint: int, parent: str, offset: Array
) -> None:
    slide, limited = model.jnt_type[joint] == SLIDE, bool(model.jnt_limited[joint])
    kind = "prismatic" if slide else "revolute" if limited else "continuous"
    element = ElementTree.SubElement(robot, "joint", name=model.joint(joint).name, type=kind)
    ElementTree.SubElement(element, "parent", link=parent)
    ElementTree.SubElement(element, "child", link=_name(joint))
    ElementTree.SubElement(element, "origin", xyz=_text(offset))
    ElementTree.SubElement(element, "axis", xyz=_text(data.xaxis[joint]))
    bounds = model.jnt_range[joint] - model.qpos0[joint] if limited else np.array([1.0, -1.0])
    low, high = bounds.tolist()
    ElementTree.SubElement(
        element, "limit", lower=f"{low!r}", upper=f"{high!r}", effort="1e6", velocity="1e6"
    )


def _link(
    robot: ElementTree.Element, model: Any, data: Any, joint: int, body: int | None, anchor: Array
) -> None:
    """A link; where several joints move a body, the inner ones have links without mass."""
    link = ElementTree.SubElement(robot, "link", name=_name(joint))
    inertial = ElementTree.SubElement(link, "inertial")
    mass, inertia = 0.0, 0.0
    if body is not None:
        ElementTree.SubElement(inertial, "origin", xyz=_text(data.xipos[body] - anchor))
        axes = data.ximat[body].reshape(3, 3)
        about = axes.T @ data.xaxis[joint]
        mass = float(model.body_mass[body])
        inertia = float(about @ (model.body_inertia[body] * about))
        inertia += float(model.dof_armature[model.jnt_dofadr[joint]])
        for geom in np.flatnonzero(model.geom_bodyid == body):
            _capsule(link, model, data, int(geom), anchor)
    ElementTree.SubElement(inertial, "mass", value=f"{mass!r}")
    moments = dict.fromkeys(("ixx", "iyy", "izz"), f"{inertia!r}")
    ElementTree.SubElement(inertial, "inertia", {**moments, "ixy": "0", "ixz": "0", "iyz": "0"})


def _capsule(link: ElementTree.Element, model: Any, data: Any, geom: int, anchor: Array) -> None:
    if model.geom_type[geom] != CAPSULE:
        raise ValueError(f"geom {model.geom(geom).name} is no capsule")
    collision = ElementTree.SubElement(link, "collision")
    along = data.geom_xmat[geom].reshape(3, 3)[:, 2]
    tilt = math.atan2(along[0], along[2])  # about y: the robots are planar
    place = _text(data.geom_xpos[geom] - anchor)
    ElementTree.SubElement(collision, "origin", xyz=place, rpy=f"0 {tilt!r} 0")
    shape = ElementTree.SubElement(collision, "geometry")
    radius, half = model.geom_size[geom, :2].tolist()
    ElementTree.SubElement(shape, "capsule", radius=f"{radius!r}", length=f"{2 * half!r}")


def _name(joint: int) -> str:
    return f"link{joint}"


def _text(vector: Array) -> str:
    return " ".join(repr(float(value)) for value in vector)
