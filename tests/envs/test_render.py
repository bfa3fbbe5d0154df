from __future__ import annotations

import itertools
import math
import subprocess
import sys

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hybridrl.envs.parking.drawing import canvas, stills
from hybridrl.envs.parking.drawing.car_shape import car_corners, corners
from hybridrl.envs.parking.drawing.render import SceneRenderer, Window, gear_runs, lidar_hits
from hybridrl.envs.parking.drawing.scenery import split_obstacles
from hybridrl.planners.path import Path, PlanResult, advance
from hybridrl.planners.scenario import Scenario, body_polygon
from hybridrl.planners.vehicle import VehicleSpec

CAR = VehicleSpec()
WALL = [(-15.0, -1.0), (15.0, -1.0), (15.0, 0.0), (-15.0, 0.0)]
NOTCHED = [(4.0, 6.0), (7.0, 6.0), (7.0, 9.0), (6.5, 9.0), (6.5, 6.5), (4.0, 6.5)]
ARCS = [(0.0, 3.0), (0.3, 2.0), (-0.3, -2.5), (0.2, -1.5), (0.3, 1.0)]


@pytest.fixture(scope="module")
def scene() -> Scenario:
    parked = corners((-2.6, 1.3, math.pi / 2), CAR)
    return Scenario(
        start=(-5.0, 7.5, 0.2), goal=(0.0, 1.3, math.pi / 2), obstacles=[WALL, parked, NOTCHED]
    )


@pytest.fixture(scope="module")
def renderer(scene: Scenario) -> SceneRenderer:
    return SceneRenderer(scene, (400, 400))


def pixel(renderer: SceneRenderer, frame: np.ndarray, point: tuple[float, float]) -> tuple:
    x, y = renderer.view.pixels([point])[0]
    return tuple(int(v) for v in frame[int(y), int(x)])


def near(a: tuple, b: tuple) -> bool:
    return bool(np.abs(np.subtract(a, b)).max() <= 12)


@settings(max_examples=30, derandomize=True, deadline=None)
@given(
    points=st.lists(st.tuples(*[st.floats(-40, 40)] * 2), min_size=2, max_size=6),
    size=st.tuples(*[st.integers(64, 900)] * 2),
    extra=st.tuples(*[st.floats(-60, 60)] * 2),
)
def test_a_fitted_view_holds_every_point_with_its_margin_and_one_scale(points, size, extra):
    view = canvas.View.fit(points, size, 1.5, [extra])
    shown = view.pixels(points)
    edge = np.minimum(shown, np.asarray(size) - shown).min()
    assert edge >= 1.5 * view.scale - 1e-6
    assert np.allclose(view.pixels([(1, 0)]) - view.pixels([(0, 0)]), (view.scale, 0))
    assert np.allclose(view.pixels([(0, 1)]) - view.pixels([(0, 0)]), (0, -view.scale))


def test_spare_room_goes_to_the_side_where_something_stands():
    points = [(-10.0, 0.0), (10.0, 1.0)]
    above = canvas.View.fit(points, (400, 400), 1.0, [(0.0, 15.0)])
    assert above.center[1] > 5 and above.holds([*points, (0.0, 15.0)])
    assert canvas.View.fit(points, (400, 400), 1.0).center[1] == pytest.approx(0.5)


def test_what_a_frame_adds_to_the_scene_is_the_body_and_nothing_beside_it(renderer, scene):
    elsewhere, here = renderer.frame((-5, 7.5, 0.2)), renderer.frame((1.5, 6.5, 0.7))
    changed = np.abs(here.astype(int) - elsewhere).max(axis=2) > 6
    rows, columns = np.nonzero(changed)
    view = renderer.view
    x = (columns + 0.5 - view.size[0] / 2) / view.scale + view.center[0]
    y = (view.size[1] / 2 - rows - 0.5) / view.scale + view.center[1]
    bodies = [body_polygon(pose, CAR) for pose in ((-5, 7.5, 0.2), (1.5, 6.5, 0.7))]
    edge = 1.5 / view.scale
    grown = shapely.union_all([body.buffer(edge) for body in bodies])
    assert shapely.contains_xy(grown, x, y).all()
    inside = shapely.contains_xy(bodies[1].buffer(-edge), x, y).sum() / view.scale**2
    assert inside == pytest.approx(bodies[1].area, rel=0.1)


@pytest.mark.parametrize("steer", [0.6, -0.6])
def test_the_front_wheels_turn_to_the_side_of_the_steering(renderer, steer):
    pose = (0.0, 7.5, 0.0)
    frame = renderer.frame(pose, steer=steer)
    half = CAR.width / 2 * 0.77
    tip = (0.25 * math.cos(steer), 0.25 * math.sin(steer))
    for side in (half, -half):
        turned = pixel(renderer, frame, (pose[0] + CAR.wheelbase + tip[0], 7.5 + side + tip[1]))
        other = pixel(renderer, frame, (pose[0] + CAR.wheelbase + tip[0], 7.5 + side - tip[1]))
        assert max(turned) < 80 < min(other)


