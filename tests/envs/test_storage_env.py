"""The faces of the storage system: one decision protocol behind all of them."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import hybridrl  # noqa: F401
from hybridrl.envs.storage.baselines.registry import make_policy
from hybridrl.envs.storage.engine import HSSEngine
from hybridrl.envs.storage.env import StorageJointEnv, StorageMigrationEnv, StoragePlacementEnv
from hybridrl.envs.storage.rewards import (
    inverse_latency,
    migration_reward,
    pingpong_penalty,
    sibyl_code_reward,
    sibyl_reward,
)
from hybridrl.envs.storage.vector_env import StorageVectorEnv
from hybridrl.planners.errors import ScenarioError, UnknownNameError


@pytest.fixture(scope="module")
def trace(skewed_trace):
    return skewed_trace(4, 600, 80, 1.3, 200)


def episode(env, seed=3, act=None):
    """Observations, rewards and latencies of an episode under random or given actions."""
    rng = np.random.default_rng(seed)
    observation, info = env.reset(seed=seed)
    rows = [observation]
    rewards = []
    ended = False
    while not ended:
        action = act(rng) if act else rng.integers(env.action_space.n)
        observation, reward, terminated, truncated, info = env.step(action)
        rows.append(observation)
        rewards.append(reward)
        ended = terminated or truncated
    return np.array(rows), np.array(rewards), info


@pytest.mark.parametrize("face", [StoragePlacementEnv, StorageMigrationEnv, StorageJointEnv])
def test_gymnasiums_checker_passes(face, trace):
    options = {"placement": "none"} if face is StorageMigrationEnv else {}
    check_env(face(workload=trace, **options), skip_render_check=True)


def test_stable_baselines3s_checker_passes(trace):
    from stable_baselines3.common.env_checker import check_env as check_sb3

    check_sb3(StoragePlacementEnv(workload=trace))
    check_sb3(StorageJointEnv(workload=trace))


def test_steps_and_the_whole_run_are_the_same_to_the_bit(trace):
    policy = make_policy("lru_write")
    env = StoragePlacementEnv(workload=trace, config="tri")
    env.reset(seed=1)
    whole = HSSEngine(trace, env.task.config, seed=env.engine.seed, policy=policy)
    whole.run()
    ended = False
    while not ended:
        ended = env.step(0)[2]
    assert env.engine.e.sys["latency_sum"][0] == whole.e.sys["latency_sum"][0]
    assert (env.engine.e.page == whole.e.page).all()


def test_equal_seeds_and_actions_give_equal_episodes(trace):
    one, two = (episode(StoragePlacementEnv(workload=trace), seed=5) for _ in range(2))
    assert (one[0] == two[0]).all() and (one[1] == two[1]).all()
    other = episode(StoragePlacementEnv(workload=trace), seed=6)
    assert one[2]["mean_latency_us"] != other[2]["mean_latency_us"]


def test_a_placement_step_is_one_write_and_its_reward_is_inverse_latency(trace):
    env = StoragePlacementEnv(workload=trace)
    rows, rewards, info = episode(env)
    assert len(rewards) == trace.write.sum()
    assert info["requests"] == len(trace) and info["outcome"] == "trace_end"
    assert rewards[-1] == pytest.approx(env.task.unit_us / info["latency_us"])
    assert ((rows >= 0) & (rows <= 1)).all()


def test_an_episode_can_be_cut_short(trace):
    env = StoragePlacementEnv(workload=trace, episode_requests=100)
    env.reset(seed=0)
    ended = False
    while not ended:
        _, _, terminated, truncated, info = env.step(1)
        ended = terminated or truncated
    assert truncated and not terminated
    assert info["outcome"] == "request_limit" and info["requests"] == 100


def test_the_vector_environment_is_many_single_ones(trace):
    options = {"workload": trace, "episode_requests": 150}
    vector = StorageVectorEnv(3, **options)
    singles = [StoragePlacementEnv(**options) for _ in range(3)]
    rows, _ = vector.reset(seed=9)
    alone = [env.reset(seed=9 + i)[0] for i, env in enumerate(singles)]
    rng = np.random.default_rng(0)
    ends = 0
    for _ in range(200):
        assert (rows == np.array(alone)).all()
        actions = rng.integers(0, 2, 3)
        rows, rewards, terminated, truncated, info = vector.step(actions)
        for i, env in enumerate(singles):
            alone[i], reward, done, cut, facts = env.step(actions[i])
            assert (reward, done, cut) == (rewards[i], terminated[i], truncated[i])
            if done or cut:
                ends += 1
                assert info["final_info"]["mean_latency_us"][i] == facts["mean_latency_us"]
                assert (info["final_obs"][i] == alone[i]).all()
                alone[i] = env.reset()[0]
    assert ends >= 3


def test_migration_rewards_are_worth_their_windows(trace):
    env = StorageMigrationEnv(workload=trace, placement="none")
    env.reset(seed=0)
    before = env.epochs.engine.e.sys[0].copy()
    stay = env.epochs.engine.e.cand["device"].copy()
    reward = env.step(stay)[1]
    after = env.epochs.engine.e.sys[0]
    count = after["i"] - before["i"]
    spent = (after["latency_sum"] - before["latency_sum"]) / env.task.unit_us
    assert count == env.task.config.migration_interval
    assert reward == pytest.approx(count / spent)


def test_the_joint_controller_meets_both_kinds_of_decisions(trace):
    env = StorageJointEnv(workload=trace)
    kinds = []
    _, info = env.reset(seed=0)
    ended = False
    while not ended:
        kinds.append(info["migration_due"])
        masks = env.action_masks().reshape(1 + env.task.slots, -1)
        assert masks.any(axis=1).all()
        _, _, ended, _, info = env.step(np.zeros(1 + env.task.slots, np.int64))
    assert kinds.count(False) == trace.write.sum()
    assert kinds.count(True) == len(trace) // env.task.config.migration_interval


def test_pettingzoos_test_passes_and_both_agents_live_to_the_end(trace):
    pettingzoo_test = pytest.importorskip("pettingzoo.test")
    from hybridrl.envs.storage.parallel_env import parallel_env

    env = parallel_env(workload=trace)
    pettingzoo_test.parallel_api_test(env, num_cycles=400)
    env.reset(seed=0)
    while env.agents:
        actions = {agent: env.action_space(agent).sample() for agent in env.agents}
        assert set(actions) == {"placement", "migration"}
        rewards, terminations = env.step(actions)[1:3]
    assert all(terminations.values()) and set(rewards) == {"placement", "migration"}


def test_the_parallel_and_the_joint_face_run_the_same_system(trace):
    pytest.importorskip("pettingzoo")
    from hybridrl.envs.storage.parallel_env import parallel_env

    joint, parallel = StorageJointEnv(workload=trace), parallel_env(workload=trace)
    joint.reset(seed=2)
    parallel.reset(seed=2)
    rng = np.random.default_rng(1)
    ended = False
    while not ended:
        action = rng.integers(0, 2, 1 + joint.task.slots)
        _, reward, ended, _, info = joint.step(action)
        step = parallel.step({"placement": action[0], "migration": action[1:]})
        assert reward == sum(step[1].values())
        assert step[4]["placement"]["mean_latency_us"] == info["mean_latency_us"]


def test_rewards_with_numbers_worked_by_hand():
    assert inverse_latency(4.0) == 0.25 and inverse_latency(0.0) == 10.0
    assert sibyl_reward(2.0, 0, 100.0) == 0.5
    assert sibyl_reward(2.0, 3, 100.0) == pytest.approx(0.4)
    assert sibyl_reward(2.0, 3, 9999.0) == 0.0
    assert sibyl_code_reward(0.1, 0) == pytest.approx(0.9)
    assert sibyl_code_reward(0.1, 1) == pytest.approx(0.0)
    assert migration_reward(50, 100.0, 0.1) == pytest.approx(0.4)
    assert pingpong_penalty(2.0, 1, 1) == 1.0 and pingpong_penalty(2.0, 1, 0) == 0.0


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"workload": "no_such"}, UnknownNameError),
        ({"config": "gold"}, UnknownNameError),
        ({"migration": 7}, ScenarioError),
        ({"episode_requests": 0}, ScenarioError),
        ({"wrkload": "hm_1"}, UnknownNameError),
    ],
)
def test_bad_options_are_refused(options, error):
    with pytest.raises(error):
        StoragePlacementEnv(**options)


@pytest.mark.slow
def test_dqn_learns_to_place(trace):
    from stable_baselines3 import DQN

    env = StoragePlacementEnv(workload="usr_0", scale=0.3, episode_requests=4000)
    model = DQN("MlpPolicy", env, learning_starts=500, seed=0, gamma=0.5, learning_rate=1e-3)
    model.learn(8000)
    observation, _ = env.reset(seed=100)
    ended, total, count = False, 0.0, 0
    while not ended:
        action, _ = model.predict(observation, deterministic=True)
        observation, reward, terminated, truncated, _ = env.step(action)
        total, count, ended = total + reward, count + 1, terminated or truncated
    slow = episode(env, seed=100, act=lambda rng: 1)[1].mean()
    assert total / count > 1.5 * slow


def test_ids_are_registered():
    made = gym.make("hybridrl/HybridStorage-v0", workload="stg_1", scale=0.1, config="cost")
    assert made.reset(seed=0)[0].shape == (7,)
