"""The compiled traffic is highway-env's traffic: the same decisions and the same trajectories."""

from __future__ import annotations

from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest
from highway_env.road.road import Road, RoadNetwork

import hybridrl  # noqa: F401
from hybridrl.envs.driving.compare import traffic_statistics
from hybridrl.envs.driving.config import DrivingOptions
from hybridrl.envs.driving.fast import FastWorld, roll
from hybridrl.envs.driving.highway import car_class
from hybridrl.envs.driving.kernels.records import OBSTACLE
from hybridrl.envs.driving.mirror import mirror
from hybridrl.envs.driving.names import IDLE, SCENARIOS
from hybridrl.envs.driving.task import ONLY, DrivingArrays
from hybridrl.envs.driving.world import HighwayWorld

ROADS, CARS = 1700, 6  # 10,200 drivers


def _random_road(rng, style):
    network = RoadNetwork.straight_road_network(4, speed_limit=30)
    road = Road(network=network, np_random=rng)
    kind = car_class("highway", style)
    for _ in range(CARS):
        lane = int(rng.integers(4))
        place = (rng.uniform(5.0, 160.0), 4.0 * lane + rng.uniform(-0.8, 0.8))
        car = kind(road, place, rng.uniform(-0.1, 0.1), rng.uniform(0.0, 35.0))
        car.target_speed = rng.uniform(10.0, 32.0)
        car.timer = rng.uniform(0.5, 3.0)
        if rng.random() < 0.2:
            car.target_lane_index = ("0", "1", min(3, lane + 1))
        car.randomize_behavior()
        road.vehicles.append(car)
    return road


@pytest.mark.parametrize(("style", "roads"), [("stock", ROADS), ("defensive", 100)])
def test_ten_thousand_drivers_accelerate_and_change_lanes_as_in_highway_env(style, roads):
    rng = np.random.default_rng(0)
    arrays = DrivingArrays(roads, DrivingOptions(driver_style=style))
    worlds = [_random_road(rng, style) for _ in range(roads)]
    for b, road in enumerate(worlds):
        scene = SimpleNamespace(road=road, vehicle=None, steps=0)
        mirror(scene, arrays.table, arrays.cars[b], arrays.rows[b])
    every = np.arange(roads)
    arrays.score(every, fresh=True)
    FastWorld(arrays)._simulate(every, np.full(roads, -1), 1)
    for road in worlds:
        road.act()
    cars = arrays.cars[:, :CARS]
    wanted = [[v.action["acceleration"] for v in road.vehicles] for road in worlds]
    steered = [[v.action["steering"] for v in road.vehicles] for road in worlds]
    lanes = [[v.target_lane_index[2] for v in road.vehicles] for road in worlds]
    np.testing.assert_allclose(cars["acceleration"], wanted, rtol=0, atol=1e-9)
    np.testing.assert_allclose(cars["steering"], steered, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(cars["target"], lanes)
    assert np.mean(np.abs(wanted) < 5.99) > 0.3  # most are not at the limit
    assert np.mean(cars["target"] != cars["lane"]) > 0.1  # and many do change lanes


@pytest.mark.parametrize(
    ("scenario", "style", "seed"),
    [
        ("merge", "stock", 0),
        ("merge", "mixed", 1),
        ("intersection", "stock", 0),
        ("intersection", "aggressive", 3),
        ("roundabout", "stock", 2),
        ("roundabout", "mixed", 1),
        ("highway", "stock", 0),
    ],
)
def test_a_decision_from_the_same_state_ends_in_the_same_state(scenario, style, seed):
    """The fast scene starts each decision where highway-env is, and must end where it ends."""
    options = DrivingOptions(scenario=scenario, driver_style=style, signals=True)
    ours, theirs = DrivingArrays(1, options), DrivingArrays(1, options)
    peer = HighwayWorld(theirs)
    peer.begin(seed)
    if scenario == "intersection":  # arrivals are drawn from other generators
        peer.scene.config["spawn_probability"] = -1.0
        ours.config["spawn"] = -1.0
    world = FastWorld(ours)
    rng = np.random.default_rng(seed)
    for _ in range(3 if scenario == "highway" else 8):
        ours.cars[:], ours.rows[:], ours.s[:], ours.r[:] = (
            theirs.cars,
            theirs.rows,
            theirs.s,
            theirs.r,
        )
        action = int(rng.choice(np.flatnonzero(theirs.masks()[0])))
        peer.step(action)
        world.step(ONLY, theirs.canonical[[action]])
        _assert_same(ours, theirs)
        if theirs.rows["outcome"][0]:
            break


def _assert_same(ours, theirs):
    n = int(theirs.rows["n"][0])
    assert ours.rows["n"][0] == n and ours.rows["ego"][0] == theirs.rows["ego"][0]
    moving = theirs.cars["kind"][0, :n] != OBSTACLE
    for name in ("x", "y", "heading", "speed", "target_speed"):
        got, wanted = ours.cars[name][0, :n][moving], theirs.cars[name][0, :n][moving]
        np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-6, err_msg=name)
    for name in ("lane", "target", "crashed", "yielding"):
        got, wanted = ours.cars[name][0, :n][moving], theirs.cars[name][0, :n][moving]
        np.testing.assert_array_equal(got, wanted, err_msg=name)
    for name in ("reward", "progress", "mean_speed", "min_ttc", "outcome", "lane_change"):
        if name in ours.rows.dtype.names:
            np.testing.assert_allclose(ours.rows[name], theirs.rows[name], atol=1e-5)
    np.testing.assert_array_equal(ours.masks(), theirs.masks())
    np.testing.assert_allclose(ours.seen, theirs.seen, atol=1e-5)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenes_are_drawn_from_the_same_distribution(scenario):
    """First scenes of both: numbers of cars, speeds and places agree in the mean."""
    episodes = {"highway": 8, "merge": 40, "intersection": 8, "roundabout": 40}[scenario]
    options = DrivingOptions(scenario=scenario)
    theirs = DrivingArrays(1, options)
    peer = HighwayWorld(theirs)
    rows = []
    for seed in range(episodes):
        peer.begin(seed)
        rows.append(_summary(theirs, 0))
    ours = DrivingArrays(400, options)
    world = FastWorld(ours)
    for i in range(400):
        world.seed(i, i)
    world.begin(np.arange(400))
    mine = np.array([_summary(ours, i) for i in range(400)])
    peers = np.array(rows)
    error = np.sqrt(peers.var(axis=0) / len(peers) + mine.var(axis=0) / len(mine))
    assert (np.abs(peers.mean(axis=0) - mine.mean(axis=0)) < 4.0 * error + 1e-6).all()


