"""HNPG: what it learns, each conflict between paper and code, and Stable-Baselines3's promises."""

import copy

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3.common.callbacks import CheckpointCallback, EvalCallback
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecNormalize

import hybridrl  # noqa: F401
from hybridrl.agents import HNPG
from hybridrl.agents.common.training_state import load_training_state, save_training_state
from hybridrl.agents.common.vec_env import make_vec
from hybridrl.agents.hnpg.features import RandomConvFeatures
from hybridrl.agents.hnpg.policy import HNPGPolicy
from hybridrl.agents.hnpg.rows import OfflineSteps
from hybridrl.agents.hnpg.update import _offline_part
from hybridrl.datasets.comblock import comblock_dataset
from hybridrl.datasets.errors import DatasetError
from hybridrl.datasets.offline import OfflineDataset
from hybridrl.datasets.registry import make_dataset
from hybridrl.envs.comblock.lock import LockOptions
from hybridrl.planners.errors import ScenarioError

ID = "hybridrl/CombLock-v0"
LOCK = {"horizon": 3, "lock_seed": 1}


def data(episodes=200, **changes):
    return comblock_dataset(LockOptions(**{**LOCK, **changes}), "eps", episodes, seed=0)


def make(n_envs=4, env=None, lock=None, **kwargs):
    lock = {**LOCK, **(lock or {})}
    env = env or make_vec(ID, n_envs, seed=0, **lock)
    options = {"n_steps": 6, "seed": 0, "device": "cpu", "critic_steps": 3, **kwargs}
    return HNPG("MlpPolicy", env, **options)


def weights(model):
    return torch.cat([t.flatten().float() for t in model.policy.state_dict().values()])


class Line(gym.Env):
    """Push a number to 0 within ten steps; no horizon is told."""

    observation_space = gym.spaces.Box(-np.inf, np.inf, (1,), np.float64)
    action_space = gym.spaces.Box(-2.0, 2.0, (1,))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.x, self.steps = self.np_random.uniform(-1, 1), 0
        return np.array([self.x]), {}

    def step(self, action):
        assert self.action_space.contains(np.asarray(action, np.float32))
        self.x = float(np.clip(self.x + 0.2 * action[0], -2, 2))
        self.steps += 1
        return np.array([self.x]), -abs(self.x), abs(self.x) > 1.9, self.steps >= 10, {}


@pytest.mark.parametrize("kind", ["discrete", "continuous"])
def test_it_learns_in_the_lock_with_data_of_it(kind):
    lock = {"action_kind": kind}
    model = make(lock=lock, offline_dataset=data(**lock), clip_actions=False)
    before = weights(model)
    model.learn(48)
    assert model.n_members == 3 and model.gamma == 1.0 and model.num_timesteps == 48
    assert not torch.equal(before, weights(model)) and torch.isfinite(weights(model)).all()
    logged = model.logger.name_to_value
    assert {"train/online_mse", "train/offline_td", "train/kl", "train/linesearch_accept"} <= set(
        logged
    )
    assert logged["train/kl"] <= model.target_kl


@pytest.mark.slow
@pytest.mark.parametrize("offline", [True, False])
def test_with_data_it_opens_a_lock_that_it_cannot_open_without(offline):
    dataset = data(2000, horizon=5) if offline else None
    model = HNPG(
        "MlpPolicy", make_vec(ID, 100, seed=0, horizon=5, lock_seed=1), n_steps=10, seed=0,
        device="cpu", offline_dataset=dataset,
    ).learn(45_000)  # fmt: skip
    returns, _ = evaluate_policy(
        model, make_vec(ID, 100, seed=9, horizon=5, lock_seed=1), 100,
        deterministic=False, warn=False, return_episode_rewards=True,
    )  # fmt: skip
    opened = np.mean(np.array(returns) == 1.0)
    assert opened > 0.8 if offline else opened == 0.0


@pytest.mark.slow
def test_a_bandit_needs_no_data():
    model = make(100, lock={"horizon": 1}, n_steps=10, critic_steps=30).learn(20_000)
    env = make_vec(ID, 100, seed=9, horizon=1, lock_seed=1)
    assert evaluate_policy(model, env, 100, warn=False)[0] > 0.9


