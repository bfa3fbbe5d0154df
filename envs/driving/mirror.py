"""A highway-env world as the simulator's arrays: one description for both back ends."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridrl.envs.driving.kernels.records import EGO, IDM, LINEAR, OBSTACLE
from hybridrl.envs.driving.roads import RoadTable


def mirror(scene: Any, table: RoadTable, cars: NDArray[Any], row: Any) -> None:
    """Copy every car of a highway-env world into records.

    Args:
        scene: highway-env's environment.
        table: The lanes of the same scene.
        cars: Written: records of at least as many cars as there are.
        row: Written: number of cars, which is the ego, its set-point, simulation steps.
    """
    things = [*scene.road.vehicles, *scene.road.objects]
    cars[:] = np.zeros(1, cars.dtype)[0]
    row["n"] = len(things)
    for i, thing in enumerate(things):
        _copy(cars[i], thing, table)
        if thing is scene.vehicle:
            row["ego"] = i
            cars[i]["kind"] = EGO
            row["speed_index"] = int(thing.speed_index)
    row["ticks"] = getattr(scene.road, "steps", scene.steps)


def _copy(car: Any, thing: Any, table: RoadTable) -> None:
    car["x"], car["y"] = thing.position
    car["heading"], car["speed"] = thing.heading, thing.speed
    car["cos"], car["sin"] = np.cos(thing.heading), np.sin(thing.heading)
    car["crashed"] = thing.crashed
    car["lane"] = car["target"] = table.numbers[thing.lane_index]
    car["fixed"] = -1
    if not hasattr(thing, "target_lane_index"):
        car["kind"] = OBSTACLE
        return
    linear = hasattr(thing, "ACCELERATION_PARAMETERS")
    car["kind"] = LINEAR if linear else IDM
    car["target"] = table.numbers[_known(thing.target_lane_index)]
    car["target_speed"] = thing.target_speed
    car["steering"] = thing.action["steering"]
    car["acceleration"] = thing.action["acceleration"]
    if thing.impact is not None:
        car["impacted"] = True
        car["impact_x"], car["impact_y"] = thing.impact
    if hasattr(thing, "DELTA"):
        car["timer"], car["delta"] = thing.timer, thing.DELTA
        car["gain"] = thing.LANE_CHANGE_MIN_ACC_GAIN
        car["headway"] = thing.TIME_WANTED
    if linear:
        car["pull"], car["steer"] = thing.ACCELERATION_PARAMETERS, thing.STEERING_PARAMETERS
    car["yielding"] = getattr(thing, "is_yielding", False)
    _copy_route(car, thing.route, table)


def _copy_route(car: Any, route: Any, table: RoadTable) -> None:
    car["routed"] = route is not None
    for k, (start, end, number) in enumerate(route or ()):
        car["route"][k] = table.numbers[(start, end, 0)]
        if k == 0 and number is not None:
            car["fixed"] = number
    car["route_end"] = len(route or ())


def _known(index: Any) -> tuple[str, str, int]:
    start, end, number = index
    return start, end, int(number)
