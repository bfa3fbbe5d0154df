"""Hybrid A* and its parts: heap, cell table, distance map, bounds, options."""

import math

import numpy as np
import pytest

from hybridrl.envs.parking.scenes import fixed_scene, fixed_scenes
from hybridrl.planners.errors import ScenarioError, UnknownNameError
from hybridrl.planners.grid import distance_map, look_up
from hybridrl.planners.hybrid_astar import HybridAStar
from hybridrl.planners.obstacles import pack
from hybridrl.planners.path import Path
from hybridrl.planners.path_check import check_path
from hybridrl.planners.pose_search import SearchOptions
from hybridrl.planners.reeds_shepp import shortest_path
from hybridrl.planners.results import safe_body
from hybridrl.planners.scenario import Scenario
from hybridrl.planners.search_tree import (
    add_node,
    clear,
    find_row,
    make_tree,
    pop,
    push,
    trace,
)
from hybridrl.planners.smoothing import cost_of
from hybridrl.planners.vehicle import VehicleSpec

CAR = VehicleSpec()
CLASSES = ["normal-bay", "normal-parallel", "complex-bay", "complex-parallel", "extreme-parallel"]


@pytest.fixture(scope="module")
def planner():
    return HybridAStar()


def walls(x0, x1, y0, y1, thick=0.3):
    """Four rectangles around a room."""
    return [
        [(x0 - thick, y0), (x0, y0), (x0, y1), (x0 - thick, y1)],
        [(x1, y0), (x1 + thick, y0), (x1 + thick, y1), (x1, y1)],
        [(x0, y0 - thick), (x1, y0 - thick), (x1, y0), (x0, y0)],
        [(x0, y1), (x1, y1), (x1, y1 + thick), (x0, y1 + thick)],
    ]


def test_the_open_list_gives_nodes_back_in_order_of_their_keys():
    tree = make_tree(2000)
    keys = np.random.default_rng(0).integers(0, 300, 1500).astype(float)
    for node, key in enumerate(keys):
        push(tree, key, node)
    order = [keys[pop(tree)] for _ in keys]
    assert order == sorted(keys)


def test_the_cell_table_finds_every_cell_and_forgets_them_all():
    tree = make_tree(1000)
    cells = np.random.default_rng(1).choice(10**9, 1000, replace=False)
    for i, key in enumerate(cells):
        add_node(tree, find_row(tree, key), key, 0.0, 0.0, 0.0, float(i), 0.0, 1.0, i - 1)
    found = [tree.table_node[find_row(tree, key)] for key in cells]
    assert found == list(range(1000))
    assert trace(tree, 999, np.empty((0, 2))) == 999
    clear(tree)
    assert (tree.table_key == -1).all()


def test_the_distance_map_is_a_lower_bound_and_sees_walls():
    wall = [(4.0, -10.0), (4.5, -10.0), (4.5, 8.0), (4.0, 8.0)]
    bounds = (-10.0, 20.0, -10.0, 20.0)
    around = distance_map((0.0, 0.0), bounds, CAR.body, pack([wall]))
    free = distance_map((0.0, 0.0), bounds, CAR.body, pack([]))
    for x, y in np.random.default_rng(2).uniform(-9, 19, (300, 2)):
        assert look_up(free, x, y) <= math.hypot(x, y)
    # Over the end of the wall, kept half a metre away from it, both ways.
    taut = math.hypot(4.0, 8.0) + 0.5 + math.hypot(3.5, 8.0)
    assert math.hypot(8.0, 0.0) + 5.0 < look_up(around, 8.0, 0.0) < taut + 1.5


def test_the_distance_map_is_infinite_behind_a_closed_wall():
    room = pack(walls(-5.0, 5.0, -5.0, 5.0))
    inside = distance_map((0.0, 0.0), (-20.0, 20.0, -20.0, 20.0), CAR.body, room)
    assert look_up(inside, 15.0, 0.0) == math.inf
    assert look_up(inside, 1.0, 1.0) < 2.0


def test_huge_bounds_get_larger_cells_not_more_memory():
    field = distance_map((0.0, 0.0), (-1e5, 1e5, -1e5, 1e5), CAR.body, pack([]))
    assert field.distance.size < 300_000
    assert look_up(field, 5e4, 0.0) <= 5e4


@pytest.mark.parametrize("name", CLASSES)
def test_every_class_is_solved_cleanly_and_exactly_at_the_goal(planner, name):
    for scenario in fixed_scenes(name, 4):
        result = planner.plan(scenario, budget=2.0)
        check = check_path(result.path, scenario)
        assert check.clean
        assert check.position_error < 1e-6
        assert check.heading_error < 1e-6
        assert result.clearance == check.clearance > 0.0
        assert result.path.length >= shortest_path(
            scenario.start, scenario.goal, CAR.min_radius
        ).length - 1e-9  # fmt: skip