def _summary(arrays, b):
    n, ego = int(arrays.rows["n"][b]), arrays.cars[b, int(arrays.rows["ego"][b])]
    cars = arrays.cars[b, :n]
    return [
        n,
        cars["speed"].mean(),
        cars["target_speed"].mean(),
        np.abs(cars["x"]).mean(),
        np.abs(cars["y"]).mean(),
        np.hypot(cars["x"] - ego["x"], cars["y"] - ego["y"]).mean(),
        ego["speed"],
        ego["x"] if arrays.options.scenario != "highway" else 0.0,
        ego["y"],
    ]


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_traffic_statistics_agree_within_a_tenth(scenario):
    """IDLE episodes of both back ends: mean speed, cars, lane changes and crash rate."""
    episodes, limit = (60, 10.0) if scenario == "highway" else (200, None)
    id = f"hybridrl/Driving-{scenario.capitalize()}-v0"
    peer = gym.make(id, backend="highway-env", duration=limit)
    theirs = traffic_statistics(peer, episodes, 0)
    ours = traffic_statistics(gym.make(id, duration=limit), 1000, 0)
    for name in ("mean_speed", "cars"):
        assert ours[name] == pytest.approx(theirs[name], rel=0.1), name
    noise = 3.0 * np.sqrt(theirs["crash_rate"] * (1 - theirs["crash_rate"]) / episodes + 1e-4)
    assert abs(ours["crash_rate"] - theirs["crash_rate"]) < max(0.1 * theirs["crash_rate"], noise)
    assert ours["lane_changes"] == pytest.approx(theirs["lane_changes"], rel=0.1, abs=0.01)


def test_rows_of_the_vector_are_the_single_environment_number_for_number():
    vector = gym.make_vec(
        "hybridrl/Driving-Intersection-v0", num_envs=3, vectorization_mode="vector_entry_point"
    )
    seen, _ = vector.reset(seed=5)
    singles = [gym.make("hybridrl/Driving-Intersection-v0") for _ in range(3)]
    rows = [env.reset(seed=5 + i)[0] for i, env in enumerate(singles)]
    rng = np.random.default_rng(0)
    ended = 0
    for _ in range(60):
        np.testing.assert_array_equal(seen, rows)
        actions = rng.integers(3, size=3)
        seen, rewards, terminated, truncated, info = vector.step(actions)
        for i, env in enumerate(singles):
            row, reward, ends, late, facts = env.step(actions[i])
            assert (reward, ends, late) == (rewards[i], terminated[i], truncated[i])
            if ends or late:
                ended += 1
                np.testing.assert_array_equal(info["final_obs"][i], row)
                assert info["final_info"]["outcome"][i] == facts["outcome"]
                assert info["final_info"]["mean_speed"][i] == facts["mean_speed"]
                row, _ = env.reset()
            rows[i] = row
    assert ended > 3


