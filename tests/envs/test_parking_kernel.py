"""What one decision does: motion, contact, outcomes; and one golden roll-out a class."""

import json
import math

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from hybridrl.envs.parking.env import ParkingEnv
from hybridrl.envs.parking.scenes import fixed_scene
from hybridrl.envs.parking.scenes.levels import CLASSES
from hybridrl.planners.path_check import check_path
from hybridrl.planners.scenario import Scenario, body_polygon

AHEAD = np.array([0.0, 1.0], np.float32)
FAR_GOAL = (-9.0, 5.0, 0.0)
STRAIGHT_ON, TURN_LEFT = 10, 0


def wall(gap):
    """A wall so far ahead of a car at the origin."""
    x = 3.76 + gap
    return np.array([(x, -3.0), (x + 1, -3.0), (x + 1, 3.0), (x, 3.0)])


def begun(*obstacles, goal=FAR_GOAL, bounds=None, **options):
    env = ParkingEnv(**({"rs": "off"} | options))
    scene = Scenario(start=(0, 0, 0), goal=goal, obstacles=obstacles, bounds=bounds)
    env.reset(options={"scenario": scene})
    return env


def pose(env):
    row = env.task.rows[0]
    return float(row["x"]), float(row["y"]), float(row["heading"])


def euler(steer, speed, steps):
    """Half a second of the kinematic bicycle in explicit Euler steps."""
    x = y = h = 0.0
    dt = 0.5 / steps
    for _ in range(steps):
        x, y = x + dt * speed * math.cos(h), y + dt * speed * math.sin(h)
        h += dt * speed * math.tan(steer) / 2.8
    return x, y, h


@given(st.floats(-1, 1), st.floats(-1, 1))
def test_a_decision_is_half_a_second_of_the_kinematic_bicycle(steer, speed):
    env = begun()
    env.step(np.array([steer, speed]))
    expected = euler(0.75 * steer, 2.5 * speed, 200)  # HOPE's own steps
    assert pose(env)[:2] == pytest.approx(expected[:2], abs=1.4e-3)
    assert pose(env)[2] == pytest.approx(expected[2], abs=1e-9)


def test_the_closed_form_is_the_limit_of_fine_euler_steps():
    env = begun()
    env.step(np.array([1.0, -1.0]))
    assert pose(env) == pytest.approx(euler(0.75, -2.5, 100_000), abs=4e-6)


def test_the_42_motions_are_full_speed_from_left_to_right_forward_then_reverse():
    for action in range(42):
        discrete, continuous = begun(action_type="discrete"), begun()
        discrete.step(action)
        steer, speed = 1 - (action % 21) / 10, 1.0 if action < 21 else -1.0
        continuous.step(np.array([steer, speed]))
        assert pose(discrete) == pytest.approx(pose(continuous), abs=1e-9)


@pytest.mark.parametrize("contact", ["certified", "sampled"])
@pytest.mark.parametrize(("gap", "steps"), [(0.6, 4), (0.05, 0), (1.2, 9), (5.0, 10)])
def test_the_car_stops_at_the_last_sub_step_before_contact(contact, gap, steps):
    env = begun(wall(gap), contact=contact)
    *_, terminated, truncated, info = env.step(AHEAD)
    assert pose(env) == pytest.approx((0.125 * steps, 0, 0))
    assert info["bump"] == (steps < 10)
    assert info["bumps"] == info["bump"]
    assert not terminated
    assert not truncated


@pytest.mark.parametrize(
    ("on_collision", "gap", "outcome", "cost"),
    [
        ("stop", 0.05, "running", 0.0),
        ("penalise", 0.05, "running", -0.1),
        ("terminate", 0.05, "collision", 0.0),
        ("terminate", 0.6, "running", 0.0),  # only a collision in the first sub-step ends it
    ],
)
def test_what_a_collision_leads_to_is_an_option(on_collision, gap, outcome, cost):
    env = begun(wall(gap), on_collision=on_collision)
    _, reward, terminated, truncated, info = env.step(AHEAD)
    assert info["outcome"] == outcome
    assert terminated == (outcome == "collision")
    assert not truncated
    assert info["bump"]
    assert info["reward_terms"]["bump"] == pytest.approx(cost)
    if terminated:
        assert reward == pytest.approx(-5.0)


