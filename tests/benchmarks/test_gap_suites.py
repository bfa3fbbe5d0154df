"""The gap suites: trials, guard, long rows and tables, and one tiny run from end to end."""

import functools
import json

import numpy as np
import pytest

from hybridrl.benchmarks import gap, gap_mujoco, gap_pendulum, gap_size
from hybridrl.benchmarks.gap import Evaluation, RealGuard
from hybridrl.benchmarks.gap_tables import tables
from hybridrl.benchmarks.rows_file import read_rows, write_rows
from hybridrl.benchmarks.runner import make_request, run_suite
from hybridrl.benchmarks.runs import RunConfig, RunResult
from hybridrl.datasets.transitions import from_transitions
from hybridrl.envs.gap.env import GapEnv
from hybridrl.envs.gap.pendulum import GapPendulumEnv, GapPendulumVectorEnv


def request(suite, **chosen):
    keywords = {"tier": "smoke", "envs": None, "agents": None, "seeds": None} | chosen
    return make_request(suite, **keywords)


def done(env, method, root, values, suite="gap-pendulum", seeds=(0, 1, 2)):
    """A finished run with given final returns, one list of episodes a seed."""
    config = RunConfig(suite=suite, env=env, agent=method, work="x:y", variant="cpu-9")
    found = [
        Evaluation(method, seed, updates, episode, value + (updates - 9))
        for seed, episodes in zip(seeds, values, strict=True)
        for updates in (3, 9)
        for episode, value in enumerate(episodes)
    ]
    write_rows(config.folder(root) / "evaluations.csv", Evaluation, found)
    facts = {"sim_steps": 12, "real_steps_training": 0, "real_steps_evaluation": 40}
    return RunResult(config=config, status="done", values=facts, wall_s=6.0)


def test_methods_share_a_run_where_they_do_not_use_data_or_simulator():
    trials = gap_pendulum.trials(
        request(
            "gap-pendulum",
            envs="GainX2.5-200,Wind-200,Wind-1000",
            agents="h2o,sac-sim,sac-offline",
        )
    )
    cells = [(trial.agent, trial.env) for trial in trials]
    assert len(cells) == len(set(cells)) == 3 + 2 + 2
    assert {env for agent, env in cells if agent == "sac-sim"} == {"GainX2.5-none", "Wind-none"}
    assert {env for agent, env in cells if agent == "sac-offline"} == {
        "offline-200",
        "offline-1000",
    }
    seeds = {tuple(trial.settings["seeds"]) for trial in trials}
    assert seeds == {(0, 1, 2, 3, 4)}


def test_gap_mujoco_stacks_what_it_can_and_trains_the_rest_seed_by_seed():
    asked = request("gap-mujoco", envs="GravityX2-medium-replay", agents="h2o,darc,iql,sac-sim")
    trials = gap_mujoco.trials(asked)
    (stack,) = [trial for trial in trials if trial.agent == gap_mujoco.STACK]
    assert stack.settings["methods"] == ["darc", "h2o"] and stack.settings["seeds"] == [0, 1, 2]
    offline = [trial for trial in trials if trial.agent == "iql"]
    assert {(t.env, t.seed) for t in offline} == {("offline-medium-replay", s) for s in range(3)}
    assert {t.env for t in trials if t.agent == "sac-sim"} == {"GravityX2-none"}


def test_the_guard_counts_steps_of_the_real_environment_outside_evaluations():
    guard = RealGuard(GapPendulumVectorEnv)
    env = guard.make(3)
    env.reset(seed=0)
    with guard.evaluating():
        env.step(np.zeros((3, 1)))
    assert guard.facts() == {"real_steps_training": 0, "real_steps_evaluation": 3}
    env.step(np.zeros((3, 1)))
    assert guard.training_steps == 3


