"""The driving environments keep their promises, on both back ends."""

from __future__ import annotations

import copy
import json

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as check_env_sb3

import hybridrl  # noqa: F401
from hybridrl.envs.driving.env import DrivingEnv
from hybridrl.envs.driving.highway import car_class, make_scene, merged
from hybridrl.envs.driving.kernels.records import FEATURES
from hybridrl.envs.driving.names import (
    NATIVE_ACTIONS,
    OUTCOMES,
    SCENARIOS,
    native_action,
)
from hybridrl.envs.driving.roads import road_table
from hybridrl.envs.driving.scene import SCENE_SIZE, Scene
from hybridrl.planners.errors import ScenarioError, UnknownNameError

BOTH = ("fast", "highway-env")


def _act(scenario, name):
    return native_action(scenario, name)


def _episode(env, policy, seed):
    env.reset(seed=seed)
    total, steps = 0.0, 0
    while True:
        _, reward, terminated, truncated, info = env.step(policy(env))
        total, steps = total + reward, steps + 1
        if terminated or truncated:
            return total, steps, terminated, truncated, info


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("observation", ["rows", "dict"])
def test_both_checkers_accept_the_fast_environments(scenario, observation):
    env = gym.make(f"hybridrl/Driving-{scenario.capitalize()}-v0", observation=observation)
    check_env(env.unwrapped, skip_render_check=True)
    check_env_sb3(env, warn=False)


def test_both_checkers_accept_highway_env_behind_the_same_interface():
    env = DrivingEnv(scenario="merge", backend="highway-env")
    check_env(env, skip_render_check=True)
    check_env_sb3(env, warn=False)


@pytest.mark.parametrize("backend", BOTH)
@pytest.mark.parametrize("scenario", ["merge", "intersection", "roundabout"])
def test_a_seed_decides_everything(scenario, backend):
    runs = []
    for _ in range(2):
        env = DrivingEnv(scenario=scenario, backend=backend, expose_scene=True)
        seen, info = env.reset(seed=3)
        steps = [seen, info["scene"]]
        for action in (1, 0, 2, 1):
            seen, reward, terminated, truncated, info = env.step(action)
            steps += [seen, info["scene"], [reward]]
            if terminated or truncated:
                break
        runs.append(np.concatenate([np.ravel(step) for step in steps]))
    np.testing.assert_array_equal(runs[0], runs[1])


def test_constructing_an_intersection_changes_no_other_traffic():
    """highway-env's own intersection does: it writes into the class of the cars."""

    def drive():
        env = DrivingEnv(scenario="merge", backend="highway-env")
        env.reset(seed=11)
        return np.concatenate([np.ravel(env.step(1)[0]) for _ in range(3)])

    before = drive()
    stock = car_class("merge", "stock")
    numbers = (stock.DISTANCE_WANTED, stock.COMFORT_ACC_MAX, stock.COMFORT_ACC_MIN)
    crossing = DrivingEnv(scenario="intersection", backend="highway-env")
    crossing.reset(seed=0)
    assert car_class("intersection", "stock").DISTANCE_WANTED == 7
    assert (stock.DISTANCE_WANTED, stock.COMFORT_ACC_MAX, stock.COMFORT_ACC_MIN) == numbers
    np.testing.assert_array_equal(drive(), before)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_outcomes_are_told_apart_and_rewarded_as_written(scenario):
    """Random driving: the three shares sum to one, and every return follows from its outcome."""
    vector = gym.make_vec(
        f"hybridrl/Driving-{scenario.capitalize()}-v0",
        num_envs=64,
        vectorization_mode="vector_entry_point",
    )
    vector.reset(seed=0)
    rng = np.random.default_rng(0)
    total, steps = np.zeros(64), np.zeros(64)
    seen = dict.fromkeys(OUTCOMES, 0)
    for _ in range(45):
        masks = vector.unwrapped.action_masks()
        actions = (rng.random(masks.shape) * masks).argmax(axis=1)
        _, rewards, terminated, truncated, info = vector.step(actions)
        total, steps = total + rewards, steps + 1
        for i in np.flatnonzero(terminated | truncated):
            facts = {k: v[i] for k, v in info["final_info"].items() if not k.startswith("_")}
            seen[facts["outcome"]] += 1
            _check_end(scenario, facts, total[i], steps[i], terminated[i], truncated[i])
            total[i] = steps[i] = 0.0
    assert seen["crash"] > 0 and seen["running"] == 0
    assert scenario == "highway" or seen["success"] > 0


