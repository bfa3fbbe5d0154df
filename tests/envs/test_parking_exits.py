"""Pulling out: scenes that can be solved, tolerances of a lane pose, and both tasks in one."""

import math

import gymnasium as gym
import numpy as np
import pytest
import shapely

import hybridrl  # noqa: F401
from hybridrl.envs.parking.env import ParkingEnv
from hybridrl.envs.parking.scenes import fixed_scene, fixed_scenes
from hybridrl.envs.parking.scenes.exits import LANE_GAP, NEAREST, exit_exists
from hybridrl.envs.parking.scenes.levels import CLASSES
from hybridrl.envs.parking.vector_env import ParkingVectorEnv
from hybridrl.planners.errors import ScenarioError, UnknownNameError
from hybridrl.planners.obstacles import pack
from hybridrl.planners.path import Path
from hybridrl.planners.path_check import check_path
from hybridrl.planners.registry import make_planner
from hybridrl.planners.rs_search import default_rule, make_scratch
from hybridrl.planners.scenario import EXIT_TOLERANCE, Scenario, body_polygon, require_free
from hybridrl.planners.vehicle import VehicleSpec

CAR = VehicleSpec()


@pytest.mark.parametrize("name", CLASSES)
def test_a_lane_pose_is_free_aligned_and_away_from_the_slot(name):
    for seed in range(3):
        scene = fixed_scene(name, seed, task="out")
        require_free(scene)
        assert scene.task == "out" and scene.id == f"{name}-out-{seed:05d}"
        quarter = 2.0 * scene.goal[2] / math.pi
        assert quarter == pytest.approx(round(quarter), abs=1e-9)
        obstacles = shapely.union_all([shapely.Polygon(ring) for ring in scene.obstacles])
        assert body_polygon(scene.goal, CAR).distance(obstacles) >= LANE_GAP - 1e-9
        away = math.dist(scene.goal[:2], scene.start[:2])
        assert away >= NEAREST


def test_a_search_that_knows_nothing_of_the_construction_solves_the_scenes():
    planner = make_planner("best-of", thorough=False)
    scenes = [fixed_scene(name, 1, task="out") for name in CLASSES]
    results = [planner.plan(scene, budget=5.0) for scene in scenes]
    assert all(result.success for result in results)


def test_a_car_that_is_walled_in_has_no_way_out():
    walls = [
        [(-3, -3), (7, -3), (7, -2), (-3, -2)],
        [(-3, 2), (7, 2), (7, 3), (-3, 3)],
        [(-3, -2), (-2, -2), (-2, 2), (-3, 2)],
        [(5, -2), (6, -2), (6, 2), (5, 2)],
    ]
    rule, bounds = default_rule(CAR.min_radius), np.array([-50.0, 50.0, -50.0, 50.0])
    start, goal = np.zeros(3), np.array([20.0, 1.0, 0.0])

    def way_out(rings):
        obstacles = pack([np.array(ring, float) for ring in rings])
        scratch = make_scratch(3)
        return exit_exists(start, goal, rule, CAR.body, obstacles, bounds, scratch)

    assert not way_out(walls)
    assert way_out(walls[:3])


@pytest.mark.parametrize(
    ("offset", "success"),
    [
        ((0.95, 0.0, 0.0), True),
        ((-1.05, 0.0, 0.0), False),
        ((0.0, -0.45, 0.0), True),
        ((0.0, 0.55, 0.0), False),
        ((0.0, 0.0, math.radians(9.0)), True),
        ((0.0, 0.0, math.radians(-11.0)), False),
    ],
)
@pytest.mark.parametrize("heading", [0.0, 0.5 * math.pi])
def test_a_lane_pose_is_reached_within_its_tolerances(offset, success, heading):
    cos, sin = math.cos(heading), math.sin(heading)
    goal = (3.0, -2.0, heading)
    start = (
        goal[0] + cos * offset[0] - sin * offset[1],
        goal[1] + sin * offset[0] + cos * offset[1],
        heading + offset[2],
    )
    scene = Scenario(start=start, goal=goal, task="out")
    env = ParkingEnv(task="out", rs="off")
    env.reset(options={"scenario": scene})
    _, _, terminated, _, info = env.step(np.zeros(2))
    assert terminated == info["is_success"] == success
    assert info["leaving"]
    stay = Path(start, np.zeros(0), np.zeros(0))
    assert check_path(stay, scene).clean == success
    parked = check_path(stay, Scenario(start=start, goal=goal))
    assert not parked.clean or parked.overlap > 0.95


def test_the_registered_environment_pulls_out_and_ends_in_the_lane():
    env = gym.make("hybridrl/Parking-PullOut-v0", action_type="discrete", rs="auto").unwrapped
    rng = np.random.default_rng(0)
    solved = 0
    for seed in range(6):
        _, info = env.reset(seed=seed)
        assert info["leaving"] and env.scenario.task == "out"
        ended = False
        while not ended:
            action = int(rng.choice(np.flatnonzero(env.action_masks())))
            _, _, terminated, truncated, info = env.step(action)
            ended = terminated or truncated
        if info["is_success"]:
            solved += 1
            assert check_path(env.driven_path, env.scenario).clean
    assert solved >= 3


def test_both_tasks_are_drawn_with_equal_chances_and_told():
    env = ParkingVectorEnv(60, level="all", task="both", rs="off")
    _, info = env.reset(seed=0)
    assert 15 <= info["leaving"].sum() <= 45
    assert not ParkingVectorEnv(2, level="hard").reset(seed=0)[1]["leaving"].any()
    assert set(info["label"][info["leaving"]]) == set(range(len(CLASSES)))


def test_the_task_travels_with_a_scenario_and_parking_scenes_do_not_mention_it():
    leaving = fixed_scene("normal-bay", 0, task="out")
    again = Scenario.from_json(leaving.to_json())
    assert again.task == "out" and again.start == leaving.start
    assert "task" not in fixed_scene("normal-bay", 0).to_json()
    with pytest.raises(ScenarioError, match="task"):
        Scenario(start=(0, 0, 0), goal=(1, 0, 0), task="sideways")
    with pytest.raises(UnknownNameError, match="out"):
        ParkingEnv(task="outt")
    assert EXIT_TOLERANCE == (1.0, 0.5, math.radians(10.0))


def test_a_longer_list_of_exits_begins_with_the_shorter_one():
    long, short = fixed_scenes("hard", 4, task="out"), fixed_scenes("hard", 2, task="out")
    assert [s.start for s in long[:2]] == [s.start for s in short]
    assert long[0].start != fixed_scenes("hard", 1)[0].start


def test_the_torch_back_end_refuses_to_leave_a_slot():
    from hybridrl.envs.parking.config import ParkingOptions, make_config
    from hybridrl.envs.parking.torch_backend.backend import TorchParkingSimulator

    simulator = TorchParkingSimulator(1, CAR, make_config(ParkingOptions(rs="off")))
    with pytest.raises(ScenarioError, match="torch"):
        simulator.load(0, fixed_scene("normal-bay", 0, task="out"))
