"""Gymnasium's own MuJoCo tasks with a changed model and a hook where controls reach the physics.

Observation, reward and termination stay the stock code, whatever moves the robot.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import mujoco
import numpy as np
from gymnasium.envs.mujoco.ant_v5 import AntEnv
from gymnasium.envs.mujoco.half_cheetah_v5 import HalfCheetahEnv
from gymnasium.envs.mujoco.hopper_v5 import HopperEnv
from gymnasium.envs.mujoco.walker2d_v5 import Walker2dEnv
from numpy.typing import NDArray

from hybridrl.envs.gap.morphology import reshape
from hybridrl.envs.gap.options import GapOptions

Array = NDArray[np.float64]
Drive = Callable[[Array, int], None]
STATE = mujoco.mjtState.mjSTATE_INTEGRATION


class _Changed:
    """Mixed into a stock environment: loads the changed model, hands controls to ``drive``."""

    def __init__(self, gap: GapOptions, **keywords: Any) -> None:
        self.gap = gap
        self.drive: Drive = self._step_mujoco_simulation  # type: ignore[attr-defined]
        super().__init__(**keywords)

    def _initialize_simulation(self) -> tuple[Any, Any]:
        with quiet_loading():
            if self.gap.morphology:
                spec = mujoco.MjSpec.from_file(self.fullpath)  # type: ignore[attr-defined]
                reshape(spec, self.gap.robot, self.gap.morphology)
                model = spec.compile()
            else:
                model = mujoco.MjModel.from_xml_path(self.fullpath)  # type: ignore[attr-defined]
        vis = model.vis.global_
        vis.offwidth = max(vis.offwidth, self.width)  # type: ignore[attr-defined]
        vis.offheight = max(vis.offheight, self.height)  # type: ignore[attr-defined]
        change_model(model, self.gap)
        return model, mujoco.MjData(model)

    def do_simulation(self, ctrl: Any, n_frames: int) -> None:
        """Where every stock task hands over its controls."""
        self.drive(np.asarray(ctrl), n_frames)


class _HalfCheetah(_Changed, HalfCheetahEnv):
    pass


class _Hopper(_Changed, HopperEnv):
    pass


class _Walker2d(_Changed, Walker2dEnv):
    pass


class _Ant(_Changed, AntEnv):
    pass


ROBOTS: dict[str, Any] = {
    "halfcheetah": _HalfCheetah,
    "hopper": _Hopper,
    "walker2d": _Walker2d,
    "ant": _Ant,
}


def make_robot(options: GapOptions, render_mode: str | None = None) -> Any:
    """The stock environment of a robot with the options' model.

    Args:
        options: ``engine`` is ignored: this is the MuJoCo side.
        render_mode: As the stock environment takes it.
    """
    return ROBOTS[options.robot](options, render_mode=render_mode)


def change_model(model: Any, options: GapOptions) -> None:
    """Apply every factor to a compiled ``mujoco.MjModel``; factors of 1 touch nothing.

    Args:
        model: Changed in place.
        options: Its gravity, friction, gain, damping, mass and joint range.
    """
    driven = driven_joints(model)
    if options.gravity != 1.0:
        model.opt.gravity[:] *= options.gravity
    if options.friction != 1.0:  # all geoms: contacts take the larger of two (h2o.md 7.1)
        model.geom_friction[:] *= options.friction
    if options.gain != 1.0:
        model.actuator_gear[:] *= options.gain
    if options.damping != 1.0:
        model.dof_damping[model.jnt_dofadr[driven]] *= options.damping
    if options.joint_range != 1.0:
        for joint in driven:
            if options.joint_group in model.joint(joint).name:
                model.jnt_range[joint] = narrowed(model.jnt_range[joint], options.joint_range)
    if options.mass != 1.0:
        model.body_mass[:] *= options.mass
        model.body_inertia[:] *= options.mass
        mujoco.mj_setConst(model, mujoco.MjData(model))  # what is derived from masses


def driven_joints(model: Any) -> NDArray[np.int64]:
    """Indices of the joints that an actuator moves, ascending."""
    return np.unique(model.actuator_trnid[:, 0]).astype(np.int64)


def narrowed(bounds: Array, factor: float) -> Array:
    """A joint's range, narrower by a factor (``h2o.md`` 4.3).

    Args:
        bounds: Lower and upper, radians, shape ``(2,)``.
        factor: In (0, 1].

    Returns:
        Both ends times the factor; where zero is outside, the end nearer zero stays and the width
        shrinks.
    """
    low, high = bounds
    if low > 0:
        return np.array([low, low + factor * (high - low)])
    if high < 0:
        return np.array([high - factor * (high - low), high])
    return np.asarray(bounds) * factor


def save_physics(robot: Any) -> dict[str, Array]:
    """Everything that the next step depends on, as arrays.

    Besides MuJoCo's integration state these are the positions and contact forces of the last
    sub-step, which the stock Ant reads before and after a step.
    """
    state = np.empty(mujoco.mj_stateSize(robot.model, STATE))
    mujoco.mj_getState(robot.model, robot.data, state, STATE)
    return {
        "state": state,
        "xpos": robot.data.xpos.copy(),
        "cfrc_ext": robot.data.cfrc_ext.copy(),
    }


def load_physics(robot: Any, saved: dict[str, Array]) -> None:
    """Put back what :func:`save_physics` returned."""
    mujoco.mj_setState(robot.model, robot.data, np.asarray(saved["state"], np.float64), STATE)
    robot.data.xpos[:] = saved["xpos"]
    robot.data.cfrc_ext[:] = saved["cfrc_ext"]


@contextmanager
def quiet_loading() -> Iterator[None]:
    """Loading HalfCheetah warns of an attribute of its file, in a log file too."""
    mujoco.set_mju_user_warning(lambda text: None)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            yield
    finally:
        mujoco.set_mju_user_warning(None)
