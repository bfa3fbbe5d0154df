"""Every command: what it prints, what it writes, how it fails."""

import json
import subprocess
import sys
import time

import pytest

from hybridrl.agents.registry import AGENTS
from hybridrl.benchmarks.suites import SUITES
from hybridrl.envs.registration import ENVS
from hybridrl.planners.registry import PLANNERS

OPEN_FIELD = {"start": [0, 0, 0], "goal": [12, 2, 0.3], "id": "open field"}


@pytest.fixture
def field(tmp_path):
    """A scenario file that every planner can solve."""
    file = tmp_path / "field.json"
    file.write_text(json.dumps(OPEN_FIELD))
    return file


@pytest.mark.parametrize(
    ("kind", "key", "names"),
    [
        ("envs", "id", [row.id for row in ENVS]),
        ("agents", "name", list(AGENTS)),
        ("suites", "name", list(SUITES)),
        ("planners", "name", list(PLANNERS)),
    ],
)
def test_list_knows_every_registered_name(hybridrl, kind, key, names):
    done = hybridrl("list", kind, "--json")
    assert done.exit_code == 0
    assert [record[key] for record in json.loads(done.stdout)] == names
    shown = hybridrl("list", kind).stdout
    assert all(name in shown for name in names)


def test_version_is_that_of_the_package(hybridrl):
    import hybridrl as package

    assert hybridrl("--version").stdout.strip() == package.__version__


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("lst", "envs"), "list"),
        (("list", "env"), "envs"),
        (("benchmark", "prking"), "did you mean parking"),
        (("benchmark", "parking", "--planners", "rs-anny"), "did you mean rs-any"),
        (("benchmark", "parking", "--classes", "normal-by"), "did you mean normal-bay"),
        (("benchmark", "parking", "--tier", "quik"), "did you mean quick"),
        (("benchmark", "parking", "--format", "markdwn"), "did you mean markdown"),
        (("benchmark", "parking", "--engine", "proceses"), "did you mean processes"),
        (("benchmark", "parking", "--shard", "3/2"), "i/n"),
        (("benchmark", "parking", "--jobs", "0"), "jobs"),
        (("train", "ppoo", "CartPole-v1"), "did you mean ppo"),
        (("train", "ppo", "CartPol-v1"), "CartPole"),
        (("train", "harmonia", "CartPole-v1"), "storage train harmonia"),
        (("storage", "train", "harmonica", "stg_1"), "did you mean harmonia"),
        (("train", "ppo", "CartPole-v1", "--set", "gama=1"), "did you mean gamma"),
        (("train", "ppo", "CartPole-v1", "--set", "gamma"), "key=value"),
        (("train", "ppo", "hybridrl/Parking-Hard-v0", "--env-kwargs", "level=hrad"), "hard"),
        (("evaluate", "randm", "CartPole-v1"), "did you mean random"),
        (("evaluate", "random"), "Gymnasium id"),
        (("evaluate", "random", "CartPol-v1"), "CartPole"),
        (("speed", "parkin"), "did you mean parking"),
        (("dataset", "make", "hybridrl/none-v0"), "unknown dataset recipe"),
        (("dataset", "show", "hybridrl/none-v0"), "unknown local dataset"),
        (("render", "CartPole-v1", "--out", "film.txt"), ".gif"),
        (("plan", "nowhere.json"), "nowhere.json"),
    ],
)
def test_wrong_usage_exits_with_2_a_hint_and_no_traceback(
    hybridrl, tmp_path, monkeypatch, words, hint
):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    done = hybridrl(*words)
    assert done.exit_code == 2
    assert hint in done.stderr
    assert "Traceback" not in done.output
    assert not done.stdout


