import functools
import os
import pickle
import random
import signal
import subprocess
import sys
import time

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode
from stable_baselines3 import PPO, SAC, TD3
from stable_baselines3.common.noise import NormalActionNoise, OrnsteinUhlenbeckActionNoise
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecNormalize

from hybridrl.agents.common.checkpoint import load_weights
from hybridrl.agents.common.training_state import (
    load_training_state,
    newest_state,
    read_meta,
    save_training_state,
    states,
)
from hybridrl.agents.common.trees import load_tree, save_tree
from hybridrl.agents.common.vec_env import GymVecEnv
from hybridrl.agents.h2o import H2O
from hybridrl.benchmarks.settings import parse_settings
from hybridrl.benchmarks.train import train, train_config
from hybridrl.datasets.offline import OfflineDataset
from hybridrl.planners.errors import ScenarioError


def small():
    return {"net_arch": [16]}  # a new one each time: algorithms write into it


def dataset(rows=64, seed=0):
    rng = np.random.default_rng(seed)
    return OfflineDataset(
        observations=rng.normal(size=(rows, 3)),
        actions=rng.uniform(-2, 2, (rows, 1)),
        rewards=rng.normal(size=rows),
        next_observations=rng.normal(size=(rows, 3)),
        terminations=np.zeros(rows, bool),
        truncations=np.zeros(rows, bool),
    )


def h2o(env="Pendulum-v1", **kwargs):
    return H2O(
        "MlpPolicy",
        env,
        offline_dataset=kwargs.pop("offline_dataset", dataset()),
        policy_kwargs=small(),
        disc_net_arch=(16,),
        disc_batch_size=8,
        batch_size=16,
        buffer_size=500,
        learning_starts=50,
        seed=3,
        device="cpu",
        **kwargs,
    )


def sac(env="Pendulum-v1"):
    options = {"buffer_size": 500, "learning_starts": 50, "batch_size": 16, "seed": 3}
    return SAC("MlpPolicy", env, policy_kwargs=small(), device="cpu", **options)


def noisy_td3(env="Pendulum-v1", kind=NormalActionNoise):
    noise = kind(np.zeros(1), 0.1 * np.ones(1))
    options = {"buffer_size": 500, "learning_starts": 50, "batch_size": 16, "seed": 3}
    return TD3("MlpPolicy", env, action_noise=noise, policy_kwargs=small(), device="cpu", **options)


def ppo(env="Pendulum-v1"):
    return PPO("MlpPolicy", env, n_steps=32, policy_kwargs=small(), seed=3, device="cpu")


def normalised_sac(env="Pendulum-v1"):
    return sac(VecNormalize(DummyVecEnv([lambda: gym.make(env)] * 2)))


def vector_sac():
    return sac(gymnasium_vector("sync"))


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.policy.parameters()])


class StopAt:
    """A callback that saves before a rollout and stops there."""

    def __new__(cls, steps, root):
        from stable_baselines3.common.callbacks import BaseCallback

        class Stopper(BaseCallback):
            def _on_rollout_start(self):
                if self.num_timesteps == steps:
                    save_training_state(self.model, root)
                    self.stop = True

            stop = False

            def _on_step(self):
                return not self.stop

        return Stopper()


@pytest.mark.parametrize("make", [h2o, sac, noisy_td3, ppo, normalised_sac, vector_sac])
def test_a_resumed_training_ends_with_the_weights_of_an_uninterrupted_one(tmp_path, make):
    whole = make().learn(100)
    make().learn(100, callback=StopAt(64, tmp_path))
    random.seed(99)
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002
    resumed = make()
    assert load_training_state(resumed, tmp_path)["exact"]
    resumed.learn(100 - resumed.num_timesteps, reset_num_timesteps=False)
    assert resumed.num_timesteps == whole.num_timesteps
    assert torch.equal(weights(resumed), weights(whole))


@pytest.mark.parametrize(
    "env", ["HalfCheetah-v5", "Hopper-v5", "hybridrl/Gap-Pendulum-GainX2.5-Sim-v0"]
)
def test_the_state_of_an_environment_is_complete(tmp_path, env):
    make = lambda: SAC(  # noqa: E731
        "MlpPolicy",
        env,
        policy_kwargs=small(),
        buffer_size=200,
        seed=1,
        device="cpu",
        learning_starts=60,
    )
    whole = make().learn(50)
    make().learn(50, callback=StopAt(30, tmp_path))
    resumed = make()
    assert load_training_state(resumed, tmp_path)["exact"]
    resumed.learn(20, reset_num_timesteps=False)
    assert np.array_equal(resumed._last_obs, whole._last_obs)
    expected = whole.replay_buffer.observations[:50]
    assert np.array_equal(resumed.replay_buffer.observations[:50], expected)


def other_process():
    return SubprocVecEnv([lambda: gym.make("Pendulum-v1")], start_method="fork")


def gymnasium_vector(kind):
    mode = {"autoreset_mode": AutoresetMode.SAME_STEP}
    return GymVecEnv(gym.make_vec("Pendulum-v1", 1, vectorization_mode=kind, vector_kwargs=mode))


@pytest.mark.parametrize("venv", [other_process, functools.partial(gymnasium_vector, "async")])
def test_without_a_state_of_the_environment_it_says_so_and_goes_on(tmp_path, venv):
    make = lambda: sac(venv())  # noqa: E731
    model = make().learn(40)
    save_training_state(model, tmp_path)
    model.env.close()
    other = make()
    assert not load_training_state(other, tmp_path)["exact"]
    other.learn(10, reset_num_timesteps=False)
    other.env.close()
    assert other.num_timesteps == 50


