"""Full disks, folders that cannot be written, two processes at once, damaged files."""

import json
import os
import resource
import signal
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridrl.benchmarks.results import ResultRow, write_results
from hybridrl.benchmarks.runs import RunConfig, execute, finished, write_json

MUTATIONS = int(os.environ.get("HYBRIDRL_MUTATIONS", "6"))
WORK = """
import time
from hybridrl.benchmarks.runs import atomic_write

def write(config, folder):
    with atomic_write(folder / "rows.csv") as file:
        file.write("x" * config.settings["bytes"])
    return {"bytes": config.settings["bytes"]}

def nap(config, folder):
    (folder / "started").touch()
    time.sleep(60 if not (folder / "again").exists() else 0)
    return {}
"""


@pytest.fixture
def trial(tmp_path, monkeypatch):
    (tmp_path / "hard_work.py").write_text(WORK)
    monkeypatch.syspath_prepend(str(tmp_path))
    return lambda name, **settings: RunConfig(
        suite="toy", env="e", agent="a", work=f"hard_work:{name}", settings=settings
    )


def test_a_full_disk_fails_the_trial_leaves_nothing_half_written_and_can_be_repeated(
    trial, tmp_path
):
    config = trial("write", bytes=300_000)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))  # fails as a full disk does
    try:
        result = execute(config, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    folder = config.folder(tmp_path)
    assert result.status == "failed" and result.error.startswith("OSError")
    left = {file.name for file in folder.iterdir()}
    assert left == {"run.json", "error.txt", ".lock"}
    assert finished(config, tmp_path) is None
    assert execute(config, tmp_path).status == "done"
    assert len((folder / "rows.csv").read_text()) == 300_000
    assert not (folder / "error.txt").exists()


def test_a_table_on_a_full_disk_stays_the_old_one(tmp_path):
    row = ResultRow("toy", "e", "a", 0, "v", "m", 1.0, 1, 0, 0.0, "0", "c", "hybridrl x")
    write_results(tmp_path / "toy.csv", [row])
    old = (tmp_path / "toy.csv").read_bytes()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError):
            write_results(tmp_path / "toy.csv", [row] * 1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (tmp_path / "toy.csv").read_bytes() == old
    assert [file.name for file in tmp_path.iterdir()] == ["toy.csv"]


def test_a_folder_that_cannot_be_written_is_said_without_a_traceback(hybridrl, tmp_path):
    write_results(tmp_path / "results" / "toy.csv", [])
    (tmp_path / "file").write_text("")
    words = ("--planners", "rs-any", "--classes", "lot", "--smoke", "--engine", "serial")
    for out in ("/proc/nowhere", "file/inside"):
        done = hybridrl("benchmark", "parking", *words, "--out", out)
        assert done.exit_code == 1
        assert "Error" in done.stderr and "Traceback" not in done.output


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only for root")
def test_a_read_only_folder_is_said_without_a_traceback(hybridrl, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o555)
    words = ("--planners", "rs-any", "--classes", "lot", "--smoke", "--engine", "serial")
    done = hybridrl("benchmark", "parking", *words, "--out", "locked/runs")
    assert done.exit_code == 1 and "PermissionError" in done.stderr


def test_a_second_process_in_a_run_folder_is_turned_away_until_the_first_has_died(trial, tmp_path):
    config = trial("nap")
    folder = config.folder(tmp_path)
    child = os.fork()
    if not child:
        execute(config, tmp_path)
        os._exit(0)
    deadline = time.monotonic() + 60
    while not (folder / "started").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    second = execute(config, tmp_path)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert second.status == "failed" and "another process" in second.error
    (folder / "again").touch()
    assert execute(config, tmp_path).status == "done"


def test_two_processes_that_add_to_one_table_lose_nothing_of_each_other(tmp_path):
    from hybridrl.benchmarks.results import read_results
    from hybridrl.benchmarks.runner import add_rows

    row = ResultRow("toy", "e", "a", 0, "v", "m", 1.0, 1, 0, 0.0, "0", "c", "hybridrl x")
    children = []
    for agent in ("first", "second", "third"):
        child = os.fork()
        if not child:
            for seed in range(15):
                add_rows(tmp_path / "toy.csv", [row._replace(agent=agent, seed=seed)])
            os._exit(0)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    assert len(read_results(tmp_path / "toy.csv")) == 45


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(st.one_of(st.binary(max_size=60), json_values.map(lambda v: json.dumps(v).encode())))
def test_a_run_with_a_damaged_file_counts_as_not_done(tmp_path_factory, damage):
    root = tmp_path_factory.mktemp("runs")
    config = RunConfig(suite="toy", env="e", agent="a", work="m:f")
    for name in ("run.json", "result.json"):
        write_json(config.folder(root) / "run.json", config.to_json())
        write_json(config.folder(root) / "result.json", {"values": {"x": 1}, "wall_s": 1.0})
        assert finished(config, root).values == {"x": 1}
        (config.folder(root) / name).write_bytes(damage)
        found = finished(config, root)
        assert found is None or isinstance(found.values, dict)


def damaged(data, rng):
    """Bytes that were cut off, changed, or put in twice."""
    kind = rng.integers(4)
    at = int(rng.integers(len(data)))
    if kind == 0:
        return data[:at]
    if kind == 1:
        return data[:at] + data[at // 2 :]
    changed = bytearray(data)
    for place in rng.integers(len(data), size=1 if kind == 2 else 20):
        changed[place] = rng.integers(256)
    return bytes(changed)


def results_csv(folder):
    rows = [
        ResultRow("parking", env, "rs-any", 0, "smoke-1s", m, 0.5, 4, 0, 1.0, "0", "c", "hybridrl")
        for env in ("lot", "normal-bay")
        for m in ("success", "success_within_20", "length_m_mean", "not_clean", "seconds_p50")
    ]
    write_results(folder / "rows.csv", rows)
    return folder / "rows.csv"


def scenario_json(folder):
    from hybridrl.envs.parking.scenes import fixed_scenes

    (folder / "scene.json").write_text(json.dumps(fixed_scenes("lot", 1)[0].to_json()))
    return folder / "scene.json"


def dataset(suffix):
    def write(folder):
        from hybridrl.datasets.offline import OfflineDataset
        from hybridrl.datasets.registry import export_dataset

        rng = np.random.default_rng(0)
        columns = {"observations": (40, 3), "next_observations": (40, 3), "actions": (40, 1)}
        made = OfflineDataset(
            **{k: rng.normal(size=shape).astype(np.float32) for k, shape in columns.items()},
            rewards=np.zeros(40, np.float32),
            terminations=np.zeros(40, bool),
            truncations=np.arange(40) % 20 == 19,
        )
        from hybridrl.datasets.npz import write_npz

        write_npz(made, folder / "data.npz")
        if suffix != ".npz":
            export_dataset(str(folder / "data.npz"), folder / f"data{suffix}")
        return folder / f"data{suffix}"

    return write


def trace(suffix):
    def write(folder):
        from hybridrl.envs.storage.traces.workloads import make_workload

        found = make_workload("stg_1", 0, 0.01, "perf", 0.3)
        if suffix == ".npz":
            return found.save(folder / "trace.npz")
        file = folder / "trace.csv"
        lines = [
            f"{12816637200306 + int(10 * t)},h,0,{'Write' if w else 'Read'},{4096 * p},{4096 * n},9"
            for t, p, n, w in zip(found.t_us, found.page, found.npages, found.write, strict=True)
        ]
        file.write_text("\n".join(lines[:400]) + "\n")
        return file

    return write


PARSERS = {
    "results": (results_csv, ("benchmark", "parking", "--render-only", "--csv")),
    "scenario": (scenario_json, ("plan", "--planner", "rs-any", "--budget", "0.2")),
    "dataset-npz": (dataset(".npz"), ("dataset", "show")),
    "dataset-hdf5": (dataset(".hdf5"), ("dataset", "show")),
    "trace-npz": (trace(".npz"), ("storage", "inspect")),
    "trace-csv": (trace(".csv"), ("storage", "inspect")),
}


def foreign_error(done):
    """Whether the command line met an error that is not one of ours, and so named its type."""
    return any(line.startswith("error: ") for line in done.stderr.splitlines())


@pytest.mark.parametrize("name", PARSERS)
def test_damaged_files_are_refused_with_our_own_error_or_read(name, hybridrl, tmp_path):
    make, words = PARSERS[name]
    file = make(tmp_path)
    whole = file.read_bytes()
    done = hybridrl(*words, file)
    assert done.exit_code in (0, 1) and not foreign_error(done), done.output
    rng = np.random.default_rng(0)
    for _ in range(MUTATIONS):
        file.write_bytes(damaged(whole, rng))
        done = hybridrl(*words, file)
        # Usage errors exit with 2; a run that fails with 1; anything else would say its type.
        assert done.exit_code in (0, 1, 2), done.output
        assert not foreign_error(done), (file.read_bytes()[:200], done.stderr)


def test_a_damaged_checkpoint_is_refused_and_never_trained_from(hybridrl, tmp_path):
    words = ("train", "sac", "Pendulum-v1", "-n", 40, "--device", "cpu", "--resume")
    for setting in ("policy_kwargs={net_arch=[8]}", "batch_size=8", "buffer_size=100"):
        words += ("--set", setting)
    assert hybridrl(*words).exit_code == 0
    run = tmp_path / "runs" / "train" / "Pendulum-v1" / "sac" / "seed-0"
    newest = max(run.glob("checkpoint/*"))
    files = [file for file in sorted(newest.iterdir()) if file.name != "meta.json"]
    assert {"parameters.pth", "state.json", "state.npz"} <= {file.name for file in files}
    for file in files:
        (run / "result.json").unlink(missing_ok=True)
        whole = file.read_bytes()
        file.write_bytes(whole[: len(whole) // 2])
        done = hybridrl(*words)
        assert done.exit_code == 1, file.name
        assert "ScenarioError" in done.stderr and "Traceback" not in done.stderr, done.stderr
        assert not (run / "result.json").exists()
        file.write_bytes(whole)
    assert hybridrl(*words).exit_code == 0
