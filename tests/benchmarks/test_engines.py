"""Trials on one process or several: results in order, failures contained, sharding complete."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

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

def mortal(config, folder):
    (folder / "half").write_text("written before the end")
    died = folder / "died"
    if config.settings["x"] == 2 and not died.exists():
        died.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return {"square": config.settings["x"] ** 2}
"""


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """Folder of the module that holds the trials' work."""
    folder = tmp_path_factory.mktemp("work")
    (folder / "engine_work.py").write_text(WORK)
    return folder


@pytest.fixture
def trials(work, monkeypatch):
    monkeypatch.syspath_prepend(str(work))
    return lambda name, count: [
        RunConfig(
            suite="toy", env=f"e{x}", agent="a", work=f"engine_work:{name}", settings={"x": x}
        )
        for x in range(count)
    ]


@pytest.fixture(scope="module")
def cluster(work):
    """One Ray for all tests: it takes ten seconds to start."""
    ray = pytest.importorskip("ray", reason="needs the extra ray")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("PYTHONPATH", str(work))
        ray.init("local", num_cpus=2, include_dashboard=False, logging_level="warning")
        yield ray
        ray.shutdown()


@pytest.fixture(params=[pytest.param("ray", marks=pytest.mark.slow), "serial", "processes"])
def engine(request):
    if request.param == "ray":
        request.getfixturevalue("cluster")
    return request.param


def test_results_come_in_the_order_of_the_trials(trials, tmp_path, engine):
    seen = []
    results = engines.run(trials("square", 5), tmp_path, engine, 2, seen.append)
    assert [r.values["square"] for r in results] == [0, 1, 4, 9, 16]
    assert len(seen) == 5


def test_workers_have_one_thread_each(trials, tmp_path):
    results = engines.run(trials("square", 2), tmp_path, "processes", 2)
    assert {r.values["threads"] for r in results} == {"1"}


def test_a_failing_trial_does_not_stop_the_others(trials, tmp_path, engine):
    results = engines.run(trials("odd", 4), tmp_path, engine, 2)
    assert [r.status for r in results] == ["done", "failed", "done", "failed"]
    assert results[1].error == "ValueError: odd number"


def test_a_worker_that_dies_takes_only_its_own_trial_with_it(trials, tmp_path):
    results = engines.run(trials("deadly", 5), tmp_path, "processes", 2)
    assert [r.status for r in results].count("failed") == 1
    assert (results[2].status, "died" in results[2].error) == ("failed", True)


@pytest.mark.slow
def test_ray_gives_up_a_trial_whose_worker_always_dies_and_only_that(trials, tmp_path, cluster):
    results = engines.run(trials("deadly", 4), tmp_path, "ray", 2)
    assert [r.status for r in results] == ["done", "done", "failed", "done"]
    assert "died 3 times" in results[2].error


@pytest.mark.slow
def test_ray_starts_a_trial_again_whose_worker_died_in_the_middle(trials, tmp_path, cluster):
    results = engines.run(trials("mortal", 4), tmp_path, "ray", 2)
    assert [r.values["square"] for r in results] == [0, 1, 4, 9]
    assert (results[2].config.folder(tmp_path) / "died").exists()


@pytest.mark.slow
def test_a_suite_on_ray_with_a_killed_worker_gives_the_table_of_the_serial_engine(
    tmp_path, cluster
):
    from hybridrl.benchmarks import runner

    killed = []

    @contextmanager
    def killing(total):
        thread = threading.Thread(target=kill_a_worker, args=(killed,), daemon=True)
        thread.start()
        yield SimpleNamespace(tick=lambda text: None)

    def rows(engine, progress=None):
        request = runner.make_request("comblock", "smoke", "hnpg,ppo", "H5", 2)
        report = runner.run_suite(
            request, tmp_path / engine, engine=engine, jobs=2, progress=progress
        )
        assert not report.failed
        timed = ("cpu_s", "cpu_s_to_half", "cpu_s_to_most")
        return [str(r._replace(wall_s=0.0)) for r in report.rows if r.metric not in timed]

    assert rows("ray", killing) == rows("serial")
    assert len(killed) == 1


def kill_a_worker(killed):
    """SIGKILL to the first of this process's own Ray workers that is a second into a trial."""
    deadline = time.monotonic() + 300
    while not killed and time.monotonic() < deadline:
        for place in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if "_trial" in (place / "comm").read_text() and _is_mine(int(place.name)):
                    time.sleep(1.0)
                    os.kill(int(place.name), signal.SIGKILL)
                    killed.append(int(place.name))
                    break
        time.sleep(0.02)


def _is_mine(pid):
    while pid > 1:
        if pid == os.getpid():
            return True
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return False


def test_without_ray_the_error_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match=r"hybridrl\[ray\]"):
        engines.run([], tmp_path, "ray")


def test_an_address_is_refused_by_engines_that_have_none(tmp_path):
    with pytest.raises(ScenarioError, match="--engine ray"):
        engines.run([], tmp_path, "serial", address="auto")


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