@pytest.mark.parametrize(("name", "seed"), [("complex-parallel", 197), ("extreme-parallel", 159)])
def test_a_grid_that_is_too_coarse_is_refined(planner, name, seed):
    result = planner.plan(fixed_scene(name, seed), budget=5.0)
    assert result.success
    assert result.gear_changes >= 5  # nothing here is a single curve


def test_equal_scenarios_give_equal_paths(planner):
    scenario = fixed_scene("extreme-parallel", 3)
    first, second = planner.plan(scenario, 10.0), planner.plan(scenario, 10.0, seed=5)
    assert first.path.to_json() == second.path.to_json()
    assert first.expansions == second.expansions


def test_both_directions_agree_on_an_easy_scene():
    scenario = fixed_scene("normal-bay", 1)
    costs = [
        cost_of(HybridAStar(direction=way, weight=1.0).plan(scenario, 5.0).path)
        for way in ("backward", "forward")
    ]
    assert costs[0] == pytest.approx(costs[1], abs=0.5)


def test_pulling_out_of_a_slot_is_as_good_as_pulling_in(planner):
    inward = fixed_scene("extreme-parallel", 0)
    outward = Scenario(start=inward.goal, goal=inward.start, obstacles=inward.obstacles)
    result = planner.plan(outward, 5.0)
    assert result.success
    arcs = zip(result.path.curvatures[::-1], -result.path.lengths[::-1], strict=True)
    back = Path.from_arcs(inward.start, arcs)
    assert check_path(back, inward).clean
    assert cost_of(back) == pytest.approx(cost_of(planner.plan(inward, 5.0).path), rel=0.15)


def test_without_obstacles_the_cheapest_reeds_shepp_path_is_found(planner):
    scenario = Scenario(start=(0.0, 0.0, 0.0), goal=(6.0, 4.0, 1.0))
    best = shortest_path(scenario.start, scenario.goal, CAR.min_radius)
    assert cost_of(planner.plan(scenario).path) <= cost_of(best) + 1e-9


def test_a_walled_goal_is_given_up_within_the_budget(planner):
    scenario = Scenario(
        start=(0.0, 0.0, 0.0), goal=(20.0, 0.0, 0.0), obstacles=walls(12.0, 30.0, -6.0, 6.0)
    )
    result = planner.plan(scenario, budget=0.5)
    assert not result.success
    assert math.isnan(result.length)
    assert result.seconds < 1.0
    assert result.info["status"] == "exhausted"


def test_a_reversed_goal_can_only_be_cheaper():
    scenario = fixed_scene("normal-bay", 2)
    nose_out = HybridAStar(weight=1.0).plan(scenario, 5.0)
    either = HybridAStar(weight=1.0, allow_reversed_goal=True).plan(scenario, 5.0)
    assert either.success
    assert cost_of(either.path) <= cost_of(nose_out.path) + 1e-9


def test_a_wanted_clearance_is_kept():
    scenario = fixed_scene("normal-bay", 4)
    body = safe_body(scenario, 0.05)
    kept = CAR.body.rear - body.rear
    result = HybridAStar(clearance=0.05).plan(scenario, 5.0)
    assert result.clearance >= kept - 1e-9
    assert kept == pytest.approx(0.05)


def test_the_rear_axle_stays_inside_tight_bounds(planner):
    scenario = Scenario(
        start=(0.0, 0.0, 0.0), goal=(0.0, 0.0, math.pi), bounds=(-4.0, 4.0, -3.5, 3.5)
    )
    result = planner.plan(scenario, 5.0)
    assert result.success
    sampled = result.path.sample(0.02)
    assert np.abs(sampled[:, 0]).max() <= 4.0
    assert np.abs(sampled[:, 1]).max() <= 3.5


def test_an_overlapping_start_is_refused_by_name(planner):
    block = [(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)]
    scenario = Scenario(start=(0.0, 0.0, 0.0), goal=(9.0, 9.0, 0.0), obstacles=[block])
    with pytest.raises(ScenarioError, match="start"):
        planner.plan(scenario)


@pytest.mark.parametrize(
    "option",
    [
        {"weight": 0.5},
        {"cell": 0.0},
        {"heading_cell": math.nan},
        {"fine": 2.0},
        {"lengths": (1.0, 0.5)},
        {"lengths": ()},
        {"steering": (2.0,)},
        {"radii": (0.5,)},
        {"max_nodes": 10},
    ],
)
def test_bad_options_are_refused_by_name(option):
    with pytest.raises(ScenarioError, match=next(iter(option))):
        SearchOptions(**option)


def test_an_unknown_direction_is_answered_with_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean backward"):
        HybridAStar(direction="backwards")


def test_a_full_memory_ends_the_search_without_a_crash():
    scenario = fixed_scene("extreme-parallel", 159)
    result = HybridAStar(max_nodes=1000).plan(scenario, 5.0)
    assert not result.success
    assert result.info["status"] == "memory"
