"""The top view against shapely, and as an observation of both environments."""

import warnings

import gymnasium as gym
import numpy as np
import pytest
import shapely
from gymnasium.utils.env_checker import check_env
from hypothesis import given
from hypothesis import strategies as st
from stable_baselines3.common import env_checker

from hybridrl.envs.parking.env import ParkingEnv
from hybridrl.envs.parking.kernels.image import HISTORY, PIXEL, SIZE, WINDOW, fill_polygon
from hybridrl.envs.parking.vector_env import ParkingVectorEnv
from hybridrl.planners.scenario import Scenario, body_polygon
from hybridrl.planners.vehicle import VehicleSpec

CAR = VehicleSpec()
AHEAD = (np.arange(SIZE) + 0.5) * PIXEL - WINDOW / 2
X, Y = np.meshgrid(AHEAD, -AHEAD)  # of the pixel centres: columns forward, rows left to right
STRAIGHT_AHEAD = np.array([0.0, 0.4], np.float32)


def assert_filled(layer, shape):
    """Every pixel tells whether its centre lies in the shape; those on its outline may differ."""
    clear = shapely.distance(shapely.points(X, Y), shapely.boundary(shape)) > 1e-9
    np.testing.assert_array_equal(layer[clear] == 255, shapely.contains_xy(shape, X, Y)[clear])
    assert set(np.unique(layer)) <= {0, 255}


def seen_from(shape, pose):
    """A shape of the world in metres ahead and to the left of the middle of the body."""
    x, y, h = pose
    turn = np.array([[np.cos(h), -np.sin(h)], [np.sin(h), np.cos(h)]])
    middle = np.array([x, y]) + CAR.center_offset * np.array([np.cos(h), np.sin(h)])
    return shapely.transform(shape, lambda points: (points - middle) @ turn)


def pose_of(env):
    row = env.task.rows[0]
    return float(row["x"]), float(row["y"]), float(row["heading"])


@pytest.fixture
def env():
    return ParkingEnv(level="hard", image=True, rs="off")


@given(
    st.tuples(st.floats(-14, 14), st.floats(-14, 14)),
    st.lists(st.tuples(st.floats(-9, 9), st.floats(-9, 9)), min_size=3, max_size=9),
)
def test_a_pixel_is_set_exactly_when_its_centre_is_in_the_polygon(middle, points):
    hull = shapely.convex_hull(shapely.MultiPoint(np.array(points) + middle))
    if hull.geom_type != "Polygon" or hull.area < 1e-3:
        return
    ring = shapely.get_coordinates(shapely.geometry.polygon.orient(hull))[:-1]
    layer = np.zeros((SIZE, SIZE), np.uint8)
    fill_polygon(np.ascontiguousarray(ring), layer)
    assert_filled(layer, hull)


def test_a_polygon_around_the_window_fills_it_and_one_outside_leaves_it_empty():
    square = np.array([[-50.0, -50], [50, -50], [50, 50], [-50, 50]])
    layer = np.zeros((SIZE, SIZE), np.uint8)
    for shift in ([101.0, 0], [-101, 0], [0, 101], [0, -101]):
        fill_polygon(square + shift, layer)
    assert not layer.any()
    fill_polygon(square, layer)
    assert layer.all()


def test_layers_show_obstacles_goal_and_own_body_as_shapely_sees_them(env):
    for seed in range(8):
        image = env.reset(seed=seed)[0]["img"]
        scene = env.scenario
        pose = pose_of(env)
        obstacles = shapely.union_all([shapely.Polygon(ring) for ring in scene.obstacles])
        assert_filled(image[0], seen_from(obstacles, pose))
        assert_filled(image[1], seen_from(body_polygon(scene.goal, CAR), pose))
        assert_filled(image[2], seen_from(body_polygon(pose, CAR), pose))


def test_history_shows_the_last_twenty_poses_and_forgets_older_ones(env):
    far = Scenario(start=(0.0, 0.0, 0.3), goal=(60.0, 5.0, 0.0), bounds=(-100, 100, -100, 100))
    env.reset(options={"scenario": far})
    poses = [pose_of(env)]
    for number in range(HISTORY + 6):
        steer = np.sin(number)
        image = env.step(np.array([steer, 0.3 if number % 5 else -0.3], np.float32))[0]["img"]
        poses.append(pose_of(env))
        shown = shapely.union_all([body_polygon(pose, CAR) for pose in poses[-HISTORY - 1 :]])
        assert_filled(image[2], seen_from(shown, poses[-1]))


def test_the_car_points_to_growing_columns_and_its_left_is_above():
    layer = np.zeros((SIZE, SIZE), np.uint8)
    fill_polygon(np.array([[5.0, 3], [7, 3], [7, 4], [5, 4]]), layer)
    rows, columns = np.nonzero(layer)
    assert rows.max() < SIZE // 2 < columns.min()


def test_a_vector_of_scenes_sees_what_each_single_scene_sees():
    vector = ParkingVectorEnv(3, level="hard", image=True, rs="off")
    seen, _ = vector.reset(seed=5)
    single = [ParkingEnv(level="hard", image=True, rs="off") for _ in range(3)]
    for i, env in enumerate(single):
        np.testing.assert_array_equal(seen["img"][i], env.reset(seed=5 + i)[0]["img"])
    for _ in range(3):
        seen = vector.step(np.tile(STRAIGHT_AHEAD, (3, 1)))[0]
        for i, env in enumerate(single):
            np.testing.assert_array_equal(seen["img"][i], env.step(STRAIGHT_AHEAD)[0]["img"])


def test_a_scene_that_begins_anew_is_drawn_anew_and_the_last_view_is_kept():
    vector = ParkingVectorEnv(2, level="hard", image=True, rs="off", max_decisions=2)
    vector.reset(seed=0)
    action = np.tile(STRAIGHT_AHEAD, (2, 1))
    vector.step(action)
    seen, _, _, truncated, info = vector.step(action)
    assert truncated.all()
    body = info["final_obs"][0]["img"][2], seen["img"][0][2]
    assert (body[0] > 0).sum() > (body[1] > 0).sum()


def test_images_are_fresh_arrays_in_the_space_and_absent_by_default(env):
    first, _ = env.reset(seed=1)
    kept = first["img"].copy()
    second = env.step(np.array([1.0, -1.0], np.float32))[0]
    assert (first["img"] == kept).all()
    assert second["img"].base is None
    assert env.observation_space["img"] == gym.spaces.Box(0, 255, (3, 64, 64), np.uint8)
    assert "img" not in ParkingEnv(level="hard").observation_space.spaces


@pytest.mark.parametrize("action_type", ["continuous", "discrete"])
def test_gymnasium_and_stable_baselines3_accept_the_environment_with_images(action_type):
    env = ParkingEnv(level="hard", image=True, action_type=action_type)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env, skip_render_check=True)
        env_checker.check_env(env)
