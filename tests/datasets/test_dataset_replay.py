"""Stable-Baselines3 replay buffers, in and out, without losing a bit."""

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stable_baselines3 import SAC
from stable_baselines3.common.buffers import DictReplayBuffer, ReplayBuffer

from hybridrl.datasets.errors import DatasetError
from hybridrl.datasets.replay import fill_replay_buffer, from_replay_buffer
from hybridrl.datasets.sources import as_dataset

SEEN = gym.spaces.Box(-np.inf, np.inf, (2,), np.float64)
UNIT = gym.spaces.Box(-1.0, 1.0, (1,))


def filled(steps, n_envs=1, capacity=64, length=7, space=UNIT, seed=0):
    """A buffer fed by ``n_envs`` counters with episodes that end by task and by time in turn."""
    rng = np.random.default_rng(seed)
    buffer = ReplayBuffer(capacity, SEEN, space, n_envs=n_envs)
    here = np.stack([np.arange(n_envs), np.zeros(n_envs)], axis=1).astype(float)
    for step in range(steps):
        there = here + np.array([0.0, 1.0])
        done = np.full(n_envs, step % length == length - 1)
        timeout = done & (step % (2 * length) == length - 1)
        infos = [{"TimeLimit.truncated": bool(t)} for t in timeout]
        action = rng.uniform(-1, 1, (n_envs, 1)).astype(np.float32)
        buffer.add(here, there, action, rng.normal(size=n_envs), done, infos)
        here = np.where(done[:, None], there + 100.0, there)
    return buffer


@given(steps=st.integers(1, 100), n_envs=st.integers(1, 3))
def test_every_stream_is_in_order_and_ends_where_its_episodes_end(steps, n_envs):
    buffer = filled(steps, n_envs)
    data = from_replay_buffer(buffer)
    kept = min(steps, buffer.buffer_size)
    assert len(data) == kept * n_envs
    np.testing.assert_array_equal(data.observations[:kept, 0] % 100, 0)  # the first environment
    inside = np.setdiff1d(np.arange(len(data)), data.ends - 1)
    np.testing.assert_array_equal(data.next_observations[inside], data.observations[inside + 1])
    assert not (data.terminations & data.truncations).any()
    assert data.ends[kept - 1 == data.ends - 1].size == 1
    total = data.terminations.sum() + data.truncations.sum()
    assert total == buffer.dones[:kept].sum() if not buffer.full else total > 0


@given(steps=st.integers(1, 64))
def test_a_full_round_trip_changes_nothing(steps):
    data = from_replay_buffer(filled(steps))
    other = ReplayBuffer(64, SEEN, UNIT)
    fill_replay_buffer(data, other)
    assert from_replay_buffer(other).fingerprint() == data.fingerprint()
    assert other.size() == steps


def test_a_ring_that_went_round_begins_with_its_oldest_row():
    data = from_replay_buffer(filled(70))
    assert len(data) == 64
    assert data.observations[0, 1] == filled(70).observations[70 % 64, 0, 1]


def test_actions_are_given_in_the_units_of_the_space():
    space = gym.spaces.Box(-2.0, 6.0, (1,))
    buffer = filled(20, space=space)
    data = from_replay_buffer(buffer)
    np.testing.assert_allclose(data.actions, 2.0 + 4.0 * buffer.actions[:20, 0], rtol=1e-6)
    other = ReplayBuffer(64, SEEN, space)
    fill_replay_buffer(data, other)
    np.testing.assert_allclose(other.actions[:20], buffer.actions[:20], atol=1e-6)


def test_a_reset_without_an_end_cuts_the_episode():
    buffer = ReplayBuffer(8, SEEN, UNIT)
    for start in (0.0, 50.0):
        here = np.array([[start, 0.0]])
        buffer.add(here, here + 1, np.zeros((1, 1)), np.zeros(1), np.zeros(1), [{}])
    assert from_replay_buffer(buffer).ends.tolist() == [1, 2]


def test_dictionary_buffers():
    space = gym.spaces.Dict({"a": SEEN, "b": gym.spaces.Box(0, 255, (2, 2), np.uint8)})
    buffer = DictReplayBuffer(8, space, UNIT)
    seen = {"a": np.ones((1, 2)), "b": np.ones((1, 2, 2), np.uint8)}
    for _ in range(3):
        buffer.add(seen, seen, np.zeros((1, 1)), np.zeros(1), np.zeros(1), [{}])
    data = as_dataset(buffer)
    assert data.observations["b"].dtype == np.uint8
    other = DictReplayBuffer(8, space, UNIT)
    fill_replay_buffer(data, other)
    assert as_dataset(other).fingerprint() == data.fingerprint()


def test_discrete_actions():
    buffer = ReplayBuffer(8, SEEN, gym.spaces.Discrete(5))
    here = np.zeros((1, 2))
    for action in (3, 4):
        buffer.add(here, here, np.array([[action]]), np.zeros(1), np.zeros(1), [{}])
    data = as_dataset(buffer)
    assert data.actions.tolist() == [3, 4]
    other = ReplayBuffer(8, SEEN, gym.spaces.Discrete(5))
    fill_replay_buffer(data, other)
    assert as_dataset(other).fingerprint() == data.fingerprint()


def test_a_model_stands_for_its_buffer():
    model = SAC("MlpPolicy", "Pendulum-v1", learning_starts=1000, buffer_size=100, device="cpu")
    model.learn(20)
    data = as_dataset(model)
    assert len(data) == 20
    assert np.abs(data.actions).max() > 1.0  # Pendulum's torque goes to 2


def test_what_cannot_be_converted_is_refused():
    with pytest.raises(DatasetError, match="empty"):
        from_replay_buffer(ReplayBuffer(4, SEEN, UNIT))
    shared = ReplayBuffer(
        4, SEEN, UNIT, optimize_memory_usage=True, handle_timeout_termination=False
    )
    shared.pos = 2
    with pytest.raises(DatasetError, match="optimize_memory_usage"):
        from_replay_buffer(shared)
    data = from_replay_buffer(filled(10))
    with pytest.raises(DatasetError, match="buffer_size is 4"):
        fill_replay_buffer(data, ReplayBuffer(4, SEEN, UNIT))
    with pytest.raises(DatasetError, match="n_envs is 2"):
        fill_replay_buffer(data, ReplayBuffer(64, SEEN, UNIT, n_envs=2))
    with pytest.raises(DatasetError, match="shapes as in the buffer"):
        fill_replay_buffer(data, ReplayBuffer(64, UNIT, UNIT))
