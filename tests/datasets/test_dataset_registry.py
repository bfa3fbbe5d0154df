"""The dataset commands on a Minari store with one small dataset in it, and making new ones."""

import json
import signal
import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest

from hybridrl.datasets import registry
from hybridrl.datasets.errors import DatasetError
from hybridrl.datasets.minari_store import read_minari
from hybridrl.datasets.sources import as_dataset
from hybridrl.planners.errors import UnknownNameError

NAME = "toy/cartpole-v0"
PENDULUM = "hybridrl/pendulum/random-v0"
pytestmark = pytest.mark.filterwarnings("ignore:.*is set to None")


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A store with three short episodes of CartPole, written by Minari itself."""
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


def test_list_shows_recipes_and_what_is_stored(store, hybridrl):
    records = {r["id"]: r for r in json.loads(hybridrl("dataset", "list", "--json").stdout)}
    assert (records[NAME]["local"], records[NAME]["episodes"]) == (True, 3)
    assert records[PENDULUM]["recipe"] and not records[PENDULUM]["local"]
    assert set(registry.RECIPES) < set(records)


def test_show_tells_spaces_sizes_and_scores(store, hybridrl):
    shown = json.loads(hybridrl("dataset", "show", NAME, "--json").stdout)
    assert shown["episodes"] == 3
    assert "Discrete(2)" in shown["action_space"]
    assert shown["score_return"] == shown["return_mean"]
    assert shown["score_d4rl"] is None


def test_export_writes_one_row_a_transition(store, hybridrl):
    assert hybridrl("dataset", "export", NAME, "--out", "flat.npz").exit_code == 0
    arrays = np.load(store / "flat.npz")
    steps = registry.show_dataset(NAME)["steps"]
    assert {len(arrays[key]) for key in arrays.files if key != "facts"} == {steps}
    ends = arrays["terminations"] | arrays["truncations"]
    assert ends.sum() == 3
    inside = np.flatnonzero(~ends)
    np.testing.assert_array_equal(
        arrays["next_observations"][inside], arrays["observations"][inside + 1]
    )


def test_every_format_is_exported_and_read_back(store, hybridrl):
    expected = read_minari(NAME).fingerprint()
    for words, place in (
        (("--out", "a.npz"), "a.npz"),
        (("--out", "a.hdf5"), "a.hdf5"),
        (("--out", "a.bin.npz", "--format", "npz"), "a.bin.npz"),
        (("--out", "other", "--format", "minari", "--as", "mine/data-v1"), "other/mine/data-v1"),
    ):
        done = hybridrl("dataset", "export", NAME, *words)
        assert done.exit_code == 0, done.stderr
        assert as_dataset(place).fingerprint() == expected
        shown = hybridrl("dataset", "show", place, "--json")
        assert json.loads(shown.stdout)["fingerprint"] == expected


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("export", NAME, "--out", "flat.csv"), r"ends with .npz or .hdf5"),
        (("export", NAME, "--out", "a.npz", "--format", "csv"), "unknown format"),
        (("export", NAME, "--out", "a.npz", "--format", "d4rl"), "ends with .hdf5"),
        (("show", "toy/cartpol-v0"), "did you mean toy/cartpole-v0"),
        (("show", "missing.npz"), "missing.npz"),
        (("make", "hybridrl/pendulum/randm-v0"), "did you mean hybridrl/pendulum/random-v0"),
        (("make", PENDULUM, "--as", "nothing"), "Minari id"),
        (("make", PENDULUM, "--steps", "0"), "greater than or equal to 1"),
        (("make", PENDULUM, "--steps", "5", "--episodes", "5"), "either steps or episodes"),
    ],
)
def test_wrong_usage_is_answered_with_what_would_be_right(store, hybridrl, words, message):
    done = hybridrl("dataset", *words)
    assert done.exit_code == 2
    assert message in " ".join(done.stderr.replace("│", " ").split())


def test_make_stores_what_a_recipe_returns_and_shows_progress(store, hybridrl):
    done = hybridrl("dataset", "make", PENDULUM, "--seed", 4, "--steps", 30)
    assert done.exit_code == 0, done.stderr
    assert "30/30" in done.stderr
    data = read_minari(PENDULUM)
    assert len(data) == 30
    assert data.metadata["seed"] == 4
    held = data.actions[:30].reshape(3, 10)
    assert (held == held[:, :1]).all()
    assert sorted(path.name for path in (store / "minari").iterdir()) == ["hybridrl", "toy"]


def test_make_depends_on_the_seed_alone(store):
    def fingerprint(name, seed):
        registry.make_dataset(PENDULUM, seed, rows=20, stored_as=name)
        return read_minari(name).fingerprint()

    first = fingerprint("aa/one-v0", 1)
    assert first == fingerprint("aa/two-v0", 1)
    assert first != fingerprint("aa/three-v0", 2)


def test_a_stored_dataset_is_made_again_only_when_asked(store):
    registry.make_dataset(PENDULUM, rows=20)
    with pytest.raises(DatasetError, match="--fresh"):
        registry.make_dataset(PENDULUM, rows=30)
    registry.make_dataset(PENDULUM, rows=30, fresh=True)
    assert len(read_minari(PENDULUM)) == 30


def test_an_interrupted_make_goes_on_and_gives_the_same_data(store, monkeypatch):
    from hybridrl.datasets import collect

    registry.make_dataset(PENDULUM, 3, episodes=24, stored_as="aa/whole-v0")
    real, played = collect.episode, []

    def dies(env, act, seed, index):
        if index == 15 and 15 not in played:
            played.append(index)
            raise KeyboardInterrupt
        played.append(index)
        return real(env, act, seed, index)

    monkeypatch.setattr(collect, "episode", dies)
    with pytest.raises(KeyboardInterrupt):
        registry.make_dataset(PENDULUM, 3, episodes=24)
    with pytest.raises(DatasetError, match="--resume"):
        registry.make_dataset(PENDULUM, 3, episodes=24)
    played.remove(15)
    played.append(15)
    registry.make_dataset(PENDULUM, 3, episodes=24, resume=True)
    assert played.count(5) == 1  # kept from before
    assert read_minari(PENDULUM).fingerprint() == read_minari("aa/whole-v0").fingerprint()


_CHILD = """
import os, signal
from hybridrl.datasets import registry
class Killer:
    left = 3500
    def tick(self, text):
        self.left -= 1
        if not self.left:
            os.kill(os.getpid(), signal.SIGKILL)
    def __enter__(self): return self
    def __exit__(self, *_): pass
