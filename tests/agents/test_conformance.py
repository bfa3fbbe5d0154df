"""What every hybrid agent has to keep of Stable-Baselines3's promises (``sb3_integration.md`` 5).

A row of :data:`AGENTS` is a registered agent with small settings; each item of the list is one
test over all of them.
"""

import copy
import json

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.callbacks import (
    CheckpointCallback,
    EvalCallback,
    StopTrainingOnMaxEpisodes,
)
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecNormalize

from hybridrl.agents.common.hybrid_sac import HybridSAC
from hybridrl.agents.common.training_state import load_training_state, save_training_state
from hybridrl.agents.registry import AGENTS as REGISTERED
from hybridrl.agents.registry import agent_class, load_preset, resolve, settable
from hybridrl.datasets.offline import OfflineDataset
from hybridrl.planners.errors import ScenarioError, UnknownNameError

DISC = {"disc_net_arch": (8,), "disc_batch_size": 8}
# Registered name -> settings over its preset that make it small.
AGENTS = {
    "moorl": {"inner_steps": 3, "gradient_steps": 2},
    "rlpd": {"n_critics": 3, "gradient_steps": 2},
    "rlpd-lite": {},
    "hyq-sac": {},
    "calql": {"n_actions": 2},
    "cql": {"n_actions": 2},
    "iql": {},
    "hybrid-sac": {},
    "h2o": DISC,
    "darc": DISC,
    "optimistic-sac": {"n_critics": 3, "switch": "logdet", "warm_steps": 5},
    "oac": {},
}
NEED_DATA = ("h2o", "darc")  # real rows are what they are about
SAC_LIKE = ("hybrid-sac", "h2o", "darc", "optimistic-sac", "oac")  # settings are those of SAC

named = pytest.mark.parametrize("name", AGENTS)
torch.set_num_threads(1)  # tiny networks: more threads only wait for each other


class Uneven(gym.Env):
    """A two-dimensional task with uneven action bounds, terminations and a time limit."""

    observation_space = gym.spaces.Box(-np.inf, np.inf, (2,), np.float64)
    action_space = gym.spaces.Box(np.array([-2.0, 1.0]), np.array([2.0, 9.0]), dtype=np.float64)

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        self.steps, self.at = 0, self.np_random.normal(size=2)
        return self._seen(), {}

    def step(self, action):
        assert (action >= self.action_space.low - 1e-6).all()
        assert (action <= self.action_space.high + 1e-6).all()
        self.steps += 1
        self.at = 0.9 * self.at + 0.1 * (action - [0.0, 5.0])
        ended, late = bool(self.at[0] > 1.5), self.steps >= 12
        return self._seen(), -float(self.at @ self.at), ended, late and not ended, {}

    def get_state(self):
        return {"steps": self.steps, "at": self.at.copy(),
                "generator": self.np_random.bit_generator.state}  # fmt: skip

    def set_state(self, state):
        self.steps, self.at = state["steps"], np.array(state["at"])
        self.np_random.bit_generator.state = state["generator"]

    def _seen(self):
        return self.at.copy()


class Nested(Uneven):
    observation_space = gym.spaces.Dict({"at": Uneven.observation_space})

    def _seen(self):
        return {"at": self.at.copy()}


def dataset(rows=40, **changes):
    rng = np.random.default_rng(0)
    columns = {
        "observations": rng.normal(size=(rows, 2)),
        "actions": rng.uniform([-2, 1], [2, 9], (rows, 2)),
        "rewards": rng.normal(size=rows),
        "next_observations": rng.normal(size=(rows, 2)),
        "terminations": np.arange(rows) % 10 == 9,
        "truncations": np.arange(rows) % 10 == 4,
    }
    return {**columns, **changes}


def class_of(name):
    return HybridSAC if name == "hybrid-sac" else agent_class(name)


