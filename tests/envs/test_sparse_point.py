import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from hybridrl.envs.sparse.point import GOALS, PointRows, SparsePointEnv, SparsePointVectorEnv
from hybridrl.planners.errors import ScenarioError, UnknownNameError


def walk(env, moves):
    """Take the moves over and over until the episode ends."""
    env.reset(seed=0)
    for k in range(1000):
        found = env.step(np.array(moves[k % len(moves)], np.float32))
        if found[2] or found[3]:
            return k + 1, found
    raise AssertionError("no end")


def test_it_is_a_gymnasium_environment():
    check_env(gym.make("hybridrl/SparsePoint-v0").unwrapped, skip_render_check=True)


@pytest.mark.parametrize(
    ("layout", "moves", "low", "high"),
    [("cross", [(1, 0)], 15, 16), ("corner", [(1, 1)], 14, 15)],
)
def test_straight_ahead_reaches_the_goal_and_is_paid_once(layout, moves, low, high):
    steps, (_, reward, terminated, truncated, info) = walk(SparsePointEnv(layout=layout), moves)
    assert low <= steps <= high
    assert (reward, terminated, truncated) == (1.0, True, False)
    assert info == {"is_success": True, "outcome": "goal"}


def test_a_wall_stops_and_can_be_gone_round():
    env = SparsePointEnv(layout="wall", horizon=60)
    steps, (obs, reward, terminated, truncated, info) = walk(env, [(1, 0)])
    assert steps == 60 and truncated and not terminated and reward == 0.0
    assert -0.25 < obs[0] <= -0.1 and info["outcome"] == "timeout"
    up, over, down = [(0, 1)] * 14, [(1, 0)] * 15, [(0, -1)] * 14
    assert walk(SparsePointEnv(layout="wall"), up + over + down)[1][2]


def test_uniform_actions_hardly_ever_arrive():
    env = SparsePointVectorEnv(400)
    env.reset(seed=0)
    rng, reached = np.random.default_rng(0), 0
    for _ in range(50):
        reached += env.step(rng.uniform(-1, 1, (400, 2)))[2].sum()
    assert reached <= 2


@pytest.mark.parametrize("layout", GOALS)
def test_a_row_of_the_vector_is_the_single_room_bit_for_bit(layout):
    vector = SparsePointVectorEnv(3, layout=layout, horizon=20)
    single = SparsePointEnv(layout=layout, horizon=20)
    rows, _ = vector.reset(seed=[7, 8, 9])
    obs, _ = single.reset(seed=8)
    assert np.array_equal(rows[1], obs)
    rng = np.random.default_rng(1)
    for _ in range(60):
        actions = rng.uniform(-0.5, 1.2, (3, 2)).astype(np.float32)
        rows, rewards, ends, cuts, info = vector.step(actions)
        obs, reward, ended, cut, facts = single.step(actions[1])
        assert (rewards[1], ends[1], cuts[1]) == (reward, ended, cut)
        if ended or cut:
            assert np.array_equal(info["final_obs"][1], obs)
            assert info["final_info"]["outcome"][1] == facts["outcome"]
            assert info["final_info"]["is_success"][1] == facts["is_success"]
            obs, _ = single.reset()
        assert np.array_equal(rows[1], obs)


def test_it_goes_on_where_its_state_was_taken():
    for env in (SparsePointEnv(), SparsePointVectorEnv(2)):
        env.reset(seed=3)
        shape = (2,) if isinstance(env, SparsePointEnv) else (2, 2)
        for _ in range(30):
            env.step(np.full(shape, 0.3))
        state = env.get_state()
        first = [np.asarray(env.step(np.full(shape, 0.9))[0]) for _ in range(3)]
        env.set_state(state)
        again = [np.asarray(env.step(np.full(shape, 0.9))[0]) for _ in range(3)]
        assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


def test_the_picture_shows_room_goal_and_point():
    env = SparsePointEnv(layout="wall", render_mode="rgb_array")
    env.reset(seed=0)
    colours = {tuple(c) for c in env.render().reshape(-1, 3)}
    assert colours == {(255, 255, 255), (170, 215, 170), (90, 90, 90), (204, 77, 77)}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"layout": "maze"}, "layout"),
        ({"horizon": 0}, "horizon"),
        ({"stride": 0.0}, "stride"),
    ],
)
def test_bad_options_are_refused_by_name(options, says):
    with pytest.raises((ScenarioError, UnknownNameError), match=says):
        PointRows(1, **options)
    with pytest.raises((ScenarioError, UnknownNameError), match=says):
        SparsePointEnv(**options)


def test_a_vector_needs_a_seed_a_row_and_draws_nothing():
    with pytest.raises(ScenarioError, match="seed"):
        SparsePointVectorEnv(3).reset(seed=[1])
    with pytest.raises(ScenarioError, match="render_mode"):
        SparsePointVectorEnv(3, render_mode="rgb_array")