def test_obstacles_are_filled_and_the_notch_of_a_concave_one_is_not(renderer, scene):
    frame = renderer.frame(scene.start)
    assert near(pixel(renderer, frame, (4.5, 6.25)), canvas.BLOCK)
    assert near(pixel(renderer, frame, (1.0, -0.5)), canvas.BLOCK)
    assert near(pixel(renderer, frame, (4.5, 7.5)), canvas.ASPHALT)


def test_frames_are_the_callers_own_and_equal_calls_give_equal_frames(renderer, scene):
    first = renderer.frame(scene.goal, [scene.start], 0.3, info="decision 3")
    kept = first.copy()
    first[:] = 0
    again = renderer.frame(scene.goal, [scene.start], 0.3, info="decision 3")
    assert again.dtype == np.uint8 and again.shape == (400, 400, 3)
    assert np.array_equal(again, kept)


def test_a_car_that_leaves_the_picture_widens_it(scene):
    renderer = SceneRenderer(scene, (320, 200))
    body = corners((30.0, 20.0, 1.0), CAR)
    assert not renderer.view.holds(body)
    frame = renderer.frame((30.0, 20.0, 1.0))
    assert renderer.view.holds(body) and frame.shape == (200, 320, 3)


def test_poses_that_are_announced_are_in_view_from_the_start(scene):
    poses = [(-20.0, 15.0, 0.5), (3.0, 12.0, 0.0)]
    view = SceneRenderer(scene, include=poses).view
    assert all(view.holds(corners(pose, CAR)) for pose in poses)


def test_the_trail_is_coloured_by_the_gear_that_drove_it(renderer):
    there = Path((-2.0, 9.5, 0.0), np.zeros(1), np.array([7.0]))
    frame = renderer.frame(there.end, there.sample(1.25))
    assert near(pixel(renderer, frame, (1.0, 9.5)), canvas.FORWARD)
    back = Path(there.end, np.zeros(1), np.array([-7.0]))
    frame = renderer.frame(back.end, back.sample(1.25))
    assert near(pixel(renderer, frame, (4.0, 9.5)), canvas.REVERSE)


@settings(max_examples=40, derandomize=True, deadline=None)
@given(
    heading=st.floats(-7, 7),
    curvature=st.floats(-0.33, 0.33),
    length=st.floats(0.05, 3.0),
    gear=st.sampled_from([1, -1]),
)
def test_the_trail_between_two_poses_is_the_arc_that_was_driven(heading, curvature, length, gear):
    pose = np.array([1.0, -2.0, heading])
    ((found, points),) = gear_runs([pose, advance(pose, curvature, gear * length)])
    exact = advance(pose, curvature, gear * np.linspace(0, length, len(points)))
    assert found == gear
    assert np.allclose(points, exact[:, :2], atol=1e-9)


def test_a_path_is_split_into_runs_at_its_gear_changes_and_stops_are_skipped():
    path = Path.from_arcs((0.0, 0.0, 0.3), ARCS)
    poses = np.repeat(path.sample(0.7), 2, axis=0)
    runs = gear_runs(poses)
    assert [gear for gear, _ in runs] == [1, -1, 1]
    for (_, before), (_, after) in itertools.pairwise(runs):
        assert np.allclose(before[-1], after[0])
    assert np.allclose(runs[-1][1][-1], path.end[:2])
    assert gear_runs(poses[:1]) == [] and gear_runs(np.zeros((0, 3))) == []


def test_lidar_points_lie_at_their_range_and_bearing_and_far_ones_are_none():
    hits = lidar_hits((1.0, 2.0, math.pi / 2), [3.0, 10.0, 2.0, 4.0])
    assert np.allclose(hits[[0, 2, 3]], [(1.0, 5.0), (1.0, 0.0), (5.0, 2.0)])
    assert np.isnan(hits[1]).all()


def test_lidar_hits_are_drawn_and_missing_ones_are_skipped(renderer, scene):
    hits = [(0.0, 9.0), (math.nan, math.nan), (1e9, 1e9)]
    frame = renderer.frame(scene.start, lidar=hits)
    assert near(pixel(renderer, frame, (0.0, 9.0)), canvas.LIDAR)


def test_a_long_line_of_text_stays_inside_the_picture(renderer, scene):
    frame = renderer.frame(scene.start, info="an unusually long description " * 5)
    plain = renderer.frame(scene.start)
    columns = np.nonzero((frame != plain).any(axis=(0, 2)))[0]
    assert columns.min() >= 5 and columns.max() <= 394


@pytest.mark.parametrize("turn", range(4))
@pytest.mark.parametrize("clockwise", [False, True])
def test_car_sized_obstacles_are_recognised_in_any_order_of_corners(turn, clockwise):
    quad = corners((3.0, 1.0, 0.4), CAR)
    ring = np.roll(quad[::-1] if clockwise else quad, turn, axis=0)
    found = car_corners(ring, CAR)
    assert found is not None
    assert np.linalg.norm(found[1] - found[0]) == pytest.approx(CAR.length)
    assert shapely.Polygon(found).equals(shapely.Polygon(quad))


