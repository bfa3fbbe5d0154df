"""The four scenes on highway-env itself, with drivers that no other scene can change.

An intersection of highway-env writes its driver parameters into the class of the cars, which
would change every other scene of the process. So each scene has car classes of its own, and
nothing here depends on what was constructed before.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from highway_env import utils
from highway_env.envs.common.abstract import AbstractEnv, ConnectedLaneNeighboursMixin
from highway_env.envs.highway_env import HighwayEnv
from highway_env.envs.intersection_env import IntersectionEnv
from highway_env.envs.merge_env import MergeEnv
from highway_env.envs.roundabout_env import RoundaboutEnv
from highway_env.vehicle.behavior import AggressiveVehicle, DefensiveVehicle, IDMVehicle

from hybridrl.envs.driving.config import DRIVERS, DrivingOptions
from hybridrl.envs.driving.names import SCENARIOS
from hybridrl.envs.driving.roads import EGO_START
from hybridrl.planners.errors import UnknownNameError

_BASES = {"stock": IDMVehicle, "aggressive": AggressiveVehicle, "defensive": DefensiveVehicle}


class _Drawn:
    """Makes a car of a style drawn from the road's generator; a subclass names its styles."""

    styles: tuple[Any, ...] = ()

    @classmethod
    def _draw(cls, road: Any) -> Any:
        return cls.styles[road.np_random.integers(len(cls.styles))]

    @classmethod
    def make_on_lane(cls, road: Any, *args: Any, **kwargs: Any) -> Any:
        """A car on a lane."""
        return cls._draw(road).make_on_lane(road, *args, **kwargs)

    @classmethod
    def create_random(cls, road: Any, **kwargs: Any) -> Any:
        """A car behind the last one."""
        return cls._draw(road).create_random(road, **kwargs)


def _silent(base: type) -> Any:
    """A recording-free version of a linear driver: highway-env's keeps every step it drove."""

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        base.__init__(self, *args, **kwargs)  # type: ignore[misc]
        self.collecting_data = False

    return __init__


def _car_classes() -> dict[str, Any]:
    """One class for each scene and style; their names are attributes of this module."""
    classes: dict[str, Any] = {}
    for scenario in SCENARIOS:
        jam, acc, dec = DRIVERS[scenario]
        numbers = {"DISTANCE_WANTED": jam, "COMFORT_ACC_MAX": acc, "COMFORT_ACC_MIN": -dec}
        made = []
        for style, base in _BASES.items():
            name = f"{scenario.capitalize()}{style.capitalize()}Car"
            extra = {} if base is IDMVehicle else {"__init__": _silent(base)}
            body = {**numbers, **extra, "__module__": __name__, "__doc__": f"{style} driver."}
            classes[name] = type(name, (base,), body)
            made.append(classes[name])
        name = f"{scenario.capitalize()}MixedCar"
        classes[name] = type(name, (_Drawn,), {"styles": tuple(made), "__module__": __name__})
    return classes


globals().update(_car_classes())


def car_class(scenario: str, style: str) -> Any:
    """The class of the other drivers of a scene.

    Args:
        scenario: One of the four.
        style: ``stock``, ``aggressive``, ``defensive`` or ``mixed``.
    """
    return globals()[f"{scenario.capitalize()}{style.capitalize()}Car"]


class _NotesLaneChanges:
    """Notes whether the ego's action moved its target lane."""

    changed_lane = False

    def _simulate(self: Any, action: Any = None) -> None:
        act = self.action_type.act

        def noted(value: Any) -> None:
            ego = self.vehicle
            ego.follow_road()
            before = ego.target_lane_index
            act(value)
            self.changed_lane = ego.target_lane_index != before

        self.action_type.act = noted
        super()._simulate(action)  # type: ignore[misc]
        self.action_type.act = act


class HighwayScene(_NotesLaneChanges, HighwayEnv):  # type: ignore[misc]
    """Adaptive cruise: stock traffic, our drivers."""


