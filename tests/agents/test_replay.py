import pickle

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from hybridrl.agents.common.replay import HybridReplayBuffer
from hybridrl.datasets.offline import OfflineDataset
from hybridrl.planners.errors import ScenarioError, UnknownNameError

OBS = spaces.Box(-np.inf, np.inf, (3,), np.float64)
ACT = spaces.Box(np.array([-2.0, 0.0]), np.array([2.0, 8.0]), dtype=np.float64)


def dataset(rows=50, seed=0, **changes):
    rng = np.random.default_rng(seed)
    ends = np.arange(rows) % 10 == 9
    columns = {
        "observations": rng.normal(size=(rows, 3)) + 100,
        "actions": rng.uniform(ACT.low, ACT.high, (rows, 2)),
        "rewards": rng.normal(size=rows),
        "next_observations": rng.normal(size=(rows, 3)) + 100,
        "terminations": ends & (np.arange(rows) % 20 == 9),
        "truncations": ends & (np.arange(rows) % 20 != 9),
    }
    return OfflineDataset(**{**columns, **changes})


def filled(count=30, n_envs=1, offline=None, cls=HybridReplayBuffer, seed=1, **options):
    rng = np.random.default_rng(seed)
    buffer = cls(40, OBS, ACT, "cpu", n_envs=n_envs, **options)
    if offline is not None:
        buffer.attach_offline(offline)
    for step in range(count):
        obs, after = rng.normal(size=(2, n_envs, 3))
        infos = [{"TimeLimit.truncated": step % 4 == 3} for _ in range(n_envs)]
        done = np.full(n_envs, step % 4 >= 2)
        action = rng.uniform(-1, 1, (n_envs, 2))
        buffer.add(obs, after, action, rng.normal(size=n_envs), done, infos)
    return buffer


@pytest.mark.parametrize(("count", "n_envs"), [(7, 1), (30, 3), (95, 2)])
def test_the_online_part_is_that_of_stable_baselines3(count, n_envs):
    ours, theirs = filled(count, n_envs), filled(count, n_envs, cls=ReplayBuffer)
    assert (ours.pos, ours.full, ours.size()) == (theirs.pos, theirs.full, theirs.size())
    assert ours.buffer_size == theirs.buffer_size
    for name in ("observations", "next_observations", "actions", "rewards", "dones", "timeouts"):
        mine, reference = getattr(ours, name), getattr(theirs, name)
        assert mine.shape == reference.shape, name
        assert np.array_equal(mine, reference.astype(np.float32)), name


def test_a_time_limit_bootstraps_and_a_termination_does_not_on_both_sides():
    buffer = filled(4, offline=dataset())
    assert buffer.dones.ravel()[:4].tolist() == [0, 0, 1, 1]
    online = buffer.sample(200, source="online")
    rows = buffer.unpacked(buffer._ring[:4])
    assert rows.dones.ravel().tolist() == [0, 0, 1, 0]
    assert set(online.dones.unique().tolist()) == {0.0, 1.0}
    offline = buffer.unpacked(buffer.offline_rows)
    assert offline.dones.nonzero()[:, 0].tolist() == [9, 29, 49]


def test_without_timeout_handling_every_end_counts():
    buffer = filled(4, handle_timeout_termination=False)
    assert buffer.unpacked(buffer._ring[:4]).dones.ravel().tolist() == [0, 0, 1, 1]


@given(st.integers(1, 64), st.floats(0, 1))
@settings(max_examples=25, derandomize=True, deadline=None)
def test_a_mixed_batch_has_its_share_of_offline_rows_first(count, share):
    buffer = filled(20, offline=dataset())
    batch = buffer.sample(count, offline_fraction=share)
    assert batch.n_offline == round(share * count)
    from_data = (batch.observations > 50).all(dim=1)
    assert from_data[: batch.n_offline].all() and not from_data[batch.n_offline :].any()
    assert len(batch.rewards) == count and batch.actions.abs().max() <= 1.0


def test_where_one_side_is_empty_the_other_fills_the_batch():
    assert (
        HybridReplayBuffer(5, OBS, ACT, "cpu", offline_dataset=dataset()).sample(8).n_offline == 8
    )
    assert filled(5).sample(8).n_offline == 0


def test_dataset_actions_come_back_rescaled_and_clipped():
    actions = np.array([[-2.0, 0.0], [2.0, 8.0], [0.0, 2.0], [9.0, 4.0]])
    data = dataset(4, actions=actions)
    buffer = HybridReplayBuffer(5, OBS, ACT, "cpu", offline_dataset=data)
    got = buffer.unpacked(buffer.offline_rows).actions.numpy()
    assert np.allclose(got, [[-1, -1], [1, 1], [0, -0.5], [1, 0]])