def test_plan_answers_in_json_and_files(hybridrl, field, tmp_path):
    done = hybridrl("plan", field, "--planner", "rs-shortest", "--json", "--out", "answer.json")
    assert done.exit_code == 0
    (answer,) = json.loads(done.stdout)
    assert answer["success"] and answer["scenario"] == "open field"
    assert answer["length"] == pytest.approx(12.2, abs=1)
    assert json.loads((tmp_path / "answer.json").read_text()) == [answer]
    assert done.stderr.strip().splitlines()[-1] == "answer.json"


def test_plan_keeps_the_distance_asked_for_and_refuses_planners_that_cannot(hybridrl, field):
    post = [[6, 1.2], [6.4, 1.2], [6.4, 1.6], [6, 1.6]]
    field.write_text(json.dumps({**OPEN_FIELD, "obstacles": [post]}))
    wide = hybridrl("plan", field, "--planner", "hybrid-astar", "--clearance", "0.4", "--json")
    assert json.loads(wide.stdout)[0]["clearance"] >= 0.4 - 1e-9
    refused = hybridrl("plan", field, "--planner", "rs-any", "--clearance", "0.4")
    assert refused.exit_code == 2 and "hybrid-astar" in refused.stderr


def test_plan_draws_the_path(hybridrl, field, tmp_path):
    assert hybridrl("plan", field, "--planner", "rs-any", "--plot", "p.png").exit_code == 0
    assert (tmp_path / "p.png").read_bytes()[:4] == b"\x89PNG"