class MergeScene(_NotesLaneChanges, ConnectedLaneNeighboursMixin, MergeEnv):  # type: ignore[misc]
    """The ego is on the ramp; both main lanes are busy."""

    def _make_vehicles(self) -> None:
        road, rng = self.road, self.np_random
        ramp = road.network.get_lane(EGO_START["merge"])
        ego = self.action_type.vehicle_class(
            road,
            ramp.position(rng.uniform(70.0, 90.0), 0.0),
            ramp.heading_at(0.0),
            rng.uniform(20.0, 30.0),
        )
        road.vehicles.append(ego)
        self.vehicle = ego
        cars = utils.class_from_path(self.config["other_vehicles_type"])
        low, high = self.config["gaps"]
        for lane in range(2):
            x = rng.uniform(0.0, high)
            while x <= 230.0:
                car = cars.make_on_lane(road, ("a", "b", lane), x, rng.uniform(22.0, 28.0))
                car.target_speed = rng.uniform(23.0, 30.0)
                car.randomize_behavior()
                road.vehicles.append(car)
                x += rng.uniform(low, high)


class IntersectionScene(_NotesLaneChanges, ConnectedLaneNeighboursMixin, IntersectionEnv):  # type: ignore[misc]
    """The unprotected left turn of the stock intersection."""


class RoundaboutScene(_NotesLaneChanges, ConnectedLaneNeighboursMixin, RoundaboutEnv):  # type: ignore[misc]
    """The stock roundabout with more cars in the ring."""

    def _make_vehicles(self) -> None:
        super()._make_vehicles()
        rng = self.np_random
        cars = utils.class_from_path(self.config["other_vehicles_type"])
        rings = (("sx", "se"), ("ee", "nx"), ("ne", "wx"))
        for _ in range(self.config["n_extra"]):
            start, end = rings[rng.integers(len(rings))]
            lane = (start, end, int(rng.integers(2)))
            length = self.road.network.get_lane(lane).length
            car = cars.make_on_lane(
                self.road, lane, rng.uniform(0.0, length), 16.0 + 2.0 * rng.normal()
            )
            near = [np.linalg.norm(car.position - other.position) for other in self.road.vehicles]
            if min(near) < 10.0:
                continue
            car.plan_route_to(("exr", "sxr", "nxr")[rng.integers(3)])
            car.randomize_behavior()
            self.road.vehicles.append(car)


_SCENES: dict[str, type[AbstractEnv]] = {
    "highway": HighwayScene,
    "merge": MergeScene,
    "intersection": IntersectionScene,
    "roundabout": RoundaboutScene,
}


def merged(config: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A configuration with nested changes; highway-env itself drops the siblings of a nested key.

    Raises:
        UnknownNameError: If a key is not in the configuration.
    """
    result = dict(config)
    for key, value in changes.items():
        if key not in config:
            raise UnknownNameError("highway-env setting", key, config)
        nested = isinstance(value, dict) and isinstance(config[key], dict)
        result[key] = merged(config[key], value) if nested else value
    return result


def make_scene(options: DrivingOptions, render_mode: str | None = None) -> AbstractEnv:
    """highway-env's environment of a scene, not yet reset by a seed.

    Args:
        options: What scene and traffic.
        render_mode: ``None`` or ``rgb_array``.
    """
    scenario, traffic = options.scenario, options.traffic()
    own: dict[str, dict[str, Any]] = {
        "highway": {
            "vehicles_count": traffic["vehicles"],
            "vehicles_density": traffic["density"],
            "lanes_count": options.lanes,
        },
        "merge": {"gaps": (traffic["gap_low"], traffic["gap_high"])},
        "intersection": {
            "initial_vehicle_count": traffic["vehicles"],
            "spawn_probability": traffic["spawn"],
        },
        "roundabout": {"n_extra": traffic["extra"]},
    }
    changes = {
        **own[scenario],
        "simulation_frequency": options.simulation_frequency,
        "policy_frequency": options.policy_frequency,
        "other_vehicles_type": utils.get_class_path(car_class(scenario, options.driver_style)),
        "action": {"target_speeds": list(options.speeds)},
    }
    kind = _SCENES[scenario]
    stock = kind.default_config()
    stock["action"] = {"target_speeds": None, **stock["action"]}
    stock |= {"gaps": None} if scenario == "merge" else {}
    stock |= {"n_extra": 0} if scenario == "roundabout" else {}
    return kind(config=merged(stock, changes), render_mode=render_mode)


@lru_cache(maxsize=8)
def road_network(scenario: str, lanes: int = 4) -> Any:
    """highway-env's road network of a scenario.

    Args:
        scenario: One of the four.
        lanes: Of the highway.
    """
    return make_scene(DrivingOptions(scenario=scenario, lanes=lanes)).road.network
