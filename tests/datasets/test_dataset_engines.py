"""Pieces of a dataset made elsewhere, in any order, more than once: the data stay the same."""

import pickle
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from itertools import islice
from os import getpid, kill
from pathlib import Path

import gymnasium as gym
import pytest

from hybridrl.datasets import parking_demos
from hybridrl.datasets.balance import CONTROLLERS, controller_policy
from hybridrl.datasets.collect import collect
from hybridrl.datasets.engines import make_engine
from hybridrl.datasets.errors import DatasetError
from hybridrl.datasets.minari_store import read_minari
from hybridrl.datasets.pieces import Shelf, in_order
from hybridrl.datasets.recipes import random_policy
from hybridrl.datasets.registry import make_dataset
from hybridrl.planners.errors import ScenarioError, UnknownNameError

PENDULUM = "hybridrl/pendulum/random-v0"
PARKING = "parking/normal/planner-discrete-v0"


class Backwards:
    """Three workers that pickle what they are given and return it last first."""

    parallel = True

    def __init__(self):
        self.made = []

    def pieces(self, make, numbers):
        while batch := list(islice(numbers, 3)):
            for number in reversed(batch):
                self.made.append(number)
                yield number, pickle.loads(pickle.dumps(make))(number)


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "store"))
    return tmp_path / "store"


def square(number):
    return number**2


def shelf(folder):
    return Shelf(
        lambda number: folder / str(number),
        lambda file: int(file.read_text()),
        lambda piece, file: file.write_text(str(piece)),
    )


def test_pieces_come_in_their_order_whoever_finishes_first():
    assert list(islice(in_order(square, engine=Backwards()), 7)) == [0, 1, 4, 9, 16, 25, 36]


def test_every_finished_piece_is_kept_and_only_what_is_missing_is_made(tmp_path):
    engine = Backwards()
    assert list(islice(in_order(square, shelf(tmp_path), engine), 2)) == [0, 1]
    assert {file.name for file in tmp_path.iterdir()} == {"0", "1", "2"}
    (tmp_path / "1").unlink()
    again = Backwards()
    assert list(islice(in_order(square, shelf(tmp_path), again), 3)) == [0, 1, 4]
    assert 1 in again.made and not {0, 2} & set(again.made)


@pytest.mark.parametrize("size", [{"rows": 130}, {"episodes": 12}])
@pytest.mark.parametrize("task", ["cartpole", "pendulum"])
def test_a_shared_collection_is_that_of_one_process(task, size, tmp_path):
    name = {"cartpole": "CartPole-v1", "pendulum": "Pendulum-v1"}[task]
    with gym.make(name) as env:
        act = (
            random_policy(env.action_space, 10)
            if task == "pendulum"
            else controller_policy(CONTROLLERS[task], env.action_space)
        )
        alone = collect(env, act, seed=3, **size)
        shared = collect(env, act, seed=3, **size, work=tmp_path, engine=Backwards())
    assert shared.fingerprint() == alone.fingerprint()


@pytest.mark.parametrize("size", [{"rows": 12}, {"episodes": 3}])
def test_shared_parking_demonstrations_are_those_of_one_process(size, store, monkeypatch):
    monkeypatch.setattr(parking_demos, "CHUNK", 2)
    made = [
        make_dataset(PARKING, 1, **size, stored_as=f"our/own/{engine}-v0", engine=engine_)
        for engine, engine_ in (("serial", make_engine()), ("shared", Backwards()))
    ]
    alone, shared = map(read_minari, made)
    assert shared.fingerprint() == alone.fingerprint()
    assert shared.metadata["seeds"] == alone.metadata["seeds"]


@pytest.mark.parametrize("name", ["comblock/h5/eps-v0", "hybridrl/halfcheetah/medium-replay-v0"])
def test_a_recipe_that_cannot_be_divided_says_so_and_leaves_nothing_behind(name, store):
    with pytest.raises(DatasetError, match="one computation"):
        make_dataset(name, engine=Backwards())
    assert not list(store.rglob("seed-0"))


def test_an_environment_that_workers_cannot_make_is_refused():
    env = gym.Env()
    with pytest.raises(DatasetError, match=r"gymnasium\.make"):
        collect(env, square, rows=1, engine=Backwards())


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (("rey",), UnknownNameError),
        (("ray", 0), ScenarioError),
        (("serial", 2, "auto"), ScenarioError),
    ],
)
def test_a_wrong_engine_is_refused(options, error):
    with pytest.raises(error):
        make_engine(*options)


def test_without_ray_the_error_names_the_extra(hybridrl, store, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    done = hybridrl("dataset", "make", PENDULUM, "--engine", "ray")
    assert done.exit_code == 1 and "hybridrl[ray]" in done.stderr


@pytest.mark.slow
def test_two_workers_of_ray_of_which_one_is_killed_make_the_data_of_one_process(store):
    pytest.importorskip("ray", reason="needs the extra ray")
    alone = make_dataset(PENDULUM, 0, rows=20_000, stored_as="our/own/alone-v0")
    killed = []
    threading.Thread(target=kill_a_worker, args=(killed,), daemon=True).start()
    shared = make_dataset(
        PENDULUM, 0, rows=20_000, stored_as="our/own/shared-v0", engine=make_engine("ray")
    )
    assert len(killed) == 1
    assert read_minari(shared).fingerprint() == read_minari(alone).fingerprint()


@pytest.mark.slow
def test_a_collection_on_ray_goes_on_after_its_driver_was_killed(store):
    pytest.importorskip("ray", reason="needs the extra ray")
    alone = make_dataset(PENDULUM, 0, rows=20_000, stored_as="our/own/alone-v0")
    words = [
        "-m",
        "hybridrl",
        "dataset",
        "make",
        PENDULUM,
        "-n",
        "20000",
        "--as",
        "our/own/again-v0",
    ]
    words += ["--engine", "ray", "--resume"]
    first = subprocess.Popen([sys.executable, "-P", *words])
    deadline = time.monotonic() + 300
    while not list(store.rglob("episodes-*.npz")) and time.monotonic() < deadline:
        time.sleep(0.005)
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert not (store / "our" / "own" / "again-v0").exists()
    assert list(store.rglob("episodes-*.npz"))
    subprocess.run([sys.executable, "-P", *words], check=True, timeout=300)
    assert read_minari("our/own/again-v0").fingerprint() == read_minari(alone).fingerprint()


def kill_a_worker(killed):
    """SIGKILL to the first of this process's own Ray workers that is in the middle of a piece."""
    deadline = time.monotonic() + 300
    while not killed and time.monotonic() < deadline:
        for place in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if "_piece" in (place / "comm").read_text() and _is_mine(int(place.name)):
                    kill(int(place.name), signal.SIGKILL)
                    killed.append(int(place.name))
                    break
        time.sleep(0.02)


def _is_mine(pid):
    while pid > 1:
        if pid == getpid():
            return True
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return False
