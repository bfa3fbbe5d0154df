"""Properties of the Reeds-Shepp solver."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hybridrl.planners import reeds_shepp as rs
from hybridrl.planners.errors import ScenarioError, UnknownNameError
from hybridrl.planners.path import Path
from hybridrl.planners.rs_candidates import COLUMNS, WORDS, candidates

RADIUS = 3.0
few = settings(max_examples=60, derandomize=True, deadline=None)
coordinate = st.floats(-15.0, 15.0)
angle = st.floats(-math.pi, math.pi)
poses = st.tuples(coordinate, coordinate, angle)


def random_poses(n: int, seed: int, reach: float = 10.0) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    xy = rng.uniform(-reach, reach, (n, 2))
    return np.column_stack([xy, rng.uniform(-math.pi, math.pi, n)])


def degenerate_queries(n: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Same pose, turned in place, translated, straight ahead, on a grid, and driven by arcs."""
    rng = np.random.default_rng(seed)
    starts = random_poses(6 * n, seed)
    goals = starts.copy()
    goals[n : 2 * n, 2] += rng.choice([math.pi, -math.pi, math.pi / 2], n)
    goals[2 * n : 3 * n, :2] += rng.uniform(-5.0, 5.0, (n, 2))
    ahead = rng.uniform(-8.0, 8.0, n)
    headings = starts[3 * n : 4 * n, 2]
    goals[3 * n : 4 * n, 0] += ahead * np.cos(headings)
    goals[3 * n : 4 * n, 1] += ahead * np.sin(headings)
    grid = slice(4 * n, 5 * n)
    starts[grid] = rng.integers(-4, 5, (n, 3)) * [3.0, 3.0, math.pi / 4]
    goals[grid] = rng.integers(-4, 5, (n, 3)) * [3.0, 3.0, math.pi / 4]
    for i in range(5 * n, 6 * n):
        arcs = [
            (rng.integers(-1, 2) / RADIUS, rng.uniform(-6.0, 6.0)) for _ in range(rng.integers(4))
        ]
        start = (float(starts[i, 0]), float(starts[i, 1]), float(starts[i, 2]))
        goals[i] = Path.from_arcs(start, arcs).end
    return starts, goals


