"""A kinematic look-ahead on the scene alone: other cars keep their speeds (``driving.md`` 3.7).

Each available action is followed by holding, speeding up or slowing down; the ego's speed follows
its set point for 4 s in steps of 0.25 s. What comes too close on the lanes, at the ramp's end or at
a meeting point of routes is risk; the scene's own 3 s forecast in the plane is added to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hybridrl.agents.tell_drive.teachers.advice import (
    ADVICE_SIZE,
    SMOOTHING,
    Advice,
    actions_of,
    advice_for,
)
from hybridrl.envs.driving.names import (
    ACTIONS,
    FASTER,
    IDLE,
    LANE_LEFT,
    LANE_RIGHT,
    MERGE,
    SLOWER,
)
from hybridrl.envs.driving.scene import (
    ACTION_RISK_AT,
    AVAILABLE_AT,
    CONFLICTS_AT,
    LANES_AT,
    N_CONFLICTS,
    SCALES,
    Scene,
)

HORIZON_S, STEP_S = 4.0, 0.25
SPEED_LAG_S = 0.6  # of the speed controller of highway-env
REACTION_S = 1.0  # after which the second action begins and a lane change is done
CAR_M = 5.0
TEMPERATURE = 0.1
# Lowest and highest set point and the step between them, m/s, by scenario number; then what a
# fully used speed is worth beside a risk of 1: most on the highway, which has no other goal.
SET_POINTS = np.array(
    [
        [20.0, 30.0, 5.0, 0.6],
        [10.0, 30.0, 5.0, 0.3],
        [0.0, 9.0, 4.5, 0.3],
        [0.0, 16.0, 8.0, 0.3],
    ]
)


class ForecastTeacher:
    """The default offline teacher of merge and roundabout; microseconds a scene.

    Args:
        progress: What a fully used speed is worth beside a risk of 1; by scenario when ``None``.
    """

    name = "forecast"
    quality = "planner"

    def __init__(self, progress: float | None = None) -> None:
        self._limits = SET_POINTS.copy()
        if progress is not None:
            self._limits[:, 3] = progress

    def advise(self, scenes: Sequence[Scene]) -> list[Advice]:
        """One advice for each scene."""
        if not scenes:
            return []
        rows = self.rows(np.stack([scene.vector() for scene in scenes]))
        return [self._said(scene, row) for scene, row in zip(scenes, rows, strict=True)]

    def rows(self, vectors: NDArray[Any]) -> NDArray[np.float32]:
        """Advice for many scene vectors as slots of the observation.

        Args:
            vectors: Shape ``(N, 48)``.

        Returns:
            Shape ``(N, 8)``: five canonical probabilities, confidence, age, valid.
        """
        scores = self.scores(vectors)
        return softmax_rows(scores, TEMPERATURE)

    def scores(self, vectors: NDArray[Any]) -> NDArray[np.float64]:
        """Worth of each canonical action, shape ``(N, 5)``; ``-inf`` where it is unavailable."""
        physical = np.ascontiguousarray(np.asarray(vectors, np.float64) * SCALES)
        made: NDArray[np.float64] = _scores(physical, self._limits)
        return made

    def _said(self, scene: Scene, row: NDArray[np.float32]) -> Advice:
        ranking = {name: float(row[ACTIONS.index(name)]) for name in actions_of(scene)}
        best = max(scene.available, key=lambda name: ranking[name])
        return advice_for(scene, best, float(row[5]), self.name, ranking)


def softmax_rows(scores: NDArray[np.float64], temperature: float) -> NDArray[np.float32]:
    """Scores as advice: a softmax over available actions, kept off the corners.

    Args:
        scores: Shape ``(N, 5)``, ``-inf`` where an action is unavailable.
        temperature: In units of the scores.

    Returns:
        Shape ``(N, 8)``, as :func:`~hybridrl.agents.tell_drive.teachers.base.advice_rows`.
    """
    free = np.isfinite(scores)
    weights = np.where(free, np.exp((scores - scores.max(axis=1, keepdims=True)) / temperature), 0)
    probs = (1 - SMOOTHING) * weights / weights.sum(axis=1, keepdims=True)
    probs += SMOOTHING * free / free.sum(axis=1, keepdims=True)
    rows = np.zeros((len(scores), ADVICE_SIZE), np.float32)
    rows[:, : len(ACTIONS)] = probs
    rows[:, 5] = probs.max(axis=1)
    rows[:, 7] = 1.0
    return rows


@njit(cache=True)
def _scores(v: np.ndarray, set_points: np.ndarray) -> np.ndarray:
    """Best worth over what may follow, for each action of each scene; ``v`` is in SI units."""
    out = np.full((len(v), 5), -np.inf)
    for i in range(len(v)):
        bits = round(v[i, AVAILABLE_AT])
        top, progress = set_points[int(v[i, 0]), 1], set_points[int(v[i, 0]), 3]
        for action in range(5):
            if not (bits >> action) & 1:
                continue
            best = -np.inf
            for then in (IDLE, FASTER, SLOWER):
                danger, driven = _sequence(v[i], set_points[int(v[i, 0])], action, then)
                worth = progress * driven / (HORIZON_S * top) - danger
                best = max(best, worth)
            lane_change = action == LANE_LEFT or action == LANE_RIGHT
            out[i, action] = best - v[i, ACTION_RISK_AT + action] - 0.02 * lane_change
    return out


@njit(cache=True)
def _sequence(v: np.ndarray, limits: np.ndarray, first: int, then: int) -> tuple[float, float]:
    """Danger in [0, 1] and metres driven, if ``first`` is done now and ``then`` after a second."""
    speed, target = v[2], _shifted(v[2], v[3], first, limits)
    at, worst, time = 0.0, 0.0, 0.0
    lane = LANES_AT + 5 * (0 if first == LANE_LEFT else 2 if first == LANE_RIGHT else 1)
    on_ramp = int(v[0]) == MERGE and v[6] < 149.0 and first != LANE_LEFT
    passed = np.full(N_CONFLICTS, -1.0)
    while time < HORIZON_S:
        if abs(time - REACTION_S) < 1e-9:
            target = _shifted(speed, target, then, limits)
        speed += (target - speed) * STEP_S / SPEED_LAG_S
        at += speed * STEP_S
        time += STEP_S
        here = lane if time >= REACTION_S else LANES_AT + 5
        danger = _lane_danger(v, here, at, speed, time, here != LANES_AT + 5)
        worst = max(worst, danger * (1.0 - 0.5 * time / HORIZON_S))  # later is less certain
        if on_ramp and at > v[6] - CAR_M:
            worst = 1.0
        for k in range(N_CONFLICTS):
            if passed[k] < 0.0 and at >= _meeting(v, k):
                passed[k] = time
    for k in range(N_CONFLICTS):
        worst = max(worst, _conflict_danger(v, k, passed[k], at, speed))
    return worst, at


@njit(cache=True)
def _shifted(speed: float, target: float, action: int, limits: np.ndarray) -> float:
    """The set point after an action: one step from what is nearest to the speed."""
    if action == IDLE or action == LANE_LEFT or action == LANE_RIGHT:
        return target
    low, high, step = limits[0], limits[1], limits[2]
    nearest = low + step * np.round((speed - low) / step)
    moved = nearest + (step if action == FASTER else -step if action == SLOWER else 0.0)
    return float(min(max(moved, low), high))


@njit(cache=True)
def _lane_danger(
    v: np.ndarray, lane: int, at: float, speed: float, time: float, entered: bool
) -> float:
    """Danger from the cars ahead and, in a lane that is entered, behind."""
    if v[lane] < 0.0:
        return 1.0
    gap = v[lane + 1] + v[lane + 2] * time - at
    danger = 1.0 if gap < 0.0 else min(max((2.0 - gap) / 2.0, 0.0), 1.0)
    closing = speed - v[lane + 2]
    if v[lane + 1] < 149.0 and closing > 0.1 and gap > 0.0:
        danger = max(danger, min(max((2.5 - gap / closing) / 2.5, 0.0), 1.0) * 0.8)
    if entered and v[lane + 3] < 149.0:
        rear = v[lane + 3] + at - v[lane + 4] * time
        danger = max(danger, 1.0 if rear < 0.0 else min(max((4.0 - rear) / 4.0, 0.0), 1.0) * 0.8)
    return danger


@njit(cache=True)
def _meeting(v: np.ndarray, k: int) -> float:
    """Metres to where the ego's route meets that of car ``k``.

    The scene holds how far apart the arrivals are, not which comes first: of the two possible
    arrivals of the ego, that one is taken which is nearer to its first meeting point.
    """
    c = CONFLICTS_AT + 4 * k
    late, early = v[c] + v[c + 1], v[c] - v[c + 1]
    arrival = early if abs(early - v[7]) < abs(late - v[7]) else late
    return float(max(arrival, 0.0) * max(v[2], 0.1))


@njit(cache=True)
def _conflict_danger(v: np.ndarray, k: int, passed: float, at: float, speed: float) -> float:
    c = CONFLICTS_AT + 4 * k
    if v[c] > 19.99:
        return 0.0
    when = passed
    if when < 0.0:
        when = HORIZON_S + (_meeting(v, k) - at) / max(speed, 0.1)
    apart = abs(when - v[c])
    return float(min(max((1.8 - apart) / 1.2, 0.0), 1.0) * (1.0 if when < 8.0 else 0.3))
