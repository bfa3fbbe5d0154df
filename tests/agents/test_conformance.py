"""What every agent that is built on the shared core has to keep of Stable-Baselines3's promises.

A new agent joins with one row of :data:`AGENTS`.
"""

import copy

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3.common.callbacks import (
    CheckpointCallback,
    EvalCallback,
    StopTrainingOnMaxEpisodes,
)
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecNormalize

from hybridrl.agents.common.hybrid_sac import HybridSAC
from hybridrl.agents.darc import DARC
from hybridrl.agents.h2o import H2O
from hybridrl.agents.optimistic_sac import OptimisticSAC
from hybridrl.agents.registry import resolve, settable
from hybridrl.datasets.offline import OfflineDataset
from hybridrl.planners.errors import ScenarioError, UnknownNameError

DISC = {"disc_net_arch": (8,), "disc_batch_size": 8}
OAC = {"switch": "every_step", "reset": "none", "delta": 23.53, "layer_norm": False}
# Class, its small settings, and whether it learns without a dataset.
AGENTS = {
    "hybrid-sac": (HybridSAC, {}, True),
    "h2o": (H2O, DISC, False),
    "darc": (DARC, DISC, False),
    "optimistic-sac": (OptimisticSAC, {"n_critics": 3, "switch": "logdet", "warm_steps": 5}, True),
    "oac": (OptimisticSAC, OAC, True),
}
named = pytest.mark.parametrize("name", AGENTS)


class Uneven(gym.Env):
    """A two-dimensional task with uneven action bounds, terminations and a time limit."""

    observation_space = gym.spaces.Box(-np.inf, np.inf, (2,), np.float64)
    action_space = gym.spaces.Box(np.array([-2.0, 1.0]), np.array([2.0, 9.0]), dtype=np.float64)

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        self.steps, self.at = 0, self.np_random.normal(size=2)
        return self.at.copy(), {}

    def step(self, action):
        assert (action >= self.action_space.low - 1e-6).all()
        assert (action <= self.action_space.high + 1e-6).all()
        self.steps += 1
        self.at = 0.9 * self.at + 0.1 * (action - [0.0, 5.0])
        ended, late = bool(self.at[0] > 1.5), self.steps >= 12
        return self.at.copy(), -float(self.at @ self.at), ended, late and not ended, {}


def dataset(rows=40, **changes):
    rng = np.random.default_rng(0)
    columns = {
        "observations": rng.normal(size=(rows, 2)),
        "actions": rng.uniform([-2, 1], [2, 9], (rows, 2)),
        "rewards": rng.normal(size=rows),
        "next_observations": rng.normal(size=(rows, 2)),
        "terminations": np.arange(rows) % 10 == 9,
        "truncations": np.zeros(rows, bool),
    }
    return {**columns, **changes}


def make(name, env=None, **kwargs):
    cls, settings, _ = AGENTS[name]
    options = {
        "policy_kwargs": {"net_arch": [8]},
        "buffer_size": 200,
        "batch_size": 8,
        "learning_starts": 15,
        "seed": 2,
        "device": "cpu",
        "offline_dataset": OfflineDataset(**dataset()),
    }
    return cls("MlpPolicy", Uneven() if env is None else env, **{**options, **settings, **kwargs})


def weights(model):
    tensors = [t for t in model.policy.state_dict().values()]
    return torch.cat([t.flatten().float() for t in tensors])


@named
@pytest.mark.parametrize(
    ("count", "kind"), [(1, DummyVecEnv), (3, DummyVecEnv), (2, SubprocVecEnv)]
)
def test_it_learns_in_one_and_several_environments(name, count, kind):
    options = {"start_method": "fork"} if kind is SubprocVecEnv else {}
    env = kind([Uneven] * count, **options)
    model = make(name, env).learn(30)
    env.close()
    assert model.num_timesteps >= 30 and model._n_updates > 0
    assert torch.isfinite(weights(model)).all()
    assert np.abs(model.replay_buffer.actions).max() <= 1.0


@named
def test_saved_and_loaded_it_predicts_the_same_and_goes_on(name, tmp_path):
    model = make(name).learn(24)
    obs = np.random.default_rng(0).normal(size=(5, 2))
    expected = model.predict(obs, deterministic=True)[0]
    model.save(tmp_path / "model.zip")
    cls = AGENTS[name][0]
    bare = cls.load(tmp_path / "model.zip", device="cpu")
    assert np.array_equal(bare.predict(obs, deterministic=True)[0], expected)
    data = OfflineDataset(**dataset())
    loaded = cls.load(tmp_path / "model.zip", env=Uneven(), device="cpu", offline_dataset=data)
    assert np.array_equal(loaded.predict(obs, deterministic=True)[0], expected)
    loaded.learn(20, reset_num_timesteps=False)
    assert loaded.num_timesteps == 44 and loaded.replay_buffer.n_offline == 40


