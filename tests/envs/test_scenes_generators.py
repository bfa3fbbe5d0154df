"""What every generated scene promises, measured with shapely."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from hybridrl.envs.parking.scenes.generate import RawScene, generate, scene_params
from hybridrl.envs.parking.scenes.levels import CLASSES, StreetClass
from hybridrl.envs.parking.scenes.lot import MAX_STALLS
from hybridrl.envs.parking.scenes.shapes import is_convex_quad, quads_touch, resting_height
from hybridrl.planners.errors import ScenarioError
from hybridrl.planners.scenario import body_polygon
from hybridrl.planners.vehicle import VehicleSpec

CAR = VehicleSpec()
STREETS = [name for name, spec in CLASSES.items() if isinstance(spec, StreetClass)]
VEHICLES = st.builds(
    VehicleSpec,
    wheelbase=st.floats(2.2, 3.4),
    front_overhang=st.floats(0.6, 1.1),
    rear_overhang=st.floats(0.5, 1.2),
    width=st.floats(1.5, 2.1),
)


def scenes(name: str, count: int, seed: int = 0, vehicle: VehicleSpec = CAR) -> list[RawScene]:
    rng = np.random.default_rng(seed)
    return [generate(rng, name, vehicle) for _ in range(count)]


def slot_gap(raw: RawScene, vehicle: VehicleSpec) -> float:
    """Gap to the nearest obstacle on the left plus that on the right of the goal box."""
    goal = body_polygon(raw.goal, vehicle)
    middle = goal.centroid.x
    low = [q for q in raw.quads[1:] if q[:, 1].min() < goal.bounds[3]]
    sides = [[q for q in low if sign * (q[:, 0].mean() - middle) > 0] for sign in (-1, 1)]
    return sum(min(goal.distance(shapely.Polygon(q)) for q in side) for side in sides)


def check_scene(raw: RawScene, vehicle: VehicleSpec) -> None:
    shapes = [shapely.Polygon(quad) for quad in raw.quads]
    start, goal = (body_polygon(pose, vehicle) for pose in (raw.start, raw.goal))
    obstacles = shapely.union_all(shapes)
    assert start.distance(obstacles) > 0.0
    assert goal.distance(obstacles) > 0.0
    assert start.distance(goal) > 0.0
    assert all(shape.exterior.is_ccw for shape in shapes)
    hulls = [shape.convex_hull.area for shape in shapes]
    np.testing.assert_allclose([shape.area for shape in shapes], hulls, rtol=1e-9)
    assert raw.quads.flags.c_contiguous and raw.quads.dtype == np.float64
    assert np.all(np.abs([raw.start[2], raw.goal[2]]) <= np.pi)


@njit(cache=True)
def _draws(rng: np.random.Generator) -> tuple[float, float, float, int, float]:
    return (
        rng.random(),
        rng.uniform(-2.0, 3.0),
        rng.normal(0.1, 0.3),
        rng.integers(0, 7),
        rng.random(),
    )


def test_compiled_draws_are_those_of_numpy() -> None:
    compiled, plain = np.random.default_rng(5), np.random.default_rng(5)
    for _ in range(200):
        expected = getattr(_draws, "py_func", _draws)(plain)
        assert _draws(compiled) == pytest.approx(expected, abs=1e-15)
    assert compiled.bit_generator.state == plain.bit_generator.state


@pytest.mark.parametrize("name", CLASSES)
def test_start_and_goal_are_free_and_quads_are_convex(name: str) -> None:
    for raw in scenes(name, 12 if name == "lot" else 60):
        check_scene(raw, CAR)


@pytest.mark.parametrize("name", STREETS)
def test_the_slack_of_the_slot_lies_in_the_range_of_the_class(name: str) -> None:
    low, high = CLASSES[name].slack_range(CAR)  # type: ignore[attr-defined]
    slacks = [slot_gap(raw, CAR) for raw in scenes(name, 80)]
    assert low - 1e-9 <= min(slacks) and max(slacks) <= high + 1e-9
    assert max(slacks) - min(slacks) > 0.5 * (high - low)


@pytest.mark.parametrize("name", STREETS)
def test_goal_and_start_keep_to_their_ranges(name: str) -> None:
    spec = CLASSES[name]
    assert isinstance(spec, StreetClass)
    parallel = spec.scene == "parallel"
    reach = 9.0 if parallel else 7.5
    for raw in scenes(name, 60):
        box = np.array(body_polygon(raw.goal, CAR).exterior.coords)
        assert 0.1 - 1e-9 <= box[:, 1].min() <= 0.9 + 1e-9
        tilt = raw.goal[2] % np.pi if parallel else raw.goal[2] - np.pi / 2
        assert min(tilt % np.pi, -tilt % np.pi) <= np.pi / 12 + 1e-9
        top = max(q[:, 1].max() for q in raw.quads if q[:, 1].min() < box[:, 1].max()) + 0.1
        assert abs(raw.start[0]) <= reach
        assert top + 1.0 <= raw.start[1] <= top + spec.aisle - 1.0
        if parallel:
            assert np.cos(raw.start[2]) * np.cos(raw.goal[2]) >= 0.0


@pytest.mark.parametrize("name", ["normal-bay", "extreme-parallel"])
def test_beyond_the_aisle_stands_a_wall_or_separate_obstacles(name: str) -> None:
    spec = CLASSES[name]
    assert isinstance(spec, StreetClass)
    half = 15.0 if spec.scene == "bay" else 18.0
    walls, most = 0, 0
    for raw in scenes(name, 150):
        goal_top = np.array(body_polygon(raw.goal, CAR).exterior.coords)[:, 1].max()
        near = [q for q in raw.quads if q[:, 1].min() < goal_top]
        far = [q for q in raw.quads if q[:, 1].min() >= goal_top]
        low = max(q[:, 1].max() for q in near) + 0.1 + spec.aisle
        wall = any(np.ptp(q[:, 0]) == 2 * half for q in far)
        walls += wall
        most = max(most, len(far))
        for i, quad in enumerate(far):
            assert low < quad[:, 1].min() and quad[:, 1].max() < low + 8.0
            assert np.abs(quad[:, 0]).max() <= half
            others = [shapely.Polygon(q) for q in far[:i]]
            assert all(shapely.Polygon(quad).distance(other) > 0 for other in others)
    assert 15 <= walls <= 48  # 150 x 0.2, four standard deviations
    assert 3 <= most <= spec.far_obstacles


def test_neighbours_are_blocks_half_of_the_time_on_either_side() -> None:
    blocks = np.zeros(2)
    for raw in scenes("normal-bay", 300):
        for side, x in enumerate((-15.0, 15.0)):
            blocks[side] += any(x in quad[:, 0] for quad in raw.quads[1:] if quad[0, 1] < 7)
    assert np.all(np.abs(blocks / 300 - 0.5) < 0.15)


def test_of_the_cars_beyond_a_neighbouring_car_seven_in_ten_are_kept() -> None:
    kept = []
    for raw in scenes("normal-bay", 300):
        left = raw.quads[1]
        if left[:, 0].min() > -15.0:
            low = [quad for quad in raw.quads[2:] if quad[0, 1] < 4.0]
            kept.append(sum(quad[:, 0].max() < left[:, 0].max() - 1.0 for quad in low))
    assert np.mean(kept) == pytest.approx(3 * 0.7, abs=0.3) and max(kept) == 3


def test_bounds_are_whole_metres_ten_around_start_and_goal() -> None:
    for raw in scenes("complex-bay", 20):
        low = np.minimum(raw.start, raw.goal)[:2]
        high = np.maximum(raw.start, raw.goal)[:2]
        np.testing.assert_array_equal(raw.bounds[::2], np.floor(low - 10.0))
        np.testing.assert_array_equal(raw.bounds[1::2], np.ceil(high + 10.0))


@settings(max_examples=12, deadline=None, derandomize=True)
@given(vehicle=VEHICLES, name=st.sampled_from(list(CLASSES)))
def test_scenes_of_any_car_are_made_to_its_measure(vehicle: VehicleSpec, name: str) -> None:
    for raw in scenes(name, 2, vehicle=vehicle):
        check_scene(raw, vehicle)
        spec = CLASSES[name]
        if isinstance(spec, StreetClass):
            low, high = spec.slack_range(vehicle)
            assert low - 1e-9 <= slot_gap(raw, vehicle) <= high + 1e-9


def test_a_vehicle_that_does_not_fit_is_refused_in_words() -> None:
    with pytest.raises(ScenarioError, match="fits the class 'lot'"):
        generate(np.random.default_rng(0), "lot", VehicleSpec(wheelbase=12.0))


def test_lots_have_the_statistics_of_the_recorded_one() -> None:
    raws = scenes("lot", 250)
    counts = np.array([len(raw.quads) for raw in raws])
    away = np.array([np.hypot(*(raw.start - raw.goal)[:2]) for raw in raws])
    assert counts.min() >= 60 and counts.max() <= 120 and 70 <= counts.mean() <= 90
    assert away.min() >= 3.0 and away.max() <= 30.0 and 15.0 <= away.mean() <= 18.5
    room = [
        body_polygon(raw.goal, CAR).distance(shapely.union_all(shapely.polygons(raw.quads)))
        for raw in raws[:60]
    ]
    assert min(room) >= 0.1 - 1e-9 and max(room) <= 0.9 + 1e-9 and 0.4 <= np.median(room) <= 0.6


def test_lot_obstacles_reach_into_bounds_twenty_metres_around() -> None:
    for raw in scenes("lot", 20):
        low = np.minimum(raw.start, raw.goal)[:2]
        np.testing.assert_array_equal(raw.bounds[::2], np.floor(low - 20.0))
        xmin, xmax, ymin, ymax = raw.bounds
        x, y = raw.quads[..., 0], raw.quads[..., 1]
        assert np.all((x.max(1) >= xmin) & (x.min(1) <= xmax))
        assert np.all((y.max(1) >= ymin) & (y.min(1) <= ymax))


def test_lots_point_every_way_and_goals_are_nose_in_and_nose_out() -> None:
    headings = np.array([raw.goal[2] for raw in scenes("lot", 200)])
    quarters = np.round(headings / (np.pi / 2)).astype(int) % 4
    assert np.bincount(quarters, minlength=4).min() > 25
    assert scene_params("lot", CAR).margin == 20.0 and MAX_STALLS * 2.4 > 50.0


corner = st.tuples(st.floats(-3, 3), st.floats(-3, 3))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(a=st.lists(corner, min_size=4, max_size=4), b=st.lists(corner, min_size=4, max_size=4))
def test_quads_touch_exactly_where_shapely_finds_contact(a: list, b: list) -> None:
    first, second = np.array(a), np.array(b)
    pair = [shapely.Polygon(quad) for quad in (first, second)]
    for quad, shape in zip((first, second), pair, strict=True):
        convex = shape.is_valid and shape.exterior.is_ccw
        convex = convex and shape.convex_hull.area - shape.area < 1e-12
        if not is_convex_quad(quad):
            return
        assert convex
    distance = pair[0].distance(pair[1])
    if distance > 1e-9 or pair[0].intersection(pair[1]).area > 1e-9:
        assert quads_touch(first, second) == (distance == 0.0)


def test_the_quad_tests_tell_concave_and_clockwise_quads_apart() -> None:
    square = np.array([(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)])
    dart = np.array([(0.0, 0.0), (1.0, 0.0), (0.2, 0.2), (0.0, 1.0)])
    assert is_convex_quad(square)
    assert not is_convex_quad(square[::-1].copy())
    assert not is_convex_quad(dart)
    assert not is_convex_quad(square[[0, 2, 1, 3]])
    assert quads_touch(square, square + 0.9) and quads_touch(square, square + np.array([1.0, 0.0]))
    assert not quads_touch(square, square + 1.1)


def test_a_resting_body_stands_on_the_ground() -> None:
    for heading in np.linspace(-3.0, 3.0, 13):
        height = resting_height(heading, CAR.body)
        box = body_polygon((0.0, height, heading), CAR)
        assert box.bounds[1] == pytest.approx(0.0, abs=1e-12)
