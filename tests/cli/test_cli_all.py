"""`benchmark all`: a line a suite, resumable, and one that fails does not stop the others."""

import json

import pytest

from hybridrl.benchmarks import every_suite, runner
from hybridrl.benchmarks.results import read_results
from hybridrl.benchmarks.runs import RunConfig, RunResult
from hybridrl.benchmarks.suites import SUITES
from hybridrl.planners.errors import UnknownNameError

SMALL = {"parking": "rs-any,rs-shortest", "hope-ablation": "random-1"}


@pytest.fixture
def small(monkeypatch):
    """Two suites of all, and of them what takes a second."""
    whole = runner.make_request
    monkeypatch.setattr(
        runner,
        "make_request",
        lambda name, tier, **kw: whole(name, tier, SMALL.get(name), "normal-bay", **kw),
    )
    chosen = {name: SUITES[name] for name in SMALL}
    monkeypatch.setitem(every_suite.run_every_suite.__kwdefaults__, "suites", chosen)


def test_every_suite_gets_a_line_and_is_skipped_the_second_time(small, hybridrl, tmp_path):
    words = ("benchmark", "all", "--tier", "smoke", "--engine", "serial", "--json")
    first = hybridrl(*words)
    assert first.exit_code == 0, first.output
    lines = json.loads(first.stdout)
    assert [(line["suite"], line["status"]) for line in lines] == [(n, "done") for n in SMALL]
    assert all(line["numbers"] > 0 for line in lines)
    results = sorted((tmp_path / "runs").rglob("result.json"))
    before = [file.stat().st_mtime_ns for file in results]
    again = hybridrl(*words)
    assert [file.stat().st_mtime_ns for file in results] == before
    counts = [[line["numbers"] for line in json.loads(run.stdout)] for run in (first, again)]
    assert counts[0] == counts[1]


def test_rows_carry_the_command_of_their_own_suite(small, hybridrl, tmp_path):
    hybridrl("benchmark", "all", "--smoke", "--engine", "serial", "--seed", 3)
    rows = read_results(tmp_path / "runs" / "parking.csv")
    assert {row.command for row in rows} == {"hybridrl benchmark parking --tier smoke --seed 3"}


def test_shards_together_are_the_whole(small, hybridrl, tmp_path):
    words = ("benchmark", "all", "--smoke", "--engine", "serial", "--json")
    for share in ("1/2", "2/2"):
        hybridrl(*words, "--shard", share)
    folders = len(list((tmp_path / "runs").rglob("result.json")))
    done = hybridrl(*words)
    assert done.exit_code == 0
    assert len(list((tmp_path / "runs").rglob("result.json"))) == folders


def test_a_suite_that_cannot_run_is_a_line_and_the_others_go_on(tmp_path, monkeypatch):
    def run_suite(request, out, **options):
        if request.suite == "hope":
            raise OSError("no weights here")
        bad = RunResult(config=RunConfig(suite="", env="", agent="", work=""), status="failed")
        return runner.Report([], [], [bad] * (request.suite == "storage"), out / "x.csv")

    monkeypatch.setattr(runner, "run_suite", run_suite)
    names = ("parking", "hope", "storage")
    found = every_suite.run_every_suite("quick", tmp_path, suites=names)
    assert [o.status for o in found] == ["done", "not run", "failed trials"]
    assert found[1].note == "OSError: no weights here"


def test_an_unknown_tier_is_refused_before_anything_runs(tmp_path):
    with pytest.raises(UnknownNameError, match="did you mean quick"):
        every_suite.run_every_suite("quik", tmp_path)


@pytest.mark.parametrize("option", [("--agents", "ppo"), ("--scenes", 3), ("--render-only",)])
def test_options_of_one_suite_are_refused(hybridrl, option):
    done = hybridrl("benchmark", "all", *option)
    assert done.exit_code == 2
    assert option[0] in done.output
