"""Success: HOPE's 95 % overlap with its tolerances, and the pose test."""

import math

import numpy as np
import pytest

from hybridrl.envs.parking.env import ParkingEnv
from hybridrl.planners.scenario import Scenario

CENTER = 1.415  # rear axle to box centre, metres
STILL = np.zeros(2, np.float32)
CREEP = np.array([0.0, 0.008], np.float32)  # 1 cm


def ends_parked(start, action=STILL, scene="bay", **options):
    """Whether one decision at ``start`` counts as parked at the goal (0, 0, 0)."""
    env = ParkingEnv(**({"rs": "off"} | options))
    env.reset(options={"scenario": Scenario(start=start, goal=(0, 0, 0), scene=scene)})
    info = env.step(action)[4]
    return info["is_success"]


def turned(angle, back=0.0):
    """The goal pose turned about its box centre."""
    return CENTER * (1 - math.cos(angle)), -CENTER * math.sin(angle) + back, angle


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("offset", "parked"),
    [
        ((0.0, 0.0, 0.0), True),
        ((0.234, 0.0, 0.0), True),
        ((0.235, 0.0, 0.0), False),
        ((0.0, 0.096, 0.0), True),
        ((0.0, 0.098, 0.0), False),
        (turned(math.radians(4.2)), True),
        (turned(math.radians(4.3)), False),
    ],
)
def test_an_overlap_of_95_percent_has_the_tolerances_of_the_specification(offset, parked, sign):
    x, y, h = offset
    assert ends_parked((sign * x if h == 0 else x, sign * y, sign * h)) == parked


@pytest.mark.parametrize("scene", ["bay", "parallel"])
@pytest.mark.parametrize("allow", [True, False, None])
def test_an_overlap_is_blind_to_direction(scene, allow):
    assert ends_parked(turned(math.pi), scene=scene, allow_reversed_goal=allow)


@pytest.mark.parametrize(
    ("offset", "parked"),
    [
        ((0.099, 0.099, math.radians(1.9)), True),
        ((0.101, 0.0, 0.0), False),
        ((0.0, -0.101, 0.0), False),
        ((0.0, 0.0, math.radians(2.1)), False),
        ((0.0, 0.0, 2 * math.pi), True),
    ],
)
def test_a_pose_must_be_within_every_tolerance(offset, parked):
    assert ends_parked(offset, success="pose") == parked


def test_tolerances_are_measured_along_the_goal():
    env = ParkingEnv(rs="off", success="pose", tolerance=(0.3, 0.05, 0.1))
    for start, parked in [((5.0, 5.25, math.pi / 2), True), ((5.25, 5.0, math.pi / 2), False)]:
        scene = Scenario(start=start, goal=(5, 5, math.pi / 2))
        env.reset(options={"scenario": scene})
        assert env.step(STILL)[4]["is_success"] == parked


@pytest.mark.parametrize(
    ("scene", "options", "parked"),
    [
        ("bay", {}, True),
        ("lot", {}, True),
        ("parallel", {}, False),
        (None, {}, False),
        ("parallel", {"allow_reversed_goal": True}, True),
        ("bay", {"allow_reversed_goal": False}, False),
        ("bay", {"profile": "hope"}, False),
    ],
)
def test_the_other_way_round_counts_in_bays_only_unless_told(scene, options, parked):
    assert ends_parked(turned(math.pi), scene=scene, success="pose", **options) == parked


@pytest.mark.parametrize("action", [STILL, CREEP])
def test_a_wide_heading_tolerance_is_honoured_while_driving(action):
    """The box centre of a turned car is far from the goal's: no shortcut may refuse it."""
    pose = (0.0, 0.0, 2.5)
    assert ends_parked(pose, action, success="pose", tolerance=(0.1, 0.1, 3.0))


@pytest.mark.parametrize("seed", range(5))
def test_the_final_pose_error_is_always_reported(seed):
    rng = np.random.default_rng(seed)
    x, y, h = rng.uniform(-3, 3, 3)
    env = ParkingEnv(rs="off")
    for scene, (gx, gy, gh) in [("parallel", (0.0, 0.0, 0.0)), ("bay", (0.0, 0.0, 0.0))]:
        env.reset(options={"scenario": Scenario(start=(x, y, h), goal=(gx, gy, gh), scene=scene)})
        info = env.step(STILL)[4]
        error = abs(math.remainder(h, 2 * math.pi))
        if scene == "bay" and error > math.pi / 2:  # the turned goal is nearer
            gx, error = 2 * CENTER, math.pi - error
        assert info["position_error"] == pytest.approx(math.hypot(x - gx, y - gy))
        assert info["heading_error"] == pytest.approx(error)
