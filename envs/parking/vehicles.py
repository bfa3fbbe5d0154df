"""A range of vehicles: who drives is drawn anew for every scene, and told to the agent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from hybridrl.planners.errors import ScenarioError, UnknownNameError
from hybridrl.planners.vehicle import VehicleSpec

# What varies, in the order of the observation; the speed is one for all, as the mask's reach is.
VARIED = ("wheelbase", "front_overhang", "rear_overhang", "width", "max_steer")


@dataclass(frozen=True)
class VehicleRange:
    """Every vehicle between two, each number drawn by itself.

    Args:
        low: Smallest value of each field in ``VARIED``, metres and radians.
        high: Largest value of each.

    Raises:
        ScenarioError: If a field of ``low`` is above that of ``high``, or the speeds differ.
    """

    low: VehicleSpec
    high: VehicleSpec

    def __post_init__(self) -> None:
        """Refuse bounds in the wrong order, and two speeds."""
        for name in VARIED:
            low, high = getattr(self.low, name), getattr(self.high, name)
            if low > high:
                raise ScenarioError(f"vehicles[0].{name}", low, f"at most vehicles[1]'s {high}")
        if self.low.max_speed != self.high.max_speed:
            raise ScenarioError(
                "vehicles[1].max_speed", self.high.max_speed, f"vehicles[0]'s {self.low.max_speed}"
            )

    def draw(self, rng: np.random.Generator) -> VehicleSpec:
        """One of them; each number uniform in its interval."""
        numbers = {
            name: float(rng.uniform(getattr(self.low, name), getattr(self.high, name)))
            for name in VARIED
        }
        return VehicleSpec(**numbers, max_speed=self.low.max_speed)

    def __contains__(self, vehicle: VehicleSpec) -> bool:
        """Whether every number of a vehicle is within the bounds."""
        inside = all(
            getattr(self.low, name) <= getattr(vehicle, name) <= getattr(self.high, name)
            for name in VARIED
        )
        return inside and vehicle.max_speed == self.low.max_speed

    def to_json(self) -> list[dict[str, float]]:
        """Both bounds as JSON objects: a value of the keyword ``vehicles``."""
        return [asdict(self.low), asdict(self.high)]


# From a small city car to a long saloon; HOPE's car lies inside.
STANDARD = VehicleRange(
    VehicleSpec(
        wheelbase=2.40, front_overhang=0.75, rear_overhang=0.65, width=1.70, max_steer=0.65
    ),
    VehicleSpec(
        wheelbase=3.10, front_overhang=1.05, rear_overhang=1.15, width=2.05, max_steer=0.80
    ),
)
RANGES = {"range": STANDARD}


def find_range(value: object) -> VehicleRange | None:
    """What the keyword ``vehicles`` means.

    Args:
        value: ``None`` (one vehicle), a name of :data:`RANGES`, a :class:`VehicleRange`, or two
            vehicles (or their JSON objects): smallest and largest.

    Raises:
        UnknownNameError: If no range has that name.
        ScenarioError: If it is none of these.
    """
    if value is None or isinstance(value, VehicleRange):
        return value
    if isinstance(value, str):
        if value.lower() not in RANGES:
            raise UnknownNameError("range of vehicles", value, RANGES)
        return RANGES[value.lower()]
    if not isinstance(value, Sequence) or len(value) != 2:
        raise ScenarioError("vehicles", value, "'range', or the smallest and the largest vehicle")
    return VehicleRange(
        *(v if isinstance(v, VehicleSpec) else VehicleSpec.from_json(v) for v in value)
    )


def normalised(vehicle: VehicleSpec) -> NDArray[np.float32]:
    """The numbers of a vehicle as the agent sees them: -1 and 1 are the bounds of ``STANDARD``.

    The scale is the same for every range, so that a policy means the same vehicle by it anywhere.

    Returns:
        One number for each of ``VARIED``, shape ``(5,)``.
    """
    return np.array([_share(vehicle, name) for name in VARIED], np.float32)


def _share(vehicle: VehicleSpec, name: str) -> float:
    low, high = getattr(STANDARD.low, name), getattr(STANDARD.high, name)
    return float((2.0 * getattr(vehicle, name) - low - high) / (high - low))