def test_data_are_real_rows_of_actions_that_are_held():
    data = gap_pendulum.random_rows(230, seed=4)
    held = data.actions[:200].reshape(20, 10)
    assert (held == held[:, :1]).all() and len(np.unique(held[:, 0])) == 20
    env = GapPendulumEnv()
    env.reset(seed=0)
    for k in (0, 57, 229):
        cosine, sine, speed = data.observations[k]
        env.set_physics(np.array([np.arctan2(sine, cosine)]), np.array([speed]))
        following, reward, *_ = env.step(data.actions[k])
        assert following == pytest.approx(data.next_observations[k], abs=1e-5)
        assert reward == pytest.approx(data.rewards[k], abs=1e-4)
    assert np.flatnonzero(data.truncations).tolist() == [199]
    other = gap_pendulum.random_rows(230, seed=5)
    assert not np.array_equal(data.actions, other.actions)


def test_long_rows_hold_the_last_evaluation_the_curve_and_the_count(tmp_path):
    result = done("GainX2.5-200", "h2o", tmp_path, [[-1, -3], [-5, -7], [0, 0]])
    rows = gap.summarise([result], tmp_path)
    values = {(row.seed, row.metric): row.value for row in rows}
    assert values[0, "return"] == -2 and values[1, "episode_1"] == -7
    assert values[0, "return_at_3"] == -8 and values[0, "return_at_9"] == -2
    assert all(values[seed, "real_steps_training"] == 0 for seed in range(3))
    assert {row.steps for row in rows} == {12} and {row.wall_s for row in rows} == {2.0}


def test_tables_say_whether_intervals_separate(tmp_path):
    results = [
        done("GainX2.5-200", "h2o", tmp_path, [[-300, -310], [-320, -330], [-305, -315]]),
        done("GainX2.5-none", "sac-sim", tmp_path, [[-900, -910], [-950, -960], [-980, -990]]),
        done("offline-200", "iql", tmp_path, [[-200, -210], [-220, -230], [-190, -195]]),
        done("GainX2.5-200", "mixture", tmp_path, [[-250, -900], [-300, -280], [-200, -400]]),
    ]
    rows = gap.summarise(results, tmp_path)
    verdicts, returns = tables(rows)
    assert returns.columns == ("method", "GainX2.5-200")
    assert [row[0] for row in returns.rows] == ["h2o", "sac-sim", "iql", "mixture"]
    assert returns.rows[0][1].startswith("-313 [")
    said = {row[0]: row[1].split()[-1] for row in verdicts.rows}
    assert said == {"sac-sim": "above", "iql": "below", "mixture": "overlap"}
    assert any("training, all runs together: 0." in note for note in returns.notes)


def test_few_seeds_are_marked_and_missing_cells_are_empty(tmp_path):
    results = [
        done("Wind-200", "h2o", tmp_path, [[-300]], seeds=(0,)),
        done("Wind-none", "sac-sim", tmp_path, [[-900]], seeds=(0,)),
        done("Morph-200", "h2o", tmp_path, [[-400]], seeds=(0,)),
    ]
    returns = tables(gap.summarise(results, tmp_path))[-1]
    assert returns.rows[0][1].endswith("*")
    assert returns.rows[1][1:] == ("-900 [-900, -900]*", "-")
    shared = tables(gap.summarise(results[1:2], tmp_path))[-1]  # nothing but a shared run
    assert shared.columns[1:] == ("Wind-none",)
    assert any("fewer than three" in note for note in returns.notes)