@named
def test_parameters_travel(name):
    model, other = make(name).learn(20), make(name, seed=9)
    other.set_parameters(copy.deepcopy(model.get_parameters()))
    assert torch.equal(weights(other), weights(model))


@named
def test_the_file_holds_neither_dataset_nor_replay(name, tmp_path):
    sizes = []
    for rows, capacity in ((40, 100), (4000, 5000)):
        data = OfflineDataset(**dataset(rows))
        model = make(name, offline_dataset=data, buffer_size=capacity)
        model.save(tmp_path / f"{rows}.zip")
        sizes.append((tmp_path / f"{rows}.zip").stat().st_size)
    assert abs(sizes[1] - sizes[0]) < 200


@named
def test_equal_seeds_give_equal_weights(name):
    first, second, other = (weights(make(name, seed=s).learn(24)) for s in (3, 3, 4))
    assert torch.equal(first, second) and not torch.equal(first, other)


@named
def test_callbacks_logs_and_tensorboard_work(name, tmp_path):
    model = make(name, tensorboard_log=str(tmp_path / "tb"))
    callbacks = [
        EvalCallback(Uneven(), eval_freq=20, n_eval_episodes=1, verbose=0),
        CheckpointCallback(10, str(tmp_path / "saved")),
        StopTrainingOnMaxEpisodes(3),
    ]
    model.learn(200, callback=callbacks, log_interval=1)
    assert model.num_timesteps < 60 and list((tmp_path / "saved").glob("*.zip"))
    assert list((tmp_path / "tb").rglob("events*"))
    assert {"train/critic_loss", "train/actor_loss"} <= set(model.logger.name_to_value)


@named
def test_a_normalising_environment_is_learnt_in(name):
    env = VecNormalize(DummyVecEnv([Uneven]))
    model = make(name, env).learn(30)
    raw = model.replay_buffer.sample(16, source="offline", generator=np.random.default_rng(0))
    scaled = model.replay_buffer.sample(16, env, "offline", generator=np.random.default_rng(0))
    expected = env.normalize_obs(raw.observations.numpy())
    assert np.allclose(scaled.observations, expected, atol=1e-6)


@named
def test_without_a_dataset_it_learns_or_says_what_is_missing(name):
    model = make(name, offline_dataset=None)
    if AGENTS[name][2]:
        assert model.learn(24)._n_updates > 0
    else:
        with pytest.raises(ScenarioError, match="offline_dataset"):
            model.learn(24)


@named
@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"observations": np.zeros((40, 3)), "next_observations": np.zeros((40, 3))}, "shape"),
        ({"rewards": np.full(40, np.nan)}, "rewards"),
        ({"rewards": np.zeros(39)}, "rewards"),
        ({"actions": np.zeros((40, 5))}, "actions"),
    ],
)
def test_a_dataset_that_does_not_fit_is_refused_with_its_field(name, changes, says):
    with pytest.raises(ScenarioError, match=says):
        make(name, offline_dataset=dataset(**changes))


@named
def test_datasets_of_any_make_are_taken(name, tmp_path):
    base = dataset(5)  # smaller than a batch
    strided = {k: np.repeat(v, 2, axis=0)[::2] for k, v in base.items()}
    strided["observations"] = np.asfortranarray(strided["observations"])
    mapped = np.memmap(tmp_path / "rows", np.float32, "w+", shape=(5,))
    mapped[:] = base["rewards"]
    strided["rewards"] = np.memmap(tmp_path / "rows", np.float32, "r", shape=(5,))
    model = make(name, offline_dataset=strided).learn(20)
    assert model.replay_buffer.n_offline == 5


@named
@pytest.mark.parametrize(
    "options",
    [
        {"policy_kwargs": {"net_arch": {"pi": [8], "qf": [6, 6]}, "n_critics": 3}},
        {"ent_coef": "auto_0.1"},
        {"ent_coef": 0.2, "learning_rate": lambda left: 1e-3 * left},
        {"train_freq": 4, "gradient_steps": -1, "target_update_interval": 2},
    ],
)
def test_the_usual_settings_are_obeyed(name, options):
    model = make(name, **options).learn(24)
    assert model._n_updates > 0 and torch.isfinite(weights(model)).all()


@pytest.mark.parametrize("name", ["h2o", "darc"])
def test_settings_of_the_parents_can_be_set_by_name(name):
    known = settable(name)
    assert {"offline_dataset", "offline_fraction", "gamma", "batch_size", "disc_every"} <= set(
        known
    )
    assert not {"self", "env", "kwargs", "args", "seed"} & set(known)
    assert resolve(name, "Pendulum-v1", {"gamma": 0.9})["gamma"] == 0.9
    with pytest.raises(UnknownNameError, match="gamma"):
        resolve(name, "Pendulum-v1", {"gama": 0.9})