def test_rolling_copies_leaves_the_scene_alone_and_hides_its_future():
    options = DrivingOptions(scenario="intersection", density="dense")
    arrays = DrivingArrays(2, options)
    world = FastWorld(arrays)
    for i in range(2):
        world.seed(i, i)
    world.begin(np.arange(2))
    before = arrays.cars.copy(), arrays.rows.copy()
    plans = np.array([[IDLE] * 12, [4] * 12])
    first = roll(arrays, np.arange(2), plans, np.array([7, 8]))
    again = roll(arrays, np.arange(2), plans, np.array([7, 8]))
    np.testing.assert_array_equal(first[0], again[0])
    assert (arrays.cars == before[0]).all() and (arrays.rows == before[1]).all()
    own = roll(arrays, np.arange(2), plans, arrays.rows["rng"])
    for _ in range(12):  # a copy with the scene's own generator would see its future
        world.step(np.arange(2), np.full(2, 4))
    assert own[0].shape == (2, 2) and not np.array_equal(own[0], first[0])


@pytest.mark.parametrize("scenario", ["intersection", "roundabout"])
def test_plans_driven_together_earn_what_each_earns_alone(scenario):
    """Beginnings are shared, and on the way coordinates of lanes far aside are left out."""
    arrays = DrivingArrays(3, DrivingOptions(scenario=scenario))
    world = FastWorld(arrays)
    for i in range(3):
        world.seed(i, i)
    world.begin(np.arange(3))
    plans = np.array([[IDLE, 3, 3, 3, 3, 3], [IDLE, 3, 4, 4, 4, 4], [4, 4, 4, 4, 3, 3]])
    seeds = arrays.rows["rng"].copy()
    together = roll(arrays, np.arange(3), plans, seeds, gamma=0.9)[0]
    for p, plan in enumerate(plans):
        alone = roll(arrays, np.arange(3), plan[None], seeds, gamma=0.9)[0]
        np.testing.assert_array_equal(together[:, p], alone[:, 0])
    open_ = roll(arrays, np.arange(3), plans, seeds, gamma=0.9, only_open=True)[0]
    shut = arrays.rows["mask"][:, plans[:, 0]] == 0
    np.testing.assert_array_equal(open_, np.where(shut, -np.inf, together))
    total, weight, going = np.zeros(3), 1.0, np.ones(3, bool)
    for action in plans[1]:
        world.step(np.flatnonzero(going), np.full(going.sum(), action))
        total += weight * going * arrays.rows["reward"]
        going &= arrays.rows["outcome"] == 0
        weight *= 0.9
    np.testing.assert_allclose(together[:, 1], total, atol=1e-9)


def test_a_finished_plan_earns_what_the_episode_would():
    arrays = DrivingArrays(1, DrivingOptions(scenario="merge"))
    world = FastWorld(arrays)
    world.seed(0, 3)
    world.begin(ONLY)
    values, crashed = roll(arrays, ONLY, np.full((1, 30), IDLE), arrays.rows["rng"], gamma=1.0)
    total = 0.0
    while not arrays.rows["outcome"][0]:
        world.step(ONLY, np.array([IDLE]))
        total += float(arrays.rows["reward"][0])
    assert values[0, 0] == pytest.approx(total)
    assert crashed[0, 0] == (arrays.rows["outcome"][0] == 2)


PLANS = (
    (IDLE,) * 5,
    (3, 3, 3, IDLE, IDLE),
    (4,) * 5,
    (4, 3, 3, 3, 3),
    (4, 4, 3, 3, 3),
    (3, IDLE, IDLE, IDLE, IDLE),
    (4, 4, 4, 3, 3),
    (IDLE, 3, 3, 3, 3),
    *((side, speed, speed, speed, IDLE) for side in (0, 2) for speed in (IDLE, 3, 4)),
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scenario", "least"), [("intersection", 0.85), ("merge", 0.95), ("roundabout", 0.85)]
)
def test_a_short_look_ahead_shows_how_much_can_be_had(scenario, least):
    """60 episodes; the best of at most 14 plans of 5 decisions on reseeded copies."""
    env = gym.make_vec(
        f"hybridrl/Driving-{scenario.capitalize()}-v0",
        num_envs=60,
        vectorization_mode="vector_entry_point",
    )
    env.reset(seed=10_000)
    arrays = env.unwrapped.arrays
    lateral = bool(arrays.config[0]["lateral"])
    plans = np.array(PLANS if lateral else PLANS[:8])
    native = {int(action): i for i, action in enumerate(arrays.canonical)}
    rng = np.random.default_rng(0)
    successes = np.full(60, -1)
    while (successes < 0).any():
        values, _ = roll(arrays, np.arange(60), plans, rng.integers(2**40, size=60))
        values[arrays.rows["mask"][:, plans[:, 0]] == 0] = -np.inf
        best = plans[values.argmax(axis=1), 0]
        _, _, terminated, truncated, info = env.step([native[int(a)] for a in best])
        for i in np.flatnonzero((terminated | truncated) & (successes < 0)):
            successes[i] = info["final_info"]["is_success"][i]
    assert successes.mean() >= least
