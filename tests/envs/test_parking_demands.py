"""Strict poses, rate limits and a noisy lidar mask: the same through every way of training."""

import math

import gymnasium as gym
import numpy as np
import pytest

import hybridrl  # noqa: F401
from hybridrl.envs.parking.env import ParkingEnv
from hybridrl.envs.parking.rollouts import RandomRollouts
from hybridrl.envs.parking.scenes.levels import CLASSES
from hybridrl.envs.parking.task import CLASS_NAMES
from hybridrl.envs.parking.vector_env import ParkingVectorEnv
from hybridrl.planners.errors import UnknownNameError
from hybridrl.planners.path_check import check_path
from hybridrl.planners.scenario import Scenario

DEMANDS = {
    "pose": {"success": "pose"},
    "limits": {"steer_rate": 0.5, "acceleration": 1.0},
    "lidar": {"mask_source": "lidar", "lidar_noise": 0.03},
    "vehicles": {"vehicles": "range"},
    "both": {"task": "both"},
}


@pytest.mark.parametrize("demand", DEMANDS)
def test_vector_and_single_environments_agree_and_tell_the_class(demand, rng):
    options = {"action_type": "discrete", "rs": "auto", "max_decisions": 4, **DEMANDS[demand]}
    vector = gym.make_vec("hybridrl/Parking-All-v0", num_envs=2, **options)
    singles = [gym.make("hybridrl/Parking-All-v0", **options).unwrapped for _ in range(2)]
    seen, info = vector.reset(seed=5)
    told = [env.reset(seed=5 + i) for i, env in enumerate(singles)]
    for _ in range(10):
        for i, (alone, facts) in enumerate(told):
            assert all(np.array_equal(alone[key], seen[key][i]) for key in seen)
            assert facts["label"] == info["label"][i]
            assert CLASS_NAMES[facts["label"]] in CLASSES
        masks = vector.unwrapped.action_masks()
        actions = np.array([rng.choice(np.flatnonzero(mask)) for mask in masks])
        seen, _, _, _, info = vector.step(actions)
        for i, env in enumerate(singles):
            observation, _, terminated, truncated, facts = env.step(int(actions[i]))
            done = terminated or truncated
            told[i] = env.reset() if done else (observation, facts)


def test_classes_are_weighed_in_the_single_environment_too():
    env = ParkingEnv(level="all")
    assert env.class_names == tuple(CLASSES)
    env.set_class_weights({"lot": 1.0})
    labels = {env.reset(seed=seed)[1]["label"] for seed in range(4)}
    assert labels == {CLASS_NAMES.index("lot")}
    with pytest.raises(UnknownNameError, match="lot"):
        env.set_class_weights({"lott": 1.0})


def test_a_car_that_has_braked_to_a_stop_is_handed_over():
    env = ParkingEnv(rs="info", steer_rate=0.5, acceleration=1.0)
    scene = Scenario(start=(0.0, 0.0, 0.0), goal=(9.0, 2.0, 0.0))
    _, info = env.reset(options={"scenario": scene})
    assert info["rs_path"] is not None
    _, _, _, _, info = env.step(np.array([0.0, 1.0]))
    assert info["rs_path"] is None  # it is moving: a path begins at rest
    _, _, _, _, info = env.step(np.array([0.0, -1.0]))
    assert env.task.rows["speed"][0] == pytest.approx(0.0, abs=1e-12)
    assert info["rs_path"] is not None


def test_rollouts_drive_the_environment_that_they_are_told():
    scene = Scenario(start=(0.0, 0.0, 0.0), goal=(9.0, 0.0, 0.0))
    free = RandomRollouts().plan(scene)
    slow = RandomRollouts(env_kwargs={"steer_rate": 0.5, "acceleration": 1.0}).plan(scene)
    assert free.expansions == math.ceil(9.0 / 1.25)
    # From rest to rest at 1 m/s2 and at most 2.5 m/s: 9 / 2.5 + 2.5 seconds; parked 5 % short.
    assert slow.expansions > free.expansions
    assert check_path(slow.path, scene).clean


def test_rollouts_keep_few_vehicles():
    planner = RandomRollouts()
    env = ParkingVectorEnv(10, level="normal", vehicles="range")
    env.reset(seed=0)
    for i in range(10):
        planner.plan(env.task.scenario(i), budget=0.01)
    assert len(planner._simulators) <= 8
