"""The driving suite: trials, rows and tables, mostly from numbers made by hand."""

import numpy as np
import pytest

from hybridrl.agents.registry import resolve
from hybridrl.benchmarks.driving import EPISODES, metrics, summarise, trials, variant
from hybridrl.benchmarks.driving_drivers import LEARNERS, TEACHERS, TRIVIAL, training_of, untrained
from hybridrl.benchmarks.driving_rollouts import Drive, drive
from hybridrl.benchmarks.driving_tables import plots, tables
from hybridrl.benchmarks.metrics import wilson
from hybridrl.benchmarks.results import ResultRow, interval
from hybridrl.benchmarks.rows_file import read_rows
from hybridrl.benchmarks.runner import make_request
from hybridrl.benchmarks.runs import execute
from hybridrl.benchmarks.speed import p95_seconds
from hybridrl.benchmarks.speed_driving import driving_subjects
from hybridrl.benchmarks.suites import SUITES
from hybridrl.planners.errors import UnknownNameError


def row(agent, seed, value, metric="success", steps=0):
    return ResultRow(
        *("driving", "merge", agent, seed, "cpu-1", metric, value, 100, steps, 1.0, "0", "c", "x")
    )


def request(agents, **settings):
    return make_request("driving", "smoke", agents, "merge", seeds=2, **settings)


def test_the_suite_names_what_exists():
    suite = SUITES["driving"]
    known = {*TRIVIAL, *TEACHERS, "shipped", *LEARNERS}
    assert set(suite.agents) == known
    for learner in LEARNERS.values():
        resolve(learner.agent, "hybridrl/Driving-Merge-v0", learner.settings)
        assert all(learner.budget in tier for tier in suite.tiers.values())


def test_what_draws_nothing_drives_once_and_learners_with_every_seed():
    made = trials(request("random,rule,tell-drive,dqn"))
    assert [(t.agent, t.seed) for t in made] == [
        *(("random", 0), ("random", 1), ("rule", 0)),
        *(("tell-drive", 0), ("tell-drive", 1), ("dqn", 0), ("dqn", 1)),
    ]
    assert variant("cpu", {"steps": 5, "backend": "fast"}) == "cpu-5"
    assert variant("cpu", {"steps": 5, "backend": "highway-env"}) == "cpu-5-highway-env"


def test_ablations_change_one_setting_of_the_preset():
    made = {t.agent: training_of(t) for t in trials(request("tell-drive,no-trust,ppo"))}
    base, off = (made[name].settings["guidance"] for name in ("tell-drive", "no-trust"))
    assert off == {**base, "trust": False}
    assert made["ppo"].settings["env_kwargs"]["observation"] == "flat"
    assert made["ppo"].settings["total_timesteps"] == 128


def test_outcomes_sum_to_one():
    ends = ["success", "crash", "timeout", "success"]
    numbers = metrics([Drive(i, o, float(i), 10, 9.0, 2.0, 1.0) for i, o in enumerate(ends)])
    assert (numbers["success"], numbers["crash"], numbers["timeout"]) == (0.5, 0.25, 0.25)
    assert numbers["return_mean"] == 1.5


def test_intervals_are_wilsons_for_one_seed_and_over_seeds_for_several():
    rows = [row("rule", 0, 0.9), row("student", 0, 0.8), row("student", 1, 1.0)]
    assert interval(rows, "merge", "rule") == (0.9, *wilson(90, 100))
    rate, low, high = interval(rows, "merge", "student")
    assert rate == pytest.approx(0.9) and 0.7 < low < 0.8 < 0.99 < high


def test_tables_end_with_success_and_tell_the_budget():
    rows = [row("rule", 0, 0.9), row("student", 0, 0.8, steps=500), row("rule", 0, 0.1, "crash")]
    made = tables(rows)
    assert "Success" in made[-1].title and made[-1].rows[0][:2] == ("rule", "-")
    assert made[-1].rows[1][1] == "500 (1)" and made[-1].rows[1][2].startswith("80.0 [")
    crash = next(t for t in made if "Crashes" in t.title)
    assert [line[2] for line in crash.rows] == ["10.0", "-"]
    assert tables([]) == []


def test_cells_tell_their_seeds_where_scenes_differ():
    rows = [row("student", seed, 0.8, steps=500) for seed in range(3)]
    other = row("student", 0, 0.7, steps=500)._replace(env="highway")
    line = tables([*rows, other])[-1].rows[0]
    assert line[1] == "500 (1-3)"
    assert line[2].endswith("] (3)") and line[3].endswith("] (1)")


def test_figures_are_drawn_from_rows(tmp_path):
    assert [file.exists() for file in plots([row("rule", 0, 0.9)], tmp_path)] == [True]
    assert plots([], tmp_path) == []


def test_unknown_drivers_are_refused():
    with pytest.raises(UnknownNameError, match="did you mean"):
        untrained("lookahed", "merge", 0)


def test_side_by_side_or_one_by_one_the_same_episodes_are_driven():
    seeds = range(10_000, 10_003)
    for name in ("rule", "forecast"):
        together = drive(untrained(name, "merge", 0), "merge", seeds)
        alone = [drive(untrained(name, "merge", 0), "merge", [seed])[0] for seed in seeds]
        for a, b in zip(together, alone, strict=True):
            assert (a.seed, a.outcome, a.decisions) == (b.seed, b.outcome, b.decisions)
            assert a.episode_return == pytest.approx(b.episode_return)


def test_the_slowest_decisions_are_told_beside_the_rate():
    calls = iter(range(10**6))

    def work():
        return sum(range(20_000 if next(calls) % 10 == 0 else 10)) * 0 + 1

    slow = p95_seconds(work, 200)
    quick = p95_seconds(lambda: sum(range(10)) * 0 + 1, 200)
    assert slow > 10 * quick > 0
    student = driving_subjects(0)[0]
    assert student.tail and student.work() == 1


def test_trials_run_are_skipped_when_done_and_give_rows(tmp_path):
    asked = request("rule,attention-ppo,ppo", episodes=2)
    made = [t for t in trials(asked) if t.seed == 0]
    results = [execute(t, tmp_path) for t in made]
    assert [r.status for r in results] == ["done"] * 3, [r.error for r in results]
    assert execute(made[1], tmp_path).status == "skipped"
    rows = summarise(results, tmp_path)
    assert {r.agent for r in rows} == {"rule", "attention-ppo", "ppo"}
    assert max(r.steps for r in rows if r.agent == "rule") == 0
    kept = read_rows(made[0].folder(tmp_path) / EPISODES, Drive)
    assert np.mean([d.outcome == "success" for d in kept]) == next(
        r.value for r in rows if (r.agent, r.metric) == ("rule", "success")
    )
