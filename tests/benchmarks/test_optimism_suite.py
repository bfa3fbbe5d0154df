"""The suite optimism: cells, tiny runs of both halves, statistics and tables."""

import math

import numpy as np
import pytest

from hybridrl.benchmarks import optimism, optimism_deep, optimism_regret
from hybridrl.benchmarks.optimism_numbers import Number, summarise
from hybridrl.benchmarks.optimism_tables import interval, plots, tables, values_of
from hybridrl.benchmarks.rows_file import write_rows
from hybridrl.benchmarks.runner import make_request
from hybridrl.benchmarks.runs import RunConfig, RunResult, execute
from hybridrl.benchmarks.suites import get_suite
from hybridrl.benchmarks.tables import to_markdown


def request(**chosen):
    keywords = {"tier": "smoke", "envs": None, "agents": None, "seeds": None} | chosen
    return make_request("optimism", **keywords)


def test_every_problem_meets_the_agents_that_belong_to_it():
    trials = optimism.trials(request())
    cells = {(trial.env, trial.agent) for trial in trials}
    assert len(cells) == len(trials) == sum(len(agents) for agents in optimism.CELLS.values())
    suite = get_suite("optimism")
    assert set(suite.envs) == set(optimism.CELLS)
    assert {agent for _, agent in cells} == set(suite.agents)
    works = {trial.env: trial.work.partition(":")[2] for trial in trials}
    assert works["lock-5"] == "run_seeds" and works["SparsePoint-v0"] == "train_stack"
    assert all(trial.settings["seeds"] == [0, 1, 2, 3, 4] for trial in trials)
    assert optimism.variant("cpu", {"steps": 7}) == "cpu-7"


@pytest.mark.parametrize("agent", optimism_regret.VARIANTS)
def test_every_provable_agent_runs_on_a_short_lock(agent):
    log, horizon = optimism_regret.run_one("lock-5", agent, 30, seed=1)
    assert horizon == 5 and len(log.regrets) == 30
    numbers = {number.metric: number.value for number in optimism_regret.judged(log, 5, 1)}
    assert {"solved_after", "slope", "switches", "regret", "regret_at_30"} <= set(numbers)
    assert numbers["regret_at_30"] == numbers["regret"] == pytest.approx(log.regrets.sum())


@pytest.mark.parametrize(("env", "agent"), [("random", "nora"), ("random-linear", "lsvi-ucb")])
def test_random_problems_differ_between_seeds(env, agent):
    first, second = (optimism_regret.run_one(env, agent, 20, seed)[0] for seed in (0, 1))
    assert not np.allclose(first.regrets, second.regrets)


def test_a_lock_seen_through_vectors_opens_at_once_with_data():
    log, _ = optimism_regret.run_one("hadamard-10", "nora-no-optimism", 60, seed=0)
    assert log.solved_after() == 50


def trial(work, env, agent, **settings):
    return RunConfig(
        suite="optimism", env=env, agent=agent, work=work, variant="smoke-1", settings=settings
    )


def test_both_halves_run_from_trial_to_tables(tmp_path):
    regret, deep = "optimism_regret:run_seeds", "optimism_deep:train_stack"
    module = "hybridrl.benchmarks."
    asked = [
        trial(module + regret, "lock-5", "nora", seeds=[0, 1], share=0.03),
        trial(module + deep, "SparsePoint-v0", "sac", seeds=[0, 1], steps=40),
        trial(module + deep, "SparsePoint-v0", "optimistic-sac", seeds=[0, 1], steps=40),
    ]
    results = [execute(config, tmp_path) for config in asked]
    assert [result.error for result in results] == ["", "", ""]
    rows = summarise(results, tmp_path)
    assert len({row.seed for row in rows}) == 2
    curve = [r for r in rows if r.metric.startswith("return_at_") and r.agent == "sac"]
    assert len(curve) == 2 * optimism_deep.POINTS
    area = values_of(rows, "SparsePoint-v0", "sac", "area")
    assert area[0] == pytest.approx(np.mean([r.value for r in curve if r.seed == 0]))
    text = to_markdown(tables(rows))
    assert "never (0/2)" in text and "Area against plain SAC" in text
    files = plots(rows, tmp_path)
    assert [file.name for file in files] == ["optimism-regret.png", "optimism-deep.png"]


def row_result(tmp_path, agent, values, metric="area", env="SparsePoint-v0"):
    config = trial("x:y", env, agent)
    numbers = [Number(seed, metric, value, 10, 100) for seed, value in enumerate(values)]
    write_rows(config.folder(tmp_path) / "numbers.csv", Number, numbers)
    return RunResult(config=config, status="done", wall_s=4.0)


def test_intervals_that_separate_are_marked(tmp_path):
    results = [
        row_result(tmp_path, "sac", [0.0, 0.1, 0.0, 0.1]),
        row_result(tmp_path, "optimistic-sac", [0.5, 0.6, 0.5, 0.7]),
        row_result(tmp_path, "oac", [0.0, 0.2, 0.0, 0.1]),
    ]
    rows = summarise(results, tmp_path)
    assert {row.wall_s for row in rows} == {1.0}
    versus = {line[0]: line[1] for line in tables(rows)[0].rows}
    assert versus["optimistic-sac"].endswith("apart") and "apart" not in versus["oac"]
    assert ", 4 seed(s)" in tables(rows)[-1].notes[0]
    more = rows + summarise([row_result(tmp_path, "sac-norm", [0.0] * 5)], tmp_path)
    assert ", 4 to 5 seed(s)" in tables(more)[-1].notes[0]
    mean, low, high = interval([0.0, 0.1, 0.0, 0.1])
    assert low <= mean <= high and mean == pytest.approx(0.05)


def test_seeds_that_never_solve_are_counted(tmp_path):
    done = row_result(tmp_path, "nora", [100.0, math.nan, 120.0], "solved_after", "lock-5")
    (table,) = tables(summarise([done], tmp_path))
    assert table.rows[0][1].startswith("110") and table.rows[0][1].endswith("(2/3)")


def test_nothing_run_means_no_tables():
    assert tables([]) == []
