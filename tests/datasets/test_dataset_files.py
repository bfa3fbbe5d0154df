"""Datasets in files: exact round trips, and refusal of what is damaged or hostile."""

import json
import os
import pickle
import shutil
import subprocess
import sys
import zipfile

import gymnasium as gym
import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hybridrl.datasets import files
from hybridrl.datasets.d4rl import read_d4rl, write_d4rl
from hybridrl.datasets.errors import DatasetError
from hybridrl.datasets.minari_store import read_minari, write_minari
from hybridrl.datasets.npz import read_npz, write_npz
from hybridrl.datasets.offline import OfflineDataset
from hybridrl.datasets.sources import as_dataset
from hybridrl.planners.errors import UnknownNameError

NAME = "toy/data-v0"
ON_DISK = settings(
    max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)


@pytest.fixture(autouse=True)
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "store"))
    return tmp_path / "store"


def made(rows=12, ends=(3,), truncated=(), cut=(), kind="box", returns=False, seed=0):
    """A dataset whose rows continue each other, of every kind that files have to keep."""
    rng = np.random.default_rng(seed)
    seen = rng.normal(size=(rows + 1, 3)).astype(np.float32)
    done = np.isin(np.arange(rows), [*ends, *truncated])
    last = np.union1d(np.flatnonzero(done), [c for c in cut if c < rows])
    following = seen[1:].copy()
    following[last.astype(int)] += 1.0  # the next row begins a new episode
    actions = rng.uniform(-1, 1, (rows, 2))
    observations, spaces = seen[:-1], {"action_space": gym.spaces.Box(-1, 1, (2,))}
    if kind == "dict":
        image = rng.integers(0, 255, (rows, 2, 2)).astype(np.uint8)
        observations = {"a": seen[:-1], "b": {"c": image}}
        moved = np.concatenate([image[1:], image[:1]])
        following = {"a": following, "b": {"c": moved}}
    if kind == "discrete":
        actions, spaces = rng.integers(0, 4, rows), {"action_space": gym.spaces.Discrete(4)}
    data = OfflineDataset(
        observations=observations,
        next_observations=following,
        actions=actions,
        rewards=rng.normal(size=rows),
        terminations=np.isin(np.arange(rows), ends),
        truncations=np.isin(np.arange(rows), truncated),
        ends=np.union1d(last + 1, [rows]).astype(int),
        metadata={"seed": seed, "note": "ä"},
        **spaces,
    )
    return data.with_mc_returns(0.9) if returns else data


def round_trips(data, folder):
    yield read_npz(write_npz(data, folder / "data.npz"))
    yield read_d4rl(write_d4rl(data, folder / "data.hdf5"))
    yield read_minari(write_minari(data, NAME, replace=True))


@ON_DISK
@given(
    rows=st.integers(1, 20),
    ends=st.sets(st.integers(0, 19), max_size=3),
    truncated=st.sets(st.integers(0, 19), max_size=3),
    cut=st.sets(st.integers(0, 19), max_size=2),
    kind=st.sampled_from(["box", "dict", "discrete"]),
    returns=st.booleans(),
)
def test_every_format_gives_back_the_same_bits(tmp_path, rows, ends, truncated, cut, kind, returns):
    data = made(rows, ends, truncated, cut, kind, returns)
    for again in round_trips(data, tmp_path):
        assert again.fingerprint() == data.fingerprint()
        assert again.metadata == data.metadata
        assert again.action_space == data.action_space
    assert not list(tmp_path.rglob("*partial*"))


def test_minari_itself_reads_what_we_write():
    import minari

    data = made(rows=12, ends=(3,), truncated=(8,))
    write_minari(data, NAME, env="CartPole-v1", algorithm="toy", ref_min_score=1.0)
    theirs = minari.load_dataset(NAME)
    assert (theirs.total_episodes, theirs.total_steps) == (3, 12)
    episodes = list(theirs.iterate_episodes())
    np.testing.assert_array_equal(episodes[1].rewards, data.rewards[4:9])
    assert len(episodes[1].observations) == 6
    assert episodes[2].truncations[-1]  # Minari wants an end; reading it back knows better
    assert theirs.storage.metadata["ref_min_score"] == 1.0
    assert theirs.recover_environment().spec.id == "CartPole-v1"
    assert as_dataset(theirs).fingerprint() == data.fingerprint()
    part = as_dataset(theirs.filter_episodes(lambda e: e.id != 0))
    np.testing.assert_array_equal(part.rewards, data.rewards[4:])