def test_a_discrete_motion_is_shortened_to_its_free_part_without_a_bump():
    env = begun(wall(0.6), action_type="discrete")
    _, _, _, _, info = env.step(STRAIGHT_ON)
    assert pose(env)[0] == pytest.approx(0.5)
    assert not info["bump"]
    _, _, _, _, info = env.step(STRAIGHT_ON)
    assert info["bump"]
    assert pose(env)[0] == pytest.approx(0.5)


def test_the_hope_profile_bumps_where_its_short_mask_saw_nothing():
    env = begun(wall(0.6), action_type="discrete", profile="hope")
    assert env.action_masks()[STRAIGHT_ON]
    _, _, _, _, info = env.step(STRAIGHT_ON)
    assert info["bump"]
    assert info["reward_terms"]["bump"] == 0.0


def test_a_car_that_is_boxed_in_creeps_out():
    boxes = [(-3.0, -0.935, -3, 3), (3.81, 5, -3, 3), (-1, 4, 0.975, 3), (-1, 4, -3, -0.975)]
    rings = [np.array([(a, c), (b, c), (b, d), (a, d)]) for a, b, c, d in boxes]
    env = begun(*rings, action_type="discrete")
    assert env.action_masks().sum() == 1
    _, _, _, _, info = env.step(int(np.argmax(env.action_masks())))
    assert 0.03 < info["path_length"] < 0.125
    assert check_path(env.driven_path, env.scenario).free


def test_leaving_the_bounds_ends_the_episode():
    env = begun(goal=(-1, 0, 0), bounds=(-2, 1, -1, 1))
    _, reward, terminated, truncated, info = env.step(AHEAD)
    assert (terminated, truncated, info["outcome"]) == (True, False, "out_of_bounds")
    assert info["reward_terms"]["terminal"] == reward + 0.0125 == -5.0
    assert not info["is_success"]


def test_the_last_decision_truncates_and_success_in_it_still_counts():
    env = begun(max_decisions=3)
    still = np.zeros(2)
    for _ in range(2):
        assert env.step(still)[2:4] == (False, False)
    _, reward, terminated, truncated, info = env.step(still)
    assert (terminated, truncated, info["outcome"]) == (False, True, "timeout")
    assert info["decisions"] == 3
    assert reward == pytest.approx(-0.1)
    env = begun(max_decisions=1, goal=(1.0, 0, 0))
    _, reward, terminated, truncated, info = env.step(AHEAD)
    assert (terminated, truncated, info["outcome"]) == (True, False, "success")


def test_the_decision_ends_at_the_first_parked_sub_step():
    env = begun(goal=(1.0, 0, 0))
    _, reward, terminated, _, info = env.step(AHEAD)
    assert pose(env)[0] == pytest.approx(0.875)  # the first multiple of 0.125 within 0.234 of 1
    assert terminated
    assert info["is_success"]
    assert reward == pytest.approx(5.0 - 0.01 * 0.875)
    assert info["position_error"] == pytest.approx(0.125)


def test_length_and_gear_changes_are_those_of_the_driven_path(rng):
    env = begun()
    for _ in range(20):
        _, _, _, _, info = env.step(rng.uniform(-1, 1, 2))
    path = env.driven_path
    assert path.length == pytest.approx(info["path_length"])
    assert path.gear_changes == info["gear_changes"]
    assert path.end == pytest.approx(pose(env), abs=1e-9)


def roll_out(env, scene, decisions, rng):
    env.reset(options={"scenario": scene})
    total = 0.0
    for _ in range(decisions):
        _, reward, terminated, truncated, info = env.step(rng.uniform(-1, 1, 2))
        total += reward
        if terminated or truncated:
            break
    return total, info


