"""Reward terms recomputed from the trajectory with shapely and plain arithmetic."""

import math

import numpy as np
import pytest

from hybridrl.envs.parking.env import ParkingEnv
from hybridrl.envs.parking.scenes import fixed_scene
from hybridrl.planners.path import advance
from hybridrl.planners.reeds_shepp import shortest_length
from hybridrl.planners.scenario import Scenario, body_polygon

TERMINAL = {"success": 5.0, "collision": -5.0, "out_of_bounds": -5.0, "timeout": -0.1}
OURS = {"gear_change": 0.05, "bump": 0.1, "path_length": 0.01}


class Accountant:
    """Recomputes the terms of parking.md 10, weighted, from poses alone."""

    def __init__(self, scene, quality):
        self.scene, self.quality = scene, quality
        self.at = self.first = np.array(scene.start)
        self.best, self.count, self.gear = self.iou(self.at), 0, 0.0

    def distance(self, pose):
        return math.dist(pose[:2], self.scene.goal[:2])

    def iou(self, pose):
        a, b = (body_polygon(p, self.scene.vehicle) for p in (pose, self.scene.goal))
        return a.intersection(b).area / a.union(b).area

    def curve(self, pose):
        return shortest_length(*pose, *self.scene.goal, self.scene.vehicle.min_radius)

    def heading(self, pose):
        error = abs(math.remainder(pose[2] - self.scene.goal[2], 2 * math.pi))
        return min(error, math.pi - error)

    def terms(self, pose, driven, outcome, bump):
        """``driven``: signed metres of the decision."""
        self.count += 1
        before, self.at = self.at, np.array(pose)
        changed = driven * self.gear < 0
        self.gear = math.copysign(1.0, driven) if driven else self.gear
        terms = {"gear_change": -float(changed), "bump": -float(bump), "path_length": -abs(driven)}
        terms = {name: value * self.quality[name] for name, value in terms.items()}
        if outcome != "running":
            return terms | {"terminal": TERMINAL[outcome]}
        gain = max(self.iou(pose) - self.best, 0.0)
        self.best += gain
        closer = self.distance(before) - self.distance(pose)
        first = self.curve(self.first)
        return terms | {
            "time": 0.1 * -math.tanh(self.count / 2000),
            "distance": 0.5 * closer / max(self.distance(self.first), 10.0),
            "overlap": 1.0 * gain,
            "rs_distance": math.exp(-self.curve(pose) / first)
            - math.exp(-self.curve(before) / first),
            "heading": (self.heading(before) - self.heading(pose)) / math.pi,
        }


def pose_of(env):
    row = env.task.rows[0]
    return float(row["x"]), float(row["y"]), float(row["heading"])


def assert_same_terms(info, expected, weights=()):
    for name, value in info["reward_terms"].items():
        if name in ("rs_distance", "heading") and name not in weights:
            assert value == 0.0
        else:
            assert value == pytest.approx(expected.get(name, 0.0), abs=1e-6), name


@pytest.mark.parametrize("profile", ["default", "hope"])
@pytest.mark.parametrize("name", ["complex-bay", "extreme-parallel"])
def test_every_term_equals_its_formula_along_a_roll_out(profile, name):
    weights = {"rs_distance": 1.0, "heading": 1.0}
    env = ParkingEnv(
        level=name, profile=profile, rs="off", reward_weights=weights, max_decisions=60
    )
    quality = OURS if profile == "default" else dict.fromkeys(OURS, 0.0)
    rng = np.random.default_rng(1)
    for seed in range(2):
        scene = fixed_scene(name, seed)
        near = np.array(scene.goal) + 2.0 * np.array(
            [math.cos(scene.goal[2]), math.sin(scene.goal[2]), 0]
        )
        if seed:  # close to the goal, where the overlap grows
            scene = Scenario(start=tuple(near), goal=scene.goal)
        env.reset(options={"scenario": scene})
        books, outcome = Accountant(scene, quality), "running"
        while outcome == "running":
            action = rng.uniform(-1, 1, 2)
            before = env.task.rows[0]["path_length"]
            _, reward, _, _, info = env.step(action)
            outcome = info["outcome"]
            driven = math.copysign(info["path_length"] - before, action[1])
            expected = books.terms(pose_of(env), driven, outcome, info["bump"])
            assert_same_terms(info, expected, weights)
            assert reward == pytest.approx(sum(info["reward_terms"].values()))


