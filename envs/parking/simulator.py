"""The batched parking simulator on the CPU: arrays, loading of scenes, and calls of the kernel."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hybridrl.envs.parking.kernels.batch import Batch, make_batch
from hybridrl.envs.parking.kernels.kernel import begin_many, step_many
from hybridrl.envs.parking.kernels.lidar_mask import NO_TABLE, sector_table
from hybridrl.envs.parking.kernels.records import (
    ACTION_SPEED,
    ACTION_STEER,
    SUBSTEPS,
    vehicle_record,
)
from hybridrl.envs.parking.scenes.generate import RawScene
from hybridrl.envs.parking.vehicles import normalised
from hybridrl.planners.obstacles import Obstacles
from hybridrl.planners.path import Path
from hybridrl.planners.scenario import Scenario
from hybridrl.planners.vehicle import VehicleSpec

Array = NDArray[np.float64]
SPARE_OBSTACLES = 32


class ParkingSimulator:
    """N independent scenes stepped together; knows nothing of Gymnasium.

    Args:
        num_envs: Number of scenes N.
        vehicle: Who drives in all of them.
        config: Record of dtype ``CONFIG`` (:func:`~hybridrl.envs.parking.config.make_config`).
        each: Every scene has a vehicle of its own, which comes with it; all as fast as ``vehicle``.

    Attributes:
        batch: The arrays; ``batch.rows`` holds states and observations by name.
    """

    def __init__(
        self, num_envs: int, vehicle: VehicleSpec, config: NDArray[np.void], each: bool = False
    ) -> None:
        self.num_envs = num_envs
        self.vehicle = vehicle
        self.config = config
        self.batch: Batch
        self.vehicles = np.repeat(vehicle_record(vehicle), num_envs if each else 1)
        self._specs = [vehicle] * len(self.vehicles)
        self._each = each
        by_lidar, horizon = bool(config["mask_lidar"][0]), float(config["horizon"][0])
        self._table = sector_table(vehicle, horizon) if by_lidar else NO_TABLE
        self._make_room(SPARE_OBSTACLES, 4 * SPARE_OBSTACLES)
        self.batch.rows["vehicle"] = normalised(vehicle)

    def load_raw(
        self, i: int, scene: RawScene, label: int = -1, reversible: bool = False,
        leaving: bool = False, vehicle: VehicleSpec | None = None,
    ) -> None:  # fmt: skip
        """Put a generated scene into row ``i``; :meth:`begin` starts it."""
        count = len(scene.quads)
        self._make_room(count, 4 * count)
        _load_quads(self.batch, i, scene.quads)
        self._load_poses(i, scene.start, scene.goal, scene.bounds, label, reversible)
        self.batch.rows["leaving"][i] = leaving
        if self._each:
            self._load_vehicle(i, vehicle or self.vehicle)

    def load(self, i: int, scenario: Scenario, label: int = -1, reversible: bool = False) -> None:
        """Put any scenario into row ``i``; :meth:`begin` starts it."""
        packed: Obstacles = scenario.packed
        count, corners = len(packed.circles), len(packed.vertices)
        self._make_room(count, corners)
        self.batch.vertices[i, :corners] = packed.vertices
        self.batch.offsets[i, : count + 1] = packed.offsets
        self.batch.circles[i, :count] = packed.circles
        self.batch.rows["obstacles"][i] = count
        self._load_poses(
            i, np.array(scenario.start), np.array(scenario.goal), np.array(scenario.limits),
            label, reversible,
        )  # fmt: skip
        self.batch.rows["leaving"][i] = scenario.task == "out"
        if self._each:
            self._load_vehicle(i, scenario.vehicle)

    def vehicle_of(self, i: int) -> VehicleSpec:
        """Who drives in scene ``i``."""
        return self._specs[i % len(self._specs)]

    def begin(self, which: NDArray[np.int64]) -> None:
        """Put the scenes in ``which`` at their starts and observe them."""
        begin_many(self.batch, which, self.vehicles, self.config)

    def step(self, steer: Array, speed: Array, index: NDArray[np.int64]) -> None:
        """One decision in every running scene; see ``kernels.kernel.step_many``."""
        step_many(self.batch, self.vehicles, self.config, steer, speed, index)

    def step_discrete(self, actions: NDArray[np.int64]) -> None:
        """One decision in every scene with motions 0 to 41, shape ``(N,)``."""
        self.step(ACTION_STEER[actions], ACTION_SPEED[actions], actions)

    def step_continuous(self, actions: NDArray[np.floating]) -> None:
        """One decision with normalised ``(steer, speed)`` rows in [-1, 1], shape ``(N, 2)``."""
        clipped = np.clip(actions, -1.0, 1.0).astype(np.float64)
        index = np.full(self.num_envs, -1)
        self.step(clipped[:, 0].copy(), clipped[:, 1].copy(), index)

    def driven_path(self, i: int) -> Path:
        """The path driven in scene ``i`` since it began."""
        arcs = self.batch.trace[i, : self.batch.rows["arcs"][i]]
        start = self.batch.rows["start"][i]
        return Path.from_arcs(tuple(start.tolist()), [(k, s) for k, s in arcs.tolist()])

    def found_path(self, i: int) -> Path | None:
        """The free Reeds-Shepp path found from the present pose of scene ``i``, if any."""
        if self.batch.rows["rs_arcs"][i] == 0:
            return None
        row = self.batch.rows[i]
        arcs = int(row["rs_arcs"])
        pose = (float(row["x"]), float(row["y"]), float(row["heading"]))
        return Path(pose, row["rs_curvature"][:arcs].copy(), row["rs_arc"][:arcs].copy())

    def _load_poses(
        self, i: int, start: Array, goal: Array, bounds: Array, label: int, reversible: bool
    ) -> None:
        row = self.batch.rows[i : i + 1]
        row["start"], row["goal"], row["bounds"] = start, goal, bounds
        row["label"], row["reversible"] = label, reversible

    def _load_vehicle(self, i: int, vehicle: VehicleSpec) -> None:
        """Let a vehicle drive in row ``i``."""
        if vehicle != self._specs[i]:
            self.vehicles[i] = vehicle_record(vehicle)[0]
            self._specs[i] = vehicle
            self.batch.rows["vehicle"][i] = normalised(vehicle)

    def _make_room(self, obstacles: int, corners: int) -> None:
        """Grow the obstacle arrays when a scene has more of them than any before."""
        old = getattr(self, "batch", None)
        if old is not None:
            if obstacles <= old.circles.shape[1] and corners <= old.vertices.shape[1]:
                return
            obstacles = max(2 * obstacles, old.circles.shape[1])
            corners = max(2 * corners, old.vertices.shape[1])
        per_decision = SUBSTEPS if self.config["limited"][0] else 1
        arcs = per_decision * int(self.config["max_decisions"][0]) + 8
        new = make_batch(self.num_envs, obstacles, corners, arcs, self._table)
        if old is not None:
            for name, array in old._asdict().items():
                if name != "table":
                    target = getattr(new, name)
                    target[tuple(slice(0, n) for n in array.shape)] = array
        self.batch = new


@njit(cache=True)
def _load_quads(batch: Batch, i: int, quads: Array) -> None:
    """Copy ``(M, 4, 2)`` convex quads into row ``i`` with their bounding circles."""
    batch.rows[i].obstacles = len(quads)
    for m in range(len(quads)):
        quad = quads[m]
        batch.offsets[i, m + 1] = 4 * (m + 1)
        for k in range(4):
            for axis in range(2):
                batch.vertices[i, 4 * m + k, axis] = quad[k, axis]
        x = 0.5 * (quad[:, 0].min() + quad[:, 0].max())
        y = 0.5 * (quad[:, 1].min() + quad[:, 1].max())
        batch.circles[i, m, 0] = x
        batch.circles[i, m, 1] = y
        batch.circles[i, m, 2] = np.sqrt(((quad[:, 0] - x) ** 2 + (quad[:, 1] - y) ** 2).max())
