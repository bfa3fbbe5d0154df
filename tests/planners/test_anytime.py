"""The best-of planner: solves every class, beats its parts, keeps to its budget."""

import math

import pytest

from hybridrl.envs.parking.scenes import fixed_scene, fixed_scenes
from hybridrl.planners.anytime import BestOf
from hybridrl.planners.errors import ScenarioError
from hybridrl.planners.hybrid_astar import HybridAStar
from hybridrl.planners.path_check import check_path
from hybridrl.planners.reeds_shepp_shots import AnyReedsShepp
from hybridrl.planners.registry import make_planner
from hybridrl.planners.scenario import Scenario
from hybridrl.planners.smoothing import cost_of

CLASSES = [
    "normal-bay",
    "normal-parallel",
    "complex-bay",
    "complex-parallel",
    "extreme-parallel",
    "extreme-bay",
]


@pytest.fixture(scope="module")
def best_of():
    return BestOf()


@pytest.mark.parametrize("name", CLASSES)
def test_every_class_is_solved_cleanly(best_of, name):
    for scenario in fixed_scenes(name, 3):
        result = best_of.plan(scenario, budget=2.0)
        check = check_path(result.path, scenario)
        assert check.clean
        assert check.position_error < 1e-6
        assert result.clearance > 0.0
        assert 0.0 < result.info["first_seconds"] < result.seconds


def test_it_costs_no_more_than_a_single_curve_or_the_search_alone(best_of):
    curve, search = AnyReedsShepp(), HybridAStar(weight=1.2)
    for scenario in fixed_scenes("normal-bay", 8):
        cost = cost_of(best_of.plan(scenario, 4.0).path)
        for other in (curve.plan(scenario), search.plan(scenario, 4.0)):
            if other.success:
                assert cost <= cost_of(other.path) + 1e-9


def test_the_thorough_search_can_only_gain(best_of):
    quick = BestOf(thorough=False)
    for scenario in fixed_scenes("complex-parallel", 4):
        first, second = quick.plan(scenario, 8.0), best_of.plan(scenario, 8.0)
        assert cost_of(second.path) <= cost_of(first.path) + 1e-9
        assert second.expansions > first.expansions


def test_equal_seeds_give_equal_paths_when_there_is_time(best_of):
    scenario = fixed_scene("complex-parallel", 1)
    one, two = (best_of.plan(scenario, 30.0, seed=2) for _ in range(2))
    assert one.path.to_json() == two.path.to_json()


def test_a_small_budget_is_kept_and_often_enough(best_of):
    results = [best_of.plan(s, budget=0.1) for s in fixed_scenes("normal-bay", 5)]
    assert all(r.seconds < 0.5 for r in results)
    assert sum(r.success for r in results) >= 3


def test_the_other_way_round_can_only_be_cheaper(best_of):
    scenario = fixed_scene("normal-bay", 2)
    either = BestOf(allow_reversed_goal=True).plan(scenario, 8.0)
    assert check_path(either.path, scenario).overlap > 0.999
    assert cost_of(either.path) <= cost_of(best_of.plan(scenario, 8.0).path) + 0.05


def test_a_walled_goal_has_no_path(best_of):
    wall = [(8.0, -30.0), (8.5, -30.0), (8.5, 30.0), (8.0, 30.0)]
    scenario = Scenario(start=(0.0, 0.0, 0.0), goal=(14.0, 0.0, 0.0), obstacles=[wall])
    result = best_of.plan(scenario, budget=0.4)
    assert not result.success
    assert math.isnan(result.clearance)
    assert result.seconds < 0.9


def test_options_reach_both_searches():
    planner = make_planner("best-of", gear_cost=5.0, weight=1.5)
    assert planner.options.gear_cost == 5.0
    scenario = fixed_scene("complex-parallel", 1)
    dear = planner.plan(scenario, 8.0).path
    cheap = BestOf(gear_cost=0.0).plan(scenario, 8.0).path
    assert dear.gear_changes <= cheap.gear_changes
    with pytest.raises(ScenarioError, match="weight"):
        make_planner("best-of", weight=0.0)