def test_published_figures_stand_beside_ours_and_say_that_they_are_recalled(tmp_path):
    result = done("GravityX2-medium-replay", "h2o", tmp_path, [[1], [2], [3]], suite="gap-mujoco")
    _, published, _ = tables(gap.summarise([result], tmp_path))
    assert "recalled" in published.title and "RECALLED" in published.notes[0]
    assert published.rows[0][0] == "GravityX2-medium-replay"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A smoke run of two methods, stacked and single."""
    root = tmp_path_factory.mktemp("gap")
    asked = request("gap-pendulum", envs="GainX2.5-200", agents="h2o,iql", seeds=2)
    return asked, root, run_suite(asked, root, engine="serial")


def test_a_tiny_run_goes_from_training_to_tables_without_a_real_step(tiny):
    _, root, report = tiny
    assert not report.failed
    trained = [row for row in report.rows if row.metric == "real_steps_training"]
    assert len(trained) == 4 and all(row.value == 0 for row in trained)
    evaluated = [row for row in report.rows if row.metric == "real_steps_evaluation"]
    assert all(row.value > 0 for row in evaluated)
    assert report.tables[-1].rows[0][0] in ("iql", "h2o")
    folder = root / "gap-pendulum" / "GainX2.5-200" / "h2o" / "seed-0" / "smoke-30"
    assert json.loads((folder / "result.json").read_text())["values"]["sim_steps"] == 330


def test_what_is_done_is_not_done_again_and_curves_are_drawn(tiny, tmp_path):
    asked, root, before = tiny
    again = run_suite(asked, root, engine="serial")
    assert again.rows == before.rows
    (file,) = gap_pendulum.plots(before.rows, tmp_path)
    assert file.stat().st_size > 10_000


def test_the_size_of_a_gap_is_measured_and_tabulated(tmp_path):
    asked = request("gap-size", envs="pendulum", agents="GainX2.5,GravityX2,FrictionX0.3")
    report = run_suite(asked, tmp_path, engine="serial")
    assert not report.failed
    (table,) = report.tables
    assert [row[0] for row in table.rows] == ["GravityX2", "GainX2.5"]  # friction: no such thing
    assert all(row[3] == "speed" and row[-1] == "0.000" for row in table.rows)
    assert gap_size.plots(report.rows, tmp_path)[0].exists()


@pytest.fixture
def short(monkeypatch):
    """Short evaluations of robots that stop after 30 steps."""
    monkeypatch.setattr(gap_mujoco, "POINTS", 2)
    monkeypatch.setattr(gap_mujoco, "EPISODES", 1)
    monkeypatch.setattr(gap_mujoco, "RANDOM_STEPS", 20)
    monkeypatch.setattr(gap_mujoco, "GapEnv", functools.partial(GapEnv, time_limit=30))
    env = GapEnv(robot="halfcheetah")
    before, _ = env.reset(seed=0)
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(50)]
    rows = [(before, a, 0.0, env.step(a)[0], False, False) for a in actions]
    data = from_transitions(rows, action_space=env.action_space)
    monkeypatch.setattr(gap_mujoco, "_dataset", lambda level: data)


def mujoco_cell(env: str, agent: str, work: str, **settings) -> RunConfig:
    sizes = {"updates": 6, "width": 8, "batch_size": 16}
    return RunConfig(
        suite="gap-mujoco",
        env=env,
        agent=agent,
        work=f"hybridrl.benchmarks.gap_mujoco:{work}",
        settings=sizes | settings,
    )


def test_methods_are_trained_side_by_side_on_a_robot(tmp_path, short):
    config = mujoco_cell(
        "GravityX2-medium-replay", "stack", "train_side_by_side", methods=["h2o"], seeds=[0, 1]
    )
    values = gap_mujoco.train_side_by_side(config, tmp_path)
    assert values["real_steps_training"] == 0 and values["sim_steps"] == 26
    found = read_rows(tmp_path / "evaluations.csv", Evaluation)
    assert [(e.method, e.seed, e.updates) for e in found] == [
        ("h2o", seed, updates) for updates in (3, 6) for seed in (0, 1)
    ]


def test_an_interrupted_cell_goes_on_and_ends_as_if_it_had_not_been(tmp_path, short, monkeypatch):
    config = mujoco_cell("GravityX2-medium-replay", "h2o-public", "train_cell")
    for name in ("whole", "cut"):
        (tmp_path / name).mkdir()
    whole = gap_mujoco.train_cell(config, tmp_path / "whole")
    assert whole["real_steps_training"] == 0 and whole["real_steps_evaluation"] == 60
    train, calls = gap_mujoco._train, []

    def cut(*args, **kwargs):
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        train(*args, **kwargs)

    monkeypatch.setattr(gap_mujoco, "_train", cut)
    with pytest.raises(KeyboardInterrupt):
        gap_mujoco.train_cell(config, tmp_path / "cut")
    again = gap_mujoco.train_cell(config, tmp_path / "cut")
    assert len(calls) == 3 and again["sim_steps"] == whole["sim_steps"] == 26
    read = [read_rows(tmp_path / name / "evaluations.csv", Evaluation) for name in ("whole", "cut")]
    assert read[0] == read[1] and {e.updates for e in read[0]} == {3, 6}