@pytest.mark.parametrize("name", CLASSES)
def test_certified_roll_outs_touch_nothing_at_one_centimetre(name):
    env, rng, bumps = ParkingEnv(level=name, rs="off"), np.random.default_rng(0), 0
    for seed in range(3):
        scene = fixed_scene(name, seed)
        _, info = roll_out(env, scene, 40, rng)
        check = check_path(env.driven_path, scene)
        assert check.free
        assert check.clearance > 0.0
        bumps += info["bumps"]
    assert bumps > 0  # contact was sought


def test_rate_limits_hold_steering_and_speed_back():
    env = begun(steer_rate=0.5, acceleration=1.0, ego=True)
    seen, *_, info = env.step(np.ones(2))
    assert seen["ego"][:2] == pytest.approx((0.25 / 0.75, 0.5 / 2.5))
    assert info["path_length"] == pytest.approx(0.5 * 1.0 * 0.5**2)
    # Steering grows by 0.5 rad/s while the speed grows by 1 m/s2: fine Euler steps.
    h, dt = 0.0, 0.5 / 20_000
    for t in (np.arange(20_000) + 0.5) * dt:
        h += dt * t * math.tan(0.5 * t) / 2.8
    assert pose(env)[2] == pytest.approx(h, rel=0.02)
    seen, *_ = env.step(-np.ones(2))
    assert seen["ego"][:2] == pytest.approx((0.0, 0.0), abs=1e-6)


def test_roll_outs_under_rate_limits_touch_nothing():
    env = ParkingEnv(rs="off", steer_rate=1.0, acceleration=2.0)
    rng, bumps = np.random.default_rng(0), 0
    for seed in range(4):
        scene = fixed_scene("extreme-parallel", seed)
        _, info = roll_out(env, scene, 60, rng)
        assert check_path(env.driven_path, scene).free
        assert env.driven_path.end == pytest.approx(pose(env), abs=1e-9)
        bumps += info["bumps"]
    assert bumps > 0


def test_sampled_contact_is_that_of_ten_samples(rng):
    env = ParkingEnv(contact="sampled", rs="off", on_collision="stop")
    partial = 0
    for seed in range(40):
        scene = fixed_scene("extreme-parallel", seed)
        scene = Scenario(start=scene.goal, goal=scene.start, obstacles=scene.obstacles)
        world = shapely.union_all([shapely.Polygon(r) for r in scene.obstacles])
        env.reset(options={"scenario": scene})
        steer, speed = rng.uniform(-1, 1), rng.choice([-1.0, 1.0]) * rng.uniform(0.4, 1)
        env.step(np.array([steer, speed]))
        k, step = math.tan(0.75 * steer) / 2.8, speed * 0.125
        last = x, y, h = scene.start
        count = 0
        for i in range(1, 11):
            half = k * step * i / 2
            chord = step * i * np.sinc(half / math.pi)
            there = x + chord * math.cos(h + half), y + chord * math.sin(h + half), h + 2 * half
            if body_polygon(there, scene.vehicle).intersects(world):
                break
            last, count = there, i
        assert pose(env) == pytest.approx(last, abs=1e-9)
        partial += 0 < count < 10
    assert partial > 3


@pytest.mark.parametrize("name", CLASSES)
def test_a_fixed_roll_out_gives_its_golden_numbers(name, root):
    golden = json.loads((root / "tests/golden/parking_rollout.json").read_text())[name]
    env = ParkingEnv(level=name, rs="info")
    total, info = roll_out(env, fixed_scene(name, 0), 30, np.random.default_rng(7))
    assert pose(env) == pytest.approx(golden["pose"], abs=1e-7)
    assert total == pytest.approx(golden["reward"], abs=1e-7)
    for key in ("outcome", "decisions", "bumps", "gear_changes"):
        assert info[key] == golden[key]
