"""Scenarios: bit-exact JSON, HOPE's bounds, and errors that name the field and the fix."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridrl.planners.errors import ScenarioError
from hybridrl.planners.scenario import (
    Scenario,
    body_polygon,
    default_bounds,
    load_scenarios,
    require_free,
    save_scenarios,
)
from hybridrl.planners.vehicle import VehicleSpec

SQUARE = [(5.0, -1.0), (7.0, -1.0), (7.0, 1.0), (5.0, 1.0)]
BOW_TIE = [(0.0, 0.0), (2.0, 2.0), (2.0, 0.0), (0.0, 2.0)]
number = st.floats(-1e3, 1e3, allow_subnormal=False)


def plain(**changes):
    return Scenario(**({"start": (0, 0, 0), "goal": (9, 3, 1.5), "obstacles": [SQUARE]} | changes))


def same_bits(a, b):
    return (
        a.start == b.start
        and a.goal == b.goal
        and a.limits == b.limits
        and all(np.array_equal(p, q) for p, q in zip(a.obstacles, b.obstacles, strict=True))
        and (a.id, a.level, a.scene, a.seed) == (b.id, b.level, b.scene, b.seed)
    )


@given(number, number, st.floats(-10, 10), number, number)
def test_poses_and_corners_survive_json_bit_for_bit(x, y, h, u, v):
    ring = [(u, v), (u + 1 / 3, v), (u, v + math.pi)]
    scene = Scenario(start=(x, y, h), goal=(u, v, -h), obstacles=[ring], id="a", seed=3)
    again = Scenario.from_json(json.loads(json.dumps(scene.to_json())))
    assert same_bits(scene, again)


def test_files_hold_scenarios_bit_for_bit(tmp_path):
    van = VehicleSpec(width=2.1)
    scenes = [plain(vehicle=van, id=f"s{i}", level="hard", scene="bay", seed=i) for i in range(3)]
    save_scenarios(tmp_path / "scenes.json", scenes, source="a test")
    again = load_scenarios(tmp_path / "scenes.json")
    assert all(same_bits(a, b) and a.vehicle == van for a, b in zip(scenes, again, strict=True))
    header = json.loads((tmp_path / "scenes.json").read_text())
    assert header["source"] == "a test"
    assert header["units"] == {"length": "metre", "angle": "radian"}
    assert not list(tmp_path.glob("*.partial"))


def test_a_bare_object_is_a_scenario_file(tmp_path):
    (tmp_path / "one.json").write_text('{"start": [0, 0, 0], "goal": [4, 0, 0]}')
    (scene,) = load_scenarios(tmp_path / "one.json")
    assert scene.goal == (4.0, 0.0, 0.0)
    assert scene.obstacles == ()


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("{", "bad.json"),
        ('{"format": "other", "scenarios": []}', "format"),
        ('{"format": "hybridrl-scenarios-1", "scenarios": 3}', "scenarios"),
        ("[]", "scenario"),
        ('{"start": [0, 0, 0]}', "goal"),
        ('{"start": [0, 0, 0], "goal": [1, 0, 0], "obstacle": []}', "obstacle"),
    ],
)
def test_bad_files_are_refused_by_field(tmp_path, text, field):
    (tmp_path / "bad.json").write_text(text)
    with pytest.raises(ScenarioError) as error:
        load_scenarios(tmp_path / "bad.json")
    assert error.value.field.endswith(field)


def test_a_missing_file_and_mixed_vehicles_are_refused(tmp_path):
    with pytest.raises(ScenarioError, match=r"nowhere\.json"):
        load_scenarios(tmp_path / "nowhere.json")
    with pytest.raises(ScenarioError, match="one vehicle"):
        save_scenarios(tmp_path / "x.json", [plain(), plain(vehicle=VehicleSpec(width=2.2))])


def test_bounds_default_to_whole_metres_ten_around_start_and_goal():
    assert default_bounds((0.5, -0.5, 0), (-3.2, 4.9, 1)) == (-14.0, 11.0, -11.0, 15.0)
    assert plain().limits == (-10.0, 19.0, -10.0, 13.0)
    assert plain(bounds=(-1, 10, -1, 4)).limits == (-1.0, 10.0, -1.0, 4.0)


@pytest.mark.parametrize(
    ("changes", "field", "fix"),
    [
        ({"start": (0, math.nan, 0)}, "start", "finite"),
        ({"start": (0, 0)}, "start", "three"),
        ({"goal": "there"}, "goal", "three"),
        ({"goal": (0, 0, math.inf)}, "goal", "finite"),
        ({"start": (50, 0, 0), "bounds": (0, 10, -5, 5)}, "start", "inside the bounds"),
        ({"bounds": (0, 0, 1, 2)}, "bounds", "xmin < xmax"),
        ({"obstacles": [SQUARE, BOW_TIE]}, "obstacles[1]", "does not cross itself"),
        ({"obstacles": [[(0, 0), (1, 1)]]}, "obstacles[0]", "three or more"),
        ({"obstacles": [[(0, 0), (1, 0), (2, 0)]]}, "obstacles[0]", "three or more"),
        ({"obstacles": [[(0, 0), (1, math.nan), (2, 0)]]}, "obstacles[0]", "finite"),
        ({"obstacles": [[(0, 0), (1,)]]}, "obstacles[0]", "corners"),
    ],
)
def test_a_bad_field_is_named_with_its_fix(changes, field, fix):
    with pytest.raises(ScenarioError) as error:
        plain(**changes)
    assert error.value.field == field
    assert fix in str(error.value)


def test_overlapping_poses_are_refused_with_the_obstacle():
    with pytest.raises(ScenarioError, match=r"start is .* overlap obstacles\[0\]"):
        require_free(plain(start=(3, 0, 0)))
    goal_in = plain(goal=(4, 0, 0))
    with pytest.raises(ScenarioError, match=r"goal is .* obstacles\[0\]"):
        require_free(goal_in)
    require_free(goal_in, "start")


def test_a_start_must_not_touch_but_a_goal_may():
    wall = [(3.76, -2.0), (5.0, -2.0), (5.0, 2.0), (3.76, 2.0)]
    with pytest.raises(ScenarioError, match=r"start .* touch obstacles\[0\]"):
        require_free(plain(start=(0, 0, 0), obstacles=[wall]))
    require_free(plain(start=(-5, 0, 0), goal=(0, 0, 0), obstacles=[wall]))


def test_the_body_polygon_is_the_rectangle_around_the_axle():
    box = body_polygon((1.0, 2.0, math.pi / 2), VehicleSpec())
    assert box.area == pytest.approx(4.69 * 1.94)
    assert box.bounds == pytest.approx((1 - 0.97, 2 - 0.93, 1 + 0.97, 2 + 3.76))


def test_obstacles_cannot_be_changed_behind_the_scenario():
    with pytest.raises(ValueError, match="read-only"):
        plain().obstacles[0][0, 0] = 1.0
