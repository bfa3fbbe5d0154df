"""The combination lock against its tables, closed forms, NumPy, and its own vector form."""

import math

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env
from hypothesis import given
from hypothesis import strategies as st
from stable_baselines3.common.env_checker import check_env as check_for_sb3

import hybridrl  # noqa: F401
from hybridrl.agents.common.vec_env import make_vec
from hybridrl.envs.comblock import images, kernel
from hybridrl.envs.comblock.env import CombLockEnv, CombLockVectorEnv
from hybridrl.envs.comblock.linear import decode_latent
from hybridrl.envs.comblock.lock import (
    DEAD,
    LockOptions,
    draw_codes,
    expected_return,
    hadamard_matrix,
    hadamard_size,
)
from hybridrl.envs.comblock.mdp import combination_lock_mdp
from hybridrl.planners.errors import ScenarioError, UnknownNameError

ID = "hybridrl/CombLock-v0"
KINDS = [
    {},
    {"action_kind": "continuous"},
    {"obs_kind": "latent", "anti_mode": "terminal"},
    {"obs_kind": "image", "horizon": 1},
]


def good_action(env):
    z, h = env.rows.latent, env.rows.steps
    return env.codes[np.minimum(z, 1), h]


def rollouts(env, act, steps):
    """Rewards of a vector environment under ``act(env)``, ``(steps, N)``."""
    env.reset(seed=3)
    return np.array([env.step(act(env))[1] for _ in range(steps)])


@pytest.mark.parametrize("keywords", KINDS)
@pytest.mark.filterwarnings("ignore:.*infinity")
def test_gymnasium_and_stable_baselines_accept_it(keywords):
    check_env(gym.make(ID, **keywords).unwrapped, skip_render_check=True)
    check_for_sb3(CombLockEnv(**keywords), warn=False)


@pytest.mark.parametrize("mode", ["on_exit", "terminal"])
@pytest.mark.parametrize("p_switch", [0.0, 0.3])
def test_transitions_and_rewards_are_those_of_the_tables(mode, p_switch):
    keywords = {"horizon": 3, "n_actions": 3, "lock_seed": 5, "p_switch": p_switch, "p_anti": 0.7}
    env = CombLockVectorEnv(30_000, anti_mode=mode, **keywords)
    mdp = combination_lock_mdp(env.rows.options)
    rng = np.random.default_rng(0)
    env.reset(seed=0)
    for h in range(3):
        before = env.rows.latent.copy()
        actions = np.where(rng.random(30_000) < 0.6, good_action(env), rng.integers(0, 3, 30_000))
        last = env.step(actions)
        after = env.rows.latent if h < 2 else None
        for z in range(3):
            for a in range(3):
                rows = (before == z) & (actions == a)
                if rows.sum() < 500:
                    continue
                error = 4 * 0.5 / np.sqrt(rows.sum())
                assert last[1][rows].mean() == pytest.approx(mdp.rewards[h, z, a], abs=error)
                if after is not None:
                    shares = np.bincount(after[rows], minlength=3) / rows.sum()
                    assert shares == pytest.approx(mdp.transitions[h, z, a], abs=error)


@pytest.mark.parametrize("mode", ["on_exit", "terminal"])
def test_the_optimal_policy_earns_one_and_a_failure_a_twentieth(mode):
    env = CombLockVectorEnv(4000, horizon=4, lock_seed=1, anti_mode=mode)
    best = rollouts(env, good_action, 4)
    assert (best.sum(0) == 1.0).all() and (best[:-1] == 0).all()
    rng = np.random.default_rng(1)
    poor = rollouts(env, lambda env: rng.integers(0, 10, 4000), 4)
    assert poor.sum(0).mean() == pytest.approx(expected_return(1e-4), abs=0.005)
    if mode == "terminal":
        assert (poor[:-1] == 0).all()


def test_the_codes_belong_to_the_lock_and_not_to_the_episode():
    first, second = CombLockEnv(lock_seed=4), CombLockEnv(lock_seed=4)
    before = first.codes
    first.reset(seed=1), second.reset(seed=2)
    assert np.array_equal(first.codes, before) and np.array_equal(second.codes, before)
    assert not np.array_equal(CombLockEnv(lock_seed=5).codes, before)
    assert draw_codes(2000, 7, 0).min() == 0 and draw_codes(2000, 7, 0).max() == 6


