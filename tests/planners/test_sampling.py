"""OMPL's planners with our motions: equal lengths, exact checks, seeds, budgets."""

import math
import sys

import numpy as np
import pytest

from hybridrl.envs.parking.scenes import fixed_scene, fixed_scenes
from hybridrl.planners.errors import ScenarioError
from hybridrl.planners.path import Path
from hybridrl.planners.path_check import check_path
from hybridrl.planners.sampling import RRTConnect, RRTStar, motion_free, shortest_word
from hybridrl.planners.scenario import Scenario
from hybridrl.planners.vehicle import VehicleSpec

base = pytest.importorskip("ompl.base")
CAR = VehicleSpec()


@pytest.fixture(scope="module")
def connect():
    return RRTConnect()


def random_pairs(n, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform((-8, -8, -3.1) * 2, (8, 8, 3.1) * 2, (n, 6))


def test_our_motions_are_as_long_as_those_of_ompl_and_end_at_the_same_pose():
    space = base.ReedsSheppStateSpace(CAR.min_radius)
    a, b = space.allocState(), space.allocState()
    curvature, length = np.empty(5), np.empty(5)
    for pair in random_pairs(400):
        for state, (x, y, heading) in ((a, pair[:3]), (b, pair[3:])):
            state.setXY(x, y)
            state.setYaw(heading)
        ours = shortest_word(*pair, CAR.min_radius, curvature, length)
        assert ours == pytest.approx(space.distance(a, b), abs=1e-6)
        end = Path.from_arcs(pair[:3], zip(curvature, length, strict=True)).end
        assert end[:2] == pytest.approx(pair[3:5], abs=1e-6)
        assert math.cos(end[2] - pair[5]) == pytest.approx(1.0)


def test_a_motion_is_free_exactly_when_its_path_is():
    scenario = fixed_scene("complex-bay", 0)
    scene = (CAR.body, scenario.packed, scenario.limits)
    curvature, length = np.empty(5), np.empty(5)
    answers = []
    for i, pair in enumerate(random_pairs(400, seed=1)):
        pair[3:] = pair[:3] + pair[3:] / 4
        if i % 2:
            pair[:3] = scenario.start
        free = motion_free(*pair, CAR.min_radius, *scene)
        shortest_word(*pair, CAR.min_radius, curvature, length)
        path = Path.from_arcs(pair[:3], zip(curvature, length, strict=True))
        check = check_path(path, scenario, 0.05)
        assert free == (check.free and check.inside)
        answers.append(free)
    assert 20 < sum(answers) < 380


@pytest.mark.parametrize("name", ["normal-bay", "complex-bay"])
def test_rrt_connect_finds_clean_paths_that_end_at_the_goal(connect, name):
    for scenario in fixed_scenes(name, 3):
        result = connect.plan(scenario, budget=4.0)
        check = check_path(result.path, scenario)
        assert check.clean
        assert check.position_error < 1e-5
        assert result.length <= result.info["raw_length"] + result.info["raw_gear_changes"]
        assert result.expansions > 0


def test_equal_seeds_grow_equal_trees(connect):
    scenario = fixed_scene("complex-bay", 2)
    one, two = (connect.plan(scenario, 10.0, seed=3) for _ in range(2))
    assert one.expansions == two.expansions
    assert one.info["raw_length"] == two.info["raw_length"]


def test_rrt_star_uses_its_budget_and_returns_a_clean_path():
    scenario = fixed_scene("normal-bay", 1)
    result = RRTStar().plan(scenario, budget=1.5)
    assert check_path(result.path, scenario).clean
    assert 1.0 < result.seconds < 2.5


def test_a_walled_goal_is_given_up_at_the_end_of_the_budget(connect):
    wall = [(8.0, -9.5), (8.5, -9.5), (8.5, 9.5), (8.0, 9.5)]
    scenario = Scenario(
        start=(0.0, 0.0, 0.0), goal=(14.0, 0.0, 0.0), obstacles=[wall], bounds=(-9, 23, -9, 9)
    )
    result = connect.plan(scenario, budget=0.3)
    assert not result.success
    assert 0.25 < result.seconds < 0.8


def test_an_overlapping_goal_is_refused_by_name(connect):
    block = [(8.0, -1.0), (10.0, -1.0), (10.0, 1.0), (8.0, 1.0)]
    scenario = Scenario(start=(0.0, 0.0, 0.0), goal=(9.0, 0.0, 0.0), obstacles=[block])
    with pytest.raises(ScenarioError, match="goal"):
        connect.plan(scenario)


@pytest.mark.parametrize("option", [{"step": 0.0}, {"smoothing": -1.0}, {"clearance": math.nan}])
def test_bad_options_are_refused_by_name(option):
    with pytest.raises(ScenarioError, match=next(iter(option))):
        RRTConnect(**option)


def test_without_ompl_the_error_names_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "ompl", None)
    with pytest.raises(ImportError, match="pip install ompl"):
        RRTConnect()
