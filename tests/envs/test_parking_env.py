"""The contract of every parking id: spaces, checkers, seeding, scenes in and out, bad input."""

import copy
import json
import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env

import hybridrl  # noqa: F401
from hybridrl.envs.parking.env import ParkingEnv
from hybridrl.envs.parking.scenes import fixed_scene
from hybridrl.envs.parking.scenes.levels import CLASSES
from hybridrl.envs.registration import ENVS
from hybridrl.planners.errors import ScenarioError, UnknownNameError
from hybridrl.planners.scenario import Scenario
from hybridrl.planners.vehicle import VehicleSpec

IDS = [row.id for row in ENVS if "/Parking-" in row.id]
FACTS = {
    "is_success", "outcome", "bump", "bumps", "decisions", "rs_decisions", "path_length",
    "gear_changes", "mask_empty", "position_error", "heading_error", "rs_path", "reward_terms",
    "criterion_level",
}  # fmt: skip


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


@pytest.mark.parametrize("env_id", IDS)
def test_both_checkers_pass_without_a_warning(env_id):
    sb3 = pytest.importorskip("stable_baselines3.common.env_checker")
    for options in ({}, {"profile": "hope", "action_type": "discrete", "ego": True, "rs": "auto"}):
        env = gym.make(env_id, **options).unwrapped
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            check_env(env, skip_render_check=True)
            sb3.check_env(env, warn=True)


@pytest.mark.parametrize("env_id", IDS)
@pytest.mark.parametrize("profile", ["default", "hope"])
def test_everything_emitted_is_in_the_declared_spaces(env_id, profile):
    env = gym.make(env_id, profile=profile, ego=True).unwrapped
    env.action_space.seed(0)
    observation, _ = env.reset(seed=0)
    for _ in range(150):
        assert env.observation_space.contains(observation)
        observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
        assert isinstance(reward, float)
        assert type(terminated) is type(truncated) is bool
        assert set(info) >= FACTS
        assert env.action_masks().any()
        if terminated or truncated:
            assert info["is_success"] == (info["outcome"] == "success")
            observation, _ = env.reset()


def test_observations_are_no_views_of_the_simulator():
    env = ParkingEnv(rs="off", ego=True)
    first, _ = env.reset(seed=0)
    kept = copy.deepcopy(first)
    env.step(np.ones(2))
    assert same(first, kept)


@pytest.mark.parametrize("env_id", IDS)
def test_two_copies_with_one_seed_agree_to_the_last_bit(env_id):
    one, two = (gym.make(env_id, rs="auto") for _ in range(2))
    assert same(one.reset(seed=3)[0], two.reset(seed=3)[0])
    one.action_space.seed(0)
    for _ in range(25):
        action = one.action_space.sample()
        a, b = one.step(action), two.step(action)
        assert same(a[0], b[0])
        assert a[1:4] == b[1:4]
        if a[2] or a[3]:
            assert same(one.reset()[0], two.reset()[0])


def test_the_colon_form_and_the_spec_as_json_make_the_same_environment():
    made = gym.make("hybridrl:hybridrl/Parking-Hard-v0", profile="hope", vehicle={"width": 1.8})
    again = gym.make(EnvSpec.from_json(made.spec.to_json()))
    assert again.unwrapped.task.vehicle == VehicleSpec(width=1.8)
    assert same(made.reset(seed=4)[0], again.reset(seed=4)[0])
    assert made.spec.max_episode_steps is None


@pytest.mark.parametrize("name", CLASSES)
def test_a_generated_scene_travels_through_json_and_begins_exactly(name):
    env, other = ParkingEnv(level=name), ParkingEnv(level=name)
    observation, info = env.reset(seed=11)
    text = json.dumps(env.scenario.to_json())
    again, told = other.reset(options={"scenario": json.loads(text)})
    assert same(observation, again)
    assert json.dumps(other.scenario.to_json()) == text
    assert told["criterion_level"] == info["criterion_level"]
    for action in np.random.default_rng(0).uniform(-1, 1, (8, 2)):
        a, b = env.step(action), other.step(action)
        assert same(a[0], b[0])
        assert a[1:4] == b[1:4]


