"""Data of combination locks: shares in closed form, steps, and the way through Minari."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridrl.datasets.comblock import KINDS, comblock_dataset, optimal_share
from hybridrl.datasets.errors import DatasetError
from hybridrl.datasets.offline import OfflineDataset
from hybridrl.datasets.registry import RECIPES, make_dataset
from hybridrl.datasets.sources import as_dataset
from hybridrl.datasets.steps import step_indices
from hybridrl.envs.comblock.linear import decode_latent
from hybridrl.envs.comblock.lock import LockOptions, draw_codes
from hybridrl.planners.errors import UnknownNameError


def data(kind="eps", episodes=4000, seed=0, **changes):
    return comblock_dataset(
        LockOptions(**{"horizon": 4, "lock_seed": 1, **changes}), kind, episodes, seed
    )


@pytest.mark.parametrize("action_kind", ["discrete", "continuous"])
@pytest.mark.parametrize("horizon", [4, 10])
def test_the_share_of_opened_locks_is_the_closed_form(horizon, action_kind):
    """Conflict C6: the paper says 32 to 36 %, the closed form 37 to 40 %."""
    dataset = data(horizon=horizon, action_kind=action_kind)
    share = (dataset.returns() == 1.0).mean()
    assert share == pytest.approx(optimal_share(horizon, 10), abs=4 * 0.5 / np.sqrt(4000))


def test_the_closed_form_has_the_published_values():
    found = [optimal_share(horizon, 10) for horizon in (5, 10, 20, 50)]
    assert found == pytest.approx([0.370, 0.388, 0.395, 0.395], abs=0.009)


def test_each_kind_explores_where_it_says():
    codes = draw_codes(4, 10, 1)

    def right(kind):
        """Share of right actions at every step, in the good states."""
        dataset = data(kind)
        steps = step_indices(dataset)
        z = decode_latent(dataset.observations, 4).argmax(1)
        hits = dataset.actions == codes[np.minimum(z, 1), steps]
        return [hits[(steps == h) & (z < 2)].mean() for h in range(4)]

    assert right("eps") == pytest.approx([0.775] * 4, abs=0.04)
    assert right("eps-mid") == pytest.approx([0.775, 0.775, 0.1, 0.775], abs=0.07)
    assert right("occupancy") == pytest.approx([0.1] * 4, abs=0.03)
    assert right("random")[0] == pytest.approx(0.1, abs=0.03)


def test_rows_know_their_step():
    assert step_indices(data(episodes=3)).tolist() == [0, 1, 2, 3] * 3
    single = data("occupancy", episodes=3)
    assert single.n_episodes == 12 and step_indices(single).tolist() == [0, 1, 2, 3] * 3
    assert single.terminations.tolist() == [False, False, False, True] * 3
    with pytest.raises(DatasetError, match="at most 3"):
        step_indices(data(episodes=3), horizon=3)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=6))
def test_steps_count_from_the_start_of_each_episode(lengths):
    rows = sum(lengths)
    dataset = OfflineDataset(
        observations=np.zeros((rows, 1)), next_observations=np.zeros((rows, 1)),
        actions=np.zeros((rows, 1)), rewards=np.zeros(rows), truncations=np.zeros(rows, bool),
        terminations=np.zeros(rows, bool), ends=np.cumsum(lengths),
    )  # fmt: skip
    assert step_indices(dataset).tolist() == [h for length in lengths for h in range(length)]


def test_actions_are_one_hot_or_uniform_where_they_are_continuous():
    actions = data(action_kind="continuous").actions
    one_hot = (actions.max(1) == 1) & (actions.sum(1) == 1)
    assert one_hot.mean() == pytest.approx(0.75, abs=0.03)
    assert actions.min() >= 0 and actions.max() <= 1


@pytest.mark.parametrize("kind", KINDS)
def test_equal_seeds_give_equal_data(kind):
    assert data(kind, 20).fingerprint() == data(kind, 20).fingerprint()
    assert data(kind, 20).fingerprint() != data(kind, 20, seed=1).fingerprint()


@pytest.mark.parametrize("name", ["h5/eps", "h5-continuous/occupancy"])
def test_a_recipe_goes_into_minari_and_comes_back(name, tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    made = make_dataset(f"comblock/{name}-v0", seed=3, episodes=4)
    dataset = as_dataset(made)
    keywords = dataset.metadata["env_kwargs"]
    assert keywords["horizon"] == 5 and keywords["lock_seed"] == 3
    expected = comblock_dataset(LockOptions(**keywords), name.split("/")[1], 4, seed=3)
    assert np.array_equal(dataset.observations, expected.observations)
    assert np.array_equal(dataset.actions, expected.actions)
    assert step_indices(dataset).tolist() == [0, 1, 2, 3, 4] * 4
    rows = as_dataset(make_dataset(f"comblock/{name}-v0", rows=7, stored_as="mine/rows-v0"))
    assert len(rows) == 7


def test_every_kind_has_a_recipe_for_every_lock():
    names = [name for name in RECIPES if name.startswith("comblock/")]
    assert len(names) == 4 * 2 * len(KINDS)


def test_what_cannot_be_made_is_named():
    with pytest.raises(UnknownNameError, match="did you mean eps"):
        data("epss")
    with pytest.raises(DatasetError, match="lock_seed"):
        data(lock_seed=None)
    with pytest.raises(DatasetError, match="episodes"):
        data(episodes=0)