def test_walls_blocks_and_dented_quads_are_not_drawn_as_cars(scene):
    dented = corners((0.0, 0.0, 0.0), CAR)
    dented[2] = (0.5, -0.2)
    assert car_corners(dented, CAR) is None
    cars, blocks = split_obstacles(scene)
    assert len(cars) == 1 and len(blocks) == 2


def test_a_frame_too_small_to_read_is_refused_with_the_least_size(scene):
    with pytest.raises(ValueError, match="64 pixels"):
        SceneRenderer(scene, (640, 20))


def test_drawing_without_a_window_imports_no_display_library():
    code = "import hybridrl.envs.parking.drawing.stills, sys; sys.exit('pygame' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_window_without_a_display_says_what_to_use_instead(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.setenv("SDL_VIDEODRIVER", "x11")
    with pytest.raises(RuntimeError, match="rgb_array"):
        Window((64, 64))


def test_a_window_does_not_pass_for_shown_on_a_machine_without_a_screen(monkeypatch):
    import pygame

    monkeypatch.delenv("SDL_VIDEODRIVER", raising=False)
    monkeypatch.setattr(pygame.display, "get_driver", lambda: "offscreen")
    monkeypatch.setattr(pygame.display, "init", lambda: None)
    with pytest.raises(RuntimeError, match="offscreen"):
        Window((64, 64))


def test_a_window_shows_the_very_pixels_of_the_frame(monkeypatch, renderer, scene):
    import pygame

    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    frame = renderer.frame(scene.start)
    window = Window((400, 400), fps=1000)
    window.show(frame)
    shown = pygame.surfarray.array3d(pygame.display.get_surface()).swapaxes(0, 1)
    window.close()
    window.close()
    assert np.array_equal(shown, frame)


def test_a_still_tints_the_swept_ground_but_not_what_lies_inside_a_loop():
    start = (0.0, 0.0, 0.0)
    loop = Path(start, np.array([1 / 6]), np.array([math.tau * 6]))
    scene = Scenario(start=start, goal=start)
    picture = stills.draw_plan(scene, loop, width=600)
    scale_view = stills._view(scene, loop.sample(0.1), 600)
    colors = [
        picture[tuple(scale_view.pixels([point])[0].astype(int)[::-1])]
        for point in ((1.1, 6.1), (-5.2, 7.1))
    ]
    assert near(tuple(colors[0].tolist()), canvas.ASPHALT)
    assert min(colors[1].astype(int) - canvas.ASPHALT) > 5


def test_a_still_has_the_asked_width_with_and_without_a_path(scene):
    path = Path.from_arcs(scene.start, ARCS)
    for driven in (path, None, Path(scene.start, np.zeros(0), np.zeros(0))):
        picture = stills.draw_plan(scene, driven, width=480)
        assert picture.dtype == np.uint8 and picture.shape[1:] == (480, 3)
    with pytest.raises(ValueError, match="320"):
        stills.draw_plan(scene, path, width=100)
    with pytest.raises(ValueError, match="outlines"):
        stills.draw_plan(scene, path, outlines=0.0)


def test_the_caption_states_the_numbers_of_the_result():
    path = Path.from_arcs((0.0, 0.0, 0.0), ARCS)
    result = PlanResult(path=path, seconds=0.2104, clearance=0.0134, planner="hybrid-astar")
    assert stills.result_facts(result) == [
        ("planner", "hybrid-astar"),
        ("length", "10.0 m"),
        ("gear changes", "2"),
        ("clearance", "1 cm"),
        ("planning time", "210 ms"),
    ]
    failed = stills.result_facts(PlanResult(path=None, seconds=2.04))
    assert failed == [("path", "none found"), ("planning time", "2.0 s")]


def test_crowded_gear_changes_keep_their_numbers_apart_and_in_the_picture():
    spots = np.array([(200.0 + 4 * i, 20.0 + 2 * i) for i in range(10)])
    places = stills.mark_places(spots, spots, 8.0, (400, 300))
    apart = np.linalg.norm(places[:, None] - places[None], axis=2) + np.eye(10) * 99
    assert apart.min() > 2 * 8.0
    assert np.all(places > 8.0) and np.all(places < (392, 292))


def test_a_saved_still_is_the_drawn_one_and_leaves_no_partial_file(tmp_path, scene):
    result = PlanResult(path=Path.from_arcs(scene.start, ARCS), seconds=1.0)
    target = tmp_path / "new" / "plan.png"
    stills.save_plan(target, scene, result)
    drawn = stills.draw_plan(scene, result.path, stills.result_facts(result))
    assert np.array_equal(np.asarray(Image.open(target)), drawn)
    assert [file.name for file in target.parent.iterdir()] == ["plan.png"]


def test_a_still_with_a_suffix_of_no_picture_is_refused_by_name(tmp_path, scene):
    with pytest.raises(ValueError, match=r"plan\.txt.*\.png"):
        stills.save_plan(tmp_path / "plan.txt", scene, PlanResult(path=None, seconds=1.0))