@given(st.integers(1, 130))
def test_the_rotation_is_the_least_that_holds_all_coordinates(horizon):
    size = hadamard_size(horizon)
    assert size >= horizon + 4 > size // 2 and size & (size - 1) == 0
    matrix = hadamard_matrix(size)
    assert np.array_equal(matrix @ matrix.T, size * np.eye(size))


def test_an_observation_is_the_rotated_one_hot_code():
    env = CombLockVectorEnv(5, horizon=5, noise=0.0, lock_seed=0)
    seen, _ = env.reset(seed=0)
    for h in range(5):
        coded = np.zeros((5, 16))
        coded[np.arange(5), env.rows.latent] = 1
        coded[:, 3 + h] = 1
        assert seen == pytest.approx(coded @ hadamard_matrix(16))
        seen, _, _, _, info = env.step(good_action(env))
    final = np.stack(info["final_obs"]) @ hadamard_matrix(16) / 16
    assert final[:, 8] == pytest.approx(np.ones(5), abs=1e-6)


def test_the_noise_has_the_asked_deviation_on_its_coordinates_only():
    env = CombLockVectorEnv(20_000, horizon=4, noise=0.2, lock_seed=0)
    seen, _ = env.reset(seed=0)
    coded = seen @ hadamard_matrix(8) / 8
    coded[np.arange(20_000), env.rows.latent] -= 1
    coded[:, 3] -= 1
    assert coded[:, :7].std(0) == pytest.approx(np.full(7, 0.2), rel=0.03)
    assert np.abs(coded[:, :7].mean(0)).max() < 0.01
    assert np.abs(np.corrcoef(coded[:, :7].T) - np.eye(7)).max() < 0.04
    assert np.abs(coded[:, 7]).max() < 1e-5
    assert (decode_latent(seen, 4).argmax(1) == env.rows.latent).mean() > 0.998  # 3.5 deviations


def test_streams_are_uniform_and_independent_of_one_another():
    words = np.random.default_rng(0).integers(0, 2**64, (2, 4), dtype=np.uint64)
    drawn = np.array([[kernel.uniform(words[i]) for _ in range(5000)] for i in range(2)])
    assert drawn.min() >= 0 and drawn.max() < 1
    counts = np.histogram(drawn, 10, (0, 1))[0]
    assert ((counts - 1000) ** 2 / 1000).sum() < 27.9  # chi-squared, 9 degrees, 0.1 %
    assert abs(np.corrcoef(drawn)[0, 1]) < 0.05
    assert abs(np.corrcoef(drawn[0, 1:], drawn[0, :-1])[0, 1]) < 0.05


def xoshiro(state):
    """The next number of a list of four whole numbers, in plain Python."""

    def rotl(x, k):
        return ((x << k) | (x >> (64 - k))) % 2**64

    result = (rotl((state[0] + state[3]) % 2**64, 23) + state[0]) % 2**64
    t = (state[1] << 17) % 2**64
    state[2] ^= state[0]
    state[3] ^= state[1]
    state[1] ^= state[2]
    state[0] ^= state[3]
    state[2] ^= t
    state[3] = rotl(state[3], 45)
    return (result >> 11) * 2.0**-53


def test_the_generator_is_xoshiro_as_written_in_python():
    state = [1, 2, 3, 2**63 + 5]
    words = np.array(state, np.uint64)
    assert [kernel.uniform(words) for _ in range(50)] == [xoshiro(state) for _ in range(50)]


