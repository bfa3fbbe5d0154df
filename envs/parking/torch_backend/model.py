"""Vehicle and configuration for the torch back end: plain numbers and small tables on a device."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hybridrl.envs.parking.kernels.records import (
    ACTION_SPEED,
    ACTION_STEER,
    DECISION_SECONDS,
    RAY_COS,
    RAY_SIN,
    STEERS,
    SUBSTEPS,
    vehicle_record,
)
from hybridrl.planners.errors import ScenarioError
from hybridrl.planners.vehicle import VehicleSpec

Rows = dict[str, Tensor]  # by the names of ``records.ROW``, environments first


@dataclass(frozen=True, eq=False)
class Model:
    """Everything of vehicle and configuration that stays the same during a run.

    Numbers are Python values, so that a compiler sees constants. Lengths in metres, angles in
    radians; names as in ``records.VEHICLE`` and ``records.CONFIG``.

    Args:
        rear: Back end of the body in the vehicle frame.
        front: Its front end.
        half_width: Half its width.
        center: Axle to the middle of the body.
        wheelbase: Axle distance.
        max_steer: Largest wheel angle.
        full: Length of a full-speed decision.
        reach_radius: Around the axle, of what one decision can touch.
        horizon: Of the mask.
        certified: Contact is exact; else ten samples.
        hope: HOPE's post-processing of the mask.
        shorten: A discrete action drives as far as it is free, without a bump.
        terminate: A collision in the first sub-step ends the episode.
        pose_success: Success is a pose within ``tolerance``; else 95 % overlap.
        tolerance: Lengthwise, sideways, heading.
        max_decisions: Time limit.
        weights: Of the reward terms.
        gears: +1 and -1, shape ``(2, 1)``.
        bends: Curvature magnitude of each steering value, shape ``(21,)``, 1/m.
        sides: +1 left (and straight), -1 right, shape ``(21,)``.
        poses: Sub-step end poses of the 42 motions in the vehicle frame, shape ``(10, 42, 3)``.
        action_steer: Normalised steering of the 42 motions, shape ``(42,)``.
        action_speed: Normalised speed of the 42 motions, shape ``(42,)``.
        outline: Axle to body outline along each ray, shape ``(120,)``.
        ray_cos: Of the ray directions, shape ``(120,)``.
        ray_sin: See ``ray_cos``.
        terminal: Reward of each outcome, shape ``(5,)``.
        steps: 1 to 10, shape ``(10,)``.
        smooth: The five steering values each one is smoothed over, shape ``(21, 5)``.
        edge: 1 at the two extreme steering values of each gear, shape ``(42,)``, int8.
    """

    rear: float
    front: float
    half_width: float
    center: float
    wheelbase: float
    max_steer: float
    full: float
    reach_radius: float
    horizon: float
    certified: bool
    hope: bool
    shorten: bool
    terminate: bool
    pose_success: bool
    tolerance: tuple[float, float, float]
    max_decisions: int
    weights: tuple[float, ...]
    gears: Tensor
    bends: Tensor
    sides: Tensor
    poses: Tensor
    action_steer: Tensor
    action_speed: Tensor
    outline: Tensor
    ray_cos: Tensor
    ray_sin: Tensor
    terminal: Tensor
    steps: Tensor
    smooth: Tensor
    edge: Tensor


def make_model(
    spec: VehicleSpec, config: NDArray[np.void], device: torch.device, dtype: torch.dtype
) -> Model:
    """Numbers and tables of a vehicle and a configuration record.

    Raises:
        ScenarioError: If the configuration asks for what only the numba back end does.
    """
    _require_supported(config)
    vehicle = vehicle_record(spec)
    numbers: dict[str, Any] = {
        name: float(vehicle[name][0])
        for name in (
            "rear", "front", "half_width", "center", "wheelbase", "max_steer", "reach_radius"
        )
    }  # fmt: skip
    for name in ("certified", "hope", "shorten", "terminate", "pose_success"):
        numbers[name] = bool(config[name][0])
    tables: dict[str, Any] = {
        name: torch.as_tensor(table, device=device).to(dtype)
        for name, table in _tables(spec, vehicle, config).items()
    }
    return Model(
        **numbers,
        **tables,
        full=spec.max_speed * DECISION_SECONDS,
        horizon=float(config["horizon"][0]),
        tolerance=tuple(config["tolerance"][0].tolist()),
        max_decisions=int(config["max_decisions"][0]),
        weights=tuple(config["weights"][0].tolist()),
        smooth=torch.as_tensor(_neighbours(), device=device),
        edge=torch.as_tensor(np.tile(np.abs(np.linspace(-1, 1, STEERS)) == 1, 2), device=device).to(
            torch.int8
        ),
    )


def _require_supported(config: NDArray[np.void]) -> None:
    """Refuse what this back end does not do."""
    for name in ("steer_rate", "acceleration"):
        if math.isfinite(config[name][0]):
            raise ScenarioError(
                name, float(config[name][0]), "no limit; rate limits need the numba back end"
            )
    if config["mask_lidar"][0]:
        raise ScenarioError(
            "mask_source", "lidar", "'exact'; the lidar mask needs the numba back end"
        )
    if config["lidar_noise"][0] > 0.0:
        raise ScenarioError(
            "lidar_noise", float(config["lidar_noise"][0]), "0; noise needs the numba back end"
        )


def _tables(
    spec: VehicleSpec, vehicle: NDArray[np.void], config: NDArray[np.void]
) -> dict[str, NDArray[np.floating]]:
    curvature = np.tan(ACTION_STEER * spec.max_steer) / spec.wheelbase
    side = np.where(ACTION_STEER[:STEERS] < -1e-12, -1.0, 1.0)
    steps = np.arange(1.0, SUBSTEPS + 1)
    return {
        "gears": np.array([[1.0], [-1.0]]),
        "bends": np.abs(curvature[:STEERS]) * (np.abs(ACTION_STEER[:STEERS]) > 1e-12),
        "sides": side,
        "poses": _poses(curvature, ACTION_SPEED * config["horizon"] / SUBSTEPS, steps),
        "action_steer": ACTION_STEER,
        "action_speed": ACTION_SPEED,
        "outline": vehicle["outline"][0],
        "ray_cos": RAY_COS,
        "ray_sin": RAY_SIN,
        "terminal": config["terminal"][0],
        "steps": steps,
    }


def _poses(
    curvature: NDArray[np.floating], step: NDArray[np.floating], steps: NDArray[np.floating]
) -> NDArray[np.floating]:
    """End pose of each sub-step of each motion, from the origin, shape ``(10, 42, 3)``."""
    s = steps[:, None] * step
    turn = curvature * s
    chord = s * np.sinc(turn / (2 * math.pi))
    return np.stack([chord * np.cos(turn / 2), chord * np.sin(turn / 2), turn], axis=-1)


def _neighbours() -> NDArray[np.int64]:
    """Indices of the five steering values around each one, reflected at the ends."""
    index = np.arange(STEERS)[:, None] + np.arange(-2, 3)
    return np.asarray(STEERS - 1 - np.abs(STEERS - 1 - np.abs(index)), np.int64)