def make(name, env=None, policy="MlpPolicy", **kwargs):
    preset = load_preset(name).get("default", {}) if name in REGISTERED else {}
    own = {k: v for k, v in preset.items() if k not in ("total_timesteps", "pretrain_steps")}
    options = {
        "policy_kwargs": {"net_arch": [8]},
        "buffer_size": 200,
        "batch_size": 8,
        "learning_starts": 10,
        "seed": 2,
        "device": "cpu",
        "offline_dataset": OfflineDataset(**dataset()),
    }
    settings = {**own, **options, **AGENTS[name], **kwargs}
    return class_of(name)(policy, Uneven() if env is None else env, **settings)


def weights(model):
    return torch.cat([t.flatten().float() for t in model.policy.state_dict().values()])


def test_the_list_holds_every_registered_agent_that_learns_from_both_sources():
    from hybridrl.agents.common.hybrid import HybridOffPolicyMixin

    known = {n for n in REGISTERED if issubclass_of(n, HybridOffPolicyMixin)}
    assert set(AGENTS) - {"hybrid-sac"} <= known
    assert known - set(AGENTS) <= {"hyq"}  # discrete actions: has tests of its own


def issubclass_of(name, base):
    found = agent_class(name)
    return isinstance(found, type) and issubclass(found, base)


def test_the_toy_environments_are_valid():
    check_env(Uneven(), skip_render_check=True)


@named  # item 1
@pytest.mark.parametrize(
    ("count", "kind"), [(1, DummyVecEnv), (3, DummyVecEnv), (2, SubprocVecEnv)]
)
def test_it_learns_in_one_and_several_environments(name, count, kind):
    options = {"start_method": "fork"} if kind is SubprocVecEnv else {}
    env = kind([Uneven] * count, **options)
    model = make(name, env).learn(24)
    env.close()
    assert model.num_timesteps >= 24 and model._n_updates > 0
    assert torch.isfinite(weights(model)).all()
    assert np.abs(model.replay_buffer.actions).max() <= 1.0


@named  # item 1
def test_it_learns_from_dictionaries_or_refuses_them(name):
    flat = dataset()
    data = {**flat, "observations": {"at": flat["observations"]},
            "next_observations": {"at": flat["next_observations"]}}  # fmt: skip
    if name in NEED_DATA:  # their discriminators take flat observations
        with pytest.raises(ScenarioError, match="observation_space"):
            make(name, Nested(), "MultiInputPolicy", offline_dataset=OfflineDataset(**data))
        return
    model = make(name, Nested(), "MultiInputPolicy", offline_dataset=OfflineDataset(**data))
    model.pretrain(2).learn(16)
    assert torch.isfinite(weights(model)).all()


@named  # item 2
def test_saved_and_loaded_it_predicts_the_same_and_goes_on(name, tmp_path):
    model = make(name).learn(20)
    obs = np.random.default_rng(0).normal(size=(5, 2))
    expected = model.predict(obs, deterministic=True)[0]
    model.save(tmp_path / "model.zip")
    cls = class_of(name)
    bare = cls.load(tmp_path / "model.zip", device="cpu")
    assert np.array_equal(bare.predict(obs, deterministic=True)[0], expected)
    data = OfflineDataset(**dataset())
    loaded = cls.load(tmp_path / "model.zip", env=Uneven(), device="cpu", offline_dataset=data)
    assert np.array_equal(loaded.predict(obs, deterministic=True)[0], expected)
    loaded.learn(16, reset_num_timesteps=False)
    assert loaded.num_timesteps == 36 and loaded.replay_buffer.n_offline == 40


@named  # item 2
def test_parameters_travel(name):
    model, other = make(name).learn(16), make(name, seed=9)
    other.set_parameters(copy.deepcopy(model.get_parameters()))
    assert torch.equal(weights(other), weights(model))


