"""The native vector environment equals single ones, step by step."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

import hybridrl  # noqa: F401
from hybridrl.envs.parking.env import ParkingEnv
from hybridrl.envs.parking.scenes import fixed_scene
from hybridrl.envs.parking.task import CLASS_NAMES
from hybridrl.envs.parking.vector_env import ParkingVectorEnv
from hybridrl.planners.errors import ScenarioError, UnknownNameError

N = 4


def equal(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


def row_of(batch, i):
    return {key: value[i] for key, value in batch.items()}


def test_make_vec_gives_the_native_environment():
    env = gym.make_vec("hybridrl/Parking-Hard-v0", num_envs=3, rs="off")
    assert isinstance(env.unwrapped, ParkingVectorEnv)
    assert env.metadata["autoreset_mode"] == AutoresetMode.SAME_STEP
    observations, _ = env.reset(seed=0)
    assert env.observation_space.contains(observations)
    out = env.step(env.action_space.sample())
    assert env.observation_space.contains(out[0])
    assert out[1].shape == out[2].shape == out[3].shape == (3,)
    assert out[2].dtype == out[3].dtype == np.bool_


@pytest.mark.parametrize(
    "options",
    [
        {"level": "mixed", "rs": "auto", "action_type": "discrete", "max_decisions": 6},
        {"level": "hard", "profile": "hope", "max_decisions": 5},
        {"level": "normal", "ego": True, "rs": "off", "max_decisions": 7},
    ],
    ids=["auto", "hope", "ego"],
)
def test_it_equals_single_environments_with_the_same_seeds(options, rng):
    vector = ParkingVectorEnv(N, **options)
    singles = [ParkingEnv(**options) for _ in range(N)]
    observations, _ = vector.reset(seed=10)
    for i, env in enumerate(singles):
        assert equal(env.reset(seed=10 + i)[0], row_of(observations, i))
    ends = 0
    for _ in range(20):
        if "action_type" in options:
            actions = np.array([rng.choice(np.flatnonzero(m)) for m in vector.action_masks()])
        else:
            actions = rng.uniform(-1, 1, (N, 2)).astype(np.float32)
        observations, rewards, terminated, truncated, info = vector.step(actions)
        for i, env in enumerate(singles):
            seen, reward, *done, told = env.step(actions[i])
            assert rewards[i] == reward
            assert done == [terminated[i], truncated[i]]
            if any(done):
                ends += 1
                assert equal(seen, info["final_obs"][i])
                assert info["_final_obs"][i]
                assert info["_final_info"][i]
                for name in ("is_success", "outcome", "decisions", "bumps", "gear_changes"):
                    assert info["final_info"][name][i] == told[name]
                    assert info["final_info"][f"_{name}"][i]
                seen, told = env.reset()
            assert equal(seen, row_of(observations, i))
            assert np.array_equal(env.action_masks(), vector.action_masks()[i])
            for name in ("decisions", "bumps", "gear_changes", "path_length"):
                assert info[name][i] == told[name]
    assert ends > 5


def test_only_finished_scenes_begin_anew():
    vector = ParkingVectorEnv(2, rs="off", max_decisions=3)
    scenes = [fixed_scene("complex-bay", seed) for seed in range(2)]
    vector.reset(seed=0, options={"scenarios": scenes})
    for _ in range(3):
        *_, info = vector.step(np.zeros((2, 2), np.float32))
    assert info["final_info"]["outcome"].tolist() == ["timeout", "timeout"]
    assert info["decisions"].tolist() == [0, 0]


@pytest.mark.parametrize("count", [1, 3])
def test_observations_are_no_views_of_the_simulator(count):
    vector = ParkingVectorEnv(count, rs="off", ego=True)
    first, _ = vector.reset(seed=1)
    kept = {key: value.copy() for key, value in first.items()}
    second, *_ = vector.step(np.ones((count, 2), np.float32))
    assert equal(first, kept)
    assert not equal(first, second)
    for value in second.values():
        value[:] = 0
    third, *_ = vector.step(np.zeros((count, 2), np.float32))
    assert third["lidar"].any()


def test_scenes_and_labels_are_given_and_told():
    vector = ParkingVectorEnv(len(CLASS_NAMES), rs="off")
    scenes = [fixed_scene(name, 0) for name in CLASS_NAMES]
    _, info = vector.reset(options={"scenarios": [s.to_json() for s in scenes]})
    assert info["label"].tolist() == list(range(len(CLASS_NAMES)))
    for i, scene in enumerate(scenes):
        assert vector.task.scenario(i).to_json() == scene.to_json()


def test_the_same_seeds_give_the_same_scenes_and_others_do_not():
    vector = ParkingVectorEnv(3, rs="off")
    first, _ = vector.reset(seed=5)
    again, _ = vector.reset(seed=[5, 6, 7])
    other, _ = vector.reset(seed=np.int64(6))
    assert equal(first, again)
    assert equal(row_of(first, 1), row_of(other, 0))
    assert not equal(row_of(first, 0), row_of(first, 1))


def test_bad_input_is_refused_and_leaves_the_environment_usable():
    vector = ParkingVectorEnv(2, rs="off", action_type="discrete")
    vector.reset(seed=0)
    for bad in (np.array([0]), np.array([0, 42]), np.array([-1, 0]), np.array([0.5, 1.0])):
        with pytest.raises(ScenarioError, match="action"):
            vector.step(bad)
    with pytest.raises(ScenarioError, match="seed"):
        vector.reset(seed=[1])
    with pytest.raises(ScenarioError, match="scenarios"):
        vector.reset(options={"scenarios": [fixed_scene("lot", 0)]})
    with pytest.raises(ValueError, match="render_mode"):
        ParkingVectorEnv(2, render_mode="rgb_array")
    with pytest.raises(UnknownNameError, match="profile"):
        ParkingVectorEnv(2, profil="hope")
    vector.step(np.array([0, 41]))