def test_scenes_are_drawn_from_a_file(tmp_path):
    from hybridrl.planners.scenario import save_scenarios

    scenes = [fixed_scene("complex-bay", seed) for seed in range(3)]
    save_scenarios(tmp_path / "own.json", scenes)
    env = ParkingEnv(scenarios=str(tmp_path / "own.json"))
    drawn = set()
    for seed in range(12):
        env.reset(seed=seed)
        drawn.add(env.scenario.id)
    assert drawn == {scene.id for scene in scenes}


@pytest.mark.parametrize("word", ["Hard", "HARD", "extrem", "Extreme-Bay", "complex-bay"])
def test_levels_are_matched_in_any_case_and_by_class(word):
    env = ParkingEnv(level=word, rs="off")
    env.reset(seed=0)
    assert env.scenario.level in ("complex", "extreme", "extreme-bay")


def test_ego_tells_time_left_and_bumps():
    env = ParkingEnv(ego=True, rs="off", max_decisions=4)
    scene = Scenario(
        start=(0, 0, 0), goal=(-9, 0, 0), obstacles=[[(3.8, -1), (5, -1), (5, 1), (3.8, 1)]]
    )
    first, _ = env.reset(options={"scenario": scene})
    assert first["ego"].tolist() == [0, 0, 1, 0]
    after, *_ = env.step(np.array([0.0, 1.0]))
    assert after["ego"][2:].tolist() == [0.75, 1]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"level": "extrme"}, ["level", "extreme"]),
        ({"profile": "hop"}, ["profile", "hope"]),
        ({"action_type": "discret"}, ["action_type", "discrete"]),
        ({"mask_source": "lydar"}, ["mask_source", "lidar"]),
        ({"contact": "exact"}, ["contact", "certified"]),
        ({"on_collision": "crash"}, ["on_collision", "terminate"]),
        ({"success": "overlap"}, ["success", "overlap95"]),
        ({"rs": "on"}, ["rs", "auto"]),
        ({"max_decision": 9}, ["max_decision", "max_decisions"]),
        ({"reward_weights": {"gear": 1.0}}, ["reward term", "gear_change"]),
    ],
)
def test_unknown_words_are_answered_with_the_known_ones(options, words):
    with pytest.raises(UnknownNameError) as error:
        ParkingEnv(**options)
    assert all(word in str(error.value) for word in words)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"max_decisions": 0}, "max_decisions"),
        ({"max_decisions": -5}, "max_decisions"),
        ({"max_decisions": "many"}, "max_decisions"),
        ({"max_decisions": 10.5}, "max_decisions"),
        ({"lidar_noise": -0.1}, "lidar_noise"),
        ({"lidar_noise": float("nan")}, "lidar_noise"),
        ({"tolerance": (0.1, 0.1)}, "tolerance"),
        ({"tolerance": 0.1}, "tolerance"),
        ({"tolerance": (0.1, 0.1, -1.0)}, "tolerance[2]"),
        ({"steer_rate": 0.0}, "steer_rate"),
        ({"acceleration": -1.0}, "acceleration"),
        ({"reward_weights": {"bump": float("inf")}}, "reward_weights.bump"),
        ({"reward_weights": {"bump": "high"}}, "reward_weights.bump"),
        ({"vehicle": {"width": -2.0}}, "vehicle.width"),
        ({"vehicle": {"mass": 1500.0}}, "vehicle.mass"),
        ({"vehicle": "bus"}, "vehicle"),
        ({"scenarios": "nowhere.json"}, "nowhere.json"),
    ],
)
def test_values_that_cannot_be_used_are_refused_by_field(options, field):
    with pytest.raises(ScenarioError) as error:
        ParkingEnv(**options)
    assert error.value.field == field
    assert "expected" in str(error.value)