def test_plan_without_a_path_exits_with_1(hybridrl, field):
    wall = [[5, -20], [6, -20], [6, 20], [5, 20]]
    field.write_text(json.dumps({**OPEN_FIELD, "obstacles": [wall]}))
    done = hybridrl("plan", field, "--planner", "rs-any", "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout)[0]["success"] is False


@pytest.mark.parametrize(
    ("change", "field_name"),
    [
        ({"start": [0, 0]}, "start"),
        ({"obstacles": [[[-1, -1], [1, -1], [1, 1], [-1, 1]]]}, "start"),
        ({"obstacles": [[[0, 0], [1, 1], [1, 0], [0, 1]]]}, "obstacles[0]"),
        ({"goals": []}, "goals"),
    ],
)
def test_plan_refuses_a_bad_scenario_by_its_field(hybridrl, field, change, field_name):
    field.write_text(json.dumps({**OPEN_FIELD, **change}))
    done = hybridrl("plan", field, "--planner", "rs-any")
    assert done.exit_code == 2
    assert field_name in done.stderr


SMOKE = ("benchmark", "parking", "--smoke", "--planners", "rs-any", "--classes", "normal-bay,lot")


def test_benchmark_prints_its_table_and_where_it_wrote(hybridrl, tmp_path):
    done = hybridrl(*SMOKE, "--engine", "serial")
    assert done.exit_code == 0
    assert "Success rate" in done.stdout and "smoke" in done.stdout
    assert done.stderr.strip().splitlines()[-1] == "runs/parking.csv"


def test_benchmark_renders_again_without_running(hybridrl):
    first = hybridrl(*SMOKE, "--engine", "serial", "--format", "markdown")
    again = hybridrl("benchmark", "parking", "--render-only", "--format", "markdown")
    assert again.exit_code == 0
    assert again.stdout == first.stdout
    rows = json.loads(hybridrl("benchmark", "parking", "--render-only", "--json").stdout)
    assert {row["env"] for row in rows} == {"normal-bay", "lot"}


def test_rendering_what_was_never_run_says_so(hybridrl):
    done = hybridrl("benchmark", "parking", "--render-only")
    assert done.exit_code == 2
    assert "parking.csv" in done.stderr


def test_a_failed_trial_gives_exit_code_1_and_the_rows_of_the_others(hybridrl, monkeypatch):
    monkeypatch.setitem(PLANNERS, "rs-shortest", "hybridrl.nowhere:Nothing")
    words = (*SMOKE, "--planners", "rs-any,rs-shortest", "--engine", "serial", "--json")
    done = hybridrl(*words)
    assert done.exit_code == 1
    assert {row["agent"] for row in json.loads(done.stdout)} == {"rs-any"}
    assert "failed: " in done.stderr and "hybridrl.nowhere" in done.stderr


def test_a_killed_benchmark_goes_on_where_it_stopped(tmp_path):
    command = [sys.executable, "-m", "hybridrl", *SMOKE, "--scenes", "200", "--jobs", "1", "--json"]
    log = (tmp_path / "log").open("w")
    process = subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log)
    deadline = time.monotonic() + 400
    while not list(tmp_path.rglob("result.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait()
    before = {f: f.stat().st_mtime_ns for f in tmp_path.rglob("result.json")}
    assert before
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    after = {f: f.stat().st_mtime_ns for f in tmp_path.rglob("result.json")}
    assert len(after) == 20
    assert {f: after[f] for f in before} == before
    assert not list(tmp_path.rglob("*.partial"))
    rates = [row for row in json.loads(done.stdout) if row["metric"] == "success"]
    assert {row["n"] for row in rates} == {200}


def test_dataset_list_of_an_empty_store_holds_recipes_alone(hybridrl, tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    done = hybridrl("dataset", "list", "--json")
    assert done.exit_code == 0
    listed = json.loads(done.stdout)
    assert listed and all(row["recipe"] and not row["local"] for row in listed)


def test_render_films_an_environment(hybridrl, tmp_path):
    pytest.importorskip("pygame")
    done = hybridrl("render", "CartPole-v1", "--out", "film.gif")
    assert done.exit_code == 0
    assert (tmp_path / "film.gif").read_bytes()[:3] == b"GIF"


@pytest.mark.parametrize("name", ["drive.gif", "still.png"])
def test_render_draws_a_planned_scenario(hybridrl, field, tmp_path, name):
    done = hybridrl("render", field, "--planner", "rs-any", "--out", name)
    assert done.exit_code == 0, done.stderr
    assert (tmp_path / name).read_bytes()[:4] in (b"GIF8", b"\x89PNG")


@pytest.mark.parametrize("family", ["parking", "planners"])
def test_speed_compares_with_a_peer_in_the_same_process(hybridrl, family):
    done = hybridrl("speed", family, "--seconds", "0.05", "--json")
    assert done.exit_code == 0
    records = {record["what"]: record for record in json.loads(done.stdout)}
    compared = [record for record in records.values() if record["peer"]]
    assert compared
    for record in compared:
        ratio = record["per_second"] / records[record["peer"]]["per_second"]
        assert record["ratio"] == pytest.approx(ratio, rel=0.02)


def test_help_of_every_command_starts_without_the_heavy_libraries(tmp_path):
    code = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from hybridrl.cli import app\n"
        "for words in (['--help'], *([c, '--help'] for c in "
        "'list plan benchmark train evaluate render speed dataset'.split())):\n"
        "    assert CliRunner().invoke(app, words).exit_code == 0, words\n"
        "assert not {'torch', 'numba', 'matplotlib', 'pandas', 'shapely'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_an_unexpected_error_is_one_line_and_debug_shows_where(hybridrl, monkeypatch):
    from hybridrl.benchmarks import catalogue

    def broken():
        raise RuntimeError("the shelf fell down")

    monkeypatch.setitem(catalogue.CATALOGUE, "envs", broken)
    done = hybridrl("list", "envs")
    assert done.exit_code == 1
    assert "the shelf fell down" in done.stderr and "Traceback" not in done.stderr
    assert isinstance(hybridrl("--debug", "list", "envs").exception, RuntimeError)


def test_ctrl_c_is_no_traceback_and_exits_with_130(hybridrl, monkeypatch):
    from hybridrl.benchmarks import engines

    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(engines, "execute", interrupted)
    done = hybridrl(*SMOKE, "--engine", "serial")
    assert done.exit_code == 130
    assert "goes on" in done.stderr and "Traceback" not in done.output
