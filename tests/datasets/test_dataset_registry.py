"""The dataset commands on a Minari store with one small dataset in it."""

import json

import gymnasium as gym
import numpy as np
import pytest

from hybridrl.datasets import registry
from hybridrl.planners.errors import ScenarioError, UnknownNameError

NAME = "toy/cartpole-v0"
pytestmark = pytest.mark.filterwarnings("ignore:.*is set to None")


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A store with three short episodes of CartPole."""
    minari = pytest.importorskip("minari")
    from minari.data_collector import EpisodeBuffer

    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    env = gym.make("CartPole-v1")
    env.action_space.seed(0)
    episodes = [EpisodeBuffer(id=i, seed=i, **_episode(env, seed=i)) for i in range(3)]
    minari.create_dataset_from_buffers(NAME, episodes, env=env)
    return tmp_path


def _episode(env, seed):
    rows = {"observations": [env.reset(seed=seed)[0]], "actions": [], "rewards": []}
    rows |= {"terminations": [], "truncations": []}
    ended = False
    while not ended:
        action = env.action_space.sample()
        observation, reward, terminated, truncated, _ = env.step(action)
        row = (observation, action, reward, terminated, truncated)
        for column, value in zip(rows.values(), row, strict=True):
            column.append(value)
        ended = terminated or truncated
    return rows


def test_list_shows_what_is_stored(store, hybridrl):
    (record,) = json.loads(hybridrl("dataset", "list", "--json").stdout)
    assert (record["id"], record["local"], record["episodes"]) == (NAME, True, 3)


def test_show_tells_spaces_and_sizes(store, hybridrl):
    shown = json.loads(hybridrl("dataset", "show", NAME, "--json").stdout)
    assert shown["episodes"] == 3
    assert "Discrete(2)" in shown["action_space"]


def test_export_writes_one_row_a_transition(store, hybridrl):
    assert hybridrl("dataset", "export", NAME, "--out", "flat.npz").exit_code == 0
    arrays = np.load(store / "flat.npz")
    steps = registry.show_dataset(NAME)["steps"]
    assert {len(arrays[key]) for key in arrays.files} == {steps}
    ends = arrays["terminations"] | arrays["truncations"]
    assert ends.sum() == 3
    inside = np.flatnonzero(~ends)
    np.testing.assert_array_equal(
        arrays["next_observations"][inside], arrays["observations"][inside + 1]
    )


def test_export_wants_the_right_suffix(store):
    with pytest.raises(ScenarioError, match=r"\.npz"):
        registry.export_dataset(NAME, store / "flat.csv")


def test_a_recipe_is_called_by_its_name(monkeypatch, tmp_path, hybridrl):
    (tmp_path / "recipes.py").write_text(
        "made = []\ndef make(name, seed): made.append((name, seed))"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(registry.RECIPES, "toy/made-v0", "recipes:make")
    assert hybridrl("dataset", "make", "toy/made-v0", "--seed", 4).exit_code == 0
    import recipes

    assert recipes.made == [("toy/made-v0", 4)]


def test_unknown_recipes_and_datasets_are_answered_with_near_names(store, monkeypatch):
    monkeypatch.setitem(registry.RECIPES, "toy/made-v0", "recipes:make")
    with pytest.raises(UnknownNameError, match="did you mean toy/made-v0"):
        registry.make_dataset("toy/mad-v0")
    with pytest.raises(UnknownNameError, match="did you mean toy/cartpole-v0"):
        registry.show_dataset("toy/cartpol-v0")
