"""The combination-lock suite: its tables from given rows, resuming, and a tiny run."""

import dataclasses
import math

import numpy as np
import pytest

from hybridrl.benchmarks import comblock
from hybridrl.benchmarks.comblock import Point, train_cell
from hybridrl.benchmarks.comblock_tables import first_above, plots, tables
from hybridrl.benchmarks.results import ResultRow, read_results
from hybridrl.benchmarks.rows_file import read_rows
from hybridrl.benchmarks.runner import make_request
from hybridrl.benchmarks.speed import measure
from hybridrl.benchmarks.suites import SUITES


def row(env, agent, seed, metric, value, steps=60_000):
    return ResultRow(
        "comblock", env, agent, seed, "cpu-50k", metric, value, 100, steps, 1.0, "0", "c", "made"
    )


def rows_of(env, agent, halves, success):
    rows = []
    for seed, half in enumerate(halves):
        rows += [
            row(env, agent, seed, "steps_to_half", half),
            row(env, agent, seed, "steps_to_most", half + 5000),
            row(env, agent, seed, "cpu_s_to_half", half / 1000),
            row(env, agent, seed, "success", success),
            row(env, agent, seed, "success_mode", 1.0),
            row(env, agent, seed, "success_at_1000", 0.1 * seed),
            row(env, agent, seed, "success_at_2000", 0.2 * seed),
        ]
    return rows


def test_a_lock_is_solved_when_ten_evaluations_say_so():
    points = [Point(1000 * (k + 1), value, 0.0) for k, value in enumerate([0.0] * 10 + [1.0] * 10)]
    assert first_above(points, 0.5) == 15  # six of ten
    assert first_above(points, 0.9) == 19
    assert first_above(points[:9], 0.0) is None and first_above(points[:15], 0.5) is None


def test_the_tables_count_seeds_and_mark_what_was_not_solved(tmp_path):
    rows = rows_of("H5", "hnpg", [16_000, 18_000, math.nan], 0.9)
    rows += rows_of("H5", "trpo", [math.nan] * 2, 0.0)
    seconds, final, steps = tables(rows)
    assert steps.rows[0][1].startswith("2/3: 17k [16k, 18k]")
    assert steps.rows[1] == ("trpo", "0/2 in 60k")
    assert final.rows[0][1] == "0.900 [0.900, 0.900] / 1.000"
    assert final.rows[1][1].endswith("* / 1.000")
    assert seconds.rows == (("hnpg", "17 (most 18)"), ("trpo", "-"))
    assert tables([]) == []
    assert plots(rows, tmp_path)[0].stat().st_size > 5000


def test_all_solved_seeds_tell_when_they_are_well_solved():
    (*_, steps) = tables(rows_of("H5", "hnpg", [10_000, 12_000], 0.95))
    assert steps.rows[0][1] == "2/2: 11k [10k, 12k]; 16k"


def test_value_based_agents_are_left_out_where_actions_are_continuous():
    request = make_request("comblock", "smoke", agents="hyq,ppo", envs="H5-continuous", seeds=1)
    assert [trial.agent for trial in comblock.trials(request)] == ["ppo"]
    assert set(comblock.LOCKS) == set(SUITES["comblock"].envs)
    assert set(comblock.METHODS) == set(SUITES["comblock"].agents)


def trial(agent, env="H5", steps=2000):
    settings = {"steps": steps, "episodes": 50}
    request = make_request("comblock", "smoke", agents=agent, envs=env, seeds=1, **settings)
    (config,) = comblock.trials(request)
    return config


@pytest.mark.parametrize("agent", ["hnpg-offline", "hyq"])
def test_a_trial_leaves_its_curve(agent, tmp_path):
    values = train_cell(trial(agent, steps=1000), tmp_path)
    (point,) = read_rows(tmp_path / "curve.csv", Point)
    assert point.steps == 1000 and 0 <= values["success"] <= 1
    assert values["steps"] == (0 if agent == "hnpg-offline" else 1000)


def test_an_interrupted_trial_goes_on_to_the_same_end(tmp_path, monkeypatch):
    whole = train_cell(trial("hnpg"), tmp_path / "whole")
    first = dataclasses.replace(trial("hnpg"), settings={"steps": 1000, "episodes": 50})
    monkeypatch.setattr(comblock, "FINAL", 1)  # what an interruption leaves out
    train_cell(first, tmp_path / "parts")
    points = read_rows(tmp_path / "parts" / "curve.csv", Point)
    monkeypatch.setattr(comblock, "FINAL", 1000)
    assert len(points) == 1
    resumed = train_cell(trial("hnpg"), tmp_path / "parts")
    assert len(read_rows(tmp_path / "parts" / "curve.csv", Point)) == 2
    assert 0 <= resumed["success"] <= 1 and resumed["steps"] == whole["steps"] == 2000


def test_the_lock_is_timed_beside_plain_python():
    records = {record["what"]: record for record in measure("comblock", seconds=0.05)}
    assert records["vector of 1024"]["peer"] == "plain Python"
    assert records["vector of 1024"]["ratio"] > 1  # not a matter of luck: a factor of a hundred


def test_the_committed_rows_are_whole(root):
    file = root / "results" / "comblock.csv"
    if not file.exists():
        pytest.skip("no results yet")
    rows = read_results(file)
    assert {row.suite for row in rows} == {"comblock"}
    solved = [r.value for r in rows if (r.env, r.agent, r.metric) == ("H5", "hnpg", "success")]
    assert len(solved) >= 3 and np.mean(solved) > 0.9
