"""Paths of arcs, and the answer of a planner."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridrl.planners.path import Path, PlanResult, advance

arcs = st.lists(
    st.tuples(st.sampled_from([-0.3, 0.0, 0.2]), st.floats(-6, 6).filter(lambda s: abs(s) > 0.01)),
    min_size=1,
    max_size=6,
)


def euler(start, pairs, steps=2000):
    x, y, h = start
    for k, s in pairs:
        headings = h + k * s * (np.arange(steps) + 0.5) / steps
        x += np.cos(headings).sum() * s / steps
        y += np.sin(headings).sum() * s / steps
        h += k * s
    return x, y, h


@given(arcs)
def test_a_path_ends_where_its_arcs_lead(pairs):
    path = Path.from_arcs((1.0, 2.0, 0.3), pairs)
    assert path.end == pytest.approx(euler((1.0, 2.0, 0.3), pairs), abs=1e-5)
    assert path.length == pytest.approx(sum(abs(s) for _, s in pairs))
    assert path.reverse_length == pytest.approx(sum(-s for _, s in pairs if s < 0))


@given(arcs)
def test_joining_equal_neighbours_keeps_the_gear_changes(pairs):
    path = Path.from_arcs((0, 0, 0), pairs)
    signs = np.sign([s for _, s in pairs])
    assert path.gear_changes == np.count_nonzero(np.diff(signs))
    for i in range(len(path.lengths) - 1):
        same_arc = path.curvatures[i] == path.curvatures[i + 1]
        assert not (same_arc and path.lengths[i] * path.lengths[i + 1] > 0)


@given(arcs, st.floats(0.01, 1.0))
def test_samples_are_close_together_and_hold_every_knot(pairs, spacing):
    path = Path.from_arcs((0.0, 0.0, 0.0), pairs)
    samples = path.sample(spacing)
    assert np.hypot(*np.diff(samples[:, :2], axis=0).T).max() <= spacing + 1e-9
    for knot in path.knots:
        assert np.abs(samples - knot).max(axis=1).min() < 1e-9


def test_nothing_driven_is_a_path_of_no_length():
    path = Path.from_arcs((1.0, 2.0, 3.0), [(0.1, 0.0)])
    assert path.length == 0.0
    assert path.end == (1.0, 2.0, 3.0)
    assert path.sample().shape == (1, 3)


def test_decisions_count_pieces_of_at_most_one_step():
    path = Path.from_arcs((0, 0, 0), [(0.1, 1.25), (0.0, -2.6), (0.1, 0.2)])
    assert path.decisions() == 1 + 3 + 1
    assert path.decisions(step=10.0) == 3


def test_advance_drives_many_distances_at_once():
    distances = np.array([-1.0, 0.0, 2.5])
    rows = advance(np.array([1.0, 1.0, 0.5]), 0.2, distances)
    for row, s in zip(rows, distances, strict=True):
        assert row == pytest.approx(advance(np.array([1.0, 1.0, 0.5]), 0.2, float(s)))


def test_a_result_is_json_with_and_without_a_path():
    path = Path.from_arcs((0, 0, 0), [(0.1, 1.0), (0.0, -2.0)])
    found = PlanResult(path=path, seconds=0.5, clearance=0.2, planner="p", expansions=7)
    data = json.loads(json.dumps(found.to_json()))
    assert data["success"] is found.success is True
    assert data["length"] == found.length == 3.0
    assert data["gear_changes"] == found.gear_changes == 1
    assert [arc["gear"] for arc in data["path"]["arcs"]] == ["forward", "reverse"]
    nothing = PlanResult(path=None, seconds=1.0)
    assert math.isnan(nothing.length)
    assert math.isnan(nothing.gear_changes)
    assert json.loads(json.dumps(nothing.to_json()))["length"] is None