def test_noise_that_learning_begins_anew_is_not_called_exact(tmp_path):
    save_training_state(noisy_td3(kind=OrnsteinUhlenbeckActionNoise), tmp_path)
    assert not load_training_state(noisy_td3(kind=OrnsteinUhlenbeckActionNoise), tmp_path)["exact"]


def test_only_the_newest_states_stay_and_half_written_ones_do_not_count(tmp_path):
    model = sac()
    for steps in (1, 2, 3):
        model.num_timesteps = steps
        save_training_state(model, tmp_path, keep=2)
    assert [state.name for state in states(tmp_path)] == ["000000002", "000000003"]
    (tmp_path / "000000009.partial").mkdir()
    (tmp_path / "000000009").mkdir()  # no meta.json: not complete
    assert newest_state(tmp_path).name == "000000003"
    assert newest_state(tmp_path / "nowhere") is None


def test_another_dataset_is_refused_unless_allowed(tmp_path):
    save_training_state(h2o().learn(30), tmp_path)
    other = h2o(offline_dataset=dataset(seed=7))
    with pytest.raises(ScenarioError, match="offline_dataset"):
        load_training_state(other, tmp_path)
    load_training_state(other, tmp_path, allow_dataset_change=True)
    assert other.num_timesteps == 30


@pytest.mark.parametrize(
    "name", ["parameters.pth", "state.json", "state.npz", "replay.npz", "meta.json"]
)
def test_a_damaged_or_missing_file_is_named(tmp_path, name):
    folder = save_training_state(sac().learn(30), tmp_path)
    whole = (folder / name).read_bytes()
    for content in (whole[: len(whole) // 2], None):
        (folder / name).write_bytes(content) if content else (folder / name).unlink()
        with pytest.raises(ScenarioError, match=str(folder)):
            load_training_state(sac(), folder)


def test_code_that_was_planted_in_a_file_is_not_run(tmp_path):
    model = sac().learn(30)
    folder = save_training_state(model, tmp_path)
    witness = tmp_path / "planted"

    class Bad:
        def __reduce__(self):
            return open, (str(witness), "w")

    evil = pickle.dumps(Bad())
    torch.save({"parameters": Bad(), "variables": {}}, folder / "parameters.pth")
    with pytest.raises(ScenarioError, match="parameters"):
        load_weights(model, folder / "parameters.pth")
    (folder / "parameters.pth").write_bytes(evil)
    with pytest.raises(ScenarioError):
        load_training_state(sac(), folder)
    for name in ("replay", "state"):
        np.savez(folder / f"{name}.npz", a0=np.array([Bad()], object))
        with pytest.raises(ScenarioError):
            load_tree(folder / name)
    assert not witness.exists()


def test_trees_come_back_as_they_were(tmp_path):
    tree = {
        "a": np.arange(6.0).reshape(2, 3),
        "b": [1, 2.5, None, True, "text", 2**100],
        "c": {"d": torch.arange(3), "e": (1, (2, np.float32(0.5)))},
    }
    save_tree(tmp_path / "tree", tree)
    back = load_tree(tmp_path / "tree")
    assert np.array_equal(back["a"], tree["a"]) and back["b"] == tree["b"]
    assert torch.equal(back["c"]["d"], tree["c"]["d"]) and back["c"]["e"] == (1, (2, 0.5))


@pytest.mark.parametrize("value", [object(), {1: 2}, np.array([object()])])
def test_what_a_tree_cannot_hold_is_refused(tmp_path, value):
    with pytest.raises(ScenarioError, match="tree"):
        save_tree(tmp_path / "tree", {"a": value})


def test_a_training_that_was_killed_goes_on_to_the_same_weights(tmp_path):
    small = ("buffer_size=1000", "policy_kwargs={net_arch=[8]}", "batch_size=8")
    words = ["train", "sac", "Pendulum-v1", "-n", "200", "--device", "cpu"]
    words += [word for setting in small for word in ("--set", setting)]
    command = [sys.executable, "-m", "hybridrl", *words, "--out", str(tmp_path / "killed")]
    environ = {**os.environ, "OMP_NUM_THREADS": "1"}
    killed = subprocess.Popen(command, env=environ, stderr=subprocess.PIPE)
    folder = "train/Pendulum-v1/sac/seed-0"
    limit = time.monotonic() + 300
    while len(states(tmp_path / "killed" / folder / "checkpoint")) < 2:
        assert killed.poll() is None and time.monotonic() < limit, killed.stderr.read()
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not (tmp_path / "killed" / folder / "result.json").exists()
    steps = read_meta(newest_state(tmp_path / "killed" / folder / "checkpoint"))["num_timesteps"]
    assert 0 < steps < 200
    settings = {"total_timesteps": 200} | parse_settings(small)
    config = train_config("sac", "Pendulum-v1", 0, settings, device="cpu")
    for name in ("whole", "killed"):
        assert train(config, tmp_path / name, resume=True).status == "done"
    first, second = (
        torch.load(tmp_path / name / folder / "parameters.pth", weights_only=True)["parameters"]
        for name in ("whole", "killed")
    )
    for name, tensor in first["policy"].items():
        assert torch.equal(tensor, second["policy"][name]), name
