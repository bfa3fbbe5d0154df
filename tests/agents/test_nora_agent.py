"""NORA in environments: learning, predicting, callbacks and files."""

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3.common.callbacks import BaseCallback, EvalCallback
from stable_baselines3.common.logger import configure
from stable_baselines3.common.vec_env import DummyVecEnv

from hybridrl.agents.nora import NORA
from hybridrl.agents.nora.files import read_agent
from hybridrl.datasets.comblock import comblock_dataset
from hybridrl.envs.comblock.env import CombLockEnv, CombLockVectorEnv
from hybridrl.envs.comblock.lock import LockOptions
from hybridrl.planners.errors import ScenarioError

VECTORS = {"c": 0.3, "ridge": 1.0}


def env(horizon=4, kind="latent", seed=0):
    return CombLockEnv(horizon=horizon, n_actions=4, obs_kind=kind, lock_seed=seed)


def agent(kind="latent", made=None, **options):
    rules = {**(VECTORS if kind == "hadamard" else {}), **options}
    nora = NORA("auto", env(kind=kind) if made is None else made, **{"seed": 0, **rules})
    nora.set_logger(configure(None, []))
    return nora


def data(kind, episodes=60, horizon=4):
    options = LockOptions(horizon=horizon, n_actions=4, obs_kind=kind, lock_seed=0)
    return comblock_dataset(options, "eps", episodes, 0)


@pytest.mark.parametrize("kind", ["latent", "hadamard"])
def test_it_opens_a_small_lock_from_scratch_and_at_once_with_data(kind):
    alone = agent(kind, optimal_value=1.0).learn(1200)
    assert alone.num_timesteps == 1200 and alone.episodes == 300
    assert alone.log.solved_after() is not None and alone.log.returns[-50:].mean() > 0.9
    led = agent(kind, optimism=0.0, offline_dataset=data(kind)).learn(240)
    assert led.log.solved_after() == 50


@pytest.mark.parametrize("kind", ["latent", "hadamard"])
def test_saved_and_loaded_it_predicts_the_same_and_goes_on(kind, tmp_path):
    first = agent(kind).learn(200)
    first.save(tmp_path / "model")
    again = NORA.load(tmp_path / "model", env=env(kind=kind))
    made = env(kind=kind)
    for step in range(4):
        seen = made.reset(seed=step)[0]
        state = (np.array([step]),)
        answers = [m.predict(seen, state, deterministic=True) for m in (first, again)]
        assert answers[0][0] == answers[1][0] and 0 <= answers[0][0] < 4
        assert answers[0][1][0][0] == (step + 1) % 4
    arrays = zip(first.critic.arrays().values(), again.critic.arrays().values(), strict=True)
    assert all(np.array_equal(a, b) for a, b in arrays)
    again.set_logger(configure(None, []))
    again.learn(40, reset_num_timesteps=False)
    assert again.num_timesteps == 240 and again.episodes == 60


def test_parameters_travel_and_files_of_others_are_refused(tmp_path):
    first, other = agent().learn(100), agent(seed=9)
    other.set_parameters(first.get_parameters())
    assert np.array_equal(other.critic.tables.counts, first.critic.tables.counts)
    first.save(tmp_path / "model.zip")
    with pytest.raises(ScenarioError, match="LSVIUCB"):
        read_agent(tmp_path / "model.zip", "LSVIUCB")
    (tmp_path / "broken.zip").write_bytes(b"no archive")
    with pytest.raises(ScenarioError, match=r"broken\.zip"):
        NORA.load(tmp_path / "broken.zip")
    with pytest.raises(ScenarioError, match="counts"):
        other.critic.load({})


def test_vector_observations_count_as_dense_algebra_does():
    nora = agent("hadamard", offline_dataset=data("hadamard", 30))
    critic, numbers = nora.critic, nora.numbers
    assert critic.begin_episode(numbers)
    value = None
    for h in (3, 2):
        k = int(critic.counts[h])
        x, actions = critic.x[h, :k], critic.actions[h, :k]
        target = critic.rewards[h, :k].copy()
        if value is not None:
            target += value(critic.following[h, :k]).max(-1)
        mask = [x[actions == a] for a in range(4)]
        second = [np.eye(x.shape[1]) + m.T @ m for m in mask]
        for a in range(4):
            weights = np.linalg.solve(second[a], mask[a].T @ target[actions == a])
            assert np.allclose(critic.weights[h, a], weights)
            assert np.allclose(critic.frozen[h, a], np.linalg.inv(second[a]))
        log_det = sum(np.linalg.slogdet(s)[1] for s in second)
        assert critic.log_det[h] == pytest.approx(log_det)

        def value(z, h=h, second=second):
            width = np.stack([np.einsum("nd,de,ne->n", z, np.linalg.inv(s), z) for s in second])
            return np.clip(z @ critic.weights[h].T + 0.3 * np.sqrt(width.T), 0.0, 1.0)


def test_a_function_makes_features_of_observations():
    picked = agent("hadamard", features=lambda x: np.asarray(x).reshape(-1)[:3])
    assert picked.critic.weights.shape[-1] == 3
    picked.learn(40)
    with pytest.raises(ScenarioError, match="features"):
        picked.critic.vector(np.zeros(2))


@pytest.mark.parametrize("count", [1, 3])
def test_several_environments_share_what_they_see(count):
    vector = CombLockVectorEnv(count, horizon=4, n_actions=4, obs_kind="latent", lock_seed=0)
    nora = agent(made=vector).learn(120)
    assert nora.episodes == 30 and len(nora.log.returns) == 30
    assert nora.critic.tables.counts.sum() == 120


def test_callbacks_logs_and_evaluation_work(tmp_path):
    class Stop(BaseCallback):
        def _on_step(self):
            return self.num_timesteps < 60

    nora = agent()
    nora.set_logger(configure(str(tmp_path), ["csv"]))
    judge = EvalCallback(DummyVecEnv([env]), eval_freq=20, n_eval_episodes=2, verbose=0)
    nora.learn(400, callback=[Stop(), judge], log_interval=5)
    assert nora.num_timesteps == 60 and 0.0 <= judge.last_mean_reward <= 1.0
    assert "rollout/ep_rew_mean" in (tmp_path / "progress.csv").read_text()


def test_environments_that_do_not_fit_are_refused():
    with pytest.raises(ScenarioError, match="action space"):
        NORA("auto", gym.make("Pendulum-v1"), horizon=3)
    with pytest.raises(ScenarioError, match="horizon"):
        NORA("auto", gym.make("FrozenLake-v1"))
    with pytest.raises(ScenarioError, match="observation space"):
        NORA("tabular", env(kind="hadamard"))
    with pytest.raises(ScenarioError, match="env"):
        NORA().learn(10)
    short = NORA("auto", gym.make("FrozenLake-v1", is_slippery=False), horizon=2, seed=0)
    short.set_logger(configure(None, []))
    with pytest.raises(ScenarioError, match="episode"):
        short.learn(50)


def test_a_rule_of_the_constructor_survives_a_file(tmp_path):
    agent(eta="theory", c=0.2).learn(40).save(tmp_path / "model.zip")
    again = NORA.load(tmp_path / "model.zip")
    assert (again.rules.eta, again.rules.c) == ("theory", 0.2)
    assert NORA.load(tmp_path / "model.zip", c=0.4).rules.c == 0.4
