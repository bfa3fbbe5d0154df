"""Datasets of transitions as an environment gave them."""

import numpy as np
import pytest

from hybridrl.datasets.errors import DatasetError
from hybridrl.datasets.transitions import from_transitions


def steps(count):
    for k in range(count):
        at, after = np.full(2, k, np.float32), np.full(2, k + 1, np.float32)
        yield at, np.array([0.1 * k]), float(k), after, k == 2, k == 4


def test_columns_are_the_transitions_in_their_order():
    data = from_transitions(steps(6), metadata={"who": "test"})
    assert len(data) == 6 and data.metadata["who"] == "test"
    for k, row in enumerate(steps(6)):
        columns = (data.observations, data.actions, data.rewards, data.next_observations)
        for value, column in zip(row[:4], columns, strict=True):
            np.testing.assert_allclose(column[k], value)
    assert np.flatnonzero(data.terminations).tolist() == [2]
    assert data.ends.tolist() == [3, 5, 6]


def test_no_transition_is_no_dataset():
    with pytest.raises(DatasetError, match="at least one transition"):
        from_transitions(steps(0))


def test_rows_of_another_length_are_refused():
    with pytest.raises(ValueError, match="zip"):
        from_transitions([(1, 2), (3, 4)])
