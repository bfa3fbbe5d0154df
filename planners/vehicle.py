"""The vehicle: dimensions and limits that every planner and environment takes as data."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from hybridrl.planners.errors import ScenarioError


class Body(NamedTuple):
    """Body rectangle in the vehicle frame (metres; origin at the centre of the rear axle).

    A plain tuple of floats, so that compiled kernels take it as it is.
    """

    rear: float
    front: float
    half_width: float


@dataclass(frozen=True, kw_only=True)
class VehicleSpec:
    """A car-like vehicle, described at the centre of its rear axle.

    Defaults are those of HOPE (arXiv 2405.20579, section on the vehicle model).

    Args:
        wheelbase: Axle distance, metres.
        front_overhang: Front axle to front bumper, metres.
        rear_overhang: Rear bumper to rear axle, metres.
        width: Body width, metres.
        max_steer: Largest wheel angle to either side, radians, in (0, pi/2).
        max_speed: Largest speed in both gears, m/s.

    Raises:
        ScenarioError: If a dimension is not finite and positive (overhangs: not negative).
    """

    wheelbase: float = 2.80
    front_overhang: float = 0.96
    rear_overhang: float = 0.93
    width: float = 1.94
    max_steer: float = 0.75
    max_speed: float = 2.5

    def __post_init__(self) -> None:
        """Refuse a vehicle that cannot exist, naming the field."""
        for name, value in asdict(self).items():
            low = 0.0 if name.endswith("overhang") else 1e-3
            if not (isinstance(value, int | float) and math.isfinite(value) and value >= low):
                raise ScenarioError(
                    f"vehicle.{name}", value, "a finite number of metres, radians or m/s above 0"
                )
        if self.max_steer >= math.pi / 2:
            raise ScenarioError("vehicle.max_steer", self.max_steer, "radians below pi/2")
        if self.min_radius <= self.width / 2:
            raise ScenarioError(
                "vehicle.max_steer", self.max_steer, "a turning radius of more than half the width"
            )

    @property
    def length(self) -> float:
        """Body length, metres."""
        return self.rear_overhang + self.wheelbase + self.front_overhang

    @property
    def body(self) -> Body:
        """Body rectangle in the vehicle frame."""
        return Body(-self.rear_overhang, self.wheelbase + self.front_overhang, self.width / 2)

    @property
    def max_curvature(self) -> float:
        """Largest path curvature of the rear axle, 1/m."""
        return math.tan(self.max_steer) / self.wheelbase

    @property
    def min_radius(self) -> float:
        """Smallest turning radius of the rear axle, metres."""
        return 1.0 / self.max_curvature

    @property
    def center_offset(self) -> float:
        """Distance from the rear axle forward to the centre of the body, metres."""
        return (self.body.front + self.body.rear) / 2

    @property
    def circumradius(self) -> float:
        """Radius of the circle around the body's centre that holds the body, metres."""
        return math.hypot(self.length / 2, self.width / 2)

    def to_json(self) -> dict[str, float]:
        """The constructor's arguments as a JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Any) -> VehicleSpec:
        """Read a JSON object.

        Raises:
            ScenarioError: If ``data`` is no object or has a field that a vehicle does not have.
        """
        if not isinstance(data, dict):
            raise ScenarioError("vehicle", data, "an object with the fields of VehicleSpec")
        unknown = sorted(set(data) - set(cls.__dataclass_fields__))
        if unknown:
            raise ScenarioError(
                f"vehicle.{unknown[0]}",
                data[unknown[0]],
                f"one of the fields {', '.join(cls.__dataclass_fields__)}",
            )
        return cls(**data)
