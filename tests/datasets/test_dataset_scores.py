"""Normalised scores, with references of two kinds."""

import numpy as np
import pytest

from hybridrl.datasets.errors import DatasetError
from hybridrl.datasets.offline import OfflineDataset
from hybridrl.datasets.scores import (
    D4RL_REFERENCES,
    d4rl_score,
    dataset_scores,
    normalised_score,
)


def made(**metadata):
    flags = np.array([False, True, False])
    zeros = np.zeros((3, 1))
    return OfflineDataset(
        observations=zeros, next_observations=zeros, actions=zeros, rewards=[1.0, 2.0, 50.0],
        terminations=flags, truncations=np.zeros(3, bool), metadata=metadata,
    )  # fmt: skip


def test_random_scores_nothing_and_the_expert_a_hundred():
    for robot, (low, high) in D4RL_REFERENCES.items():
        assert d4rl_score(robot, low) == 0.0
        assert d4rl_score(robot, high) == pytest.approx(100.0)
    assert d4rl_score("halfcheetah", 5927.4105235) == pytest.approx(50.0)
    assert d4rl_score("pendulum", 1.0) is None


def test_equal_references_are_refused():
    with pytest.raises(DatasetError, match="two different returns"):
        normalised_score(1.0, 2.0, 2.0)


def test_a_dataset_is_scored_on_its_finished_episodes_and_in_both_ways():
    scores = dataset_scores(made(robot="hopper", ref_min_score=0.0, ref_max_score=6.0))
    assert scores["score_return"] == 3.0  # the unfinished episode of return 50 does not count
    assert scores["score_own"] == pytest.approx(50.0)
    assert scores["score_d4rl"] == pytest.approx(d4rl_score("hopper", 3.0))


def test_without_references_there_is_no_score():
    scores = dataset_scores(made())
    assert scores["score_own"] is None and scores["score_d4rl"] is None
