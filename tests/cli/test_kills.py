"""SIGKILL at random moments of every command that writes: nothing lost, nothing half-written.

``HYBRIDRL_KILLS=125 pytest tests/cli/test_kills.py -m slow -s`` kills each command so often and
prints what it did. Commands run in forks of this process, which has loaded and compiled everything:
so a kill meets the work, not the start of an interpreter.
"""

import csv
import json
import os
import signal
import time
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from hybridrl.benchmarks.results import read_results
from hybridrl.cli import app

PENDULUM = "hybridrl/pendulum/random-v0"
SAC = ("policy_kwargs={net_arch=[8]}", "batch_size=8", "buffer_size=1000", "learning_starts=20")
COMMANDS = {
    "train": (
        *("train", "sac", "Pendulum-v1", "-n", "60", "--device", "cpu", "--resume"),
        *(word for setting in SAC for word in ("--set", setting)),
    ),
    "benchmark": (
        *("benchmark", "parking", "--tier", "smoke", "--planners", "rs-any,random-rs"),
        *("--classes", "normal-bay,lot,complex-bay", "--budget", "5", "--engine", "serial"),
    ),
    "dataset": ("dataset", "make", PENDULUM, "-n", "6000", "--resume"),
    "storage": (
        *("storage", "compare", "stg_1", "web_1", "--policies", "cde,hps,lru_write"),
        *("--scale", "0.2", "--out", "replay.json"),
    ),
}
# Killed between its last write and its exit, a command that makes a dataset finds it stored; that
# it is the right one is checked like every result.
STORED_BEFORE = {"dataset": 2}
LIMIT = 120.0  # seconds for a command that is left alone


@pytest.fixture(autouse=True)
def one_thread():
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)  # threads do not survive a fork
    yield
    torch.set_num_threads(before)


def start(words, folder):
    """Run a command in a fork of this process."""
    pid = os.fork()
    if pid:
        return pid
    code = 99
    try:
        enter(folder)
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, 1)
        os.dup2(sink, 2)
        code = CliRunner().invoke(app, list(words)).exit_code
    finally:
        os._exit(code)


def enter(folder):
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    os.environ["MINARI_DATASETS_PATH"] = str(folder / "store")


def end(pid, seconds):
    """Exit status of a child, or ``None`` for one that was killed after so many seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.001)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


def check_whole(folder):
    """Every file that bears its final name can be read to its end; logs may lack a last line."""
    readers = {
        ".json": lambda f: json.loads(f.read_text()),
        ".npz": lambda f: [np.load(f)[name] for name in np.load(f).files],
        ".zip": lambda f: zipfile.ZipFile(f).testzip(),
        ".hdf5": read_hdf5,
    }
    for file in folder.rglob("*"):
        passing = any(".partial" in part for part in file.parts)
        if file.is_dir() or passing or not _claims_to_be_whole(file, folder):
            continue
        if file.suffix == ".csv" and file.name not in ("progress.csv", "monitor.csv"):
            if file.parent.name == "runs":
                read_results(file)
            lines = list(csv.reader(file.open(newline="")))
            assert lines and {len(line) for line in lines} == {len(lines[0])}, file
        elif file.suffix in readers:
            readers[file.suffix](file)


def _claims_to_be_whole(file, folder):
    """Of a run's own files only the settings count before ``result.json`` is there."""
    run = next((p for p in file.parents if (p / "run.json").exists()), None)
    if run is None or folder not in run.parents or (run / "result.json").exists():
        return True
    return file.name == "run.json" or "checkpoint" in file.parts


def read_hdf5(file):
    import h5py

    with h5py.File(file, "r") as data:
        data.visititems(lambda name, item: item[()] if isinstance(item, h5py.Dataset) else None)


def outcome(name, folder):
    """What a command came to, without times."""
    if name == "train":
        import torch

        run = folder / "runs" / "train" / "Pendulum-v1" / "sac" / "seed-0"
        tensors = torch.load(run / "parameters.pth", weights_only=True)["parameters"]["policy"]
        bits = {key: value.numpy().tobytes() for key, value in tensors.items()}
        return bits, json.loads((run / "result.json").read_text())["values"]
    if name == "benchmark":
        rows = read_results(folder / "runs" / "parking.csv")
        rows = [r for r in rows if not r.metric.startswith("seconds")]
        return [str(row._replace(wall_s=0.0)) for row in rows]
    if name == "dataset":
        from hybridrl.datasets.sources import as_dataset

        enter(folder)
        return as_dataset(PENDULUM).fingerprint()
    return json.loads((folder / "replay.json").read_text())


def kill_until(name, kills, folder, seed=0):
    """Kill a command so often, resuming it each time; finished runs begin anew elsewhere."""
    words, rng, done = COMMANDS[name], np.random.default_rng(seed), Counter()
    whole = folder / "whole"
    assert end(start(words, whole), LIMIT) == 0
    started = time.monotonic()
    assert end(start(words, folder / "timed"), LIMIT) == 0
    spent = time.monotonic() - started
    expected = forked(outcome, name, whole)
    while done["kills"] < kills:
        here = folder / f"round-{done['rounds']}"
        for _ in range(40):
            status = end(start(words, here), rng.uniform(0.0, 1.1 * spent))
            check_whole(here)
            if status in (0, STORED_BEFORE.get(name, 0)):
                break
            assert status is None, f"{name} ended with {status} after a kill"
            done["kills"] += 1
        else:
            assert end(start(words, here), LIMIT) == 0
        done["rounds"] += 1
        (folder / "kills.json").write_text(json.dumps(done))  # so far, should this be stopped
        assert forked(outcome, name, here) == expected, f"{name}: another result after kills"
    return {"command": name, **done, "seconds a run": round(spent, 2)}


def forked(function, *arguments):
    """A function's value from a fork, so that what it changes stays there."""
    import pickle

    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        code = 1
        try:
            os.close(read)
            with os.fdopen(write, "wb") as pipe:
                pickle.dump(function(*arguments), pipe)
            code = 0
        finally:
            os._exit(code)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        value = pickle.load(pipe)
    assert end(pid, LIMIT) == 0
    return value


def warm(name, folder):
    """Load and compile in this process what the command needs, so that forks have it."""
    before, store = Path.cwd(), os.environ.get("MINARI_DATASETS_PATH")
    enter(folder / "warm")
    try:
        done = CliRunner().invoke(app, list(COMMANDS[name]))
        assert done.exit_code == 0, done.output
    finally:
        os.chdir(before)
        os.environ.pop("MINARI_DATASETS_PATH")
        if store is not None:
            os.environ["MINARI_DATASETS_PATH"] = store


def test_a_benchmark_killed_at_random_moments_ends_as_if_never_stopped(tmp_path):
    warm("benchmark", tmp_path)
    assert kill_until("benchmark", 4, tmp_path)["kills"] >= 4


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_survives_many_kills(name, tmp_path):
    warm(name, tmp_path)
    kills = int(os.environ.get("HYBRIDRL_KILLS", "20"))
    told = kill_until(name, kills, tmp_path, int(os.environ.get("HYBRIDRL_KILLS_SEED", "0")))
    print(json.dumps(told))
