"""Later phases of a training, in which other rewards and steps take over once success is learnt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hybridrl.planners.errors import ScenarioError, UnknownNameError


@dataclass(frozen=True)
class Phase:
    """What changes from one point of a training on.

    Args:
        begin: Share of the training after which it begins, in [0, 1].
        learning_rate: From which the rate falls anew; by default it goes on falling as before.
        ent_coef: Weight of the entropy bonus; by default as before.
        reward_weights: Reward terms weighed otherwise, as in ``{"gear_change": 0.2}``; those that
            are not named are as the environment was made with.
    """

    begin: float = 0.0
    learning_rate: float | None = None
    ent_coef: float | None = None
    reward_weights: Mapping[str, float] = field(default_factory=dict)


def read_phases(given: Sequence[Mapping[str, Any]], first: Phase) -> tuple[Phase, ...]:
    """Phases in full, each with what the earlier ones left in force.

    Args:
        given: Changes in their order, as keywords of :class:`Phase`.
        first: In force at the beginning.

    Raises:
        UnknownNameError: If a phase changes something else.
        ScenarioError: If they are not in order or begin outside the training.
    """
    phases = [first]
    for changes in given:
        for name in changes:
            if name not in Phase.__dataclass_fields__:
                raise UnknownNameError("setting of a phase", name, Phase.__dataclass_fields__)
        known = vars(phases[-1]) | {"learning_rate": None}
        phase = Phase(**(known | dict(changes)))
        if not phases[-1].begin <= phase.begin <= 1.0:
            raise ScenarioError("begin", phase.begin, f"a share from {phases[-1].begin} to 1")
        phases.append(phase)
    return tuple(phases)


def phase_at(phases: Sequence[Phase], progress: float) -> Phase:
    """The last phase that has begun.

    Args:
        phases: In their order.
        progress: Share of the training that is over.
    """
    return [phase for phase in phases if phase.begin <= progress][-1]


class PhasedDecay:
    """A learning rate that falls linearly, and falls anew from each phase that sets one.

    Args:
        phases: In their order; the first one sets a rate.
        share: Of a rate that is left when it ends.
    """

    def __init__(self, phases: Sequence[Phase], share: float) -> None:
        self.starts = [(p.begin, p.learning_rate) for p in phases if p.learning_rate is not None]
        self.share = share

    def __call__(self, progress_remaining: float) -> float:
        """The rate when ``progress_remaining`` has fallen from 1 towards 0."""
        progress = 1.0 - progress_remaining
        now = max(i for i, (begin, _) in enumerate(self.starts) if begin <= progress)
        begin, rate = self.starts[now]
        end = self.starts[now + 1][0] if now + 1 < len(self.starts) else 1.0
        left = (end - progress) / (end - begin) if end > begin else 0.0
        return rate * (self.share + (1.0 - self.share) * left)