@named  # item 2
def test_the_file_holds_neither_dataset_nor_replay(name, tmp_path):
    sizes = []
    for rows, capacity in ((40, 100), (4000, 5000)):
        data = OfflineDataset(**dataset(rows))
        model = make(name, offline_dataset=data, buffer_size=capacity)
        model.save(tmp_path / f"{rows}.zip")
        sizes.append((tmp_path / f"{rows}.zip").stat().st_size)
    assert abs(sizes[1] - sizes[0]) < 200


@named  # item 3
def test_equal_seeds_give_equal_weights(name):
    first, second, other = (weights(make(name, seed=s).learn(18)) for s in (3, 3, 4))
    assert torch.equal(first, second) and not torch.equal(first, other)


@named  # item 3
def test_a_resumed_training_equals_an_uninterrupted_one(name, tmp_path):
    whole = make(name).learn(17).learn(14, reset_num_timesteps=False)
    first = make(name).learn(17)
    save_training_state(first, tmp_path)
    second = make(name)
    assert load_training_state(second, tmp_path)["exact"]
    second.learn(14, reset_num_timesteps=False)
    assert second.num_timesteps == whole.num_timesteps == 31
    assert torch.equal(weights(second), weights(whole))
    names = [p.name for p in tmp_path.rglob("*")]
    assert not any(name.endswith(".pkl") for name in names)
    assert json.loads((next(tmp_path.iterdir()) / "meta.json").read_text())["dataset"]


@named  # item 4
def test_callbacks_logs_and_tensorboard_work(name, tmp_path):
    model = make(name, tensorboard_log=str(tmp_path / "tb"))
    callbacks = [
        EvalCallback(DummyVecEnv([Uneven]), eval_freq=20, n_eval_episodes=1, verbose=0),
        CheckpointCallback(10, str(tmp_path / "saved")),
        StopTrainingOnMaxEpisodes(2),
    ]
    model.learn(200, callback=callbacks, log_interval=1, progress_bar=True)
    assert model.num_timesteps < 60 and list((tmp_path / "saved").glob("*.zip"))
    assert list((tmp_path / "tb").rglob("events*"))
    assert {"train/critic_loss", "train/actor_loss"} <= set(model.logger.name_to_value)


@named  # item 5
def test_both_sources_are_normalised_alike(name):
    env = VecNormalize(DummyVecEnv([Uneven]))
    model = make(name, env).learn(20)
    store = model.replay_buffer
    online = store.sample(1, source="online", generator=np.random.default_rng(0))
    row = {
        "observations": online.observations.numpy(),
        "next_observations": online.next_observations.numpy(),
        "actions": env.action_space.low + (online.actions.numpy() + 1) / 2
        * (env.action_space.high - env.action_space.low),
        "rewards": online.rewards[0].numpy(),
        "terminations": online.dones[0].numpy() > 0,
        "truncations": np.zeros(1, bool),
    }  # fmt: skip
    store.attach_offline(OfflineDataset(**row), allow_change=True)
    left = store.sample(1, env, "online", generator=np.random.default_rng(0))
    right = store.sample(1, env, "offline")
    torch.testing.assert_close(left.observations, right.observations)
    torch.testing.assert_close(left.next_observations, right.next_observations)
    torch.testing.assert_close(left.rewards, right.rewards)


@named  # item 6
def test_a_time_limit_bootstraps_and_an_end_does_not(name):
    model = make(name)
    batch = model.replay_buffer.sample(200, source="offline")
    terminal = {tuple(o) for o in np.float32(dataset()["observations"][9::10]).tolist()}
    for seen, done in zip(batch.observations.tolist(), batch.dones.squeeze(1), strict=True):
        assert bool(done) == (tuple(seen) in terminal)
    zero, info = np.zeros((1, 2)), [{"TimeLimit.truncated": True}]
    model.replay_buffer.add(zero, zero, zero, np.ones(1), np.array([True]), info)
    assert model.replay_buffer.sample(4, source="online").dones.sum() == 0
    model.replay_buffer.add(zero, zero + 1, zero, np.ones(1), np.array([True]), [{}])
    found = model.replay_buffer.sample(64, source="online")
    assert torch.equal(found.dones.squeeze(1) > 0, found.next_observations[:, 0] == 1)


