"""The Reeds-Shepp solver against rsplan and OMPL."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from hybridrl.planners import reeds_shepp as rs

RADIUS = 3.0
Array = NDArray[np.float64]


def random_queries(n: int, seed: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    high = [10.0, 10.0, math.pi]
    return rng.uniform(np.negative(high), high, (n, 3)), rng.uniform(
        np.negative(high), high, (n, 3)
    )


def special_queries(n: int, seed: int) -> tuple[Array, Array]:
    """Same pose, half a turn in place, pure translations, and poses of a coarse grid."""
    rng = np.random.default_rng(seed)
    starts, goals = random_queries(4 * n, seed)
    goals[: 2 * n] = starts[: 2 * n]
    goals[n : 2 * n, 2] += math.pi
    goals[2 * n : 3 * n, 2] = starts[2 * n : 3 * n, 2]
    starts[3 * n :] = rng.integers(-4, 5, (n, 3)) * [3.0, 3.0, math.pi / 4]
    goals[3 * n :] = rng.integers(-4, 5, (n, 3)) * [3.0, 3.0, math.pi / 4]
    return starts, goals


def ompl_lengths(starts: Array, goals: Array) -> Array:
    base = pytest.importorskip("ompl.base")
    space = base.ReedsSheppStateSpace(RADIUS)
    bounds = base.RealVectorBounds(2)
    bounds.setLow(-100.0)
    bounds.setHigh(100.0)
    space.setBounds(bounds)
    a, b = space.allocState(), space.allocState()
    out = np.empty(len(starts))
    for i, (start, goal) in enumerate(zip(starts.tolist(), goals.tolist(), strict=True)):
        a.setXY(start[0], start[1])
        a.setYaw(start[2])
        b.setXY(goal[0], goal[1])
        b.setYaw(goal[2])
        out[i] = space.distance(a, b)
    return out


def rsplan_lengths(starts: Array, goals: Array) -> Array:
    return np.array(
        [
            rs.shortest_path(tuple(a), tuple(b), RADIUS, backend="rsplan").length
            for a, b in zip(starts.tolist(), goals.tolist(), strict=True)
        ]
    )


def test_lengths_equal_those_of_ompl_on_100000_random_queries() -> None:
    starts, goals = random_queries(100_000, 20)
    difference = rs.shortest_lengths(starts, goals, RADIUS) - ompl_lengths(starts, goals)
    assert np.abs(difference).max() < 1e-6


def test_lengths_equal_those_of_rsplan_on_random_queries() -> None:
    starts, goals = random_queries(3000, 21)
    difference = rs.shortest_lengths(starts, goals, RADIUS) - rsplan_lengths(starts, goals)
    assert np.abs(difference).max() < 1e-6


def test_lengths_of_special_queries_are_those_of_the_better_oracle() -> None:
    # Rounding makes either library lose a word here and there; ours must lose none, and every
    # word of ours is known to reach its goal, so a shorter one is right.
    starts, goals = special_queries(500, 22)
    ours = rs.shortest_lengths(starts, goals, RADIUS)
    best = np.minimum(ompl_lengths(starts, goals), rsplan_lengths(starts, goals))
    assert (ours - best).max() < 1e-6
    assert np.mean(np.abs(ours - best) < 1e-6) > 0.998


def test_every_word_of_rsplan_is_among_ours() -> None:
    starts, goals = random_queries(500, 23)
    for start, goal in zip(starts.tolist(), goals.tolist(), strict=True):
        ours = {signature(p) for p in rs.all_paths(start, goal, RADIUS)}
        theirs = {signature(p) for p in rs.all_paths(start, goal, RADIUS, backend="rsplan")}
        assert theirs <= ours


def signature(path: rs.Path) -> tuple[tuple[float, float], ...]:
    """Arcs rounded to micrometres: enough to tell words apart."""
    rows = zip(path.curvatures.tolist(), path.lengths.tolist(), strict=True)
    return tuple((round(k * RADIUS), round(s, 5)) for k, s in rows)


def test_paths_of_rsplan_end_at_the_goal() -> None:
    starts, goals = random_queries(200, 24)
    for start, goal in zip(starts.tolist(), goals.tolist(), strict=True):
        for path in rs.all_paths(start, goal, RADIUS, backend="rsplan"):
            x, y, heading = path.end
            assert math.dist((x, y), goal[:2]) < 1e-8
            assert abs(math.remainder(heading - goal[2], 2 * math.pi)) < 1e-8


def test_rsplan_answers_a_start_that_is_the_goal() -> None:
    pose = (1.0, -2.0, 0.5)
    assert rs.shortest_path(pose, pose, RADIUS, backend="rsplan").length == pytest.approx(0.0)