@pytest.mark.parametrize(("horizon", "noise"), [(5, 0.1), (10, 0.0), (20, 0.3), (50, 0.1)])
def test_rotated_observations_are_those_of_plain_python_to_the_last_bit(horizon, noise):
    size, count = hadamard_size(horizon), horizon + 3
    rng = np.random.default_rng(horizon)
    streams = rng.integers(0, 2**64, (7, 4), dtype=np.uint64)
    latent, steps = rng.integers(0, 3, 7), rng.integers(0, horizon + 1, 7)
    before, seen = streams.tolist(), np.zeros((7, size), np.float32)
    kernel.observe_rotated(np.arange(7), latent, steps, count, noise, streams, seen)
    for i, state in enumerate(before):
        g, k = [0.0] * (size + 1), 0
        while k < count and noise:
            u, v = 2.0 * xoshiro(state) - 1.0, 2.0 * xoshiro(state) - 1.0
            s = u * u + v * v
            if 0.0 < s < 1.0:
                scale = noise * math.sqrt(-2.0 * math.log(s) / s)
                g[k], g[k + 1], k = u * scale, v * scale, k + 2
        g = g[:count] + [0.0] * (size - count)
        g[latent[i]] += 1.0
        g[3 + steps[i]] += 1.0
        half = 1
        while half < size:
            low = [g[k] + g[k ^ half] if not k & half else g[k ^ half] - g[k] for k in range(size)]
            g, half = low, 2 * half
        np.testing.assert_array_equal(seen[i], np.array(g, np.float32))
        assert streams[i].tolist() == state


@given(st.lists(st.floats(-40, 40), min_size=3, max_size=3), st.floats(0.05, 3))
def test_continuous_actions_draw_from_their_softmax(action, temperature):
    count = 4000
    streams = np.random.default_rng(1).integers(0, 2**64, (count, 4), dtype=np.uint64)
    drawn = np.zeros(count, np.int64)
    kernel.latent_actions(np.tile(action, (count, 1)), temperature, streams, drawn)
    scores = np.exp((np.array(action) - max(action)) / temperature)
    shares = np.bincount(drawn, minlength=3) / count
    assert shares == pytest.approx(scores / scores.sum(), abs=0.035)


def test_a_one_hot_action_nearly_always_does_what_it_says():
    streams = np.random.default_rng(0).integers(0, 2**64, (100_000, 4), dtype=np.uint64)
    drawn = np.zeros(100_000, np.int64)
    kernel.latent_actions(np.tile(np.eye(10)[4], (100_000, 1)), 0.1, streams, drawn)
    assert (drawn == 4).mean() == pytest.approx(np.exp(10) / (np.exp(10) + 9), abs=3e-4)


@pytest.mark.parametrize("keywords", KINDS)
def test_a_row_of_the_vector_equals_a_single_one_with_its_seed(keywords, rng):
    keywords = {"horizon": 3, "lock_seed": 2, **keywords}
    vector = CombLockVectorEnv(3, **keywords)
    singles = [CombLockEnv(**keywords) for _ in range(3)]
    first, _ = vector.reset(seed=[5, 50, 500])
    for i, env in enumerate(singles):
        assert np.array_equal(env.reset(seed=[5, 50, 500][i])[0], first[i])
    vector.action_space.seed(0)
    for _ in range(8):
        actions = vector.action_space.sample()
        observations, rewards, terminated, truncated, info = vector.step(actions)
        assert not truncated.any()
        for i, env in enumerate(singles):
            observation, reward, ended, _, facts = env.step(actions[i])
            assert (reward, ended) == (rewards[i], terminated[i])
            if ended:
                assert np.array_equal(info["final_obs"][i], observation)
                for name in ("is_success", "outcome", "depth"):
                    assert info["final_info"][name][i] == facts[name]
                observation, facts = env.reset()
            assert np.array_equal(observation, observations[i])
            assert facts["latent"] == info["latent"][i] and facts["step"] == info["step"][i]


@pytest.mark.parametrize("many", [False, True])
def test_it_goes_on_exactly_where_its_state_was_saved(many):
    def make(lock_seed=1):
        return (
            CombLockVectorEnv(2, lock_seed=lock_seed) if many else CombLockEnv(lock_seed=lock_seed)
        )

    env, other = make(), make()
    env.reset(seed=3), other.reset(seed=8)
    for _ in range(4):
        env.step(env.action_space.sample())
    other.set_state(env.get_state())
    for _ in range(12 if many else 6):
        action = env.action_space.sample()
        assert np.array_equal(env.step(action)[0], other.step(action)[0])
    with pytest.raises(ScenarioError, match="lock_seed"):
        make(lock_seed=9).set_state(env.get_state())


