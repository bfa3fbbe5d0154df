"""Reeds-Shepp hand-over: when it is looked for, what is found, and how it is driven."""

import math

import numpy as np
import pytest

from hybridrl.envs.parking.env import ParkingEnv
from hybridrl.envs.parking.scenes import fixed_scene
from hybridrl.planners.path_check import check_path
from hybridrl.planners.scenario import Scenario

STILL = np.zeros(2, np.float32)
CLASSES = ("normal-bay", "complex-parallel", "lot")


def open_lot(x, **changes):
    return Scenario(**({"start": (0, 0, 0), "goal": (x, 0, 0)} | changes))


def reset(scene, **options):
    env = ParkingEnv(**options)
    return env, env.reset(options={"scenario": scene})[1]


def test_off_never_reports_a_path():
    env, info = reset(open_lot(5.0), rs="off")
    assert info["rs_path"] is None
    assert env.step(STILL)[4]["rs_path"] is None


@pytest.mark.parametrize("profile", ["default", "hope"])
def test_a_reported_path_is_free_inside_and_ends_at_the_goal(profile):
    found = 0
    for name in CLASSES:
        env, rng = ParkingEnv(level=name, profile=profile, rs="info"), np.random.default_rng(2)
        for seed in range(4):
            scene = fixed_scene(name, seed)
            env.reset(options={"scenario": scene})
            for _ in range(12):
                info = env.step(rng.uniform(-1, 1, 2))[4]
                if info["rs_path"] is None or info["outcome"] != "running":
                    continue
                row, path = env.task.rows[0], info["rs_path"]
                assert path.start == pytest.approx((row["x"], row["y"], row["heading"]))
                check = check_path(path, scene)
                assert check.free
                assert check.inside
                assert check.overlap == pytest.approx(1.0, abs=1e-6)
                if profile == "hope":
                    assert check.position_error < 1e-6
                    assert math.dist(path.start[:2], scene.goal[:2]) < 10.0
                found += 1
    assert found > 10


def test_ours_looks_at_reset_and_far_away_while_hope_waits_and_stays_near():
    for x, ours, hope in [(5.0, True, True), (15.0, True, False), (45.0, False, False)]:
        for profile, expected, at_reset in [("default", ours, ours), ("hope", hope, False)]:
            env, info = reset(open_lot(x), rs="info", profile=profile)
            assert (info["rs_path"] is not None) == at_reset
            assert (env.step(STILL)[4]["rs_path"] is not None) == expected


def test_a_bay_may_be_entered_the_other_way_round():
    """A wall behind the start leaves only the reversed goal within a short drive."""
    goal = (12.0, 0.0, math.pi)
    free = {}
    for scene in ("bay", "parallel"):
        _, info = reset(open_lot(0.0, goal=goal, scene=scene, bounds=(-1, 13, -1, 1)), rs="info")
        free[scene] = info["rs_path"]
    assert free["parallel"] is None
    assert free["bay"].end == pytest.approx((12.0 - 2 * 1.415, 0.0, 0.0), abs=1e-6)


def test_automatic_hand_over_drives_the_path_instead_of_the_action():
    env, info = reset(open_lot(6.0), rs="auto")
    assert info["rs_path"].length == pytest.approx(6.0)
    _, _, terminated, _, info = env.step(np.array([1.0, -1.0]))
    assert terminated
    assert info["is_success"]
    assert info["decisions"] == info["rs_decisions"] == 5  # 6 m in equal pieces of at most 1.25
    assert env.driven_path.curvatures == pytest.approx(0.0)
    assert info["gear_changes"] == 0


def test_automatic_hand_over_respects_the_time_limit():
    env, _ = reset(open_lot(20.0), rs="auto", max_decisions=3)
    _, _, terminated, truncated, info = env.step(STILL)
    assert (terminated, truncated, info["outcome"]) == (False, True, "timeout")
    assert info["decisions"] == 3
    assert info["path_length"] == pytest.approx(3 * 1.25)
    assert info["reward_terms"]["terminal"] == pytest.approx(-0.1 * 0.98**2)


def test_pieces_are_never_faster_than_the_car():
    env, _ = reset(open_lot(1.2512), rs="auto", success="pose", tolerance=(1e-3, 1e-3, 1e-3))
    env.step(STILL)
    arcs = env.task.simulator.batch.trace[0, : env.task.rows[0]["arcs"]]
    assert np.abs(arcs[:, 1]).max() <= 1.25 * 1.001


@pytest.mark.parametrize("name", [*CLASSES, "extreme-parallel"])
def test_everything_driven_with_hand_over_is_clean(name):
    env = ParkingEnv(level=name, rs="auto", action_type="discrete")
    rng, parked = np.random.default_rng(3), 0
    for seed in range(4):
        scene = fixed_scene(name, seed)
        env.reset(options={"scenario": scene})
        for _ in range(60):
            action = rng.choice(np.flatnonzero(env.action_masks()))
            _, _, terminated, truncated, info = env.step(action)
            if terminated or truncated:
                break
        check = check_path(env.driven_path, scene)
        assert check.free
        assert check.clean == info["is_success"]
        parked += info["is_success"]
    assert parked > 0 or name == "extreme-parallel"
