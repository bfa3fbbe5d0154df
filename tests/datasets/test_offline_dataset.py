"""Offline data in memory: what is accepted, what is refused, episodes and returns."""

from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hybridrl.datasets.columns import from_columns
from hybridrl.datasets.errors import DatasetError
from hybridrl.datasets.offline import OfflineDataset

UNIT = gym.spaces.Box(-1.0, 1.0, (2,))


def made(rows=10, stops=(4,), seed=0, **changes):
    """Continuous rows whose episodes end at ``stops`` by termination."""
    rng = np.random.default_rng(seed)
    seen = rng.normal(size=(rows + 1, 3))
    columns = {
        "observations": seen[:-1],
        "next_observations": seen[1:],
        "actions": rng.uniform(-1, 1, (rows, 2)),
        "rewards": rng.normal(size=rows),
        "terminations": np.isin(np.arange(rows), stops),
        "truncations": np.zeros(rows, bool),
    }
    return OfflineDataset(**{**columns, **changes})


def test_arrays_become_contiguous_float32_that_cannot_be_written():
    data = made(observations=np.zeros((3, 10)).T, next_observations=np.zeros((10, 3), ">f8"))
    for array in (data.observations, data.next_observations, data.actions, data.rewards):
        assert array.dtype == np.float32 and array.flags.c_contiguous
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0.0
    assert data.terminations.dtype == bool


def test_bytes_and_whole_numbers_stay_what_they_are():
    data = made(
        actions=np.arange(10), observations=np.zeros((10, 4, 4), np.uint8),
        next_observations=np.ones((10, 4, 4), np.uint8),
    )  # fmt: skip
    assert data.actions.dtype == np.int64
    assert data.observations.dtype == np.uint8


def test_the_callers_array_stays_writable():
    rewards = np.zeros(10, np.float32)
    made(rewards=rewards)
    rewards[0] = 1.0


def test_nested_dictionaries_become_dotted_keys():
    inner = {"a": np.zeros((10, 2)), "b": {"c": np.zeros((10, 3))}}
    data = made(observations=inner, next_observations=inner)
    assert data.shapes == {"observations.a": (2,), "observations.b.c": (3,), "actions": (2,)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rewards": np.zeros(9)}, "observations is '10 rows'; expected 9 rows"),
        ({"truncations": [True]}, "truncations is '1 rows'; expected 10 rows"),
        ({"rewards": np.zeros((10, 1))}, r"rewards is 'shape \(10, 1\)'; expected one number"),
        ({"rewards": [*range(9), np.nan]}, r"rewards\[9\] is nan"),
        ({"observations": np.full((10, 3), 1e60)}, r"observations\[0\] is \[inf, inf, inf\]"),
        ({"actions": np.full((10, 2), -np.inf)}, r"actions\[0\]"),
        ({"next_observations": np.zeros((10, 2))}, r"next_observations is \(\(10, 2\)"),
        ({"next_observations": {"a": np.zeros((10, 3))}}, "next_observations.* is "),
        ({"terminations": np.full(10, 2)}, "terminations is '<i8'; expected booleans"),
        ({"actions": {"a": np.zeros(10)}}, r"actions is \['a'\]; expected one array"),
        ({"observations": {}}, "observations is {}; expected at least one key"),
        ({"observations": np.array(["x"] * 10)}, "observations is '<U1'"),
        ({"observations": [[1], [2, 3]]}, "observations is .*; expected rows of equal shape"),
        ({"ends": [3, 10]}, "ends is 'no 5'; expected every row that terminates"),
        ({"ends": [5, 9]}, r"ends\[-1\] is 9; expected the number of rows, 10"),
        ({"ends": [5, 5, 10]}, "ends is .* expected rising positive numbers"),
        ({"ends": [0, 5, 10]}, "ends is .* expected rising positive numbers"),
        ({"ends": [4.5, 10]}, "ends is .* whole numbers"),
        ({"actions": np.full((10, 2), 1.1), "action_space": UNIT}, r"actions\[0\] is \[1.1"),
        ({"action_space": gym.spaces.Box(-1, 1, (3,))}, r"actions is 'shape \(2,\) a row'"),
        ({"action_space": gym.spaces.Discrete(3)}, "actions is"),
        ({"actions": np.arange(10), "action_space": gym.spaces.Discrete(9)}, r"actions\[9\] is 9"),
        ({"observation_space": UNIT}, r"observations is 'shape \(3,\) a row'"),
        ({"observation_space": gym.spaces.Dict({"a": UNIT})}, "observations is"),
        ({"mc_returns": np.zeros(3)}, "mc_returns is '3 rows'"),
    ],
)
def test_what_is_wrong_is_refused_with_the_field_named(changes, message):
    with pytest.raises(DatasetError, match=message):
        made(**changes)


