"""PyBullet moves the robot of a MuJoCo task: an engine that is wrong in its own ways."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pybullet
from numpy.typing import NDArray

from hybridrl.envs.gap.robots import driven_joints
from hybridrl.envs.gap.urdf import link_friction, robot_urdf

Array = NDArray[np.float64]
FAR = 100.0  # metres up: a step there makes Bullet forget its contacts


class BulletPhysics:
    """A PyBullet world with a floor and the robot of a MuJoCo model.

    Motors, springs and dampers act as joint torques; contacts, joint limits and integration are
    Bullet's. Positions and velocities are written into the MuJoCo data after each step, where the
    task reads them.

    Args:
        robot: The MuJoCo environment whose ``model`` is rebuilt and whose ``data`` is written.
    """

    def __init__(self, robot: Any) -> None:
        self._robot = robot
        model = robot.model
        self._client = pybullet.connect(pybullet.DIRECT)
        try:
            self._body = self._build(model)
        except Exception:
            self.close()
            raise
        self._joints = list(range(model.njnt))
        self._zero = model.qpos0.copy()
        self._far = FAR * np.eye(model.njnt)[1]  # rootz alone
        self._driven = driven_joints(model)
        order = np.argsort(model.actuator_trnid[:, 0])
        self._order, self._gear = order, model.actuator_gear[order, 0]
        self._stiffness = model.jnt_stiffness[self._driven]
        self._spring = model.qpos_spring[self._driven]
        self._damping = model.dof_damping[self._driven]

    def load(self, qpos: Array, qvel: Array) -> None:
        """Put the robot into a state, with no memory of contacts before it.

        Args:
            qpos: MuJoCo's positions, shape ``(njnt,)``.
            qvel: MuJoCo's velocities, shape ``(njnt,)``.
        """
        self._forget()
        self._place(qpos - self._zero, qvel)

    def step(self, control: Array, frames: int) -> None:
        """Some sub-steps with one control, and the new state into the MuJoCo data.

        Args:
            control: Shape ``(nu,)``, clamped to the actuators' ranges.
            frames: Sub-steps of the model's time step.
        """
        model, data, client = self._robot.model, self._robot.data, self._client
        low, high = model.actuator_ctrlrange.T
        motor = self._gear * np.clip(control, low, high)[self._order]
        driven, wind = self._driven.tolist(), [float(data.qfrc_applied[0])]
        qpos, qvel = data.qpos.copy(), data.qvel.copy()
        for _ in range(frames):
            sag = self._stiffness * (qpos[driven] - self._spring)
            torque = motor - sag - self._damping * qvel[driven]
            pybullet.setJointMotorControlArray(
                self._body,
                [0, *driven],  # rootx takes the wind
                pybullet.TORQUE_CONTROL,
                forces=wind + torque.tolist(),
                physicsClientId=client,
            )
            pybullet.stepSimulation(physicsClientId=client)
            states = pybullet.getJointStates(self._body, self._joints, physicsClientId=client)
            qpos[:] = [state[0] for state in states]
            qpos += self._zero
            qvel[:] = [state[1] for state in states]
        data.qpos[:], data.qvel[:] = qpos, qvel
        data.time += frames * model.opt.timestep

    def show(self) -> None:
        """Let MuJoCo place the bodies where they are now, for a picture."""
        mujoco.mj_kinematics(self._robot.model, self._robot.data)

    def save(self) -> NDArray[np.uint8]:
        """Bullet's whole state, contacts included, as bytes."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "state.bullet"
            pybullet.saveBullet(str(file), physicsClientId=self._client)
            return np.frombuffer(file.read_bytes(), np.uint8).copy()

    def restore(self, saved: NDArray[np.uint8]) -> None:
        """Put back what :meth:`save` returned."""
        self._forget()
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "state.bullet"
            file.write_bytes(np.asarray(saved, np.uint8).tobytes())
            pybullet.restoreState(fileName=str(file), physicsClientId=self._client)

    def close(self) -> None:
        """Disconnect from the physics server; doing it twice is harmless."""
        if pybullet.isConnected(self._client):
            pybullet.disconnect(self._client)

    def _build(self, model: Any) -> int:
        """Make the world and return the robot's number in it."""
        client = self._client
        pybullet.setTimeStep(model.opt.timestep, physicsClientId=client)
        pybullet.setGravity(*model.opt.gravity.tolist(), physicsClientId=client)
        plane = pybullet.createCollisionShape(
            pybullet.GEOM_PLANE, planeNormal=[0, 0, 1], physicsClientId=client
        )
        floor = pybullet.createMultiBody(0, plane, physicsClientId=client)
        pybullet.changeDynamics(floor, -1, lateralFriction=1.0, physicsClientId=client)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "robot.urdf"
            file.write_text(robot_urdf(model), encoding="utf-8")
            body = pybullet.loadURDF(
                str(file),
                useFixedBase=True,
                flags=pybullet.URDF_USE_INERTIA_FROM_FILE,
                physicsClientId=client,
            )
        for joint in range(model.njnt):
            pybullet.changeDynamics(
                body,
                joint,
                linearDamping=0.0,
                angularDamping=0.0,
                jointDamping=0.0,
                maxJointVelocity=1e4,
                physicsClientId=client,
            )
            friction = link_friction(model, joint)  # alone: beside the others it is ignored
            pybullet.changeDynamics(body, joint, lateralFriction=friction, physicsClientId=client)
            pybullet.setJointMotorControl2(
                body, joint, pybullet.VELOCITY_CONTROL, force=0.0, physicsClientId=client
            )
        return int(body)

    def _forget(self) -> None:
        """Drop the contacts of the past, which Bullet would start its solver from."""
        self._place(self._far, np.zeros_like(self._far))
        pybullet.stepSimulation(physicsClientId=self._client)

    def _place(self, positions: Array, velocities: Array) -> None:
        for joint in self._joints:
            pybullet.resetJointState(
                self._body,
                joint,
                positions[joint],
                velocities[joint],
                physicsClientId=self._client,
            )