def test_a_d4rl_file_has_its_flat_keys(tmp_path):
    data = made(rows=12, ends=(3,), truncated=(8,))
    with h5py.File(write_d4rl(data, tmp_path / "a.hdf5")) as file:
        assert file["timeouts"][8] and file["terminals"][3]
        assert file["observations"].dtype == np.float32
        assert {"actions", "rewards", "next_observations"} <= set(file)


def test_a_plain_d4rl_file_keeps_the_rows_that_time_ended(tmp_path):
    data = made(rows=12, ends=(3,), truncated=(8,))
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file["observations"] = data.observations.astype(np.float64)
        file["next_observations"] = data.next_observations
        file["actions"], file["rewards"] = data.actions, data.rewards
        file["terminals"], file["timeouts"] = data.terminations, data.truncations
        file["infos/qpos"] = np.zeros((12, 2))
        file["metadata/algorithm"] = "SAC"
    again = as_dataset(tmp_path / "a.hdf5")
    assert len(again) == 12 and again.truncations[8]
    np.testing.assert_array_equal(again.observations, data.observations)


def test_data_that_does_not_continue_is_no_minari_dataset():
    data = made(rows=12, ends=(), cut=(3,))
    broken = OfflineDataset(
        **{n: getattr(data, n) for n in ("observations", "next_observations", "actions", "rewards",
                                         "terminations", "truncations")},
    )  # fmt: skip
    with pytest.raises(DatasetError, match=r"next_observations\[3\].*an end"):
        write_minari(broken, NAME)


def test_names_and_suffixes_are_checked(tmp_path):
    data = made()
    with pytest.raises(DatasetError, match=r"\.npz"):
        write_npz(data, tmp_path / "a.zip")
    with pytest.raises(DatasetError, match=r"\.hdf5"):
        write_d4rl(data, tmp_path / "a.npz")
    for name in ("../out-v0", "no version", "a/b"):
        with pytest.raises(DatasetError, match="Minari id"):
            write_minari(data, name)
    write_minari(data, NAME)
    with pytest.raises(DatasetError, match="not taken"):
        write_minari(data, NAME)


def test_metadata_that_json_cannot_hold_is_refused(tmp_path):
    data = OfflineDataset.concatenate(made(), function=print)
    with pytest.raises(DatasetError, match="metadata"):
        write_npz(data, tmp_path / "a.npz")


@pytest.mark.parametrize("writer", ["npz", "d4rl", "minari"])
def test_an_interrupted_write_leaves_nothing(tmp_path, store, monkeypatch, writer):
    def fail(*_, **__):
        raise KeyboardInterrupt

    before = os.environ["MINARI_DATASETS_PATH"]
    if writer == "npz":
        monkeypatch.setattr(np, "savez_compressed", fail)
    elif writer == "d4rl":
        monkeypatch.setattr(h5py.Group, "create_dataset", fail)
    else:
        monkeypatch.setattr("minari.dataset.minari_storage.MinariStorage.update_metadata", fail)
    write = {
        "npz": lambda: write_npz(made(), tmp_path / "a.npz"),
        "d4rl": lambda: write_d4rl(made(), tmp_path / "a.hdf5"),
        "minari": lambda: write_minari(made(), NAME),
    }[writer]
    with pytest.raises(KeyboardInterrupt):
        write()
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert left == []
    assert os.environ["MINARI_DATASETS_PATH"] == before
    assert not (store / NAME).exists()


def test_what_a_killed_process_left_is_removed(tmp_path, store):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (store / f".partial-{gone.pid}").mkdir(parents=True)
    (store / ".partial-1").mkdir()  # of a process that lives
    (tmp_path / f".a.{gone.pid}.partial.npz").write_bytes(b"half")
    write_minari(made(), NAME)
    write_npz(made(), tmp_path / "a.npz")
    assert {path.name for path in store.iterdir()} == {".partial-1", "toy"}
    assert sorted(path.name for path in tmp_path.glob("*.npz")) == ["a.npz"]
    assert not list(tmp_path.glob(".a.*"))


def test_replacing_keeps_the_old_dataset_until_the_new_one_is_whole(monkeypatch):
    old, new = made(seed=1), made(seed=2)
    write_minari(old, NAME)
    with monkeypatch.context() as patched, pytest.raises(RuntimeError):
        patched.setattr(files.json, "dumps", lambda *_: (_ for _ in ()).throw(RuntimeError))
        write_minari(new, NAME, replace=True)
    assert read_minari(NAME).fingerprint() == old.fingerprint()
    write_minari(new, NAME, replace=True)
    assert read_minari(NAME).fingerprint() == new.fingerprint()


