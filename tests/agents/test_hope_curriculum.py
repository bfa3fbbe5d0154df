"""Scenes are drawn where there is most to learn, and the environment draws as it is told."""

import numpy as np
import pytest

from hybridrl.agents.common.vec_env import make_vec
from hybridrl.agents.hope.curriculum import ScenarioCurriculum
from hybridrl.envs.parking.task import CLASS_NAMES
from hybridrl.envs.parking.vector_env import ParkingVectorEnv
from hybridrl.planners.errors import ScenarioError, UnknownNameError

NAMES = ("a", "b", "c")


def filled(rates, **options):
    """A curriculum that has seen 100 episodes a class with these success rates."""
    curriculum = ScenarioCurriculum(NAMES, NAMES, **options)
    for label, rate in enumerate(rates):
        for k in range(100):
            curriculum.add(label, k < round(100 * rate))
    return curriculum


def test_classes_are_equally_likely_before_the_first_episode():
    assert ScenarioCurriculum(NAMES, NAMES).probabilities() == pytest.approx(
        dict.fromkeys(NAMES, 1 / 3)
    )


def test_shares_are_proportional_to_what_is_missing_above_the_floor():
    curriculum = filled((0.9, 0.7, 0.4), floor=0.0)
    assert list(curriculum.probabilities().values()) == pytest.approx([0.1, 0.3, 0.6])
    floored = filled((0.9, 0.7, 0.4), floor=0.1)
    assert list(floored.probabilities().values()) == pytest.approx([0.17, 0.31, 0.52])


def test_a_class_above_its_target_keeps_the_floor():
    curriculum = filled((1.0, 0.96, 0.5), targets={"b": 0.95})
    shares = curriculum.probabilities()
    assert shares["a"] == shares["b"] == pytest.approx(0.04)
    assert shares["c"] == pytest.approx(0.92)


def test_when_all_targets_are_met_classes_are_equally_likely():
    assert filled((1.0, 1.0, 1.0)).probabilities() == pytest.approx(dict.fromkeys(NAMES, 1 / 3))


def test_only_the_last_episodes_count():
    curriculum = ScenarioCurriculum(NAMES, NAMES, window=10)
    outcomes = np.random.default_rng(0).random(57) < 0.5
    for success in outcomes:
        curriculum.add(1, bool(success))
    assert curriculum.success("b") == np.mean(outcomes[-10:])
    assert curriculum.success("a") == 0.0


def test_unknown_labels_are_ignored_and_unknown_names_refused():
    curriculum = ScenarioCurriculum(NAMES, ("a",))
    curriculum.add(-1, True)
    curriculum.add(3, True)
    assert (curriculum.record == -1).all()
    with pytest.raises(UnknownNameError, match="did you mean"):
        ScenarioCurriculum(("normal-bay",), ("normal-bey",))
    with pytest.raises(UnknownNameError):
        ScenarioCurriculum(NAMES, NAMES, targets={"d": 0.5})


@pytest.mark.parametrize(
    "options", [{"floor": 0.5}, {"floor": -0.1}, {"target": 0.0}, {"targets": {"a": 1.5}}]
)
def test_impossible_numbers_are_refused(options):
    with pytest.raises(ScenarioError):
        ScenarioCurriculum(NAMES, NAMES, **options)


def test_the_environment_draws_classes_with_the_probabilities_it_was_given():
    env = ParkingVectorEnv(400, level="hard", rs="off")
    env.set_class_weights({"complex-bay": 3.0, "extreme-parallel": 1.0})
    env.reset(seed=0)
    counts = {name: 0 for name in CLASS_NAMES}
    for label in env.task.rows["label"]:
        counts[CLASS_NAMES[label]] += 1
    assert sum(counts.values()) == counts["complex-bay"] + counts["extreme-parallel"]
    assert abs(counts["complex-bay"] / 400 - 0.75) < 0.08


def test_weights_reach_the_environment_through_stable_baselines():
    env = make_vec("hybridrl/Parking-Hard-v0", 2, 0, rs="off")
    assert env.get_attr("class_names")[0] == ("complex-bay", "complex-parallel", "extreme-parallel")
    env.env_method("set_class_weights", {"complex-parallel": 1.0})
    env.reset()
    assert {CLASS_NAMES[k] for k in env.env.unwrapped.task.rows["label"]} == {"complex-parallel"}


@pytest.mark.parametrize(
    ("weights", "error"),
    [
        ({"lot": 1.0}, UnknownNameError),
        ({"complex-bay": -1.0}, ScenarioError),
        ({"complex-bay": 0.0}, ScenarioError),
        ({"complex-bay": np.nan}, ScenarioError),
        ({}, ScenarioError),
    ],
)
def test_weights_that_mean_nothing_are_refused(weights, error):
    with pytest.raises(error):
        ParkingVectorEnv(1, level="hard").set_class_weights(weights)