def test_without_data_it_is_the_same_path_with_an_empty_offline_part(monkeypatch):
    """hnpg.md 1.4: no dataset equals a dataset that neither term uses."""
    monkeypatch.setattr(OfflineSteps, "sample", lambda self, rows: None)  # draws nothing
    online = weights(make().learn(48))
    unused = make(offline_dataset=data(), offline_critic=False, offline_policy=False)
    assert torch.equal(online, weights(unused.learn(48)))


def test_c1_the_policy_step_draws_its_own_actions_or_takes_the_datas():
    model = make(offline_dataset=data())
    offline = model._offline.sample(50)
    for own in (True, False):
        settings = type("S", (), {"own_actions": own, "n_value_samples": 1})
        part = _offline_part(model.policy, offline, settings)
        assert torch.equal(part.actions, offline.actions) == (not own)
        values = model.policy.values(offline.features, 1)
        q = model.policy.q_values(offline.features, part.actions)
        assert torch.allclose(part.advantages, q - values)
    with pytest.raises(ScenarioError, match="offline_action_source"):
        make(offline_action_source="dataset")


def test_c3_one_sweep_carries_a_reward_from_the_last_step_to_the_first():
    """Backward with the critic just fitted: only the last step is paid, all know of it at once."""
    lock = {"anti_mode": "terminal", "p_anti": 1.0, "anti_reward": 0.5}  # a failure is worth 0.5
    dataset = data(500, **lock)
    settings = {"n_steps": 150, "critic_steps": 150, "learning_rate": 1e-2}
    model = make(lock=lock, offline_dataset=dataset, **settings)
    model.pretrain(1)
    first = torch.as_tensor(dataset.observations[dataset.starts].copy())
    values = model.policy.values(first[None].expand(3, -1, -1), 1)[0]
    assert values.mean().item() == pytest.approx(0.5, abs=0.15)


def test_c7_there_is_no_cap_but_total_timesteps():
    assert make(n_steps=3).learn(600).num_timesteps == 600


def test_c9_the_penalty_shrinks_every_layer():
    norms = []
    for l2 in (0.0, 1.0):
        model = make(offline_dataset=data(), critic_l2=l2, critic_steps=50, learning_rate=1e-2)
        model.learn(12)
        norms.append([p.detach().norm() for p in model.policy.critic.parameters()])
    assert all(small < large for small, large in zip(norms[1], norms[0], strict=True))


def test_each_step_has_its_policy_and_predict_follows_the_state():
    model = make(lock={"action_kind": "continuous"}, policy_kwargs={"net_arch": [4]})
    with torch.no_grad():
        for h in range(3):
            model.policy.actor.head.weight[h] = 0.0
            model.policy.actor.head.bias[h] = 0.1 * (h + 1)
    seen = np.zeros((2, model.observation_space.shape[0]), np.float32)
    state, values = None, []
    for start in ([True, True], [False, False], [False, True]):
        actions, state = model.predict(seen, state, np.array(start), deterministic=True)
        values.append(actions[:, 0].round(3).tolist())
    assert np.allclose(values, [[0.1, 0.1], [0.2, 0.2], [0.3, 0.1]])
    assert state[0].tolist() == [3, 1]
    assert model.predict(seen[0], deterministic=True)[0].shape == (10,)


def test_actions_are_clipped_only_if_asked():
    for clip in (True, False):
        model = make(lock={"action_kind": "continuous"}, clip_actions=clip)
        with torch.no_grad():
            model.policy.actor.head.bias.fill_(5.0)
        seen = np.zeros((1, model.observation_space.shape[0]), np.float32)
        assert model.predict(seen, deterministic=True)[0].max() == pytest.approx(
            1.0 if clip else 5.0, abs=0.6
        )


@pytest.mark.parametrize(
    ("count", "kind"), [(1, DummyVecEnv), (3, DummyVecEnv), (2, SubprocVecEnv)]
)
def test_ordinary_tasks_have_one_network_and_a_discount(count, kind):
    options = {"start_method": "fork"} if kind is SubprocVecEnv else {}
    env = kind([Line] * count, **options)
    model = HNPG("MlpPolicy", env, n_steps=15, seed=0, device="cpu", critic_steps=3).learn(60)
    env.close()
    assert (model.n_members, model.gamma) == (1, 0.99) and torch.isfinite(weights(model)).all()