def test_no_rows_are_refused():
    empty = {name: np.zeros((0, 2)) for name in ("observations", "next_observations", "actions")}
    flags = {name: np.zeros(0, bool) for name in ("terminations", "truncations")}
    with pytest.raises(DatasetError, match="0 rows"):
        OfflineDataset(**empty, **flags, rewards=[])


def test_rounding_at_the_bounds_is_no_error():
    made(actions=np.full((10, 2), 1.0 + 1e-7), action_space=UNIT)


def test_episodes_end_where_a_flag_or_the_data_ends():
    data = made(rows=10, stops=(1, 4))
    assert data.ends.tolist() == [2, 5, 10]
    assert data.starts.tolist() == [0, 2, 5]
    assert data.lengths.tolist() == [2, 3, 5]
    assert (len(data), data.n_episodes) == (10, 3)
    np.testing.assert_allclose(
        data.returns(), [data.rewards[:2].sum(), data.rewards[2:5].sum(), data.rewards[5:].sum()],
        rtol=1e-6,
    )  # fmt: skip


def test_monte_carlo_returns_worked_by_hand():
    data = made(rows=5, stops=(2,), rewards=[1.0, 2.0, 4.0, 8.0, 16.0])
    np.testing.assert_array_equal(data.monte_carlo_returns(0.5), [3.0, 4.0, 4.0, 16.0, 16.0])
    np.testing.assert_array_equal(data.with_mc_returns(0.0).mc_returns, data.rewards)
    with pytest.raises(DatasetError, match=r"gamma is 1\.5"):
        data.monte_carlo_returns(1.5)


def test_an_all_failure_episode_counts_as_endless():
    data = made(rows=5, stops=(2,), rewards=[-1.0, -1.0, -1.0, -1.0, 0.0])
    np.testing.assert_allclose(
        data.monte_carlo_returns(0.9, failure_reward=-1.0), [-10, -10, -10, -1, 0], rtol=1e-6
    )


@given(
    rewards=hnp.arrays(np.float32, st.integers(1, 40), elements=st.floats(-5, 5, width=32)),
    data=st.data(),
)
def test_monte_carlo_returns_obey_their_recursion(rewards, data):
    rows = len(rewards)
    ends = data.draw(st.lists(st.integers(0, rows - 1), max_size=4))
    dataset = made(rows=rows, stops=ends, rewards=rewards)
    values = dataset.monte_carlo_returns(0.9).astype(float)
    last = np.isin(np.arange(rows), dataset.ends - 1)
    following = np.append(values[1:], 0.0)
    np.testing.assert_allclose(values, rewards + 0.9 * np.where(last, 0, following), atol=1e-4)


@given(
    rows=st.integers(1, 30), ends=st.sets(st.integers(0, 29)),
    fraction=st.floats(0.01, 1.0), seed=st.integers(0, 3),
)  # fmt: skip
def test_a_subset_is_made_of_whole_episodes_in_order(rows, ends, fraction, seed):
    data = made(rows=rows, stops=tuple(ends))
    part = data.subset(fraction, seed=seed)
    assert part.n_episodes == max(1, round(fraction * data.n_episodes))
    assert set(np.round(part.returns(), 4)) <= set(np.round(data.returns(), 4))
    position = [int(np.flatnonzero(data.rewards == reward)[0]) for reward in part.rewards]
    assert position == sorted(position)
    assert part.fingerprint() == data.subset(fraction, seed=seed).fingerprint()