def as_foreign(file):
    """The file without our sha256, as if somebody else had made it."""
    if file.is_dir():
        facts = file / "data" / "metadata.json"
        known = json.loads(facts.read_text())
        del known["hybridrl_sha256"]
        facts.write_text(json.dumps(known))
        return file
    with file.open("r+b") as changed:
        changed.write(bytes(512))
    return file


class Bomb:
    """Pickles to a call that leaves a trace."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return (open, (str(self.trace), "w"))


def test_objects_in_a_file_are_refused_and_nothing_of_them_runs(tmp_path):
    trace = tmp_path / "trace"
    columns = {name: np.zeros(3) for name in ("observations", "actions", "terminations")}
    objects = np.array([Bomb(trace)] * 3, dtype=object)
    np.savez(tmp_path / "a.npz", rewards=objects, truncations=np.zeros(3), **columns)
    with pytest.raises(DatasetError, match=r"rewards is .*pickle"):
        read_npz(tmp_path / "a.npz")
    (tmp_path / "b.npz").write_bytes(pickle.dumps(Bomb(trace)))
    with pytest.raises(DatasetError, match=r"b\.npz"):
        read_npz(tmp_path / "b.npz")
    np.save(tmp_path / "c.npy", objects, allow_pickle=True)
    shutil.move(tmp_path / "c.npy", tmp_path / "c.npz")
    with pytest.raises(DatasetError, match=r"c\.npz"):
        read_npz(tmp_path / "c.npz")
    assert not trace.exists()


def test_hdf5_files_may_not_point_outside_themselves(tmp_path):
    as_foreign(write_d4rl(made(), tmp_path / "other.hdf5"))
    for kind, link in (
        ("external", h5py.ExternalLink(str(tmp_path / "other.hdf5"), "/rewards")),
        ("soft", h5py.SoftLink("/actions")),
    ):
        file = shutil.copy(tmp_path / "other.hdf5", tmp_path / f"{kind}.hdf5")
        with h5py.File(file, "a") as changed:
            del changed["rewards"]
            changed["rewards"] = link
        with pytest.raises(DatasetError, match="rewards is 'a link'"):
            read_d4rl(file)
    (tmp_path / "secret").write_bytes(bytes(48))
    file = shutil.copy(tmp_path / "other.hdf5", tmp_path / "outside.hdf5")
    with h5py.File(file, "a") as changed:
        del changed["rewards"]
        outside = [(str(tmp_path / "secret"), 0, 48)]
        changed.create_dataset("rewards", (12,), np.float32, external=outside)
    with pytest.raises(DatasetError, match="rewards is 'kept in another file'"):
        read_d4rl(file)


def test_hdf5_objects_and_text_are_no_columns(tmp_path):
    file = as_foreign(write_d4rl(made(), tmp_path / "a.hdf5"))
    with h5py.File(file, "a") as changed:
        del changed["rewards"]
        changed["rewards"] = ["a"] * 12
    with pytest.raises(DatasetError, match="rewards is 'object'"):
        read_d4rl(file)


def test_a_minari_folder_without_spaces_or_with_links_is_refused(tmp_path, store):
    as_foreign(write_minari(made(), NAME))
    facts = store / NAME / "data" / "metadata.json"
    whole = facts.read_text()
    changed = json.loads(whole)
    del changed["action_space"]  # then Minari would make the environment named in the file
    facts.write_text(json.dumps(changed))
    with pytest.raises(DatasetError, match="action_space is None"):
        read_minari(NAME)
    facts.write_text(whole[:-40])
    with pytest.raises(DatasetError, match=r"metadata\.json"):
        read_minari(NAME)
    facts.write_text(whole)
    with h5py.File(facts.with_name("main_data.hdf5"), "a") as file:
        del file["episode_0/rewards"]
        file["episode_0/rewards"] = h5py.SoftLink("/episode_1/rewards")
    with pytest.raises(DatasetError, match=r"episode_0.rewards is 'a link'"):
        read_minari(NAME)


def test_our_own_hdf5_is_refused_before_hdf5_sees_it(tmp_path, store, monkeypatch):
    file, folder = write_d4rl(made(), tmp_path / "a.hdf5"), write_minari(made(), NAME)
    for damaged in (file, folder / "data" / "main_data.hdf5"):
        content = bytearray(damaged.read_bytes())
        content[-1] ^= 1
        damaged.write_bytes(content)
    monkeypatch.setattr(h5py, "File", None)
    for source in (file, NAME):
        with pytest.raises(DatasetError, match="sha256"):
            as_dataset(source)


def test_a_minari_episode_of_wrong_length_is_named(store):
    as_foreign(write_minari(made(), NAME))
    with h5py.File(store / NAME / "data" / "main_data.hdf5", "a") as file:
        rewards = file["episode_0/rewards"][:-1]
        del file["episode_0/rewards"]
        file["episode_0/rewards"] = rewards
    with pytest.raises(DatasetError, match="observations is '5 rows'"):
        read_minari(NAME)


@pytest.mark.parametrize("form", ["npz", "hdf5"])
def test_changed_numbers_are_found_by_the_fingerprint(tmp_path, form):
    data = made()
    if form == "npz":
        file = write_npz(data, tmp_path / "a.npz")
        with np.load(file) as arrays:
            columns = dict(arrays)
        columns["rewards"] = columns["rewards"] + 1
        np.savez(file, **columns)
    else:
        file = as_foreign(write_d4rl(data, tmp_path / "a.hdf5"))
        with h5py.File(file, "a") as changed:
            changed["rewards"][0] += 1
    with pytest.raises(DatasetError, match="fingerprint"):
        as_dataset(file)


@settings(ON_DISK, max_examples=80)
@given(
    name=st.sampled_from(["main_data.hdf5", "metadata.json"]),
    place=st.floats(0, 1),
    bits=st.integers(1, 255),
)
def test_no_flipped_byte_of_a_minari_folder_goes_unnoticed(store, name, place, bits):
    data = made(rows=20, returns=True)
    if not (store / NAME).exists():
        write_minari(data, NAME)
    file = store / NAME / "data" / name
    content = file.read_bytes()
    damaged = bytearray(content)
    damaged[int(place * (len(content) - 1))] ^= bits
    file.write_bytes(damaged)
    try:
        again = read_minari(NAME)
    except DatasetError:
        return
    finally:
        file.write_bytes(content)
    assert again.fingerprint() == data.fingerprint()


@settings(ON_DISK, max_examples=60)
@given(form=st.sampled_from(["npz", "hdf5"]), place=st.floats(0, 1), bits=st.integers(1, 255))
def test_no_flipped_byte_goes_unnoticed(tmp_path, form, place, bits):
    data = made(rows=40)
    file = tmp_path / f"whole.{form}"
    if not file.exists():
        write_npz(data, file) if form == "npz" else write_d4rl(data, file)
    content = bytearray(file.read_bytes())
    content[int(place * (len(content) - 1))] ^= bits
    damaged = tmp_path / f"damaged.{form}"
    damaged.write_bytes(content)
    try:
        again = as_dataset(damaged)
    except DatasetError:
        return
    assert again.fingerprint() == data.fingerprint()  # the byte was of no importance


@ON_DISK
@given(form=st.sampled_from(["npz", "hdf5"]), share=st.floats(0, 0.99))
def test_cut_files_are_refused(tmp_path, form, share):
    file = tmp_path / f"whole.{form}"
    write_npz(made(), file) if form == "npz" else write_d4rl(made(), file)
    content = file.read_bytes()
    cut = tmp_path / f"cut.{form}"
    cut.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DatasetError):
        as_dataset(cut)


def test_a_member_of_a_zip_that_is_no_array_is_named(tmp_path):
    file = write_npz(made(), tmp_path / "a.npz")
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("notes.txt", "hello")
    with pytest.raises(DatasetError, match=r"notes\.txt"):
        read_npz(file)


def test_anything_becomes_a_dataset_through_one_door(tmp_path):
    data = made()
    columns = {n: getattr(data, n) for n in ("observations", "next_observations", "actions",
                                             "rewards", "terminations", "truncations")}  # fmt: skip
    expected = data.fingerprint()
    write_minari(data, NAME)
    write_npz(data, tmp_path / "a.npz")
    sources = (data, columns, NAME, tmp_path / "a.npz", str(tmp_path / "a.npz"))
    assert {as_dataset(source).fingerprint() for source in sources} == {expected}
    assert as_dataset(None) is None


def test_data_is_checked_against_the_environment():
    env = gym.make("CartPole-v1")
    with pytest.raises(DatasetError, match="observations"):
        as_dataset(made(), env)


@pytest.mark.parametrize("source", [3, object(), [1, 2]])
def test_what_holds_no_data_is_answered_with_what_does(source):
    with pytest.raises(DatasetError, match=r"offline_dataset is .*an OfflineDataset, a dictionary"):
        as_dataset(source)


def test_unknown_ids_are_answered_with_near_ones():
    write_minari(made(), NAME)
    with pytest.raises(UnknownNameError, match="did you mean toy/data-v0"):
        as_dataset("toy/date-v0")
    with pytest.raises(DatasetError, match="missing"):
        as_dataset("missing.npz")