registry.make_dataset({name!r}, 5, rows=6000, progress=lambda total: Killer())
"""


def test_a_make_killed_with_signal_9_goes_on_to_the_same_data(store, hybridrl):
    child = subprocess.run([sys.executable, "-P", "-c", _CHILD.format(name=PENDULUM)], check=False)
    assert child.returncode == -signal.SIGKILL
    assert [row["id"] for row in registry.list_datasets() if row["local"]] == [NAME]
    assert not (store / "minari" / PENDULUM).exists()
    done = hybridrl("dataset", "make", PENDULUM, "--seed", 5, "--steps", 6000, "--resume")
    assert done.exit_code == 0, done.stderr
    registry.make_dataset(PENDULUM, 5, rows=6000, stored_as="aa/whole-v0")
    assert read_minari(PENDULUM).fingerprint() == read_minari("aa/whole-v0").fingerprint()


def test_a_damaged_piece_of_an_interrupted_make_is_named(store, monkeypatch):
    work = store / "minari/.unfinished" / PENDULUM / "seed-0"
    work.mkdir(parents=True)
    (work / "episodes-0-10.npz").write_bytes(b"not a zip")
    with pytest.raises(DatasetError, match=r"episodes-0-10\.npz"):
        registry.make_dataset(PENDULUM, resume=True)


def test_a_recipe_of_ones_own_is_called_by_its_name(store, monkeypatch, tmp_path):
    (tmp_path / "own_recipes.py").write_text(
        "import numpy as np\n"
        "from hybridrl.datasets.offline import OfflineDataset\n"
        "from hybridrl.datasets.registry import Made\n"
        "def make(name, options):\n"
        "    one = np.zeros((options.rows, 4))\n"
        "    flags = np.zeros(options.rows, bool)\n"
        "    data = OfflineDataset(observations=one, next_observations=one, rewards=one[:, 0],\n"
        "        actions=flags.astype(int), terminations=flags, truncations=flags)\n"
        "    return Made(dataset=data, env='CartPole-v1', algorithm='none', description=name)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(registry.RECIPES, "toy/made-v0", "own_recipes:make")
    registry.make_dataset("toy/made-v0", rows=7)
    assert len(read_minari("toy/made-v0")) == 7


def test_a_remote_id_without_a_network_is_a_clear_error(store, hybridrl, monkeypatch):
    import minari

    def offline(name):
        raise ConnectionError("no route")

    monkeypatch.setattr(minari, "download_dataset", offline)
    done = hybridrl("dataset", "make", "mujoco/hopper/medium-v0", "--download")
    assert done.exit_code == 2
    assert "ConnectionError" in done.stderr and "network" in done.stderr


def test_a_remote_id_is_fetched_by_minari(store, hybridrl, monkeypatch):
    import minari

    asked = []
    monkeypatch.setattr(minari, "download_dataset", asked.append)
    assert hybridrl("dataset", "make", "mujoco/hopper/medium-v0", "--download").exit_code == 0
    assert asked == ["mujoco/hopper/medium-v0"]


def test_every_recipe_can_be_imported():
    import importlib

    for point in set(registry.RECIPES.values()):
        module, _, function = point.partition(":")
        assert callable(getattr(importlib.import_module(module), function))
    with pytest.raises(UnknownNameError, match="dataset recipe"):
        registry.make_dataset("hybridrl/none-v0")