def _check_end(scenario, facts, total, steps, terminated, truncated):
    shares = facts["is_success"], facts["crashed"], facts["timed_out"]
    assert sum(map(int, shares)) == 1
    assert facts["is_success"] == (facts["outcome"] == "success")
    assert terminated != truncated
    limit = {"highway": 40, "merge": 25, "intersection": 25, "roundabout": 20}[scenario]
    assert truncated == (facts["survived"]) and (not truncated or steps == limit)
    if scenario == "highway":
        assert not truncated or facts["is_success"] == (facts["mean_speed"] >= 23.0)
        assert facts["crashed"] == terminated
        return
    assert facts["timed_out"] == truncated
    assert facts["progress"] <= 1.0 + 1e-9
    most = {"success": 5.0, "crash": -3.9, "timeout": 0.0}[facts["outcome"]]
    assert total <= most
    assert facts["outcome"] != "success" or total > 3.0


def test_standing_still_is_a_time_out_and_never_a_success():
    env = DrivingEnv(scenario="intersection")
    slower = _act("intersection", "SLOWER")
    outcomes = [_episode(env, lambda _: slower, seed)[4] for seed in range(12)]
    assert not any(facts["is_success"] for facts in outcomes)
    assert sum(facts["outcome"] == "timeout" for facts in outcomes) >= 8


@pytest.mark.parametrize(("scenario", "ends"), [("intersection", True), ("highway", False)])
def test_a_limit_that_ends_is_terminated_where_there_is_a_goal(scenario, ends):
    slower = _act(scenario, "SLOWER")
    env = DrivingEnv(scenario=scenario, duration=5.0, limit_ends=True)
    total, _, terminated, truncated, info = _episode(env, lambda _: slower, 1)
    assert (terminated, truncated, info["outcome"]) == (ends, not ends, "timeout")
    plain = DrivingEnv(scenario=scenario, duration=5.0)
    assert _episode(plain, lambda _: slower, 1)[0] == pytest.approx(total)


@pytest.mark.parametrize("backend", BOTH)
def test_the_clock_runs_down_from_one(backend):
    options = {"duration": 4.0, "observation": "dict", "clock": True, "backend": backend}
    env = DrivingEnv(scenario="merge", **options)
    seen, _ = env.reset(seed=0)
    assert seen["clock"] == [1.0] and env.observation_space.contains(seen)
    seen, *_ = env.step(_act("merge", "SLOWER"))
    assert seen["clock"] == [0.75]


@pytest.mark.parametrize("backend", BOTH)
def test_signals_tell_the_turn_that_is_left_beside_the_same_rows(backend):
    keywords = {"scenario": "intersection", "backend": backend}
    plain, shown = DrivingEnv(**keywords), DrivingEnv(**keywords, signals=True)
    rows, (seen, _) = plain.reset(seed=4)[0], shown.reset(seed=4)
    left_turn = seen[0, FEATURES:]
    assert left_turn == pytest.approx([0.0, -1.0], abs=1e-6)  # y grows to the south
    told = set()
    while True:
        assert shown.observation_space.contains(seen)
        np.testing.assert_array_equal(seen[:, :FEATURES], rows)
        there = seen[:, 0] > 0
        assert np.hypot(*seen[there, FEATURES:].T) == pytest.approx(1.0, abs=1e-6)
        assert not seen[~there].any()
        told |= set(np.round(seen[there, FEATURES + 1]).astype(int))
        rows = plain.step(_act("intersection", "SLOWER"))[0]
        seen, _, terminated, truncated, _ = shown.step(_act("intersection", "SLOWER"))
        if terminated or truncated:
            break
    assert told == {-1, 0, 1}


def test_scenes_can_be_left_out_while_nobody_reads_them():
    env, same = (DrivingEnv(scenario="merge", expose_scene=True) for _ in range(2))
    for one in (env, same):
        one.reset(seed=4)
    env.arrays.expose(False)
    assert "scene" not in env.step(1)[4] and "scene" in same.step(1)[4]
    env.arrays.expose(True)
    np.testing.assert_array_equal(env.arrays.scenes, same.arrays.scenes)
    np.testing.assert_array_equal(env.step(1)[4]["scene"], same.step(1)[4]["scene"])
    shaped = DrivingEnv(scenario="merge", expose_scene=True, risk_shaping=True)
    shaped.arrays.expose(False)  # the reward needs them
    shaped.reset(seed=4)
    assert "scene" in shaped.step(1)[4]


def test_surviving_slowly_on_the_highway_is_not_success():
    env = DrivingEnv(scenario="highway")
    slower = _act("highway", "SLOWER")
    for seed in range(6):
        _, _, _, truncated, info = _episode(env, lambda _: slower, seed)
        assert truncated and info["survived"] and not info["is_success"]
        assert info["timed_out"] and info["mean_speed"] < 23.0
    info = _episode(DrivingEnv(scenario="highway", min_mean_speed=15.0), lambda _: slower, 0)[4]
    assert info["is_success"] and not info["timed_out"]


