"""Scene generation by class name: raw arrays for simulators (``parking.md`` 4)."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hybridrl.envs.parking.scenes.exits import turn_into_exit
from hybridrl.envs.parking.scenes.levels import LotClass, StreetClass, find_class
from hybridrl.envs.parking.scenes.lot import LotParams, make_lot
from hybridrl.envs.parking.scenes.street import StreetParams, make_street
from hybridrl.planners.errors import ScenarioError
from hybridrl.planners.rs_search import default_rule, make_scratch
from hybridrl.planners.vehicle import VehicleSpec

Array = NDArray[np.float64]
DEFAULT_VEHICLE = VehicleSpec()
EXIT_SCENES = 400  # parking scenes drawn for one exit before giving up; a few are enough


class RawScene(NamedTuple):
    """A scene as plain float64 arrays, metres and radians, world frame.

    Args:
        start: Rear axle pose ``(x, y, heading)``.
        goal: Rear axle pose to reach.
        bounds: ``(xmin, xmax, ymin, ymax)`` of the rear axle.
        quads: Filled obstacles, convex and counter-clockwise, shape ``(M, 4, 2)``.
    """

    start: Array
    goal: Array
    bounds: Array
    quads: Array


@lru_cache(maxsize=256)
def scene_params(class_name: str, vehicle: VehicleSpec) -> StreetParams | LotParams:
    """The numbers of a class for a vehicle, as the compiled generators take them.

    Raises:
        UnknownNameError: If no class has that name.
    """
    spec = find_class(class_name)
    if isinstance(spec, StreetClass):
        return _street_params(spec, vehicle)
    assert isinstance(spec, LotClass)
    return _lot_params(spec, vehicle)


def _street_params(spec: StreetClass, vehicle: VehicleSpec) -> StreetParams:
    parallel = spec.scene == "parallel"
    low, high = spec.slack_range(vehicle)
    return StreetParams(
        body=vehicle.body,
        parallel=parallel,
        slack_min=low,
        slack_max=high,
        aisle=spec.aisle,
        far_obstacles=spec.far_obstacles,
        half_length=18.0 if parallel else 15.0,
        further_cars=2 if parallel else 3,
        margin=spec.margin,
    )


def _lot_params(spec: LotClass, vehicle: VehicleSpec) -> LotParams:
    return LotParams(
        body=vehicle.body,
        max_curvature=vehicle.max_curvature,
        stall_slack=spec.stall_slack,
        stall_depth=spec.stall_depth,
        aisle=spec.aisle,
        occupancy=spec.occupancy,
        clearance=spec.clearance,
        distance=spec.distance,
        obstacles=spec.obstacles,
        halfway=spec.halfway,
        margin=spec.margin,
    )


def generate(
    rng: np.random.Generator, class_name: str, vehicle: VehicleSpec = DEFAULT_VEHICLE
) -> RawScene:
    """Draw one scene of a class; start and goal touch nothing.

    Args:
        rng: Source of every draw.
        class_name: A key of ``CLASSES``, in any case.
        vehicle: Who parks: slots and obstacles are sized for it.

    Raises:
        UnknownNameError: If no class has that name.
        ScenarioError: If the vehicle does not fit the class: no free scene was found.
    """
    params = scene_params(class_name, vehicle)
    if isinstance(params, StreetParams):
        raw = RawScene(*make_street(rng, params))
    else:
        raw = RawScene(*make_lot(rng, params))
    if not len(raw.quads):
        raise ScenarioError("vehicle", vehicle, f"a vehicle that fits the class {class_name!r}")
    return raw


def generate_exit(
    rng: np.random.Generator, class_name: str, vehicle: VehicleSpec = DEFAULT_VEHICLE
) -> RawScene:
    """Draw one scene of a class in which the car leaves its slot for a pose in the lane.

    Args:
        rng: Source of every draw.
        class_name: A key of ``CLASSES``, in any case.
        vehicle: Who drives.

    Raises:
        UnknownNameError: If no class has that name.
        ScenarioError: If no scene with a way out was found for the vehicle.
    """
    spec = find_class(class_name)
    params = scene_params(class_name, vehicle)
    if isinstance(params, LotParams):
        params = params._replace(halfway=0.0)  # every start is in a lane
    rule = default_rule(vehicle.min_radius)
    scratch = make_scratch(len(rule.radii))
    for _ in range(EXIT_SCENES):
        made = make_street if isinstance(params, StreetParams) else make_lot
        raw = RawScene(*made(rng, params))  # type: ignore[arg-type]
        if len(raw.quads) and turn_into_exit(
            rng, raw.start, raw.goal, raw.bounds, raw.quads, spec.scene == "bay", spec.margin,
            rule, vehicle.body, scratch,
        ):  # fmt: skip
            return raw
    raise ScenarioError("vehicle", vehicle, f"a vehicle that can leave slots of {class_name!r}")
