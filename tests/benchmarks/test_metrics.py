"""Intervals and means against numbers worked by hand or by another program."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridrl.benchmarks.metrics import iqm, seed_bootstrap, stratified_bootstrap, wilson


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        # Newcombe, 1998, Statistics in Medicine 17:857, table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_intervals_are_those_of_newcombe(successes, n, low, high):
    assert wilson(successes, n) == pytest.approx((low, high), abs=5e-5)


def test_wilson_of_no_trials_knows_nothing():
    assert wilson(0, 0) == (0.0, 1.0)


def test_wilson_refuses_more_successes_than_trials():
    with pytest.raises(ValueError, match=r"successes is 3; expected 0\.\.2"):
        wilson(3, 2)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_intervals_hold_the_rate_and_mirror_for_failures(case):
    successes, n = case
    low, high = wilson(successes, n)
    assert 0 <= low <= successes / n <= high <= 1
    assert wilson(n - successes, n) == pytest.approx((1 - high, 1 - low))


def test_wilson_intervals_narrow_with_trials():
    widths = [high - low for low, high in (wilson(n // 2, n) for n in (10, 100, 1000))]
    assert widths == sorted(widths, reverse=True)


def test_iqm_is_the_mean_of_the_middle_half():
    assert iqm([100.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, -50.0]) == pytest.approx((2 + 3 + 4 + 5) / 4)


def test_iqm_of_few_values_is_their_mean():
    assert iqm([1.0, 2.0, 6.0]) == 3.0


def test_iqm_of_nothing_is_refused():
    with pytest.raises(ValueError, match="no values"):
        iqm([])


def test_bootstrap_of_equal_values_is_that_value():
    assert stratified_bootstrap([[2.0, 2.0], [2.0]], samples=50) == (2.0, 2.0)
    assert seed_bootstrap([[2.0, 2.0], [2.0]], samples=50) == (2.0, 2.0)


def test_strata_are_resampled_apart_from_each_other():
    # Between strata there is all the variance, within them none: the mean cannot move.
    assert stratified_bootstrap([[0.0] * 5, [1.0] * 5], samples=50) == (0.5, 0.5)


def test_seeds_are_drawn_before_their_episodes():
    # Within seeds there is no variance, between them all of it: the mean must move.
    low, high = seed_bootstrap([[0.0] * 50, [1.0] * 50], samples=400)
    assert (low, high) == (0.0, 1.0)


def test_bootstrap_of_normal_means_has_the_width_of_the_formula(rng):
    values = rng.normal(size=400)
    low, high = stratified_bootstrap([values])
    assert high - low == pytest.approx(2 * 1.96 * values.std() / math.sqrt(400), rel=0.1)
    assert low < values.mean() < high


def test_bootstrap_takes_another_statistic_and_a_seed():
    values = [np.arange(20.0)]
    assert stratified_bootstrap(values, iqm, samples=200, seed=1) == stratified_bootstrap(
        values, iqm, samples=200, seed=1
    )
    assert stratified_bootstrap(values, iqm, seed=1) != stratified_bootstrap(values, iqm, seed=2)


@pytest.mark.parametrize("bootstrap", [stratified_bootstrap, seed_bootstrap])
@pytest.mark.parametrize("rows", [[], [[1.0], []]])
def test_bootstrap_of_empty_rows_is_refused(bootstrap, rows):
    with pytest.raises(ValueError, match="needs"):
        bootstrap(rows)