def test_the_overlap_term_pays_new_ground_once():
    env = ParkingEnv(rs="off")
    env.reset(options={"scenario": Scenario(start=(0, 0, 0), goal=(4.0, 0, 0))})
    gains = [env.step(np.array([0, v]))[4]["reward_terms"]["overlap"] for v in (1, -1, 1, 1)]
    assert gains[0] > 0
    assert gains[1] == gains[2] == 0
    assert gains[3] > 0


def test_a_weight_can_be_changed_by_name():
    env = ParkingEnv(rs="off", reward_weights={"gear_change": 0.2})
    env.reset(options={"scenario": Scenario(start=(0, 0, 0), goal=(9, 0, 0))})
    env.step(np.array([0.0, -1.0]))
    assert env.step(np.array([0.0, 1.0]))[4]["reward_terms"]["gear_change"] == pytest.approx(-0.2)


def pieces_of(path):
    """Poses and signed lengths of the decisions that drive a path (parking.md 11.5)."""
    at = np.array(path.start)
    for k, s in zip(path.curvatures, path.lengths, strict=True):
        count = max(math.ceil(abs(s) / 1.25 - 1e-3), 1)
        for _ in range(count):
            at = advance(at, float(k), s / count)
            yield at, s / count


@pytest.mark.parametrize("decide_first", [False, True])
def test_an_automatic_hand_over_sums_the_discounted_rewards_of_its_pieces(decide_first):
    """The agent's own decision, where there is one, then every piece at 0.98 more."""
    tested = 0
    for seed in range(30):
        scene = fixed_scene("normal-bay", seed)
        auto, plain = ParkingEnv(rs="auto"), ParkingEnv(rs="info")
        _, info = auto.reset(options={"scenario": scene})
        plain.reset(options={"scenario": scene})
        if (info["rs_path"] is None) != decide_first:
            continue
        books, expected, discount, decisions = Accountant(scene, OURS), {}, 1.0, 0
        path, action = info["rs_path"], np.array([0.3, -0.6])
        if decide_first:
            told = plain.step(action)[4]
            path = told["rs_path"]
            if path is None:
                continue
            driven = -told["path_length"]
            expected = books.terms(pose_of(plain), driven, "running", told["bump"])
            discount, decisions = 0.98, 1
        pieces = list(pieces_of(path))
        for i, (at, driven) in enumerate(pieces):
            done = i == len(pieces) - 1 or books.iou(at) / (1 + books.iou(at)) * 2 > 0.95
            outcome = "success" if done else "running"
            for name, value in books.terms(at, driven, outcome, False).items():
                expected[name] = expected.get(name, 0.0) + discount * value
            discount *= 0.98
            decisions += 1
            if done:
                break
        _, reward, terminated, _, info = auto.step(action)
        assert terminated
        assert info["is_success"]
        assert info["decisions"] == decisions
        assert info["rs_decisions"] == decisions - decide_first
        assert_same_terms(info, expected)
        assert reward == pytest.approx(sum(info["reward_terms"].values()))
        tested += 1
    assert tested >= 3


def test_weights_set_later_pay_from_the_next_decision_on() -> None:
    import gymnasium as gym
    import pytest

    import hybridrl  # noqa: F401
    from hybridrl.planners.errors import UnknownNameError

    rewards = {}
    for weight in (0.05, 2.0):
        env = gym.make_vec("hybridrl/Parking-Normal-v0", num_envs=2, rs="off")
        env.reset(seed=0)
        env.unwrapped.set_reward_weights({"gear_change": weight})
        env.step(np.array([[0.0, 0.3], [0.0, 0.3]]))
        _, rewards[weight], _, _, info = env.step(np.array([[0.0, -0.3], [0.0, -0.3]]))
        assert (info["gear_changes"] == 1).all()
    np.testing.assert_allclose(rewards[0.05] - rewards[2.0], 1.95)
    with pytest.raises(UnknownNameError, match="gear_change"):
        env.unwrapped.set_reward_weights({"gear_changes": 1.0})
