"""Risk metrics against numbers worked by hand, and finite whatever comes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridrl.envs.driving import risk

NUMBERS = st.floats(-300.0, 300.0)


def test_metrics_worked_by_hand():
    assert risk.headway(30.0, 20.0) == pytest.approx(1.5)
    assert risk.ttc(30.0, 10.0) == pytest.approx(3.0)
    assert risk.ttc(30.0, 0.05) == risk.CAP  # not closing
    assert risk.drac(20.0, 10.0) == pytest.approx(2.5)
    # 0.6 s at 20 m/s, 0.54 m of acceleration, 21.8 m/s braked at 4, minus 20 m/s braked at 6
    assert risk.safe_distance(20.0, 20.0) == pytest.approx(12 + 0.54 + 21.8**2 / 8 - 400 / 12)
    assert risk.closest_time(10.0, 0.0, -5.0, 0.0) == pytest.approx(2.0)
    assert risk.closest_distance(10.0, 3.0, -5.0, 0.0) == pytest.approx(3.0)
    assert risk.ttc_score(2.5) == pytest.approx(0.5)
    assert risk.headway_score(0.3) == pytest.approx(0.6)
    assert risk.conflict_score(2.0, 3.5) == pytest.approx(0.5 * 1.0)
    assert risk.conflict_score(6.0, 5.5) == 0.0  # too far ahead to count
    assert risk.approach_score(4.0, 1.0) == pytest.approx(0.5)
    assert [risk.level(x) for x in (0.1, 0.25, 0.5, 0.8)] == list(risk.LEVELS)


def test_metrics_take_arrays():
    gaps = np.array([10.0, 20.0, 1e9])
    np.testing.assert_allclose(risk.ttc(gaps, 10.0), [1.0, 2.0, 20.0])
    assert risk.headway(gaps[:, None], np.zeros(4)).shape == (3, 4)


@settings(derandomize=True, max_examples=60, deadline=None)
@given(NUMBERS, NUMBERS, NUMBERS, NUMBERS)
def test_metrics_are_finite_and_scores_are_shares(a, b, c, d):
    """Zero speed, standing traffic and overlapping cars included."""
    for value in (risk.headway(a, abs(b)), risk.ttc(a, b), risk.closest_time(a, b, c, d)):
        assert 0.0 <= value <= risk.CAP
    for value in (risk.drac(a, b), risk.safe_distance(abs(a), abs(b))):
        assert np.isfinite(value) and value >= 0.0
    assert risk.closest_distance(a, b, c, d) <= np.hypot(a, b) + 1e-6
    scores = (
        risk.ttc_score(a),
        risk.headway_score(abs(a)),
        risk.conflict_score(abs(a), abs(b)),
        risk.approach_score(abs(a), abs(b)),
    )
    assert all(0.0 <= score <= 1.0 for score in scores)
