"""After a crash or a near miss: which decision was wrong, and what would have been right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hybridrl.agents.tell_drive.teachers.advice import Teacher
from hybridrl.agents.tell_drive.teachers.memory import Memory
from hybridrl.envs.driving.names import ACTIONS
from hybridrl.envs.driving.scene import Scene

BACK = 6  # decisions that are walked back
NEAR_MISS_S = 1.0  # smallest time to collision that counts as one


class Decision(NamedTuple):
    """One decision of an episode.

    Args:
        scene: Before it.
        action: Canonical name of what was done.
        reward: That followed.
    """

    scene: Scene
    action: str
    reward: float = 0.0


class Correction(NamedTuple):
    """What reflection found.

    Args:
        scene: Of the wrong decision.
        action: That would have been safer.
        reason: In a few words and numbers.
    """

    scene: Scene
    action: str
    reason: str


def reflect(
    episode: Sequence[Decision], planner: Teacher, crashed: bool, min_ttc: float
) -> Correction | None:
    """The last decision that was not SLOWER, corrected (``driving.md`` 3.4).

    Args:
        episode: Its decisions, the last one last.
        planner: Who says what would have stayed safe.
        crashed: Whether it ended in a crash.
        min_ttc: Smallest time to collision in it, seconds.

    Returns:
        A correction whose forecast risk is lower than that of what was done, or ``None``.
    """
    if not (crashed or min_ttc < NEAR_MISS_S):
        return None
    for decision in reversed(episode[-BACK:]):
        if decision.action != "SLOWER":
            return _corrected(decision, planner)
    return None


def remember_episode(
    memory: Memory,
    episode: Sequence[Decision],
    planner: Teacher,
    *,
    success: bool,
    crashed: bool,
    min_ttc: float = 20.0,
    gamma: float = 0.95,
    step: int = 0,
) -> int:
    """Write what an episode taught: every fifth decision of a success, a correction of a crash.

    Args:
        memory: To write into.
        episode: Its decisions.
        planner: For corrections.
        success: Whether the task was done.
        crashed: Whether it ended in a crash.
        min_ttc: Smallest time to collision in it, seconds.
        gamma: Discount of the outcome.
        step: Of training.

    Returns:
        How many entries were kept.
    """
    kept = 0
    if success:
        for i in range(0, len(episode), 5):
            ahead = episode[i : i + 5]
            outcome = sum(gamma**k * one.reward for k, one in enumerate(ahead))
            scene, action = episode[i].scene, episode[i].action
            if action in scene.available:
                kept += memory.add(scene, action, outcome=outcome, origin="demo", step=step)
    found = reflect(episode, planner, crashed, min_ttc)
    if found is not None:
        facts = {"outcome": -1.0, "crashed": crashed, "origin": "reflection"}
        kept += memory.add(found.scene, found.action, note=found.reason, step=step, **facts)
    return kept


def _corrected(decision: Decision, planner: Teacher) -> Correction | None:
    scene = decision.scene
    (said,) = planner.advise([scene])
    if not said.valid or said.action == decision.action:
        return None
    risks = dict(zip(ACTIONS, scene.action_risk, strict=True))
    before, after = risks[decision.action], risks[said.action]
    if not after < before:
        return None
    reason = f"{decision.action} led to danger: risk {before:.2f}, {said.action} {after:.2f}"
    return Correction(scene, said.action, reason)