@pytest.mark.parametrize("wanted", [None, False])
def test_online_advantages_are_centred_where_one_network_serves_all_steps(monkeypatch, wanted):
    seen = []
    monkeypatch.setattr(
        "hybridrl.agents.hnpg.update._joined", lambda parts: seen.extend(parts) or parts[0]
    )
    make(env=DummyVecEnv([Line] * 2), n_steps=20, centre_advantages=wanted).learn(40)
    assert (abs(float(seen[0].advantages.mean())) < 1e-5) == (wanted is None)
    assert not make().centre_advantages  # a lock's are left as they are


def line_data(rows=80):
    env, rng = Line(), np.random.default_rng(0)
    observation, _ = env.reset(seed=0)
    columns = {n: [] for n in ("observations", "actions", "rewards", "next_observations",
                               "terminations", "truncations")}  # fmt: skip
    for _ in range(rows):
        action = rng.uniform(-2, 2, 1).astype(np.float32)
        following, reward, ended, late, _ = env.step(action)
        row = (observation, action, reward, following, ended, late and not ended)
        for name, value in zip(columns, row, strict=True):
            columns[name].append(value)
        observation = env.reset()[0] if ended or late else following
    return OfflineDataset(**{name: np.array(values) for name, values in columns.items()})


def test_data_of_an_ordinary_task_are_used_and_inner_sweeps_bootstrap():
    common = {"n_steps": 20, "seed": 0, "device": "cpu", "critic_steps": 5}
    one = HNPG("MlpPolicy", Line(), offline_dataset=line_data(), **common).learn(20)
    two = HNPG("MlpPolicy", Line(), offline_dataset=line_data(), critic_sweeps=3, **common)
    assert not torch.equal(weights(one), weights(two.learn(20)))
    assert "train/offline_td" in one.logger.name_to_value


def test_a_time_limit_is_valued_and_an_end_is_not():
    model = HNPG("MlpPolicy", Line(), n_steps=10, seed=0, device="cpu")
    with torch.no_grad():
        model.policy.critic.head.weight.zero_()
        model.policy.critic.head.bias.fill_(2.0)
    last = {"terminal_observation": np.zeros(1)}
    infos = [{**last, "TimeLimit.truncated": True}, {**last, "TimeLimit.truncated": False}]
    model._env_steps = torch.zeros(2, dtype=torch.int64)
    after = model._after_time_limits(infos, np.array([True, True]))
    assert after.tolist() == pytest.approx([0.99 * 2.0, 0.0])


def test_saved_and_loaded_it_predicts_the_same_and_goes_on(tmp_path):
    model = make(offline_dataset=data()).learn(24)
    seen = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)
    expected = model.predict(seen, (np.array([0, 1, 2, 0, 1]),), deterministic=True)[0]
    model.save(tmp_path / "model.zip")
    bare = HNPG.load(tmp_path / "model.zip", device="cpu")
    found = bare.predict(seen, (np.array([0, 1, 2, 0, 1]),), deterministic=True)[0]
    assert np.array_equal(found, expected) and bare.n_members == 3
    env = make_vec(ID, 4, seed=0, **LOCK)
    again = HNPG.load(tmp_path / "model.zip", env=env, device="cpu", offline_dataset=data())
    again.learn(24, reset_num_timesteps=False)
    assert again.num_timesteps == 48 and "train/offline_td" in again.logger.name_to_value
    other = make(seed=7)
    other.set_parameters(copy.deepcopy(model.get_parameters()))
    assert torch.equal(weights(other), weights(model))


def test_the_file_holds_no_data(tmp_path):
    sizes = []
    for episodes in (20, 3000):
        make(offline_dataset=data(episodes)).save(tmp_path / "model.zip")
        sizes.append((tmp_path / "model.zip").stat().st_size)
    assert abs(sizes[1] - sizes[0]) < 200


def test_equal_seeds_give_equal_weights():
    first, second, other = (
        weights(make(offline_dataset=data(), seed=s).learn(24)) for s in (3, 3, 4)
    )
    assert torch.equal(first, second) and not torch.equal(first, other)


@pytest.mark.parametrize("steps", [6, 4])  # whole episodes, and rollouts that cut them
def test_a_resumed_training_equals_an_uninterrupted_one(tmp_path, steps):
    whole = make(offline_dataset=data(), n_steps=steps).learn(12 * steps)
    first = make(offline_dataset=data(), n_steps=steps).learn(4 * steps)
    save_training_state(first, tmp_path)
    second = make(offline_dataset=data(), n_steps=steps, seed=5)
    assert load_training_state(second, tmp_path)["exact"]
    second.learn(8 * steps, reset_num_timesteps=False)
    assert torch.equal(weights(second), weights(whole))


