"""The replay buffer that knows episodes, against brute force."""

import pickle

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stable_baselines3.common.buffers import ReplayBuffer

from hybridrl.agents.common.episodes import EpisodeReplayBuffer, known_returns
from hybridrl.agents.common.hybrid_sac import HybridSAC
from hybridrl.agents.common.replay import HybridReplayBuffer
from hybridrl.datasets.offline import OfflineDataset
from hybridrl.planners.errors import ScenarioError

SPACES = (gym.spaces.Box(-np.inf, np.inf, (1,)), gym.spaces.Box(-1.0, 1.0, (1,)))


def buffer(size=40, n_envs=1, **kwargs):
    return EpisodeReplayBuffer(size, *SPACES, "cpu", n_envs, **{"gamma": 0.5, "seed": 0, **kwargs})


def dataset(rows=30, length=6):
    """Observation t is t, reward t: rows can be told apart."""
    t = np.arange(rows, dtype=np.float64)
    last = np.arange(rows) % length == length - 1
    return OfflineDataset(
        observations=t[:, None],
        actions=np.zeros((rows, 1)),
        rewards=t,
        next_observations=t[:, None] + 1,
        terminations=last & (np.arange(rows) < rows // 2),
        truncations=last & (np.arange(rows) >= rows // 2),
    )


def fill(store, steps, length=5, truncates=False):
    """Observation and reward count the steps; episodes end every ``length``."""
    for step in range(steps):
        ends = step % length == length - 1
        n = store.n_envs
        now = np.full((n, 1), step) + 1000.0 * np.arange(n)[:, None]
        infos = [{"TimeLimit.truncated": ends and truncates}] * n
        store.add(now, now + 1, np.zeros((n, 1)), now[:, 0], np.full(n, ends), infos)


def naive_returns(rewards, gamma):
    total, found = 0.0, []
    for reward in reversed(rewards):
        total = reward + gamma * total
        found.append(total)
    return found[::-1]


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.lists(st.floats(-5, 5), min_size=1, max_size=40), st.floats(0.0, 1.0))
def test_returns_are_discounted_sums(rewards, gamma):
    found = known_returns(np.array(rewards), gamma, terminated=True)
    np.testing.assert_allclose(found, naive_returns(rewards, gamma), atol=1e-9)


def test_returns_near_a_time_limit_are_unknown_and_never_zero():
    found = known_returns(np.ones(20), 0.5, terminated=False)
    assert np.isneginf(found[-3:]).all()  # 0.5^3 > 0.1
    assert np.isfinite(found[:-3]).all() and (found[:-3] > 1.7).all()


def test_an_episode_without_success_counts_as_failing_for_ever():
    assert known_returns(np.zeros(4), 0.9, False, 0.0).tolist() == [0.0] * 4
    np.testing.assert_allclose(known_returns(-np.ones(4), 0.9, False, -1.0), -10.0)
    success = known_returns(np.array([-1.0, 0.0]), 0.9, True, -1.0)
    np.testing.assert_allclose(success, [-1.0, 0.0])


@pytest.mark.parametrize("n_envs", [1, 2])
def test_online_returns_are_written_when_an_episode_ends(n_envs):
    store = buffer(40 * n_envs, n_envs, with_returns=True)
    fill(store, 12)
    column = store._ring[:, store.layout.mc_return].reshape(-1, n_envs).numpy()
    for env in range(n_envs):
        rewards = 1000.0 * env + np.arange(10.0)
        expected = naive_returns(rewards[:5], 0.5) + naive_returns(rewards[5:], 0.5)
        np.testing.assert_allclose(column[:10, env], expected, rtol=1e-5)
        assert np.isneginf(column[10:12, env]).all()


def test_an_episode_that_outlives_the_ring_gets_returns_for_what_is_left():
    store = buffer(8, with_returns=True)
    fill(store, 20, length=20)
    layout = store.layout
    order = np.argsort(store._ring[:, layout.reward].numpy())
    found = store._ring[:, layout.mc_return].numpy()[order]
    np.testing.assert_allclose(found, naive_returns(np.arange(12.0, 20.0), 0.5), rtol=1e-5)


def test_returns_of_a_dataset_are_filled_in_too():
    store = buffer(with_returns=True, offline_dataset=dataset())
    column = store.offline_rows[:, store.layout.mc_return].numpy()
    np.testing.assert_allclose(column[:6], naive_returns(np.arange(6.0), 0.5), rtol=1e-5)
    assert np.isneginf(column[27:]).all() and np.isfinite(column[24:27]).all()


def n_step(store, steps, ends, t):
    """Reward, discount and last step of a sum that begins at step t, by hand."""
    total, share, last = 0.0, 1.0, t
    for k in range(steps):
        last = t + k
        total += share * last
        share *= 0.5
        if last in ends:
            break
    return total, share, last


@pytest.mark.parametrize("source", ["online", "offline"])
def test_sums_over_steps_are_those_of_brute_force(source):
    store = buffer(40, n_steps=3, offline_dataset=dataset())
    fill(store, 23)
    ends = {4, 9, 14, 19, 22} if source == "online" else {5, 11, 17, 23, 29}
    batch = store.sample(200, source=source)
    terminal = {4, 9, 14, 19} if source == "online" else {5, 11}
    for i in range(200):
        t = int(batch.observations[i])
        total, share, last = n_step(store, 3, ends, t)
        assert batch.rewards[i].item() == pytest.approx(total)
        assert batch.discounts[i].item() == pytest.approx(share)
        assert batch.next_observations[i].item() == last + 1
        assert batch.dones[i].item() == float(last in terminal)


def test_sums_do_not_run_over_the_newest_row_of_a_full_ring():
    store = buffer(10, n_envs=2, n_steps=4)
    fill(store, 8, length=100)  # five slots an environment: steps 3 to 7 are left
    batch = store.sample(100, source="online")
    for i in range(100):
        t = int(batch.observations[i])
        env, t = divmod(t, 1000)
        assert batch.next_observations[i].item() == 1000 * env + min(t + 3, 7) + 1


def test_one_step_is_the_parents_sample():
    plain = HybridReplayBuffer(40, *SPACES, "cpu", offline_dataset=dataset(), seed=3)
    ours = buffer(offline_dataset=dataset(), seed=3)
    for store in (plain, ours):
        fill(store, 12)
    left, right = plain.sample(16), ours.sample(16)
    assert (left.observations == right.observations).all() and right.discounts is None
    assert (left.rewards == right.rewards).all()


def test_rewards_of_both_sources_are_transformed_alike():
    store = buffer(reward_scale=2.0, reward_bias=-1.0, offline_dataset=dataset())
    fill(store, 12)
    for source in ("online", "offline"):
        batch = store.sample(30, source=source)
        assert (batch.rewards == 2.0 * batch.observations - 1.0).all()


def test_pickles_leave_the_dataset_behind():
    sizes = []
    for rows in (30, 3000):
        store = buffer(with_returns=True, n_steps=2, offline_dataset=dataset(rows))
        fill(store, 12)
        sizes.append(len(pickle.dumps(store)))
    assert abs(sizes[0] - sizes[1]) < 100
    again = pickle.loads(pickle.dumps(store))
    again.attach_offline(dataset(3000))
    assert again.n_offline == 3000 and len(again._offline_last) == 3000
    again.attach_offline(None)
    assert again.sample(8).n_offline == 0


def test_bad_numbers_and_single_rows_of_sums_are_refused():
    with pytest.raises(ScenarioError, match="n_steps"):
        buffer(n_steps=0)
    with pytest.raises(ScenarioError, match="gamma"):
        buffer(gamma=1.0, failure_reward=0.0)
    with pytest.raises(ScenarioError, match="n_steps"):
        buffer(n_steps=2, offline_dataset=dataset()).sample_rows(4)


def test_an_agent_asks_for_it_by_its_settings():
    options = {"policy_kwargs": {"net_arch": [8]}, "device": "cpu", "seed": 0, "buffer_size": 100}
    model = HybridSAC("MlpPolicy", "Pendulum-v1", n_steps=3, gamma=0.9, reward_scale=0.1, **options)
    store = model.replay_buffer
    assert isinstance(store, EpisodeReplayBuffer)
    assert (store.n_steps, store.gamma, store.reward_scale) == (3, 0.9, 0.1)
    with pytest.raises(ScenarioError, match="EpisodeReplayBuffer"):
        HybridSAC("MlpPolicy", "Pendulum-v1", replay_buffer_class=ReplayBuffer, reward_scale=0.1,
                  **options)  # fmt: skip
    plain = HybridSAC("MlpPolicy", "Pendulum-v1", **options)
    assert type(plain.replay_buffer) is HybridReplayBuffer