def test_an_ended_episode_takes_no_step_and_tells_how_it_ended():
    env = CombLockEnv(horizon=2, lock_seed=0, p_switch=0.0)
    with pytest.raises(ResetNeeded):
        env.step(0)
    env.reset(seed=0)
    z = env.rows.latent[0]
    env.step(int(env.codes[z, 0]))
    *_, terminated, truncated, info = env.step(int(env.codes[z, 1]))
    assert terminated and not truncated
    assert (info["is_success"], info["outcome"], info["depth"], info["is_good"]) == (
        True,
        "open",
        2,
        True,
    )
    with pytest.raises(ResetNeeded):
        env.step(0)
    env.reset()
    env.step(int(env.codes[env.rows.latent[0], 0] + 1) % 10)
    assert env.rows.latent[0] == DEAD
    info = env.step(0)[4]
    assert (info["is_success"], info["outcome"], info["depth"]) == (False, "failed", 0)


def test_the_adapter_for_stable_baselines_passes_success_on():
    venv = make_vec(ID, 3, seed=0, horizon=2, lock_seed=0)
    venv.reset()
    venv.step(np.zeros(3, np.int64))
    _, _, dones, infos = venv.step(np.zeros(3, np.int64))
    assert dones.all() and venv.get_attr("horizon") == [2] * 3
    assert {"is_success", "outcome", "depth", "terminal_observation"} <= set(infos[0])
    assert not infos[0]["TimeLimit.truncated"]


def test_images_of_the_splits_differ_and_repeat():
    train, test = images.image_bank(2, "train"), images.image_bank(2, "test")
    assert train.shape == (2, 500, 3, 32, 32) and test.shape == (2, 100, 3, 32, 32)
    assert np.array_equal(train, images.image_bank(2, "train"))
    flat = {image.tobytes() for image in train.reshape(-1, 3072)}
    assert len(flat) == 1000
    assert not flat & {image.tobytes() for image in test.reshape(-1, 3072)}


def test_an_image_source_of_ones_own_is_shown():
    def source(class_id, rng, split):
        return np.full((3, 32, 32), class_id, np.uint8)

    env = CombLockEnv(horizon=2, obs_kind="image", image_source=source, lock_seed=0)
    seen, info = env.reset(seed=0)
    assert (seen == info["latent"]).all()
    seen, _, _, _, info = env.step(0)
    assert (seen == 3 + info["latent"]).all()
    with pytest.raises(ScenarioError, match="image_source"):
        CombLockEnv(obs_kind="image", image_source=lambda *_: np.zeros(3, np.uint8))


def test_a_picture_shows_three_states_over_the_steps():
    env = CombLockEnv(horizon=3, render_mode="rgb_array")
    env.reset(seed=0)
    first = env.render()
    env.step(0)
    assert first.shape[2] == 3 and first.dtype == np.uint8
    assert not np.array_equal(first, env.render())


@pytest.mark.parametrize(
    ("keywords", "says"),
    [
        ({"horizon": 0}, "horizon is 0"),
        ({"n_actions": 1}, "n_actions is 1"),
        ({"p_switch": 1.5}, "p_switch"),
        ({"temperature": 0.0}, "temperature"),
        ({"noise": -1.0}, "noise"),
        ({"anti_reward": 1.0}, "anti_reward"),
    ],
)
def test_numbers_out_of_range_are_named(keywords, says):
    with pytest.raises(ScenarioError, match=says):
        LockOptions(**keywords)


def test_unknown_words_name_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean horizon"):
        CombLockEnv(horizn=3)
    with pytest.raises(UnknownNameError, match="did you mean hadamard"):
        CombLockEnv(obs_kind="hadamar")


def test_impossible_actions_and_seeds_are_refused():
    env = CombLockEnv()
    env.reset(seed=0)
    with pytest.raises(ScenarioError, match="0 to 9"):
        env.step(10)
    smooth = CombLockEnv(action_kind="continuous")
    smooth.reset(seed=0)
    with pytest.raises(ScenarioError, match="finite"):
        smooth.step(np.full(10, np.nan))
    with pytest.raises(ScenarioError, match="2 seeds"):
        CombLockVectorEnv(2).reset(seed=[1])
    with pytest.raises(ScenarioError, match="render_mode"):
        CombLockVectorEnv(2, render_mode="rgb_array")
