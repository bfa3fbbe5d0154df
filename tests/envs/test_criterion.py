"""The difficulty criterion against plain shapely, by hand and on generated scenes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hybridrl.envs.parking.scenes import fixed_scenes
from hybridrl.envs.parking.scenes.criterion import criterion, criterion_of, smallest_rectangle
from hybridrl.envs.parking.scenes.generate import generate
from hybridrl.envs.parking.scenes.levels import CLASSES
from hybridrl.planners.scenario import body_polygon
from hybridrl.planners.vehicle import VehicleSpec

CAR = VehicleSpec()
LENGTH, WIDTH = CAR.length, CAR.width
Rings = list[NDArray[np.float64]]


def in_frame(pose: NDArray[np.float64], u: float, v: float) -> tuple[float, float]:
    c, s = math.cos(pose[2]), math.sin(pose[2])
    return pose[0] + c * u - s * v, pose[1] + s * u + c * v


def neighbours(goal: NDArray[np.float64], rings: Rings) -> list[int | None]:
    body = CAR.body
    middle = CAR.center_offset
    points = [
        (middle, body.half_width), (middle, -body.half_width), (body.front, 0.0), (body.rear, 0.0),
    ]  # fmt: skip
    found: list[int | None] = []
    for u, v in points:
        point = shapely.Point(in_frame(goal, u, v))
        gaps = {
            m: shapely.LinearRing(ring).distance(point)
            for m, ring in enumerate(rings)
            if m not in found
        }
        near = min(gaps, key=lambda m: gaps[m], default=None)
        found.append(near if near is not None and gaps[near] < LENGTH / 2 else None)
    return found


def reference(start: NDArray[np.float64], goal: NDArray[np.float64], rings: Rings) -> str:
    """Section 5 word by word, in shapely."""
    if len(rings) <= 1:
        return "normal"
    box = body_polygon(goal, CAR)
    sides = neighbours(goal, rings)
    left, right, front, rear = sides

    def gap(m: int | None) -> float:
        assert m is not None
        return box.distance(shapely.Polygon(rings[m]))

    beside, along = left is not None and right is not None, front is not None and rear is not None

    def width_ok(w: float) -> bool:
        return not beside or gap(left) + gap(right) + WIDTH >= w

    def length_ok(value: float) -> bool:
        return not along or gap(front) + gap(rear) + LENGTH >= value

    away = math.dist(start[:2], goal[:2])
    tight = not length_ok(1.25 * LENGTH) or not width_ok(WIDTH + 0.85)
    if (away > 30 and tight) or not length_ok(min(1.2 * LENGTH, LENGTH + 0.9)):
        return "extreme"
    body = CAR.body
    if beside and front is None:
        hard = away > 15 or not width_ok(WIDTH + 0.85)
        points = [(body.front + a, v * body.half_width) for a in (0.2, 6.5) for v in (-1, 1)]
        hull = [in_frame(goal, *point) for point in points] + [tuple(start[:2])]
        others = [ring for m, ring in enumerate(rings) if m not in (left, right)]
    elif along:
        hard = away > 15 or not length_ok(1.25 * LENGTH)
        offset = np.array(start[:2]) - np.array(goal[:2])
        side = 1 if -math.sin(goal[2]) * offset[0] + math.cos(goal[2]) * offset[1] >= 0 else -1
        ends = (body.front, body.rear)
        points = [(u, side * (body.half_width + a)) for a in (0.2, 4.0) for u in ends]
        hull = [in_frame(goal, *point) for point in points] + [tuple(start[:2])]
        hull += list(body_polygon(start, CAR).exterior.coords)
        others = [ring for m, ring in enumerate(rings) if m not in (front, rear)]
    else:
        return "complex" if beside else "normal"
    room = shapely.oriented_envelope(shapely.MultiPoint(hull))
    hard = hard or any(room.intersects(shapely.Polygon(ring)) for ring in others)
    return "complex" if hard else "normal"


def box(xmin: float, xmax: float, ymin: float, ymax: float) -> NDArray[np.float64]:
    return np.array([(xmin, ymin), (xmax, ymin), (xmax, ymax), (xmin, ymax)])


def bay(slack: float) -> Rings:
    """Walls left and right of a goal at the origin that points up, and one behind it."""
    half = (WIDTH + slack) / 2
    return [box(-9, -half, -1, 4), box(half, 9, -1, 4), box(-9, 9, -3, -1.2)]


def parallel(slack: float) -> Rings:
    """Walls before and behind a goal at the origin that points right, and one on its right."""
    rear, front = CAR.body.rear - slack / 2, CAR.body.front + slack / 2
    return [box(-20, rear, -1, 1), box(front, 20, -1, 1), box(-20, 20, -3, -1.2)]


UP, AHEAD = np.array([0.0, 0.0, math.pi / 2]), np.zeros(3)


@pytest.mark.parametrize(
    ("start", "goal", "rings", "level"),
    [
        ((0, 8, 0), UP, [], "normal"),
        ((0, 8, 0), UP, [box(-1, 1, 6, 7)], "normal"),
        ((2, 8, 0), UP, bay(0.86), "normal"),
        ((2, 8, 0), UP, bay(0.84), "complex"),
        ((14.5, 6, 0), UP, bay(0.86), "complex"),
        ((0, 31, 0), UP, bay(0.86), "complex"),
        ((0, 31, 0), UP, bay(0.84), "extreme"),
        ((2, 8, 0), UP, [*bay(0.86), box(-1, 0, 9, 9.5)], "complex"),
        ((2, 8, 0), UP, [*bay(0.86), box(-1, 0, 10.4, 11)], "normal"),
        ((-3, 4, 0), AHEAD, parallel(1.18), "normal"),
        ((-3, 4, 0), AHEAD, parallel(1.16), "complex"),
        ((-3, 4, 0), AHEAD, parallel(0.91), "complex"),
        ((-3, 4, 0), AHEAD, parallel(0.89), "extreme"),
        ((-14.9, 4, 0), AHEAD, parallel(1.18), "complex"),
        ((-30.1, 4, 0), AHEAD, parallel(1.18), "complex"),
        ((-30.1, 4, 0), AHEAD, parallel(1.16), "extreme"),
        ((-3, 4, 0), AHEAD, [*parallel(1.18), box(0, 1, 4.8, 5)], "complex"),
        ((-3, 4, 0), AHEAD, [*parallel(1.18), box(0, 1, 5.2, 6)], "normal"),
        ((0, 8, 0), UP, bay(0.84)[1:], "normal"),
        ((0, 8, 0), UP, [*bay(1.0)[:2], box(-0.5, 0.5, 4.5, 5)], "complex"),
    ],
)
def test_every_rule_of_the_criterion(
    start: tuple[float, ...], goal: NDArray[np.float64], rings: Rings, level: str
) -> None:
    assert criterion(start, goal, rings) == level
    assert reference(np.array(start, float), goal, rings) == level


@pytest.mark.parametrize("name", CLASSES)
def test_generated_scenes_get_the_level_that_shapely_gives_them(name: str) -> None:
    rng = np.random.default_rng(1)
    for _ in range(15 if name == "lot" else 40):
        raw = generate(rng, name)
        expected = reference(raw.start, raw.goal, list(raw.quads))
        assert criterion(raw.start, raw.goal, raw.quads) == expected


def test_the_generators_satisfy_the_criterion_as_often_as_published() -> None:
    share = {}
    for name in CLASSES:
        rng = np.random.default_rng(2)
        raws = [generate(rng, name) for _ in range(60 if name == "lot" else 400)]
        levels = [criterion(raw.start, raw.goal, raw.quads) for raw in raws]
        share[name] = {level: levels.count(level) / len(levels) for level in set(levels)}
    assert share["normal-bay"]["normal"] == pytest.approx(0.95, abs=0.035)
    assert share["normal-parallel"]["normal"] == pytest.approx(0.94, abs=0.035)
    assert share["complex-bay"] == share["complex-parallel"] == {"complex": 1.0}
    assert share["extreme-parallel"] == {"extreme": 1.0}
    assert share["lot"]["complex"] == pytest.approx(0.62, abs=0.2)
    assert "extreme" not in share["lot"]


corner = st.tuples(st.floats(-10, 10), st.floats(-10, 10))


@st.composite
def stars(draw: st.DrawFn) -> NDArray[np.float64]:
    """A ring around a centre, mostly concave."""
    x, y = draw(corner)
    radii = draw(st.lists(st.floats(0.3, 3.0), min_size=3, max_size=7))
    angles = np.linspace(0, 2 * np.pi, len(radii), endpoint=False)
    return np.stack([x + radii * np.cos(angles), y + radii * np.sin(angles)], axis=1)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    start=st.tuples(st.floats(-20, 20), st.floats(-20, 20), st.floats(-3, 3)),
    heading=st.floats(-3, 3),
    rings=st.lists(stars(), min_size=2, max_size=9),
)
def test_concave_obstacles_are_judged_as_they_are(
    start: tuple[float, float, float], heading: float, rings: Rings
) -> None:
    goal = np.array([0.0, 0.0, heading])
    assert criterion(start, goal, rings) == reference(np.array(start), goal, rings)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(points=st.lists(corner, min_size=4, max_size=9, unique=True))
def test_the_smallest_rectangle_is_that_of_shapely(points: list[tuple[float, float]]) -> None:
    cloud = shapely.MultiPoint(points)
    if cloud.convex_hull.area < 1e-3:
        return
    found = shapely.Polygon(smallest_rectangle(np.array(points)))
    assert found.area == pytest.approx(shapely.oriented_envelope(cloud).area, rel=1e-6)
    assert found.buffer(1e-6).contains(cloud)


def test_turning_and_moving_a_scene_does_not_change_its_level() -> None:
    c, s = math.cos(1.1), math.sin(1.1)
    turn = np.array([[c, s], [-s, c]])
    rng = np.random.default_rng(4)
    for name in ("normal-bay", "normal-parallel"):
        for _ in range(30):
            raw = generate(rng, name)
            poses = [
                np.append(pose[:2] @ turn + (30.0, -7.0), pose[2] + 1.1)
                for pose in (raw.start, raw.goal)
            ]
            moved = raw.quads @ turn + (30.0, -7.0)
            expected = criterion(raw.start, raw.goal, raw.quads)
            assert criterion(poses[0], poses[1], moved) == expected


def test_a_scenario_and_its_rings_give_the_same_level() -> None:
    for scenario in fixed_scenes("normal", 10):
        quads = np.array(scenario.obstacles)
        assert criterion_of(scenario) == criterion(scenario.start, scenario.goal, quads)


def test_a_longer_vehicle_has_a_longer_normal_slot() -> None:
    van = VehicleSpec(wheelbase=3.6, front_overhang=1.0, rear_overhang=1.0)
    rings = [box(-9, -1.6, -1, 1), box(5.2, 9, -1, 1), box(-9, 9, -3, -1.2)]
    assert criterion((-3, 4, 0), AHEAD, rings, van) == "complex"
    rings[1] = box(5.45, 9, -1, 1)
    assert criterion((-3, 4, 0), AHEAD, rings, van) == "normal"
