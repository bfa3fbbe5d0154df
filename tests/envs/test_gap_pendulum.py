"""The gap pendulum against Gymnasium's, closed forms, and its own vector form."""

import math

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from hypothesis import given
from hypothesis import strategies as st
from stable_baselines3.common.env_checker import check_env as check_for_sb3

import hybridrl  # noqa: F401
from hybridrl.agents.common.vec_env import make_vec
from hybridrl.envs.gap.measure import make_pair, measure_gap, observation_names
from hybridrl.envs.gap.pendulum import GapPendulumEnv, GapPendulumVectorEnv
from hybridrl.envs.gap.variants import sim_keywords, variants_of
from hybridrl.planners.errors import ScenarioError, UnknownNameError


def one_step(angle, speed, action, **options):
    env = GapPendulumEnv(**options)
    env.reset(seed=0)
    env.set_physics(np.array([angle]), np.array([speed]))
    _, reward, *_ = env.step(np.array([action], np.float32))
    return *(float(x[0]) for x in env.physics), reward


def test_the_real_pendulum_has_the_dynamics_of_gymnasiums(rng):
    ours, stock = GapPendulumEnv(), gym.make("Pendulum-v1").unwrapped
    ours.reset(seed=0), stock.reset(seed=0)
    ours.set_physics(*stock.state[:, None])
    for action in rng.uniform(-1.2, 1.2, 150).astype(np.float32):
        mine, reward, *_ = ours.step(np.array([action]))
        other, expected, *_ = stock.step(np.array([2 * action]))
        assert mine == pytest.approx(other, abs=1e-5)
        assert reward == pytest.approx(expected, abs=1e-5)


@given(st.floats(-9, 9), st.floats(-8, 8), st.floats(-1.5, 1.5), st.floats(0.1, 4))
def test_a_step_is_the_equation_of_the_specification(angle, speed, action, gain):
    """h2o.md 5.2: the gain is in the dynamics and not in the reward."""
    action = float(np.float32(action))
    torque = 2 * np.clip(action, -1, 1)
    after = np.clip(speed + 0.05 * (15 * np.sin(angle) + 3 * gain * torque), -8, 8)
    wrapped = np.arctan2(np.sin(angle), np.cos(angle))
    expected = angle + 0.05 * after, after, -(wrapped**2 + 0.1 * speed**2 + 0.001 * torque**2)
    assert one_step(angle, speed, action, gain=gain) == pytest.approx(expected, abs=1e-6)


def test_each_keyword_changes_the_acceleration_as_written():
    angle, speed, action = 0.7, 1.5, 0.5

    def acceleration(**options):
        return (one_step(angle, speed, action, **options)[1] - speed) / 0.05

    pull, push = 15 * np.sin(angle), 3.0
    assert acceleration() == pytest.approx(pull + push)
    assert acceleration(gravity=2.0) == pytest.approx(2 * pull + push)
    assert acceleration(mass=1.5) == pytest.approx(pull + push / 1.5)
    assert acceleration(length=1.5) == pytest.approx(pull / 1.5 + push / 1.5**2)
    assert acceleration(damping=2.0) == pytest.approx(pull + push - 2.0 * speed)
    assert acceleration(wind=4.0) == pytest.approx(pull + push + 4.0 * np.cos(angle))


def test_noise_and_delay_leave_the_reward_that_of_the_asked_action():
    noisy = [one_step(0.3, 0.0, 0.5, action_noise=1.0)[2]]
    noisy.append(one_step(0.3, 0.0, 0.5, delay=2)[2])
    assert noisy == [one_step(0.3, 0.0, 0.5)[2]] * 2
    public = one_step(0.3, 0.0, 0.5, action_noise=1.0, noise_in_reward=True)
    assert public[2] != noisy[0]


def test_a_delay_shifts_the_actions(rng):
    actions = rng.uniform(-1, 1, (30, 1)).astype(np.float32)
    late, now = GapPendulumEnv(delay=2), GapPendulumEnv()
    late.reset(seed=1), now.reset(seed=1)
    shifted = [*np.zeros((2, 1), np.float32), *actions]
    for action, acted in zip(actions, shifted, strict=False):
        assert np.array_equal(late.step(action)[0], now.step(acted)[0])


def test_episodes_begin_where_they_should():
    for seed in range(20):
        env = GapPendulumEnv(start="hanging")
        cosine, _, speed = env.reset(seed=seed)[0]
        assert cosine < np.cos(np.pi - 0.1) + 1e-6 and speed == 0
    angles = [GapPendulumEnv().reset(seed=seed)[0][0] for seed in range(60)]
    assert min(angles) < -0.5 and max(angles) > 0.5


@pytest.mark.parametrize("variant", variants_of("Pendulum"))
def test_a_row_of_the_vector_equals_a_single_one_with_its_seed(variant, rng):
    keywords = sim_keywords("Pendulum", variant) | {"time_limit": 7}
    vector = GapPendulumVectorEnv(3, **keywords)
    singles = [GapPendulumEnv(**keywords) for _ in range(3)]
    first, _ = vector.reset(seed=[5, 50, 500])
    for i, env in enumerate(singles):
        assert np.array_equal(env.reset(seed=[5, 50, 500][i])[0], first[i])
    for _ in range(20):
        actions = rng.uniform(-1, 1, (3, 1)).astype(np.float32)
        observations, rewards, terminated, truncated, info = vector.step(actions)
        assert not terminated.any()
        for i, env in enumerate(singles):
            observation, reward, _, ended, facts = env.step(actions[i])
            assert (reward, ended) == (rewards[i], truncated[i])
            if ended:
                assert np.array_equal(info["final_obs"][i], observation)
                assert info["final_info"]["outcome"][i] == facts["outcome"] == "timeout"
                observation = env.reset()[0]
            assert np.array_equal(observation, observations[i])