def test_a_ramp_that_is_never_left_ends_in_the_barrier():
    env = DrivingEnv(scenario="merge", density="sparse")
    idle = _act("merge", "IDLE")
    for seed in range(5):
        total, _, terminated, _, info = _episode(env, lambda _: idle, seed)
        assert terminated and info["crashed"] and total < -4.0


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_observation_rows_are_highway_envs_own_bit_for_bit(scenario):
    env = DrivingEnv(scenario=scenario, backend="highway-env")
    absolute = scenario in ("intersection", "roundabout")
    scales = {"x": 100.0, "y": 100.0 if absolute else 16.0, "vx": 20.0}
    scales["vy"] = 20.0 if absolute else 10.0
    env.reset(seed=1)
    scene = env._world.scene
    scene.config["observation"] = {
        "type": "Kinematics",
        "vehicles_count": 120,
        "features": ["presence", "x", "y", "vx", "vy", "cos_h", "sin_h"],
        "features_range": {name: [-scale, scale] for name, scale in scales.items()},
        "absolute": absolute,
        "see_behind": True,
        "order": "sorted",
    }
    scene.define_spaces()
    for _ in range(2):
        seen = env.step(_act(scenario, "IDLE"))[0]
        theirs = {tuple(row) for row in scene.observation_type.observe()[1:]}
        rows = seen[1 : int(seen[:, 0].sum())]
        assert len(rows) > 1
        for row in rows:
            nearest = min(theirs, key=lambda other: np.abs(np.subtract(other, row)).max())
            np.testing.assert_allclose(row, nearest, rtol=0, atol=6e-8)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_stock_reward_is_highway_envs(scenario):
    env = DrivingEnv(scenario=scenario, backend="highway-env", reward="stock")
    env.reset(seed=2)
    scene = env._world.scene
    kept = []
    original = scene._reward
    scene._reward = lambda action: kept.append(original(action)) or kept[-1]
    for name in ("FASTER", "IDLE", "SLOWER"):
        _, reward, terminated, _, info = env.step(_act(scenario, name))
        assert reward == pytest.approx(float(kept[-1]), abs=1e-9)
        assert info["reward_terms"]["stock"] == pytest.approx(reward)
        if terminated:
            break


@pytest.mark.parametrize("backend", BOTH)
@pytest.mark.parametrize(
    ("scenario", "action", "term", "cost", "usual"),
    [
        ("merge", "FASTER", "crashed", "crash_cost", 5.0),
        ("highway", "FASTER", "crashed", "crash_cost", 10.0),
        ("intersection", "SLOWER", "timed_out", "timeout_cost", 1.0),
    ],
)
def test_ends_cost_what_was_asked_for(backend, scenario, action, term, cost, usual):
    act = _act(scenario, action)
    for keywords, expected in (({}, usual), ({cost: 7.5}, 7.5)):
        env = DrivingEnv(scenario=scenario, backend=backend, **keywords)
        terms = next(
            last
            for seed in range(9)
            if (last := _episode(env, lambda _: act, seed)[4]["reward_terms"])[term]
        )
        assert terms[term] == -expected


@pytest.mark.parametrize("cost", [-1.0, float("nan"), float("inf")])
def test_a_cost_is_a_positive_number(cost):
    with pytest.raises(ScenarioError, match="timeout_cost"):
        DrivingEnv(scenario="merge", timeout_cost=cost)
    with pytest.raises(ScenarioError, match="crash_cost"):
        DrivingEnv(scenario="merge", crash_cost=cost)


def test_reward_terms_add_up_and_risk_shaping_telescopes():
    env = DrivingEnv(scenario="intersection", risk_shaping=True, expose_scene=True)
    _, info = env.reset(seed=4)
    potentials, shaped = [-0.5 * Scene.from_vector(info["scene"]).risk], []
    ended = False
    while not ended:
        _, reward, terminated, truncated, info = env.step(1)
        assert reward == pytest.approx(sum(info["reward_terms"].values()))
        shaped.append(info["reward_terms"]["risk"])
        risk = 0.0 if terminated else Scene.from_vector(info["scene"]).risk
        potentials.append(-0.5 * risk)
        ended = terminated or truncated
    for before, after, term in zip(potentials, potentials[1:], shaped, strict=False):
        assert term == pytest.approx(0.95 * after - before, abs=1e-6)
    assert any(shaped)