SQUARE = [[3.0, -1.0], [7.0, -1.0], [7.0, 1.0], [3.0, 1.0]]
BOW_TIE = [[10, 10], [12, 12], [12, 10], [10, 12]]


@pytest.mark.parametrize(
    ("scene", "field"),
    [
        ({"start": [0, 0, 0], "goal": [9, 0, 0], "obstacles": [SQUARE]}, "start"),
        ({"start": [-9, 0, 0], "goal": [2, 0, 0], "obstacles": [SQUARE]}, "goal"),
        ({"start": [float("nan"), 0, 0], "goal": [9, 0, 0]}, "start"),
        ({"start": [0, 0, 0], "goal": [9, 0, 0], "obstacles": [BOW_TIE]}, "obstacles[0]"),
        ({"start": [0, 0, 0]}, "goal"),
        ({"start": [0, 0, 0], "goal": [9, 0, 0], "vehicle": {"width": 2.5}}, "scenario.vehicle"),
        ({"start": [0, 0, 0], "goal": [9, 0, 0], "walls": []}, "walls"),
        ("my lot", "scenario"),
    ],
)
def test_a_bad_scenario_is_refused_and_the_environment_stays_usable(scene, field):
    env = ParkingEnv(level="normal-bay", rs="off")
    before, _ = env.reset(seed=1)
    with pytest.raises(ScenarioError) as error:
        env.reset(options={"scenario": scene})
    assert error.value.field == field
    env.step(np.zeros(2))
    again, _ = env.reset(seed=1)
    assert same(before, again)


@pytest.mark.parametrize(
    ("action_type", "bad"),
    [
        ("discrete", 42),
        ("discrete", -1),
        ("discrete", 1.5),
        ("discrete", [1, 2]),
        ("continuous", [0.0]),
        ("continuous", 3),
        ("continuous", [0.0, float("nan")]),
        ("continuous", [[0.0, 1.0]]),
    ],
)
def test_a_bad_action_is_refused_and_the_environment_stays_usable(action_type, bad):
    env = ParkingEnv(action_type=action_type, rs="off")
    env.reset(seed=0)
    with pytest.raises(ScenarioError, match=r"action is .*expected"):
        env.step(bad)
    _, _, _, _, info = env.step(env.action_space.sample())
    assert info["decisions"] == 1


def test_continuous_actions_beyond_the_box_are_cut_to_it():
    env = ParkingEnv(rs="off")
    env.reset(options={"scenario": Scenario(start=(0, 0, 0), goal=(-9, 0, 0))})
    _, _, _, _, info = env.step(np.array([0.0, 7.0]))
    assert info["path_length"] == pytest.approx(1.25)


def test_a_vehicle_too_quick_on_its_wheels_drives_or_is_refused_but_never_collides():
    """More than a quarter turn in one decision is outside of what the mask can describe."""
    with pytest.raises(ScenarioError, match="max_speed"):
        ParkingEnv(vehicle={"max_speed": 10.0}, rs="off")


def test_the_longest_step_is_that_of_the_mask_at_its_own_angles_and_between_them_between():
    env = ParkingEnv(level="complex-bay")
    env.reset(seed=3)
    free = env.task.rows["free"][0]
    assert env.max_step_length(1.0, 1.0) == free[0]
    assert env.max_step_length(-1.0, -1.0) == free[41]
    between = env.max_step_length(0.95, 1.0)
    assert min(free[0], free[1]) <= between <= max(free[0], free[1])
    with pytest.raises(ScenarioError, match="steer"):
        env.max_step_length(1.5, 1.0)


def test_an_unknown_reset_option_is_refused_by_name():
    with pytest.raises(UnknownNameError, match="scenario"):
        ParkingEnv().reset(options={"scenarioo": None})
