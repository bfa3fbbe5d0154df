"""Several teachers as one: the first that can answer, or a weighted vote of all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hybridrl.agents.tell_drive.teachers.advice import (
    Advice,
    Teacher,
    actions_of,
    advice_for,
    invalid,
)
from hybridrl.planners.errors import ScenarioError, UnknownNameError

if TYPE_CHECKING:
    from hybridrl.envs.driving.scene import Scene

HOWS = ("fallback", "vote")


class MixtureTeacher:
    """Asks several teachers.

    Args:
        teachers: In their order.
        how: ``fallback``: each is asked only what those before could not answer; ``vote``: all are
            asked and their distributions are averaged.
        weights: Of the votes; equal by default.

    Raises:
        UnknownNameError: If ``how`` is neither.
        ScenarioError: If there is no teacher, or the weights do not fit.
    """

    name = "mixture"

    def __init__(
        self,
        teachers: Sequence[Teacher],
        how: str = "fallback",
        weights: Sequence[float] | None = None,
    ) -> None:
        if how not in HOWS:
            raise UnknownNameError("mixture", how, HOWS)
        if not teachers:
            raise ScenarioError("teachers", list(teachers), "at least one teacher")
        self.weights = [1.0] * len(teachers) if weights is None else list(weights)
        if len(self.weights) != len(teachers) or min(self.weights) < 0 or sum(self.weights) <= 0:
            raise ScenarioError("weights", weights, f"{len(teachers)} numbers of at least 0")
        self.teachers = list(teachers)
        self.how = how
        self.quality = self.teachers[0].quality

    def advise(self, scenes: Sequence[Scene]) -> list[Advice]:
        """One advice for each scene; its origin names who gave it."""
        return self._vote(scenes) if self.how == "vote" else self._fall_back(scenes)

    def _fall_back(self, scenes: Sequence[Scene]) -> list[Advice]:
        said = [invalid(scene, self.name, "nobody answered") for scene in scenes]
        left = list(range(len(scenes)))
        for teacher in self.teachers:
            if not left:
                break
            for i, advice in zip(left, teacher.advise([scenes[i] for i in left]), strict=True):
                said[i] = _with_costs(advice, said[i])
            left = [i for i in left if not said[i].valid]
        return said

    def _vote(self, scenes: Sequence[Scene]) -> list[Advice]:
        asked = [teacher.advise(scenes) for teacher in self.teachers]
        return [self._tally(scene, [row[i] for row in asked]) for i, scene in enumerate(scenes)]

    def _tally(self, scene: Scene, votes: Sequence[Advice]) -> Advice:
        weights = np.array([w * v.valid for w, v in zip(self.weights, votes, strict=True)])
        total = invalid(scene, self.name, "nobody answered")
        if weights.sum() > 0:
            probs = weights @ np.array([vote.probs for vote in votes]) / weights.sum()
            shares = dict(zip(actions_of(scene), probs.tolist(), strict=True))
            best = max(scene.available, key=lambda name: shares[name])
            voters = "+".join(v.origin for v, w in zip(votes, weights, strict=True) if w > 0)
            total = advice_for(scene, best, shares[best], voters, shares)
        for vote in votes:
            total = _with_costs(total, vote)
        return total


def _with_costs(advice: Advice, other: Advice) -> Advice:
    """The advice with what another one cost added."""
    return advice.but(
        latency_s=advice.latency_s + other.latency_s,
        tokens=advice.tokens + other.tokens,
        cost=advice.cost + other.cost,
    )
