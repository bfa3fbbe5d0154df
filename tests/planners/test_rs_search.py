"""The first free Reeds-Shepp word against brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
import shapely
from numba import njit
from numba.core.runtime import _nrt_python, rtsys
from numpy.typing import NDArray

from hybridrl.planners.obstacles import Obstacles
from hybridrl.planners.path import Path
from hybridrl.planners.path_check import check_path
from hybridrl.planners.reeds_shepp import all_paths
from hybridrl.planners.rs_search import (
    Scratch,
    SearchRule,
    default_rule,
    find_free,
    hope_rule,
    make_scratch,
)
from hybridrl.planners.scenario import Scenario, body_polygon
from hybridrl.planners.vehicle import Body, VehicleSpec

VEHICLE = VehicleSpec()
RADIUS = VEHICLE.min_radius
GOAL = (0.0, 1.4, math.pi / 2)
WIDE = (-100.0, 100.0, -100.0, 100.0)


def bay(slack: float) -> list[NDArray[np.float64]]:
    """A back wall, three parked cars on either side of the goal, and a wall across the aisle."""
    rings = [np.array([(-15.0, -1.0), (15.0, -1.0), (15.0, 0.0), (-15.0, 0.0)])]
    for side in (-1, 1):
        for i in range(3):
            x = side * (VEHICLE.width + slack / 2 + 2.5 * i)
            box = body_polygon((x, 1.3, math.pi / 2), VEHICLE)
            rings.append(np.array(box.exterior.coords)[:-1])
    rings.append(np.array([(-15.0, 13.0), (15.0, 13.0), (15.0, 13.2), (-15.0, 13.2)]))
    return rings


def scenarios(n: int, seed: int) -> list[Scenario]:
    """Free starts on the aisle of one bay scene, some of them close to the goal."""
    rng = np.random.default_rng(seed)
    rings = bay(1.0)
    walls = shapely.union_all([shapely.Polygon(r) for r in rings])
    found: list[Scenario] = []
    while len(found) < n:
        heading = rng.normal(0.0, 0.8) + math.pi / 2 * rng.integers(4)
        start = (rng.uniform(-7.0, 7.0), rng.uniform(1.5, 11.0), heading)
        if not walls.intersects(body_polygon(start, VEHICLE)):
            bounds = (-12.0, 12.0, -2.0, 11.5)
            found.append(Scenario(start=start, goal=GOAL, obstacles=rings, bounds=bounds))
    return found


def search(
    scenario: Scenario, rule: SearchRule, scratch: Scratch, same_scene: bool = False
) -> Path | None:
    k, s = np.zeros(5), np.zeros(5)
    n = find_free(
        *scenario.start,
        *scenario.goal,
        rule,
        scenario.vehicle.body,
        scenario.packed,
        scenario.limits,
        same_scene,
        k,
        s,
        scratch,
    )
    return Path(scenario.start, k[:n].copy(), s[:n].copy()) if n else None


def usable(path: Path, scenario: Scenario) -> bool:
    check = check_path(path, scenario, 0.05)
    return check.free and check.inside


def hope_by_hand(scenario: Scenario) -> Path | None:
    """``parking.md`` 11.3, word by word."""
    paths = all_paths(scenario.start, scenario.goal, RADIUS)
    for tested, path in enumerate(paths):
        if path.length > 1.6 * paths[0].length and tested >= 2:
            return None
        if usable(path, scenario):
            return path
    return None


def cost(path: Path, rule: SearchRule) -> float:
    return (
        path.length + rule.gear_cost * path.gear_changes + rule.reverse_cost * path.reverse_length
    )


def cheapest_by_hand(scenario: Scenario, rule: SearchRule) -> float:
    """Cost of the best free word over all radii; infinite without one."""
    paths = [p for r in rule.radii for p in all_paths(scenario.start, scenario.goal, float(r))]
    costs = [cost(p, rule) for p in paths if p.length <= rule.max_length and usable(p, scenario)]
    return min(costs, default=math.inf)


def test_the_hope_rule_finds_what_the_published_rule_finds() -> None:
    scratch, rule = make_scratch(1), hope_rule(RADIUS)
    found = 0
    for scenario in scenarios(80, 1):
        expected, path = hope_by_hand(scenario), search(scenario, rule, scratch)
        assert (path is None) == (expected is None)
        if path is not None and expected is not None:
            found += 1
            assert path.length == pytest.approx(expected.length, abs=1e-9)
    assert 5 < found < 75


@pytest.mark.parametrize("reverse_cost", [0.0, 0.5])
def test_the_default_rule_finds_the_cheapest_free_word(reverse_cost: float) -> None:
    rule = default_rule(RADIUS, reverse_cost=reverse_cost)
    scratch = make_scratch(len(rule.radii))
    found = 0
    for scenario in scenarios(50, 2):
        path = search(scenario, rule, scratch)
        found += path is not None
        best = math.inf if path is None else cost(path, rule)
        assert best == pytest.approx(cheapest_by_hand(scenario, rule), abs=1e-6)
    assert 5 < found < 45


def test_found_paths_touch_nothing_and_park() -> None:
    rule = default_rule(RADIUS)
    scratch = make_scratch(len(rule.radii))
    for scenario in scenarios(40, 3):
        path = search(scenario, rule, scratch)
        if path is None:
            continue
        assert check_path(path, scenario).clean
        swept = [body_polygon(pose, VEHICLE) for pose in path.sample(0.05)]
        walls = shapely.union_all([shapely.Polygon(r) for r in scenario.obstacles])
        assert not any(walls.intersects(box) for box in swept)


def test_segments_are_neither_empty_nor_split() -> None:
    rule = default_rule(RADIUS)
    scratch = make_scratch(len(rule.radii))
    for scenario in scenarios(40, 4):
        path = search(scenario, rule, scratch)
        if path is None:
            continue
        assert np.abs(path.lengths).min() > 1e-9
        same = (np.diff(path.curvatures) == 0.0) & (np.diff(np.sign(path.lengths)) == 0.0)
        assert not same.any()


def test_what_is_known_of_the_scene_changes_no_answer() -> None:
    rule = default_rule(RADIUS)
    fresh, kept = make_scratch(len(rule.radii)), make_scratch(len(rule.radii))
    for i, scenario in enumerate(scenarios(40, 5)):
        a, b = search(scenario, rule, fresh), search(scenario, rule, kept, same_scene=i > 0)
        assert (a is None) == (b is None)
        if a is not None and b is not None:
            assert np.array_equal(a.lengths, b.lengths)


def test_a_new_scene_is_looked_at_again() -> None:
    free = Scenario(start=(0.0, 0.0, 0.0), goal=(8.0, 0.0, 0.0), bounds=WIDE)
    wall = np.array([(4.5, -40.0), (5.5, -40.0), (5.5, 40.0), (4.5, 40.0)])
    closed = Scenario(start=free.start, goal=free.goal, obstacles=[wall], bounds=WIDE)
    scratch, rule = make_scratch(1), hope_rule(RADIUS)
    path = search(free, rule, scratch)
    assert path is not None and path.lengths.tolist() == pytest.approx([8.0])
    assert search(closed, rule, scratch) is None
    assert search(free, rule, scratch) is not None


@pytest.mark.parametrize("seed", [6, 7])
def test_the_axle_stays_inside_tight_bounds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scratch, rule = make_scratch(1), default_rule(RADIUS, radii=(1.0,))
    bounds = (-4.0, 4.0, -4.0, 4.0)
    refused = 0
    for _ in range(100):
        start = (*rng.uniform(-3.5, 3.5, 2), rng.uniform(-math.pi, math.pi))
        scenario = Scenario(start=start, goal=(1.0, 0.5, 0.3), bounds=bounds)
        inside = [
            p
            for p in all_paths(scenario.start, scenario.goal, RADIUS)
            if np.abs(p.sample(0.01)[:, :2]).max() <= 4.0
        ]
        refused += len(inside) < len(all_paths(scenario.start, scenario.goal, RADIUS))
        path = search(scenario, rule, scratch)
        assert (path is None) == (not inside)
        if path is not None:
            assert cost(path, rule) == pytest.approx(min(cost(p, rule) for p in inside))
    assert refused > 50


def test_longer_words_than_the_cap_are_left_out() -> None:
    scenario = Scenario(start=(0.0, 0.0, 0.0), goal=(20.0, 3.0, 0.0), bounds=WIDE)
    scratch = make_scratch(1)
    shortest = all_paths(scenario.start, scenario.goal, RADIUS)[0].length
    for cap, expected in ((shortest - 1e-6, False), (shortest + 1e-6, True)):
        rule = default_rule(RADIUS, radii=(1.0,), max_length=cap)
        assert (search(scenario, rule, scratch) is not None) == expected


def test_the_gear_cost_trades_length_for_changes_of_direction() -> None:
    scenario = Scenario(start=(0.0, 0.0, 0.0), goal=(0.0, 2.0, 0.0), bounds=WIDE)
    scratch = make_scratch(1)
    changes, lengths = [], []
    for gear_cost in (0.0, 100.0):
        rule = default_rule(RADIUS, radii=(1.0,), gear_cost=gear_cost)
        path = search(scenario, rule, scratch)
        assert path is not None
        changes.append(path.gear_changes)
        lengths.append(path.length)
    assert changes[0] > changes[1]
    assert lengths[0] < lengths[1]


def test_a_start_that_is_the_goal_needs_no_segment() -> None:
    scenario = Scenario(start=GOAL, goal=GOAL, bounds=WIDE)
    scratch = make_scratch(1)
    assert search(scenario, hope_rule(RADIUS), scratch) is None
    assert scratch.tested[0] == 1


@njit
def _repeat(
    times: int, start: tuple[float, float, float], goal: tuple[float, float, float],
    rule: SearchRule, body: Body, obstacles: Obstacles, bounds: tuple[float, ...],
    k: NDArray[np.float64], s: NDArray[np.float64], scratch: Scratch,
) -> int:  # fmt: skip
    total = 0
    for _ in range(times):
        total += find_free(*start, *goal, rule, body, obstacles, bounds, False, k, s, scratch)
    return total


def test_a_search_allocates_nothing() -> None:
    scenario = scenarios(1, 8)[0]
    rule, k, s = default_rule(RADIUS), np.zeros(5), np.zeros(5)
    rest = (rule, VEHICLE.body, scenario.packed, scenario.limits, k, s, make_scratch(3))
    _repeat(1, scenario.start, scenario.goal, *rest)
    _nrt_python.memsys_enable_stats()
    counts = []
    for times in (1, 100):
        before = rtsys.get_allocation_stats().mi_alloc
        _repeat(times, scenario.start, scenario.goal, *rest)
        counts.append(rtsys.get_allocation_stats().mi_alloc - before)
    _nrt_python.memsys_disable_stats()
    assert counts[0] == counts[1]
