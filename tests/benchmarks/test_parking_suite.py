"""The parking suite with planners whose answers are known beforehand."""

import json
import math
from dataclasses import replace

import pytest

from hybridrl.benchmarks import parking, runner
from hybridrl.benchmarks.parking import Episode, metrics
from hybridrl.benchmarks.parking_tables import published_table
from hybridrl.benchmarks.results import read_results
from hybridrl.benchmarks.rows_file import read_rows
from hybridrl.benchmarks.suites import SUITES, TIERS, get_suite, suite_module
from hybridrl.planners.errors import ScenarioError, UnknownNameError
from hybridrl.planners.registry import PLANNERS

FAKES = """
import numpy as np
from hybridrl.planners.path import Path, PlanResult

class Nothing:
    def plan(self, scenario, budget=2.0, seed=0):
        return PlanResult(path=None, seconds=0.25, expansions=7)

class Through:
    '''Drives straight on for 30 m, whatever stands there.'''
    def plan(self, scenario, budget=2.0, seed=0):
        return PlanResult(path=Path.from_arcs(scenario.start, [(0.0, 30.0)]), seconds=0.5)

class Broken:
    def plan(self, scenario, budget=2.0, seed=0):
        raise RuntimeError("out of ideas")
"""


@pytest.fixture
def fakes(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("fakes")
    (folder / "fake_planners.py").write_text(FAKES)
    monkeypatch.syspath_prepend(str(folder))
    names = {"rs-any": "Nothing", "rs-shortest": "Through", "best-of": "Broken"}
    for name, fake in names.items():
        monkeypatch.setitem(PLANNERS, name, f"fake_planners:{fake}")
    parking._warm_planner.cache_clear()
    yield
    parking._warm_planner.cache_clear()


def request(agents="rs-any,rs-shortest", **changes):
    options = {"tier": "smoke", "agents": agents, "envs": "normal-bay", "scenes": 3}
    return runner.make_request("parking", **{**options, **changes})


def episode(**changes):
    values = {
        "scene": "s",
        "found": True,
        "clean": True,
        "seconds": 0.1,
        "length": 10.0,
        "gear_changes": 2.0,
        "clearance": 0.3,
        "decisions": 15.0,
        "expansions": 1,
    }
    return Episode(**{**values, **changes})


def test_metrics_of_known_episodes_are_those_worked_by_hand():
    numbers = metrics(
        [
            episode(),
            episode(length=20.0, decisions=50.0),
            episode(clean=False),
            episode(found=False, clean=False, length=math.nan, decisions=math.nan, seconds=0.5),
        ]
    )
    assert numbers["success"] == (0.5, 4)
    assert numbers["not_clean"] == (0.25, 4)
    assert numbers["success_within_20"] == (0.25, 4)
    assert numbers["success_within_80"] == (0.5, 4)
    assert numbers["length_m_mean"] == (15.0, 2)
    assert numbers["seconds_mean"] == (pytest.approx(0.2), 4)


def test_without_success_there_is_no_length():
    numbers = metrics([episode(found=False, clean=False)])
    assert numbers["success"] == (0.0, 1)
    assert "length_m_mean" not in numbers


def test_a_path_through_obstacles_counts_as_failure_in_its_own_column(fakes, tmp_path):
    report = runner.run_suite(request(), tmp_path, engine="serial")
    value = {(r.agent, r.metric): r.value for r in report.rows}
    assert value["rs-shortest", "success"] == 0.0
    assert value["rs-shortest", "not_clean"] == 1.0
    assert value["rs-any", "not_clean"] == 0.0
    assert not report.failed


def test_episodes_survive_their_file(fakes, tmp_path):
    runner.run_suite(request(), tmp_path, engine="serial")
    (file,) = tmp_path.rglob("rs-any/**/episodes.csv")
    episodes = read_rows(file, parking.Episode)
    assert [e.scene for e in episodes] == [f"normal-bay-0000{i}" for i in range(3)]
    assert {(e.found, e.clean, e.seconds, e.expansions) for e in episodes} == {
        (False, False, 0.25, 7)
    }


def test_chunks_cover_every_scene_once():
    chunks = [c.settings for c in parking.trials(request(agents="rs-any", scenes=45))]
    assert [(c["first"], c["last"]) for c in chunks] == [(0, 20), (20, 40), (40, 45)]


def test_a_failing_planner_is_reported_and_the_others_have_their_rows(fakes, tmp_path):
    report = runner.run_suite(request("rs-any,best-of"), tmp_path, engine="serial")
    assert [f.error for f in report.failed] == ["RuntimeError: out of ideas"]
    assert {row.agent for row in report.rows} == {"rs-any"}


def test_shards_make_the_table_when_the_last_one_ends(fakes, tmp_path):
    wanted = request(scenes=25)
    first = runner.run_suite(wanted, tmp_path, engine="serial", share="1/2")
    second = runner.run_suite(wanted, tmp_path, engine="serial", share="2/2")
    assert {row.agent for row in first.rows} < {row.agent for row in second.rows}
    assert {r.n for r in second.rows if r.metric == "success"} == {25}


def test_the_tables_come_back_from_the_csv_alone(fakes, tmp_path):
    report = runner.run_suite(request(), tmp_path, engine="serial")
    again = runner.report_from_csv("parking", report.csv)
    assert again.tables == report.tables
    assert again.rows == read_results(report.csv)


def test_a_second_run_adds_its_rows_to_the_first(fakes, tmp_path):
    runner.run_suite(request("rs-any"), tmp_path, engine="serial")
    runner.run_suite(request("rs-shortest"), tmp_path, engine="serial")
    rows = read_results(tmp_path / "parking.csv")
    assert {row.agent for row in rows} == {"rs-any", "rs-shortest"}


def test_variants_in_one_file_are_told_apart(fakes, tmp_path):
    runner.run_suite(request("rs-any"), tmp_path, engine="serial")
    report = runner.run_suite(request("rs-any", budget=9.0), tmp_path, engine="serial")
    both = runner.report_from_csv("parking", report.csv)
    assert len(both.tables) == 2 * len(report.tables)
    one = runner.report_from_csv("parking", report.csv, "smoke-9s")
    assert one.tables == report.tables
    with pytest.raises(ScenarioError, match="smoke-9s"):
        runner.report_from_csv("parking", report.csv, "full")


def test_fresh_runs_do_again_what_is_done(fakes, tmp_path):
    seen = []
    runner.run_suite(request("rs-any"), tmp_path, engine="serial")
    (file,) = tmp_path.rglob("result.json")
    seen.append(file.stat().st_mtime_ns)
    runner.run_suite(request("rs-any"), tmp_path, engine="serial")
    seen.append(file.stat().st_mtime_ns)
    runner.run_suite(request("rs-any"), tmp_path, engine="serial", fresh=True)
    seen.append(file.stat().st_mtime_ns)
    assert seen[0] == seen[1] < seen[2]


def test_the_headline_comes_last_and_names_tier_command_and_interval(fakes, tmp_path):
    wanted = replace(request(), command="hybridrl benchmark parking --smoke")
    headline = runner.run_suite(wanted, tmp_path, engine="serial").tables[-1]
    assert "tier smoke" in headline.title
    assert headline.columns == ("planner", "normal bay")
    assert headline.rows[0] == ("rs-shortest", "0.0 [0-56]")
    assert any("hybridrl benchmark parking --smoke" in note for note in headline.notes)


def test_published_figures_all_have_a_source():
    table = published_table()
    assert len(table.rows) == 3
    assert table.rows[0][1:5] == ("99.6", "97.1", "93.8", "94")
    assert all(row[-1] for row in table.rows)


def test_plots_are_drawn_from_the_rows(fakes, tmp_path):
    report = runner.run_suite(request(), tmp_path, engine="serial")
    files = runner.plot_report("parking", report, tmp_path / "plots")
    assert {f.name for f in files} == {
        "success_by_decisions.png",
        "path_length.png",
        "planning_time.png",
    }
    assert all(f.read_bytes()[:4] == b"\x89PNG" for f in files)


@pytest.mark.parametrize("name", SUITES)
def test_every_suite_has_all_tiers_and_makes_trials_that_travel_as_json(name):
    suite = get_suite(name)
    assert set(suite.tiers) == set(TIERS)
    trials = suite_module(name).trials(runner.make_request(name, "smoke"))
    assert trials
    json.dumps([trial.to_json() for trial in trials])
    folders = [trial.folder("runs") for trial in trials]
    assert len(set(folders)) == len(folders)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"agents": "rs-anny"}, "did you mean rs-any"),
        ({"envs": "normal-bey"}, "did you mean normal-bay"),
        ({"tier": "smok"}, "did you mean smoke"),
    ],
)
def test_wrong_names_are_answered_with_near_ones(options, message):
    with pytest.raises(UnknownNameError, match=message):
        runner.make_request("parking", **options)


@pytest.mark.parametrize(
    "options", [{"scenes": 0}, {"budget": -1.0}, {"seeds": 0}, {"agents": ","}]
)
def test_wrong_amounts_are_refused(options):
    with pytest.raises(ScenarioError):
        runner.make_request("parking", **options)


def test_a_length_is_also_told_over_the_shortest_known_one_of_its_scene():
    ours = [episode(scene="a", length=12.0), episode(scene="b", length=9.0)]
    others = [episode(scene="a", length=10.0), episode(scene="b", length=1.0, clean=False)]
    best = parking._best_lengths(ours + others)
    assert best == {"a": 10.0, "b": 9.0}
    assert metrics(ours, best)["length_ratio_mean"] == (pytest.approx(1.1), 2)
