"""The vehicle: HOPE's numbers, its JSON, and vehicles that cannot be."""

import json
import math

import pytest

from hybridrl.planners.errors import ScenarioError
from hybridrl.planners.vehicle import VehicleSpec


def test_the_default_vehicle_is_that_of_hope():
    car = VehicleSpec()
    assert car.length == pytest.approx(4.69)
    assert car.body == pytest.approx((-0.93, 3.76, 0.97))
    assert car.min_radius == pytest.approx(3.0056, abs=1e-4)
    assert car.max_curvature == pytest.approx(0.33271, abs=1e-5)
    assert car.circumradius == pytest.approx(2.538, abs=1e-3)
    assert car.center_offset == pytest.approx(1.415)
    assert math.degrees(car.max_steer) == pytest.approx(42.97, abs=0.01)


def test_a_vehicle_survives_json():
    van = VehicleSpec(wheelbase=3.4, rear_overhang=0.0, width=2.1, max_steer=0.6)
    assert VehicleSpec.from_json(json.loads(json.dumps(van.to_json()))) == van
    assert VehicleSpec.from_json({}) == VehicleSpec()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("wheelbase", 0.0),
        ("width", -1.0),
        ("front_overhang", -0.1),
        ("max_speed", math.inf),
        ("max_steer", math.nan),
        ("max_steer", 1.6),
        ("rear_overhang", "long"),
    ],
)
def test_a_vehicle_that_cannot_exist_is_refused_by_field(field, value):
    with pytest.raises(ScenarioError, match=rf"vehicle\.{field} is .*expected") as error:
        VehicleSpec(**{field: value})
    assert error.value.field == f"vehicle.{field}"


def test_unknown_fields_and_other_things_are_refused():
    with pytest.raises(ScenarioError, match=r"vehicle\.weight.*wheelbase"):
        VehicleSpec.from_json({"weight": 1500})
    with pytest.raises(ScenarioError, match="vehicle is 'bus'; expected an object"):
        VehicleSpec.from_json("bus")