def end_errors(
    table: rs.WordTable, starts: NDArray[np.float64], goals: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Largest error of the last pose of every word, integrated in plain NumPy."""
    x, y, h = (np.repeat(starts[:, i : i + 1], WORDS, 1) for i in range(3))
    for j in range(5):
        k, s = table.curvature[..., j], table.length[..., j]
        turning = np.where(k == 0.0, 1.0, k)
        x = x + np.where(k == 0.0, s * np.cos(h), (np.sin(h + k * s) - np.sin(h)) / turning)
        y = y + np.where(k == 0.0, s * np.sin(h), (np.cos(h) - np.cos(h + k * s)) / turning)
        h = h + k * s
    turn = np.abs(np.remainder(h - goals[:, 2:] + math.pi, 2 * math.pi) - math.pi)
    error = np.maximum(np.hypot(x - goals[:, :1], y - goals[:, 1:2]), turn)
    return np.where(np.arange(WORDS) < table.n_words[:, None], error, 0.0)


def word_types(table: rs.WordTable) -> set[tuple[float, ...]]:
    """Signs of curvature and gear of every word with no segment of length zero."""
    used = np.arange(WORDS) < table.n_words[:, None]
    real = (np.abs(table.length) > 1e-6).sum(-1) >= 3
    turns = np.sign(table.curvature[used & real])
    gears = np.sign(table.length[used & real])
    return {tuple(row) for row in np.column_stack([turns, gears])}


@pytest.mark.parametrize("reach", [0.01, 1.0, 10.0, 1000.0])
def test_every_word_ends_at_the_goal(reach: float) -> None:
    starts, goals = random_poses(2000, 1, reach), random_poses(2000, 2, reach)
    errors = end_errors(rs.solve_batch(starts, goals, RADIUS), starts, goals)
    assert errors.max() < 1e-9


def test_every_word_of_a_degenerate_query_ends_at_the_goal() -> None:
    starts, goals = degenerate_queries(400, 3)
    table = rs.solve_batch(starts, goals, RADIUS)
    assert end_errors(table, starts, goals).max() < 1e-9
    assert table.n_words.min() >= 1
    assert table.n_words.max() <= WORDS


def test_all_48_words_occur() -> None:
    table = rs.solve_batch(random_poses(20000, 4), random_poses(20000, 5), RADIUS)
    assert len(word_types(table)) == 48


def test_the_four_symmetries_of_every_word_occur() -> None:
    table = rs.solve_batch(random_poses(20000, 4), random_poses(20000, 5), RADIUS)
    types = word_types(table)
    for word in types:
        turns, gears = np.array(word[:5]), np.array(word[5:])
        for a, b in itertools.product((1.0, -1.0), repeat=2):
            assert (*(a * turns), *(b * gears)) in types


def test_no_turn_is_longer_than_half_a_circle() -> None:
    table = rs.solve_batch(random_poses(5000, 6), random_poses(5000, 7), RADIUS)
    assert np.abs(table.length * (table.curvature != 0.0)).max() <= math.pi * RADIUS + 1e-9


def test_totals_are_the_sums_of_the_segments_and_padding_is_infinite() -> None:
    table = rs.solve_batch(random_poses(500, 8), random_poses(500, 9), RADIUS)
    used = np.arange(WORDS) < table.n_words[:, None]
    assert np.allclose(np.abs(table.length).sum(-1)[used], table.total[used], rtol=0, atol=1e-9)
    assert np.isinf(table.total[~used]).all()
    assert not table.length[~used].any()
    assert not table.curvature[~used].any()


def test_a_word_is_returned_once() -> None:
    starts, goals = degenerate_queries(100, 10)
    table = rs.solve_batch(starts, goals, RADIUS)
    for row, n in enumerate(table.n_words):
        k, s = table.curvature[row, :n], table.length[row, :n]
        for i, j in itertools.combinations(range(n), 2):
            same = np.array_equal(k[i], k[j]) and np.abs(s[i] - s[j]).max() < 0.5e-9
            assert not same


def test_words_of_one_type_are_told_apart_by_their_segments() -> None:
    # A signed sum of differences (HOPE) would take many of these pairs for one word (11.1).
    table = rs.solve_batch(random_poses(500, 11), random_poses(500, 12), RADIUS)
    pairs = merged = 0
    for row, n in enumerate(table.n_words):
        k, s = table.curvature[row, :n], table.length[row, :n]
        for i, j in itertools.permutations(range(n), 2):
            if np.array_equal(k[i], k[j]):
                pairs += 1
                merged += int((s[i] - s[j]).sum() <= 0.01)
    assert pairs > 500
    assert merged > 0.4 * pairs


@few
@given(poses, poses)
def test_paths_are_sorted_distinct_and_never_shorter_than_the_straight_line(
    start: rs.Pose, goal: rs.Pose
) -> None:
    paths = rs.all_paths(start, goal, RADIUS)
    lengths = [p.length for p in paths]
    assert lengths == sorted(lengths)
    assert lengths[0] >= math.dist(start[:2], goal[:2]) - 1e-9
    for a, b in itertools.pairwise(paths):
        same = np.array_equal(a.curvatures, b.curvatures)
        assert not (same and np.abs(a.lengths - b.lengths).max(initial=0.0) < 1e-9)


@few
@given(poses, poses)
def test_paths_end_at_the_goal(start: rs.Pose, goal: rs.Pose) -> None:
    for path in rs.all_paths(start, goal, RADIUS):
        x, y, heading = path.end
        assert math.dist((x, y), goal[:2]) < 1e-8
        assert abs(math.remainder(heading - goal[2], 2 * math.pi)) < 1e-8


@few
@given(poses)
def test_the_shortest_length_is_symmetric(goal: rs.Pose) -> None:
    x, y, h = goal
    flips = [(x, y, h), (-x, y, -h), (x, -y, -h), (-x, -y, h)]
    lengths = rs.shortest_lengths((0.0, 0.0, 0.0), flips, RADIUS)
    back = rs.shortest_lengths(flips, (0.0, 0.0, 0.0), RADIUS)
    assert np.ptp(np.concatenate([lengths, back])) < 1e-7


@few
@given(poses, poses, poses)
def test_the_length_is_a_metric_and_moves_with_the_frame(
    a: rs.Pose, b: rs.Pose, c: rs.Pose
) -> None:
    direct, first, second = rs.shortest_lengths([a, a, c], [b, c, b], RADIUS)
    assert direct <= first + second + 1e-7
    moved = []
    for x, y, h in (a, b):
        turned = complex(x, y) * complex(math.cos(c[2]), math.sin(c[2]))
        moved.append((turned.real + c[0], turned.imag + c[1], h + c[2]))
    assert rs.shortest_lengths(*moved, RADIUS)[0] == pytest.approx(direct, abs=1e-6)


def test_the_length_scales_with_the_radius() -> None:
    starts, goals = random_poses(300, 12), random_poses(300, 13)
    scaled = rs.shortest_lengths(starts * [2, 2, 1], goals * [2, 2, 1], 2 * RADIUS)
    assert np.allclose(scaled, 2 * rs.shortest_lengths(starts, goals, RADIUS), rtol=0, atol=1e-9)


def test_a_whole_turn_of_heading_changes_nothing() -> None:
    starts, goals = random_poses(300, 14), random_poses(300, 15)
    turned = goals + np.array([0.0, 0.0, 6 * math.pi])
    lengths = rs.shortest_lengths(starts, turned, RADIUS)
    assert np.allclose(lengths, rs.shortest_lengths(starts, goals, RADIUS), rtol=0, atol=1e-6)


def test_compiled_single_query_forms_agree_with_the_batch() -> None:
    starts, goals = random_poses(50, 16), random_poses(50, 17)
    table = rs.solve_batch(starts, goals, RADIUS)
    k, s, total = np.zeros((WORDS, 5)), np.zeros((WORDS, 5)), np.zeros(WORDS)
    for i in range(50):
        n = rs.solve(*starts[i], *goals[i], RADIUS, k, s, total)
        assert n == table.n_words[i]
        assert np.array_equal(s[:n], table.length[i, :n])
        assert np.array_equal(k[:n], table.curvature[i, :n])
        assert rs.shortest_length(*starts[i], *goals[i], RADIUS) == table.total[i].min()


def test_words_are_in_units_of_the_radius() -> None:
    k, s, total = np.zeros((WORDS, 5)), np.zeros((WORDS, 5)), np.zeros(WORDS)
    n = rs.words(0.0, 2.0, math.pi, k, s, total)
    best = int(total[:n].argmin())
    assert total[best] == pytest.approx(math.pi)
    assert set(np.unique(k[:n])) <= {-1.0, 0.0, 1.0}


def test_memory_of_an_earlier_batch_can_be_used_again() -> None:
    goals = random_poses(50, 30)
    degenerate = np.zeros((50, 3))
    table = rs.solve_batch(degenerate, degenerate, RADIUS)
    again = rs.solve_batch(degenerate, goals, RADIUS, out=table)
    fresh = rs.solve_batch(degenerate, goals, RADIUS)
    assert again is table
    for a, b in zip(again, fresh, strict=True):
        assert np.array_equal(a, b)
    with pytest.raises(ScenarioError, match="out"):
        rs.solve_batch(degenerate[:3], goals[:3], RADIUS, out=table)


def test_one_start_serves_many_goals() -> None:
    goals = random_poses(20, 18)
    start = (1.0, 2.0, 0.3)
    many = rs.shortest_lengths(start, goals, RADIUS)
    assert np.array_equal(many, [rs.shortest_length(*start, *g, RADIUS) for g in goals])


@pytest.mark.parametrize(
    ("goal", "length", "segments"),
    [
        ((0.0, 0.0, 0.0), 0.0, 0),
        ((4.0, 0.0, 0.0), 4.0, 1),
        ((-4.0, 0.0, 0.0), 4.0, 1),
        ((0.0, 2.0, math.pi), math.pi, 1),
        ((1.0, 1.0, math.pi / 2), math.pi / 2, 1),
        ((-1.0, 1.0, -math.pi / 2), math.pi / 2, 1),
        ((0.0, 0.0, math.pi), math.pi, 3),
    ],
)
def test_known_curves_have_known_lengths(goal: rs.Pose, length: float, segments: int) -> None:
    path = rs.shortest_path((0.0, 0.0, 0.0), goal, 1.0)
    assert path.length == pytest.approx(length, abs=1e-9)
    assert len(path.lengths) == segments


@pytest.mark.parametrize("noise", [1e-16, 1e-14, 1e-12, 1e-9])
def test_rounding_of_the_goal_does_not_lose_the_arc_that_reaches_it(noise: float) -> None:
    exact = np.array([math.sin(1.0), 1.0 - math.cos(1.0), 1.0])
    rng = np.random.default_rng(19)
    goals = exact + noise * rng.uniform(-1.0, 1.0, (200, 3))
    lengths = rs.shortest_lengths((0.0, 0.0, 0.0), goals, 1.0)
    # The length has the slope of a square root there: sideways is expensive.
    assert np.abs(lengths - 1.0).max() < 1e-12 + 10.0 * math.sqrt(noise)


def test_the_compact_table_never_needs_more_than_its_rows() -> None:
    table = np.empty((WORDS + 1, COLUMNS))
    values = np.array([0.0, 2.0, 4.0, 6.0, math.sqrt(20.0), math.sqrt(8.0), 1.0])
    corners = np.concatenate([values, -values])
    headings = np.arange(-4, 5) * math.pi / 4
    counts = [candidates(x, y, h, table) for x in corners for y in corners for h in headings]
    assert 1 <= min(counts)
    assert max(counts) <= WORDS


@pytest.mark.parametrize("radius", [0.0, -1.0, math.nan, math.inf, "3"])
def test_a_radius_that_cannot_be_driven_is_refused(radius: float) -> None:
    with pytest.raises(ScenarioError, match="radius"):
        rs.shortest_path((0.0, 0.0, 0.0), (1.0, 0.0, 0.0), radius)


@pytest.mark.parametrize("pose", [(0.0, math.nan, 0.0), (0.0, 0.0), "here", (math.inf, 0.0, 0.0)])
def test_a_pose_that_does_not_exist_is_refused_by_name(pose: rs.Pose) -> None:
    with pytest.raises(ScenarioError, match="goal"):
        rs.all_paths((0.0, 0.0, 0.0), pose, RADIUS)
    with pytest.raises(ScenarioError, match="start"):
        rs.shortest_lengths(pose, (0.0, 0.0, 0.0), RADIUS)


def test_batches_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ScenarioError, match="goal"):
        rs.solve_batch(np.zeros((3, 3)), np.zeros((2, 3)), RADIUS)


def test_an_unknown_back_end_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="numba"):
        rs.shortest_path((0.0, 0.0, 0.0), (1.0, 0.0, 0.0), RADIUS, backend="numbr")
