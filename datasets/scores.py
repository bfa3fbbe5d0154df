"""Normalised scores: with our own references, and with D4RL's, which belong to other simulators."""

from __future__ import annotations

from typing import Any

import numpy as np

from hybridrl.datasets.behaviour import read_facts
from hybridrl.datasets.errors import DatasetError
from hybridrl.datasets.offline import OfflineDataset

# Robot -> (random, expert) returns in D4RL's -v2 simulators (D4RL, infos.py). With the -v5
# environments the same policy scores differently, so the raw return stands beside every score.
D4RL_REFERENCES: dict[str, tuple[float, float]] = {
    "halfcheetah": (-280.178953, 12135.0),
    "hopper": (-20.272305, 3234.3),
    "walker2d": (1.629008, 4592.3),
    "ant": (-325.6, 3879.7),
    "antmaze": (0.0, 1.0),
    "kitchen": (0.0, 4.0),
    "pen": (96.262799, 3076.8331017826877),
    "hammer": (-274.856578, 12794.134825156867),
    "door": (-56.512833, 2880.5693087298737),
    "relocate": (-6.425911, 4233.877797728884),
}


def normalised_score(value: float, low: float, high: float) -> float:
    """``100 (value - low) / (high - low)``, in percent: 0 is random, 100 is expert.

    Raises:
        DatasetError: If the references are equal.
    """
    if high == low:
        raise DatasetError("reference scores", (low, high), "two different returns")
    return float(100.0 * (value - low) / (high - low))


def d4rl_score(robot: str, value: float) -> float | None:
    """Score with D4RL's references, or ``None`` where there are none.

    Args:
        robot: As in ``halfcheetah``.
        value: Return of an episode.
    """
    reference = D4RL_REFERENCES.get(robot)
    return None if reference is None else normalised_score(value, *reference)


def own_score(robot: str, value: float) -> float | None:
    """Score with our own references, or ``None`` where no policies ship for the robot.

    0 is the mean of random actions, 100 the best checkpoint of our behaviour policy, both
    measured in the very environment. With our small budgets 100 is no expert's play.

    Args:
        robot: As in ``halfcheetah``.
        value: Return of an episode.
    """
    facts = read_facts(robot)
    if facts is None:
        return None
    return normalised_score(value, facts["ref_min_score"], facts["ref_max_score"])


def dataset_scores(dataset: OfflineDataset) -> dict[str, Any]:
    """Mean return of the finished episodes, scored in both ways where references are known.

    Returns:
        ``score_return`` with ``score_own`` (references measured with our own policies in the very
        environment) and ``score_d4rl`` (references of D4RL's -v2 simulators); ``None`` where a
        reference is missing.
    """
    ends = np.asarray(dataset.ends) - 1
    finished = (dataset.terminations | dataset.truncations)[ends]
    returns = dataset.returns()
    mean = float(returns[finished].mean() if finished.any() else returns.mean())
    facts = dataset.metadata
    robot = str(facts.get("robot", ""))
    low, high = facts.get("ref_min_score"), facts.get("ref_max_score")
    if low is None or high is None:
        own = own_score(robot, mean)
    else:
        own = normalised_score(mean, float(low), float(high))
    return {"score_return": mean, "score_own": own, "score_d4rl": d4rl_score(robot, mean)}