def test_callbacks_and_tensorboard_work(tmp_path):
    model = make(tensorboard_log=str(tmp_path / "tb"))
    evaluation = EvalCallback(
        make_vec(ID, 1, seed=9, **LOCK), eval_freq=6, n_eval_episodes=2, verbose=0
    )
    model.learn(48, callback=[evaluation, CheckpointCallback(6, str(tmp_path / "saved"))])
    assert list((tmp_path / "saved").glob("*.zip")) and list((tmp_path / "tb").rglob("events*"))
    assert (
        "rollout/success_rate" in model.logger.name_to_value
        or evaluation.evaluations_timesteps == []
    )


def test_frozen_features_of_images_are_never_trained():
    lock = {"horizon": 1, "lock_seed": 0, "obs_kind": "image"}
    model = HNPG(
        "CnnPolicy", make_vec(ID, 2, seed=0, **lock), n_steps=4, seed=0, device="cpu",
        critic_steps=2, offline_dataset=data(20, **lock),
        policy_kwargs={"features_extractor_kwargs": {"features_dim": 32}},
    )  # fmt: skip
    extractor = model.policy.features_extractor
    before = [p.clone() for p in extractor.parameters()]
    model.learn(16)
    assert bool(extractor.fitted) and all(map(torch.equal, before, extractor.parameters()))
    again = RandomConvFeatures(model.observation_space, 32)
    assert all(map(torch.equal, before, again.parameters()))


@pytest.mark.parametrize(
    ("keywords", "error", "says"),
    [
        ({"offline_dataset": "longer"}, DatasetError, "the horizon"),
        ({"offline_dataset": "wrong actions"}, DatasetError, "actions"),
        ({"per_step": True, "env": "line"}, ScenarioError, "horizon"),
        ({"lam": -1.0}, ScenarioError, "lam"),
        ({"batch_size": 64}, ScenarioError, "batch_size"),
        ({"use_sde": True, "lock": {"action_kind": "continuous"}}, ScenarioError, "use_sde"),
        ({"policy_kwargs": {"activation_fn": torch.nn.ELU}}, ScenarioError, "activation_fn"),
    ],
)
def test_what_does_not_fit_is_named(keywords, error, says):
    longer, wrong = data(10, horizon=4), data(10, action_kind="continuous")
    found = {"longer": longer, "wrong actions": wrong}
    if "offline_dataset" in keywords:
        keywords = {"offline_dataset": found[keywords["offline_dataset"]]}
    if keywords.get("env") == "line":
        keywords = {**keywords, "env": DummyVecEnv([Line])}
    with pytest.raises(error, match=says):
        make(**keywords)


def test_dictionaries_of_observations_are_refused_in_words():
    class Nested(Line):
        observation_space = gym.spaces.Dict({"x": Line.observation_space})

    with pytest.raises(ScenarioError, match="FlattenObservation"):
        HNPG(HNPGPolicy, Nested(), device="cpu")


def test_a_normalising_environment_is_learnt_in_but_not_with_data():
    env = VecNormalize(DummyVecEnv([Line]))
    model = HNPG("MlpPolicy", env, n_steps=15, seed=0, device="cpu", critic_steps=2).learn(15)
    assert torch.isfinite(weights(model)).all()
    with pytest.raises(ScenarioError, match="VecNormalize"):
        HNPG("MlpPolicy", env, n_steps=15, device="cpu", offline_dataset=line_data())


def test_a_mujoco_task_takes_a_minari_dataset(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    name = make_dataset("hybridrl/halfcheetah/random-v0", rows=40)
    options = {"n_steps": 30, "seed": 0, "device": "cpu", "critic_steps": 2}
    model = HNPG("MlpPolicy", "HalfCheetah-v5", offline_dataset=name, **options).learn(60)
    assert model.n_members == 1 and model.gamma == 0.99
    assert "train/offline_td" in model.logger.name_to_value
    assert torch.isfinite(weights(model)).all()


def test_pretraining_needs_data_and_takes_no_step():
    with pytest.raises(ScenarioError, match="offline_dataset"):
        make().pretrain(1)
    model = make(offline_dataset=data())
    before = weights(model)
    assert model.pretrain(2).num_timesteps == 0
    assert not torch.equal(before, weights(model))
