"""What a teacher says, and what every teacher is: ``advise(scenes) -> list[Advice]``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from hybridrl.envs.driving.names import ACTIONS, NATIVE_ACTIONS
from hybridrl.planners.errors import ScenarioError

if TYPE_CHECKING:
    from hybridrl.envs.driving.scene import Scene

ADVICE_SIZE = len(ACTIONS) + 3  # five probabilities, confidence, age, valid
SMOOTHING = 0.1  # least probability mass off the advised action, driving.md 3.6


@dataclass(frozen=True)
class Advice:
    """One teacher's answer to one scene.

    Args:
        probs: Probability of each of the scene's actions, in the environment's order; zeros where
            the advice is not valid.
        action: Name of the advised action, ``""`` where the advice is not valid.
        confidence: In [0, 1].
        valid: Whether the answer can be used.
        origin: Which teacher said it.
        latency_s: Seconds that it took.
        tokens: Of prompt and completion, for language models.
        cost: Money, in the unit of the price table.
        reason: Short text for people; nothing acts on it.
    """

    probs: tuple[float, ...]
    action: str
    confidence: float
    valid: bool
    origin: str
    latency_s: float = 0.0
    tokens: int = 0
    cost: float = 0.0
    reason: str = ""

    def but(self, **changes: object) -> Advice:
        """A copy with some fields changed."""
        return replace(self, **changes)  # type: ignore[arg-type]


class Teacher(Protocol):
    """Anything that advises.

    Attributes:
        name: Its row in the registry.
        quality: ``"planner"``, ``"rules"``, ``"model"`` or ``"demo"``; training warns of ``demo``.
    """

    name: str
    quality: str

    def advise(self, scenes: Sequence[Scene]) -> list[Advice]:
        """One advice for each scene, in their order."""
        ...


def actions_of(scene: Scene) -> tuple[str, ...]:
    """Names of all actions of a scene's environment, in that environment's order."""
    return NATIVE_ACTIONS[scene.scenario]


def advice_for(
    scene: Scene,
    action: str,
    confidence: float = 1.0,
    origin: str = "",
    ranking: Mapping[str, float] | None = None,
    reason: str = "",
) -> Advice:
    """Valid advice with its distribution over the available actions.

    A ranking is renormalised over what is available; without one, the advised action has
    ``1 - eps`` and the others share ``eps = 0.1 + 0.4 (1 - confidence)`` (``driving.md`` 3.6).

    Args:
        scene: What it is about.
        action: Name of an available action.
        confidence: In [0, 1].
        origin: Which teacher says it.
        ranking: Weight of each named action, not negative.
        reason: Short text.

    Raises:
        ScenarioError: If the action is not available.
    """
    names, free = actions_of(scene), scene.available
    if action not in free:
        raise ScenarioError("action", action, f"one that is available: {', '.join(free)}")
    weights = {name: float((ranking or {}).get(name, 0.0)) for name in free}
    total = sum(weights.values())
    if total > 0:
        probs = {name: weight / total for name, weight in weights.items()}
    else:
        rest = [name for name in free if name != action]
        off = (SMOOTHING + 0.4 * (1.0 - confidence)) if rest else 0.0
        probs = {name: off / len(rest) for name in rest} | {action: 1.0 - off}
    row = tuple(probs.get(name, 0.0) for name in names)
    return Advice(row, action, float(confidence), True, origin, reason=reason)


def invalid(scene: Scene, origin: str, reason: str) -> Advice:
    """Advice that cannot be used, and why."""
    return Advice((0.0,) * len(actions_of(scene)), "", 0.0, False, origin, reason=reason)


def from_scores(
    scene: Scene, scores: Mapping[str, float], origin: str, temperature: float, reason: str = ""
) -> Advice:
    """Advice from a score of each available action: a softmax, kept off the corners.

    Args:
        scene: What it is about.
        scores: Higher is better; others than the available ones are ignored.
        origin: Which teacher says it.
        temperature: Of the softmax, in units of the scores.
        reason: Short text.
    """
    free = scene.available
    row = np.array([scores[name] for name in free])
    weights = np.exp((row - row.max()) / max(temperature, 1e-6))
    weights = (1.0 - SMOOTHING) * weights / weights.sum() + SMOOTHING / len(free)
    best = free[int(row.argmax())]
    ranking = dict(zip(free, weights.tolist(), strict=True))
    return advice_for(scene, best, float(weights.max()), origin, ranking, reason)


def canonical_rows(advice: Sequence[Advice], actions: Sequence[str]) -> NDArray[np.float32]:
    """Advice as slots of the observation (``driving.md`` 4.3 b).

    Args:
        advice: Of scenes with the same actions.
        actions: Their names, in the environment's order.

    Returns:
        Shape ``(N, 8)``: probabilities of the five canonical actions, confidence, age (0 when
        fresh) and valid.
    """
    rows = np.zeros((len(advice), ADVICE_SIZE), np.float32)
    places = [ACTIONS.index(name) for name in actions]
    for row, said in zip(rows, advice, strict=True):
        if said.valid:
            row[places] = said.probs
            row[5], row[7] = said.confidence, 1.0
    return rows
