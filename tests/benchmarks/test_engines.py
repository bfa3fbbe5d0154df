"""Trials on one process or several: results in order, failures contained, sharding complete."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from hybridrl.benchmarks import engines
from hybridrl.benchmarks.runs import RunConfig
from hybridrl.planners.errors import ScenarioError, UnknownNameError

WORK = """
import os, signal

def square(config, folder):
    return {"square": config.settings["x"] ** 2, "pid": os.getpid(),
            "threads": os.environ.get("OMP_NUM_THREADS")}

def odd(config, folder):
    if config.settings["x"] % 2:
        raise ValueError("odd number")
    return {}

def deadly(config, folder):
    if config.settings["x"] == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return {}
"""


@pytest.fixture
def trials(tmp_path, monkeypatch):
    (tmp_path / "engine_work.py").write_text(WORK)
    monkeypatch.syspath_prepend(str(tmp_path))
    return lambda name, count: [
        RunConfig(
            suite="toy", env=f"e{x}", agent="a", work=f"engine_work:{name}", settings={"x": x}
        )
        for x in range(count)
    ]


@pytest.mark.parametrize("engine", engines.ENGINES)
def test_results_come_in_the_order_of_the_trials(trials, tmp_path, engine):
    seen = []
    results = engines.run(trials("square", 5), tmp_path, engine, 2, seen.append)
    assert [r.values["square"] for r in results] == [0, 1, 4, 9, 16]
    assert len(seen) == 5


def test_workers_have_one_thread_each(trials, tmp_path):
    results = engines.run(trials("square", 2), tmp_path, "processes", 2)
    assert {r.values["threads"] for r in results} == {"1"}


@pytest.mark.parametrize("engine", engines.ENGINES)
def test_a_failing_trial_does_not_stop_the_others(trials, tmp_path, engine):
    results = engines.run(trials("odd", 4), tmp_path, engine, 2)
    assert [r.status for r in results] == ["done", "failed", "done", "failed"]
    assert results[1].error == "ValueError: odd number"


def test_a_worker_that_dies_takes_only_its_own_trial_with_it(trials, tmp_path):
    results = engines.run(trials("deadly", 5), tmp_path, "processes", 2)
    assert [r.status for r in results].count("failed") == 1
    assert (results[2].status, "died" in results[2].error) == ("failed", True)


def test_workers_end_when_their_parent_is_killed(tmp_path):
    (tmp_path / "sleepy.py").write_text(
        "import os, time\n"
        "def nap(config, folder):\n"
        "    (folder / 'pid').write_text(str(os.getpid()))\n"
        "    time.sleep(600)\n"
    )
    code = (
        "from hybridrl.benchmarks import engines\n"
        "from hybridrl.benchmarks.runs import RunConfig\n"
        "if __name__ == '__main__':\n"
        "    trial = RunConfig(suite='s', env='e', agent='a', work='sleepy:nap')\n"
        f"    engines.run([trial], {str(tmp_path)!r}, 'processes', 1)\n"
    )
    (tmp_path / "main.py").write_text(code)
    parent = subprocess.Popen([sys.executable, "main.py"], cwd=tmp_path)
    file = tmp_path / "s" / "e" / "a" / "seed-0" / "pid"
    assert _within(60, lambda: file.exists() and file.read_text())
    worker = int(file.read_text())
    parent.kill()
    parent.wait()
    assert _within(30, lambda: not _runs(worker))


def _within(seconds, happens):
    deadline = time.monotonic() + seconds
    while not happens():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _runs(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_what_is_done_is_skipped_by_the_next_run(trials, tmp_path):
    engines.run(trials("square", 2), tmp_path, "serial")
    again = engines.run(trials("square", 3), tmp_path, "serial")
    assert [r.status for r in again] == ["skipped", "skipped", "done"]


@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_shards_together_are_all_trials_and_overlap_nowhere(trials, n):
    everything = trials("square", 5)
    shards = [engines.shard(everything, f"{i}/{n}") for i in range(1, n + 1)]
    envs = sorted(trial.env for share in shards for trial in share)
    assert envs == sorted(trial.env for trial in everything)


def test_no_shard_is_everything(trials):
    assert engines.shard(trials("square", 3), None) == trials("square", 3)


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/0", "-1/2", ""])
def test_a_wrong_shard_is_refused_with_its_form(trials, text):
    with pytest.raises(ScenarioError, match="i/n"):
        engines.shard(trials("square", 3), text)


def test_an_unknown_engine_is_answered_with_the_known_ones(tmp_path):
    with pytest.raises(UnknownNameError, match="did you mean processes"):
        engines.run([], tmp_path, "process")


def test_no_job_at_all_is_refused(tmp_path):
    with pytest.raises(ScenarioError, match="jobs"):
        engines.run([], tmp_path, "serial", jobs=0)
