"""The two planners that answer with one Reeds-Shepp curve."""

from __future__ import annotations

import math

import numpy as np
import pytest
import shapely

from hybridrl.planners.errors import ScenarioError
from hybridrl.planners.path_check import check_path
from hybridrl.planners.reeds_shepp import shortest_path
from hybridrl.planners.reeds_shepp_shots import (
    AnyReedsShepp,
    ShortestReedsShepp,
    reversed_goal,
)
from hybridrl.planners.registry import make_planner
from hybridrl.planners.scenario import Scenario, body_polygon
from hybridrl.planners.vehicle import VehicleSpec

START = (0.0, 0.0, 0.0)
SIDE = (0.0, 6.0, 0.0)


def block(x: float, y: float, half: float = 0.5) -> np.ndarray:
    return np.array([(x - half, y - half), (x + half, y - half), (x + half, y + half)])


def test_both_planners_are_registered() -> None:
    assert isinstance(make_planner("rs-shortest"), ShortestReedsShepp)
    assert isinstance(make_planner("rs-any", radii=(1.0,)), AnyReedsShepp)


def test_the_shortest_curve_is_returned_where_it_is_free() -> None:
    scenario = Scenario(start=START, goal=SIDE, obstacles=[block(20.0, 9.0)], bounds=(-30, 30) * 2)
    result = ShortestReedsShepp().plan(scenario)
    assert result.success
    expected = shortest_path(START, SIDE, scenario.vehicle.min_radius)
    assert result.length == pytest.approx(expected.length)
    assert result.expansions == 1
    assert result.planner == "rs-shortest"
    assert 0.0 < result.seconds < 1.0


def test_only_any_word_helps_where_the_shortest_curve_is_blocked() -> None:
    free = Scenario(start=START, goal=SIDE, bounds=(-30, 30) * 2)
    shortest = shortest_path(START, SIDE, free.vehicle.min_radius)
    # A post beside the way of the shortest curve's body, clear of start and goal.
    swept = shapely.union_all([body_polygon(p, free.vehicle) for p in shortest.sample(0.1)])
    ends = [body_polygon(p, free.vehicle).buffer(0.3) for p in (START, SIDE)]
    x, y = swept.difference(shapely.union_all(ends)).representative_point().coords[0]
    scenario = Scenario(start=START, goal=SIDE, obstacles=[block(x, y, 0.05)], bounds=(-30, 30) * 2)
    assert not ShortestReedsShepp().plan(scenario).success
    result = AnyReedsShepp().plan(scenario)
    assert result.success
    assert result.expansions > 1
    assert result.length > shortest.length


def test_a_result_carries_the_clearance_of_its_path() -> None:
    scenario = Scenario(start=START, goal=(6.0, 0.0, 0.0), obstacles=[block(3.0, 3.0)])
    result = AnyReedsShepp().plan(scenario)
    assert result.path is not None
    check = check_path(result.path, scenario)
    assert check.clean
    assert result.clearance == check.clearance
    assert result.clearance == pytest.approx(3.0 - 0.5 - 0.97, abs=1e-6)


def test_no_path_is_reported_through_a_wall() -> None:
    wall = np.array([(7.0, -50.0), (7.5, -50.0), (7.5, 50.0), (7.0, 50.0)])
    scenario = Scenario(start=START, goal=(12.0, 0.0, 0.0), obstacles=[wall])
    for planner in (ShortestReedsShepp(), AnyReedsShepp(allow_reversed_goal=True)):
        result = planner.plan(scenario)
        assert not result.success
        assert math.isnan(result.clearance)


def test_a_larger_radius_may_be_cheaper_than_a_tight_turn() -> None:
    scenario = Scenario(start=START, goal=(9.0, 9.0, math.pi / 2), bounds=(-30, 30) * 2)
    path = AnyReedsShepp(radii=(1.5,), gear_cost=0.0).plan(scenario).path
    assert path is not None
    tight = scenario.vehicle.max_curvature
    assert np.abs(path.curvatures).max() == pytest.approx(tight / 1.5)


@pytest.mark.parametrize("planner", [ShortestReedsShepp, AnyReedsShepp])
def test_a_reversed_goal_is_used_only_when_allowed(planner: type) -> None:
    vehicle = VehicleSpec()
    goal = reversed_goal((8.0, 0.0, 0.0), vehicle)
    scenario = Scenario(start=START, goal=goal, bounds=(-30, 30) * 2)
    exact = planner().plan(scenario)
    either = planner(allow_reversed_goal=True).plan(scenario)
    assert either.path is not None and exact.path is not None
    assert either.path.end == pytest.approx((8.0, 0.0, 0.0))
    assert exact.path.end[:2] == pytest.approx(goal[:2])
    assert either.length < exact.length


def test_the_reversed_goal_covers_the_same_rectangle() -> None:
    vehicle = VehicleSpec()
    pose = (1.0, 2.0, 0.7)
    same = body_polygon(pose, vehicle).symmetric_difference(
        body_polygon(reversed_goal(pose, vehicle), vehicle)
    )
    assert same.area < 1e-9


@pytest.mark.parametrize("planner", [ShortestReedsShepp, AnyReedsShepp])
def test_a_car_that_is_already_parked_has_an_empty_path(planner: type) -> None:
    result = planner().plan(Scenario(start=START, goal=START))
    assert result.success
    assert result.length == 0.0
    assert result.gear_changes == 0.0


@pytest.mark.parametrize("planner", [ShortestReedsShepp, AnyReedsShepp])
def test_a_start_in_an_obstacle_is_refused(planner: type) -> None:
    scenario = Scenario(start=START, goal=SIDE, obstacles=[block(1.0, 0.0)])
    with pytest.raises(ScenarioError, match=r"obstacles\[0\]"):
        planner().plan(scenario)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("radii", ()),
        ("radii", (0.5,)),
        ("radii", (1.0, math.inf)),
        ("gear_cost", -1.0),
        ("reverse_cost", math.nan),
        ("max_length", 0.0),
    ],
)
def test_an_option_that_cannot_be_used_is_refused_by_name(option: str, value: object) -> None:
    with pytest.raises(ScenarioError, match=option):
        AnyReedsShepp(**{option: value})