def test_the_same_transition_is_normalised_equally_on_both_sides():
    env = VecNormalize(DummyVecEnv([lambda: gym.make("Pendulum-v1")]))
    env.reset()
    for _ in range(20):
        env.step(np.array([[0.5]]))
    space, action = env.observation_space, env.action_space
    rng = np.random.default_rng(0)
    obs, after, torque = (
        rng.normal(size=(1, 3)),
        rng.normal(size=(1, 3)),
        rng.uniform(-1, 1, (1, 1)),
    )
    data = OfflineDataset(
        observations=obs,
        actions=2 * torque,
        rewards=np.array([-3.0]),
        next_observations=after,
        terminations=np.array([False]),
        truncations=np.array([True]),
    )
    buffer = HybridReplayBuffer(1, space, action, "cpu", offline_dataset=data)
    buffer.add(
        obs, after, torque, np.array([-3.0]), np.array([True]), [{"TimeLimit.truncated": True}]
    )
    left, right = buffer.sample(1, env, "online"), buffer.sample(1, env, "offline")
    for name in ("observations", "actions", "next_observations", "dones", "rewards"):
        assert torch.allclose(getattr(left, name), getattr(right, name), atol=1e-6), name
    assert np.allclose(left.observations, env.normalize_obs(obs), atol=1e-6)
    assert np.allclose(left.rewards, env.normalize_reward(np.array([-3.0])), atol=1e-6)


def test_the_draw_is_its_own_and_not_the_global_one():
    first, second = filled(30, offline=dataset()), filled(30, offline=dataset())
    for buffer in (first, second):
        buffer.seed(5)
    np.random.seed(0)  # noqa: NPY002
    a = first.sample(16)
    np.random.seed(1)  # noqa: NPY002
    b = second.sample(16)
    assert torch.equal(a.observations, b.observations)
    given_one = [first.sample(4, generator=np.random.default_rng(3)).rewards for _ in range(2)]
    assert torch.equal(*given_one)


def test_every_row_is_drawn_equally_often():
    buffer = filled(40, offline=dataset(20))
    batch = buffer.sample(40_000)
    for part in (batch.rewards[: batch.n_offline], batch.rewards[batch.n_offline :]):
        counts = part.ravel().unique(return_counts=True)[1].numpy()
        expected = len(part) / len(counts)
        assert len(counts) in (20, 40)
        assert ((counts - expected) ** 2 / expected).sum() < 2 * len(counts) + 40


def test_pickles_leave_the_dataset_out_and_know_it_again():
    data = dataset(5000)
    buffer = filled(30, offline=data)
    text = pickle.dumps(buffer)
    assert len(text) < 40_000
    back = pickle.loads(text)
    assert back.n_offline == 0 and np.array_equal(back.rewards, buffer.rewards)
    with pytest.raises(ScenarioError, match="offline_dataset"):
        back.attach_offline(dataset(5000, seed=9))
    back.attach_offline(data)
    assert torch.equal(back.sample(32).observations, buffer.sample(32).observations)


def test_state_travels_as_plain_arrays_and_must_fit():
    buffer = filled(45, n_envs=2)
    other = HybridReplayBuffer(40, OBS, ACT, "cpu", n_envs=2)
    other.import_state(buffer.export_state())
    assert np.array_equal(other.observations, buffer.observations) and other.full
    with pytest.raises(ScenarioError, match="replay rows"):
        HybridReplayBuffer(10, OBS, ACT, "cpu").import_state(buffer.export_state())


def test_dictionaries_keep_their_keys_and_shapes():
    space = spaces.Dict(b=spaces.Box(-1, 1, (2, 2)), a=spaces.Box(-1, 1, (3,)))
    buffer = HybridReplayBuffer(4, space, ACT, "cpu")
    obs = {"a": np.ones((1, 3)), "b": np.arange(4.0).reshape(1, 2, 2)}
    buffer.add(obs, obs, np.zeros((1, 2)), np.zeros(1), np.zeros(1), [{}])
    batch = buffer.sample(5)
    assert batch.observations["b"].shape == (5, 2, 2)
    assert torch.equal(batch.next_observations["b"][0], torch.arange(4.0).reshape(2, 2))
    assert buffer.observations["a"].shape == (4, 1, 3)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"observations": np.zeros((50, 4)), "next_observations": np.zeros((50, 4))}, "shape"),
        ({"actions": np.zeros((50, 1))}, "actions of 2"),
    ],
)
def test_a_dataset_of_other_shapes_is_refused(changes, field):
    with pytest.raises(ScenarioError, match=field):
        HybridReplayBuffer(5, OBS, ACT, "cpu", offline_dataset=dataset(**changes))


def test_bad_questions_are_refused():
    empty = HybridReplayBuffer(5, OBS, ACT, "cpu")
    with pytest.raises(ScenarioError, match="empty"):
        empty.sample(4)
    with pytest.raises(ScenarioError, match="offline"):
        filled(3).sample(4, source="offline")
    with pytest.raises(UnknownNameError, match="source"):
        filled(3).sample(4, source="ofline")
    with pytest.raises(ScenarioError, match="offline_fraction"):
        filled(3, offline=dataset()).sample(4, offline_fraction=1.5)
    with pytest.raises(ScenarioError, match="optimize_memory_usage"):
        HybridReplayBuffer(5, OBS, ACT, "cpu", optimize_memory_usage=True)
