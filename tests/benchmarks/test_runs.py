"""Run folders: deterministic names, atomic writes, results that mean what they say."""

import json
from dataclasses import replace

import pytest

from hybridrl.benchmarks import runs
from hybridrl.benchmarks.runs import RunConfig, execute, finished

CONFIG = RunConfig(
    suite="toy",
    env="hybridrl/Parking-Hard-v0",
    agent="ppo",
    work="toy_work:add",
    seed=3,
    settings={"a": 1, "b": 2},
)


@pytest.fixture
def toy_work(tmp_path, monkeypatch):
    """A module of work functions that the run's process can import."""
    (tmp_path / "toy_work.py").write_text(
        "def add(config, folder):\n"
        "    (folder / 'calls').open('a').write('x')\n"
        "    return {'sum': config.settings['a'] + config.settings['b']}\n"
        "def fail(config, folder):\n"
        "    raise RuntimeError('no luck')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))


def test_folders_have_names_that_say_everything(tmp_path):
    folder = replace(CONFIG, variant="cpu-2s", part="scenes-0-20").folder(tmp_path)
    expected = "toy/Parking-Hard-v0/ppo/seed-3/cpu-2s/scenes-0-20"
    assert folder.relative_to(tmp_path).as_posix() == expected


def test_no_name_leads_out_of_the_folder_of_runs(tmp_path):
    folder = replace(CONFIG, env="a/../../b", agent="x y").folder(tmp_path)
    assert folder.relative_to(tmp_path).as_posix() == "toy/a_.._.._b/x_y/seed-3"


def test_a_configuration_survives_json():
    assert RunConfig.from_json(json.loads(json.dumps(CONFIG.to_json()))) == CONFIG


def test_a_trial_writes_its_result_last_and_is_then_skipped(toy_work, tmp_path):
    first = execute(CONFIG, tmp_path)
    second = execute(CONFIG, tmp_path)
    assert (first.status, second.status) == ("done", "skipped")
    assert first.values == second.values == {"sum": 3}
    assert second.wall_s == first.wall_s > 0
    assert (CONFIG.folder(tmp_path) / "calls").read_text() == "x"


def test_other_settings_make_a_trial_run_again(toy_work, tmp_path):
    execute(CONFIG, tmp_path)
    other = replace(CONFIG, settings={"a": 5, "b": 5})
    assert finished(other, tmp_path) is None
    assert execute(other, tmp_path).values == {"sum": 10}
    assert finished(CONFIG, tmp_path) is None


def test_a_failing_trial_is_a_result_with_its_traceback_in_the_folder(toy_work, tmp_path):
    config = replace(CONFIG, work="toy_work:fail")
    result = execute(config, tmp_path)
    assert (result.status, result.error) == ("failed", "RuntimeError: no luck")
    assert "Traceback" in (config.folder(tmp_path) / "error.txt").read_text()
    assert not (config.folder(tmp_path) / "result.json").exists()


def test_a_run_folder_records_where_its_numbers_come_from(toy_work, tmp_path):
    execute(replace(CONFIG, command="hybridrl benchmark toy"), tmp_path)
    record = json.loads((CONFIG.folder(tmp_path) / "run.json").read_text())
    assert record["command"] == "hybridrl benchmark toy"
    assert record["settings"] == CONFIG.settings
    assert {"version", "commit", "python", "platform", "cpus", "started"} <= set(record)


def test_a_damaged_result_counts_as_missing(toy_work, tmp_path):
    execute(CONFIG, tmp_path)
    (CONFIG.folder(tmp_path) / "result.json").write_text('{"val')
    assert execute(CONFIG, tmp_path).status == "done"


def test_an_interrupted_write_leaves_the_old_file_and_no_other(tmp_path):
    file = tmp_path / "table.csv"
    file.write_text("old")
    with pytest.raises(KeyboardInterrupt), runs.atomic_write(file) as stream:
        stream.write("half")
        raise KeyboardInterrupt
    assert [(f.name, f.read_text()) for f in tmp_path.iterdir()] == [("table.csv", "old")]


def test_without_a_repository_the_commit_is_unknown(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert runs._commit(tmp_path) == "unknown"