@named  # item 7
def test_actions_of_the_dataset_come_back_between_minus_1_and_1(name):
    model = make(name)
    low, high = Uneven.action_space.low, Uneven.action_space.high
    scaled = model.replay_buffer.offline_rows[:, model.replay_buffer.layout.actions].numpy()
    expected = 2 * (dataset()["actions"] - low) / (high - low) - 1
    np.testing.assert_allclose(scaled, expected, atol=1e-5)
    assert np.abs(scaled).max() <= 1.0


@named  # item 8
def test_without_a_dataset_it_learns_online_or_says_what_is_missing(name):
    model = make(name, offline_dataset=None)
    if name in NEED_DATA:
        with pytest.raises(ScenarioError, match="offline_dataset"):
            model.learn(20)
        return
    assert model.learn(20)._n_updates > 0
    with pytest.raises(ScenarioError, match="offline_dataset"):
        model.pretrain(1)


@named  # item 8
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


@named  # item 8
def test_datasets_of_any_make_are_taken(name, tmp_path):
    base = dataset(5)  # smaller than a batch
    strided = {k: np.repeat(v, 2, axis=0)[::2] for k, v in base.items()}
    strided["observations"] = np.asfortranarray(strided["observations"])
    mapped = np.memmap(tmp_path / "rows", np.float32, "w+", shape=(5,))
    mapped[:] = base["rewards"]
    strided["rewards"] = np.memmap(tmp_path / "rows", np.float32, "r", shape=(5,))
    model = make(name, offline_dataset=strided).learn(16)
    assert model.replay_buffer.n_offline == 5


@named  # item 10
@pytest.mark.parametrize(
    "options",
    [
        {"policy_kwargs": {"net_arch": {"pi": [8], "qf": [6, 6]}}},
        {"ent_coef": "auto_0.1"},
        {"ent_coef": 0.2, "learning_rate": lambda left: 1e-3 * left},
        {"train_freq": 4, "gradient_steps": -1},
    ],
)
def test_the_usual_settings_are_obeyed(name, options):
    options = {k: v for k, v in options.items() if name != "iql" or k != "ent_coef"}
    model = make(name, **options).learn(20)
    assert model._n_updates > 0 and torch.isfinite(weights(model)).all()


@pytest.mark.parametrize("name", SAC_LIKE)  # item 10
@pytest.mark.parametrize(
    "options",
    [
        {"policy_kwargs": {"net_arch": {"pi": [8], "qf": [6, 6]}, "n_critics": 3}},
        {"train_freq": 4, "gradient_steps": -1, "target_update_interval": 2},
    ],
)
def test_the_settings_of_sac_are_obeyed(name, options):
    model = make(name, **options).learn(20)
    assert model._n_updates > 0 and torch.isfinite(weights(model)).all()


@named  # item 10
def test_state_dependent_exploration_is_refused(name):
    with pytest.raises(ScenarioError, match="use_sde"):
        make(name, use_sde=True)


@pytest.mark.parametrize("name", ["moorl", "calql", "cql"])  # item 9
def test_list_critics_are_taken_where_nothing_is_normalised(name):
    model = make(name, policy="ListPolicy").learn(16)
    assert model._n_updates > 0 and torch.isfinite(weights(model)).all()


@pytest.mark.parametrize("name", NEED_DATA)  # item 10
def test_settings_of_the_parents_can_be_set_by_name(name):
    known = settable(name)
    assert {"offline_dataset", "offline_fraction", "gamma", "batch_size", "disc_every"} <= set(
        known
    )
    assert not {"self", "env", "kwargs", "args", "seed"} & set(known)
    assert resolve(name, "Pendulum-v1", {"gamma": 0.9})["gamma"] == 0.9
    with pytest.raises(UnknownNameError, match="gamma"):
        resolve(name, "Pendulum-v1", {"gama": 0.9})
