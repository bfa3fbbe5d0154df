"""Hy-Q: what it adds to DQN, and that it adds nothing else."""

import copy

import numpy as np
import pytest
import torch
from stable_baselines3 import DQN

from hybridrl.agents import HyQ
from hybridrl.agents.common.vec_env import make_vec
from hybridrl.datasets.comblock import comblock_dataset
from hybridrl.envs.comblock.lock import LockOptions
from hybridrl.planners.errors import ScenarioError

ID = "hybridrl/CombLock-v0"
LOCK = {"horizon": 3, "lock_seed": 0}
SMALL = {
    "policy_kwargs": {"net_arch": [16]}, "learning_starts": 20, "batch_size": 16, "seed": 0,
    "device": "cpu", "buffer_size": 1000, "gamma": 1.0,
}  # fmt: skip


def data(kind="eps", episodes=100, **changes):
    return comblock_dataset(LockOptions(**{**LOCK, **changes}), kind, episodes, seed=0)


def make(cls=HyQ, n_envs=2, **kwargs):
    return cls("MlpPolicy", make_vec(ID, n_envs, seed=0, **LOCK), **{**SMALL, **kwargs})


def weights(model):
    return torch.cat([t.flatten() for t in model.policy.state_dict().values()])


def test_half_of_every_batch_is_offline():
    model = make(offline_dataset=data()).learn(60)
    batch = model.replay_buffer.sample(16)
    assert batch.n_offline == 8 and model._n_updates > 0
    assert set(batch.actions[:8].long().flatten().tolist()) <= set(range(10))


def test_without_a_dataset_its_updates_are_those_of_dqn():
    same = {"train_freq": 4, "exploration_fraction": 0.5, "target_update_interval": 10}
    ours = make(offline_dataset=None, **same)
    stock = make(DQN, learning_rate=1e-3, **same)
    stock.policy.load_state_dict(ours.policy.state_dict())
    ours.learn(40)
    batch = ours.replay_buffer.sample(32)
    for model in (ours, stock):
        model.policy.load_state_dict(ours.policy.state_dict())
        model.policy.optimizer.load_state_dict(copy.deepcopy(ours.policy.optimizer.state_dict()))
        model._logger = ours.logger
        model.replay_buffer.sample = lambda *args, **kwargs: batch
    before = weights(ours)
    stock.train(2, 32), ours.train(2, 32)
    assert torch.equal(weights(stock), weights(ours)) and not torch.equal(weights(ours), before)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["eps", "occupancy"])
def test_it_opens_a_lock_of_five(kind):
    lock = {"horizon": 5, "lock_seed": 1}
    env = make_vec(ID, 10, seed=0, **lock)
    model = HyQ(
        "MlpPolicy", env, offline_dataset=data(kind, 2000, **lock), gamma=1.0, gradient_steps=5,
        target_update_interval=500, exploration_initial_eps=0.1, exploration_final_eps=0.1,
        policy_kwargs={"net_arch": [64, 64]}, seed=0, device="cpu",
    ).learn(8000)  # fmt: skip
    test = make_vec(ID, 100, seed=9, **lock)
    seen, dones = test.reset(), np.zeros(100, bool)
    while not dones.all():
        seen, _, dones, infos = test.step(model.predict(seen, deterministic=True)[0])
    assert np.mean([info["is_success"] for info in infos]) > 0.9


def test_saved_and_loaded_it_predicts_the_same_and_goes_on(tmp_path):
    model = make(offline_dataset=data()).learn(40)
    seen = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)
    expected = model.predict(seen, deterministic=True)[0]
    model.save(tmp_path / "model.zip")
    assert np.array_equal(
        HyQ.load(tmp_path / "model.zip", device="cpu").predict(seen, deterministic=True)[0],
        expected,
    )
    env = make_vec(ID, 2, seed=0, **LOCK)
    loaded = HyQ.load(tmp_path / "model.zip", env=env, device="cpu", offline_dataset=data())
    loaded.learn(40, reset_num_timesteps=False)
    assert loaded.num_timesteps == 80 and loaded.replay_buffer.n_offline == 300


def test_equal_seeds_give_equal_weights():
    first, second, other = (
        weights(make(offline_dataset=data(), seed=s).learn(60)) for s in (3, 3, 4)
    )
    assert torch.equal(first, second) and not torch.equal(first, other)


def test_data_of_another_lock_or_kind_are_refused():
    with pytest.raises(ScenarioError, match="observations"):
        make(offline_dataset=data(horizon=20))
    with pytest.raises(ScenarioError, match="actions"):
        make(offline_dataset=data(action_kind="continuous"))
    smooth = make_vec(ID, 1, seed=0, **LOCK, action_kind="continuous")
    with pytest.raises(AssertionError, match="Discrete"):
        HyQ("MlpPolicy", smooth, device="cpu")