def test_make_vec_gives_the_native_vector_and_the_adapter_takes_it():
    env = gym.make_vec("hybridrl/Gap-Pendulum-GainX2.5-Sim-v0", num_envs=4)
    assert isinstance(env.unwrapped, GapPendulumVectorEnv)
    assert env.metadata["autoreset_mode"] == AutoresetMode.SAME_STEP
    venv = make_vec("hybridrl/Gap-Pendulum-GainX2.5-Sim-v0", 2, seed=0, time_limit=3)
    venv.reset()
    for _ in range(3):
        _, _, dones, infos = venv.step(np.zeros((2, 1), np.float32))
    assert dones.all() and infos[0]["TimeLimit.truncated"]
    assert infos[0]["terminal_observation"].shape == (3,)


@pytest.mark.parametrize("many", [False, True])
def test_it_goes_on_exactly_where_its_state_was_saved(many, rng):
    def make():
        keywords = {"action_noise": 0.5, "delay": 2, "time_limit": 9}
        return GapPendulumVectorEnv(2, **keywords) if many else GapPendulumEnv(**keywords)

    env, other = make(), make()
    env.reset(seed=3), other.reset(seed=8)
    shape = env.action_space.shape
    for _ in range(5):
        env.step(rng.uniform(-1, 1, shape).astype(np.float32))
    other.set_state(env.get_state())
    for _ in range(15 if many else 4):
        action = rng.uniform(-1, 1, shape).astype(np.float32)
        assert np.array_equal(env.step(action)[0], other.step(action)[0])


def test_the_checkers_are_content():
    env = gym.make("hybridrl/Gap-Pendulum-JointNoise-Sim-v0", render_mode="rgb_array")
    check_env(env.unwrapped)
    check_for_sb3(env, warn=False)
    assert env.render().shape == (240, 240, 3)


def test_bad_keywords_are_refused():
    with pytest.raises(UnknownNameError, match="gain"):
        GapPendulumEnv(gains=2.0)
    with pytest.raises(UnknownNameError, match="hanging"):
        GapPendulumEnv(start="lying")
    with pytest.raises(UnknownNameError, match="below"):
        GapPendulumEnv(region="left")
    with pytest.raises(ScenarioError, match="above 0"):
        GapPendulumEnv(mass=0.0)
    with pytest.raises(ScenarioError, match="2 seeds"):
        GapPendulumVectorEnv(2).reset(seed=[1, 2, 3])
    with pytest.raises(ScenarioError, match="make"):
        GapPendulumVectorEnv(2, render_mode="human")


def test_the_measured_gap_is_nothing_for_equal_physics_and_what_the_equation_says_for_gain():
    real, sim = make_pair("Pendulum", "GainX2.5")
    same = measure_gap(real, GapPendulumEnv(), 100)
    assert same.observation.max() == same.reward == same.positions == 0
    gap = measure_gap(real, sim, 400)
    # |dw| = 0.05 * 3 * 1.5 * |u| with |u| uniform on [0, 2], unless the speed is clipped.
    env = GapPendulumEnv()
    env.reset(seed=0)
    assert 0.6 < gap.observation[2] / (0.05 * 3 * 1.5 / 4.0) < 1.6
    assert gap.reward == 0


def test_a_simulator_with_a_delay_is_given_the_actions_before():
    real, _ = make_pair("Pendulum", "Delay2")
    late = GapPendulumEnv(delay=1)
    late.reset(seed=0)
    past = np.array([0.4], np.float32)
    late.set_physics(np.array([1.0]), np.array([0.0]), [np.zeros(1), past])
    real.reset(seed=0)
    real.set_physics(np.array([1.0]), np.array([0.0]))
    assert np.array_equal(late.step(-past)[0], real.step(past)[0])


def test_names_of_robots_and_variants_are_checked():
    with pytest.raises(UnknownNameError, match="HalfCheetah"):
        make_pair("cheetah", "GravityX2")
    with pytest.raises(UnknownNameError, match="GainX2"):
        make_pair("Pendulum", "FrictionX0.3")
    assert observation_names("Pendulum") == ["cos", "sin", "speed"]
    assert observation_names("HalfCheetah")[:2] == ["q:rootz", "q:rooty"]
    assert len(observation_names("Ant")) == 105


@pytest.mark.parametrize(("angle", "differs"), [(math.pi - 0.3, True), (0.3, False)])
def test_a_gap_below_the_pivot_leaves_the_upper_half_as_it_is(angle, differs):
    real = one_step(angle, 0.5, 0.8)
    simulated = one_step(angle, 0.5, 0.8, gain=2.5, gravity=0.5, region="below")
    everywhere = one_step(angle, 0.5, 0.8, gain=2.5, gravity=0.5)
    assert (simulated != real) == differs
    assert (simulated == everywhere) == differs