@pytest.mark.parametrize("backend", BOTH)
def test_scenes_describe_what_the_environment_offers(backend):
    env = DrivingEnv(scenario="merge", backend=backend, expose_scene=True)
    _, info = env.reset(seed=0)
    for name in ("IDLE", "FASTER", "SLOWER"):
        scene = Scene.from_vector(info["scene"])
        assert info["scene"].shape == (SCENE_SIZE,) and np.isfinite(info["scene"]).all()
        masks = dict(zip(NATIVE_ACTIONS["merge"], env.action_masks(), strict=True))
        assert set(scene.available) == {action for action, open_ in masks.items() if open_}
        np.testing.assert_allclose(scene.vector(), info["scene"], atol=1e-6)
        assert scene.lanes == 3 and scene.lane_rank == 2 and scene.left.free >= 0
        assert 0.0 <= scene.distance <= 240.0
        info = env.step(_act("merge", name))[4]
        assert Scene.from_vector(info["scene"]).previous == name
    assert "scene" not in DrivingEnv(scenario="merge").reset(seed=0)[1]


def test_equal_keys_are_equal_prompts_and_binning_changes_no_key():
    env = DrivingEnv(scenario="roundabout", expose_scene=True)
    texts = {}
    for seed in range(12):
        _, info = env.reset(seed=seed)
        for _ in range(6):
            scene = Scene.from_vector(info["scene"])
            assert scene.binned().key() == scene.key()
            assert texts.setdefault(scene.key(), scene.text()) == scene.text()
            _, _, terminated, truncated, info = env.step(1)
            if terminated or truncated:
                break
    assert len(texts) > 20


def test_actions_are_translated_by_name():
    for scenario in SCENARIOS:
        scene = make_scene(DrivingEnv(scenario=scenario).options)
        theirs = [scene.action_type.actions[i] for i in range(scene.action_space.n)]
        assert list(NATIVE_ACTIONS[scenario]) == theirs
    with pytest.raises(UnknownNameError, match="LANE_LEFT"):
        native_action("intersection", "LANE_LEFT")


def test_settings_are_merged_deep_and_unknown_ones_refused():
    stock = {"observation": {"type": "Kinematics", "absolute": True}, "duration": 13}
    changed = merged(stock, {"observation": {"absolute": False}})
    assert changed["observation"] == {"type": "Kinematics", "absolute": False}
    assert stock["observation"]["absolute"] is True
    with pytest.raises(UnknownNameError, match="did you mean absolute"):
        merged(stock, {"observation": {"absolut": False}})


def test_every_route_stays_on_roads_that_exist():
    """A route with an open lane number would ask a one-lane road for its second lane."""
    for scenario in ("intersection", "roundabout"):
        table = road_table(scenario)
        roads = set(table.lanes["road"].tolist())
        used = set(table.routes[table.routes >= 0].tolist())
        assert used <= roads
        for lane in table.lanes:
            low = int(lane["road"])
            assert (table.lanes["road"][low : low + int(lane["count"])] == low).all()


def test_copies_of_highway_env_with_their_own_seed_see_another_future():
    env = DrivingEnv(scenario="intersection", backend="highway-env", density="dense")
    env.reset(seed=1)
    clone = copy.deepcopy(env._world.scene)
    assert clone.np_random.random() == copy.deepcopy(env._world.scene).np_random.random()
    clone.np_random = np.random.default_rng(99)
    assert clone.np_random.random() != copy.deepcopy(env._world.scene).np_random.random()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"scenario": "motorway"}, UnknownNameError),
        ({"density": "crowded"}, UnknownNameError),
        ({"density": 9.0}, ScenarioError),
        ({"densty": "dense"}, UnknownNameError),
        ({"duration": float("nan")}, ScenarioError),
        ({"policy_frequency": 2, "simulation_frequency": 15}, ScenarioError),
        ({"backend": "highway"}, UnknownNameError),
        ({"clock": True}, ScenarioError),
    ],
)
def test_bad_options_are_refused_with_the_fix(options, error):
    with pytest.raises(error):
        DrivingEnv(**options)


def test_only_the_fast_back_end_is_a_native_vector():
    with pytest.raises(ScenarioError, match="sync"):
        gym.make_vec(
            "hybridrl/Driving-Merge-v0",
            num_envs=2,
            vectorization_mode="vector_entry_point",
            backend="highway-env",
        )


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_pictures_show_the_ego_in_green(scenario):
    env = DrivingEnv(scenario=scenario, render_mode="rgb_array")
    env.reset(seed=0)
    picture = env.render()
    assert picture.dtype == np.uint8 and picture.shape[2] == 3
    assert (picture == (50, 200, 60)).all(axis=2).sum() > 40


def test_options_and_spec_survive_json():
    spec = gym.spec("hybridrl/Driving-Roundabout-v0")
    again = gym.make(gym.envs.registration.EnvSpec.from_json(spec.to_json()))
    assert json.loads(spec.to_json())["kwargs"] == {"scenario": "roundabout"}
    assert again.observation_space.shape == (15, 7)
