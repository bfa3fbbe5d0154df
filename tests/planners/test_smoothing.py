"""Shortcuts: never worse, always clean, and good where the best answer is known."""

import math

import numpy as np
import pytest

from hybridrl.envs.parking.scenes import fixed_scenes
from hybridrl.planners.hybrid_astar import HybridAStar
from hybridrl.planners.path import Path
from hybridrl.planners.path_check import check_path
from hybridrl.planners.reeds_shepp import shortest_path
from hybridrl.planners.scenario import Scenario
from hybridrl.planners.shortcut_kernel import append, make_table, path_cost
from hybridrl.planners.smoothing import cost_of, shortcut
from hybridrl.planners.vehicle import VehicleSpec

CAR = VehicleSpec()
K = CAR.max_curvature


def random_path(seed, n=8):
    """Random arcs with random gears."""
    rng = np.random.default_rng(seed)
    lengths = rng.uniform(0.3, 2.0, n) * rng.choice([-1.0, 1.0], n)
    return Path.from_arcs((0.0, 0.0, 0.0), zip(rng.choice([-K, 0, K], n), lengths, strict=True))


def open_scenario(path):
    return Scenario(start=path.start, goal=path.end, bounds=(-40.0, 40.0, -40.0, 40.0))


@pytest.mark.parametrize("seed", range(6))
def test_in_the_open_a_random_path_becomes_nearly_the_shortest_curve(seed):
    path = random_path(seed)
    scenario = open_scenario(path)
    smooth = shortcut(path, scenario, seconds=5.0, seed=seed)
    best = shortest_path(path.start, path.end, CAR.min_radius)
    assert cost_of(smooth) <= cost_of(best) + 0.05
    assert smooth.end == pytest.approx(path.end, abs=1e-6)
    assert check_path(smooth, scenario).clean


@pytest.mark.parametrize("name", ["normal-bay", "extreme-parallel"])
def test_shortcuts_of_planned_paths_cost_no_more_and_stay_clean(name):
    planner = HybridAStar(weight=3.0)
    gained = 0.0
    for scenario in fixed_scenes(name, 5):
        path = planner.plan(scenario, 2.0).path
        smooth = shortcut(path, scenario, seconds=1.0)
        assert cost_of(smooth) <= cost_of(path)
        assert check_path(smooth, scenario).clean
        gained += cost_of(path) - cost_of(smooth)
    assert gained > 0.1


def test_a_shortcut_never_goes_through_an_obstacle():
    # Out and around a block in the middle of the straight line between start and goal.
    arcs = [(K, math.pi / 2 / K), (-K, math.pi / K), (K, math.pi / 2 / K)]
    path = Path.from_arcs((0.0, 0.0, 0.0), arcs)
    middle = path.end[0] / 2 + CAR.center_offset
    block = [(middle - 0.5, -1.0), (middle + 0.5, -1.0), (middle + 0.5, 1.0), (middle - 0.5, 1.0)]
    blocked = Scenario(start=path.start, goal=path.end, obstacles=[block])
    assert check_path(path, blocked).clean
    around = shortcut(path, blocked, seconds=2.0)
    straight = shortcut(path, Scenario(start=path.start, goal=path.end), seconds=2.0)
    assert check_path(around, blocked).clean
    assert straight.length == pytest.approx(path.end[0], abs=1e-3)
    assert straight.length + 0.05 < around.length <= path.length


def test_equal_seeds_give_equal_paths():
    path = random_path(3, n=12)
    scenario = open_scenario(path)
    one, two = (shortcut(path, scenario, seconds=30.0, seed=4) for _ in range(2))
    assert one.to_json() == two.to_json()


def test_the_gear_cost_decides_between_turning_round_forwards_and_in_three_moves():
    # A turn through 180 degrees in the shape of an omega: 60 to the right, 300 left, 60 right.
    turns = [(-K, math.pi / 3 / K), (K, 5 * math.pi / 3 / K), (-K, math.pi / 3 / K)]
    path = Path.from_arcs((0.0, 0.0, 0.0), turns)
    scenario = open_scenario(path)
    cheap = shortcut(path, scenario, seconds=5.0, gear_cost=0.0)
    dear = shortcut(path, scenario, seconds=5.0, gear_cost=50.0)
    assert dear.gear_changes == 0 < cheap.gear_changes
    assert dear.length > cheap.length + 1.0


def test_the_reverse_cost_makes_the_car_drive_forwards():
    path = Path.from_arcs((0.0, 0.0, 0.0), [(K, -9.0), (-K, -9.0)])
    scenario = open_scenario(path)
    smooth = shortcut(path, scenario, seconds=5.0, reverse_cost=10.0)
    assert cost_of(smooth, reverse_cost=10.0) < cost_of(path, reverse_cost=10.0)
    assert smooth.reverse_length < path.reverse_length


def test_no_time_changes_nothing():
    path = random_path(2)
    assert shortcut(path, open_scenario(path), seconds=0.0) is path


def test_a_path_of_no_length_is_left_alone():
    path = Path.from_arcs((0.0, 0.0, 0.0), [])
    assert shortcut(path, open_scenario(path), seconds=0.1, patience=20) is path


@pytest.mark.parametrize("seed", range(5))
def test_the_compiled_cost_is_the_cost_of_the_path(seed):
    from hybridrl.planners.rs_search import default_rule

    path = random_path(seed)
    table = make_table(20)
    for curvature, length in zip(path.curvatures, path.lengths, strict=True):
        assert append(table, curvature, length)
    rule = default_rule(3.0, gear_cost=0.7, reverse_cost=0.3)
    assert path_cost(table, rule) == pytest.approx(cost_of(path, 0.7, 0.3))
    assert table.knot[table.size[0]] == pytest.approx(path.end)


def test_a_full_table_refuses_another_arc():
    table = make_table(1)
    assert append(table, 0.0, 1.0)
    assert append(table, 0.0, 1.0)  # joined with the first
    assert not append(table, K, 1.0)