def test_subset_by_row_draws_rows_that_stand_alone():
    part = made(rows=20).subset(0.5, by="row", seed=1)
    assert len(part) == part.n_episodes == 10


@pytest.mark.parametrize(
    ("arguments", "field"),
    [({"fraction": 0.0}, "fraction"), ({"fraction": 1.5}, "fraction"),
     ({"fraction": 0.5, "by": "day"}, "by")],
)  # fmt: skip
def test_subset_names_the_bad_argument(arguments, field):
    with pytest.raises(DatasetError, match=f"^{field} is"):
        made().subset(**arguments)


def test_head_cuts_the_last_episode():
    assert made(rows=10, stops=(1, 4)).head(4).ends.tolist() == [2, 4]
    assert len(made(rows=10).head(99)) == 10
    with pytest.raises(DatasetError, match="rows is 0"):
        made().head(0)


def test_episodes_are_taken_by_number():
    data = made(rows=10, stops=(1, 4))
    np.testing.assert_array_equal(
        data.episodes([2, 0]).rewards, np.concatenate([data.rewards[5:], data.rewards[:2]])
    )
    with pytest.raises(DatasetError, match="numbers below 3"):
        data.episodes([3])


def test_a_reward_transform_is_affine_and_drops_old_returns():
    data = made().with_mc_returns(0.9)
    changed = data.reward_transform(10.0, -5.0)
    np.testing.assert_allclose(changed.rewards, 10 * data.rewards - 5, rtol=1e-6)
    assert changed.mc_returns is None
    assert changed.metadata["reward_scale"] == 10.0


def test_concatenating_keeps_every_episode():
    first, second = made(rows=10, stops=(4,)), made(rows=6, stops=(), seed=1)
    both = OfflineDataset.concatenate(first, second, made_of="two")
    assert both.ends.tolist() == [5, 10, 16]
    assert both.metadata["made_of"] == "two"
    assert both.episodes([0, 1]).fingerprint() == first.fingerprint()
    with pytest.raises(DatasetError, match="equal shapes"):
        OfflineDataset.concatenate(first, made(actions=np.zeros((10, 1))))
    with pytest.raises(DatasetError, match="at least one"):
        OfflineDataset.concatenate()


@given(column=st.sampled_from(["observations", "actions", "rewards", "truncations"]))
def test_a_single_changed_number_changes_the_fingerprint(column):
    data = made()
    array = getattr(data, column).copy()
    array.flat[-1] = not array.flat[-1] if array.dtype == bool else array.flat[-1] + 0.5
    assert replace(data, **{column: array}).fingerprint() != data.fingerprint()
    assert made().fingerprint() == data.fingerprint()


def test_the_summary_is_plain_json():
    import json

    summary = json.loads(json.dumps(made(rows=10, stops=(1, 4)).summary()))
    assert (summary["rows"], summary["episodes"], summary["terminations"]) == (10, 3, 2)
    assert summary["shapes"] == {"observations": [3], "actions": [2]}


def test_missing_next_observations_are_rebuilt_and_the_last_row_of_time_dropped():
    columns = {
        "observations": np.arange(7.0)[:, None],
        "actions": np.zeros((7, 1)),
        "rewards": np.arange(7.0),
        "terminals": [0, 0, 1, 0, 0, 0, 0],
        "timeouts": [0, 0, 0, 0, 1, 0, 0],
    }
    data = from_columns(columns)  # row 4 timed out; row 6 is the last: neither has a next one
    np.testing.assert_array_equal(data.rewards, [0, 1, 2, 3, 5])
    np.testing.assert_array_equal(data.next_observations[:, 0], [1, 2, 2, 4, 6])
    assert data.ends.tolist() == [3, 4, 5]


def test_columns_that_are_missing_or_unknown_are_named():
    columns = {"observations": np.zeros((2, 1)), "actions": np.zeros((2, 1)), "rewards": [0, 0]}
    with pytest.raises(DatasetError, match="terminations is 'missing'"):
        from_columns(columns)
    with pytest.raises(DatasetError, match="reward is 'an unknown column'"):
        from_columns({**columns, "reward": [0, 0]})
