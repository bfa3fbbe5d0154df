"""The suite hnpg-tasks: its data, its rows and a tiny run that goes on."""

import gymnasium as gym
import numpy as np
import pytest

from hybridrl.benchmarks import hnpg_tasks
from hybridrl.benchmarks.hybrid_rows import Score
from hybridrl.benchmarks.rows_file import read_rows
from hybridrl.benchmarks.runner import make_request, run_suite
from hybridrl.benchmarks.suites import SUITES
from hybridrl.datasets.balance import CONTROLLERS, controller_data, controller_policy
from hybridrl.datasets.registry import RECIPES, make_dataset
from hybridrl.datasets.sources import as_dataset
from hybridrl.planners.errors import UnknownNameError


def test_every_row_of_the_suite_is_known_and_its_settings_are_those_of_the_preset():
    suite = SUITES["hnpg-tasks"]
    assert set(suite.envs) == set(hnpg_tasks.TASKS)
    assert set(suite.agents) == set(hnpg_tasks.ROWS)
    trials = hnpg_tasks.trials(make_request("hnpg-tasks", "smoke", seeds=2))
    assert len({trial.folder("runs") for trial in trials}) == len(trials) == 20
    rivals = {(trial.env, trial.agent) for trial in trials if trial.agent in ("hyq", "rlpd-lite")}
    assert rivals == {("CartPole-v1", "hyq"), ("InvertedPendulum-v5", "rlpd-lite")}
    with_data, without = (hnpg_tasks.ROWS[name] for name in ("hnpg", "hnpg-online"))
    assert with_data.settings == without.settings and with_data.settings["critic_sweeps"] == 5
    assert with_data.data and not without.data


@pytest.mark.parametrize("task", CONTROLLERS)
def test_a_controller_balances_for_long_and_its_noise_makes_it_fall(task):
    data = controller_data(task, seed=3, rows=3000)
    assert len(data) == 3000
    steady = CONTROLLERS[task]._replace(uniform=0.0)
    with gym.make(steady.env) as env:
        act = controller_policy(steady, env.action_space)
        seen, total = env.reset(seed=0)[0], 0.0
        for _ in range(400):
            seen, reward, terminated, _, _ = env.step(act(seen, np.random.default_rng(0)))
            total += float(reward)
            assert not terminated
    assert 20.0 < data.returns().mean() < total


def test_other_seeds_have_other_rows_and_an_unknown_task_is_named():
    first, again, other = (controller_data("cartpole", seed, rows=300) for seed in (0, 0, 1))
    assert first.fingerprint() == again.fingerprint() != other.fingerprint()
    with pytest.raises(UnknownNameError, match="acrobot"):
        controller_data("acrobot")


def test_the_recipe_stores_the_same_rows_in_minari(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    names = [name for name in RECIPES if name.endswith("/controller-v0")]
    assert len(names) == len(CONTROLLERS)
    for name in names:
        stored = as_dataset(make_dataset(name, seed=2, episodes=3))
        made = controller_data(name.split("/")[1], 2, episodes=3)
        assert np.array_equal(stored.observations, made.observations)
        assert np.array_equal(stored.actions, made.actions)
        assert stored.metadata["level"] == "controller"


@pytest.mark.parametrize("agent, before", [("hyq", 500), ("rlpd-lite", 100)])
def test_an_off_policy_rival_makes_an_update_a_step_on_its_own_task(agent, before, tmp_path):
    request = make_request("hnpg-tasks", "smoke", agent, seeds=1, steps=800)
    report = run_suite(request, tmp_path, engine="serial")
    assert not report.failed and len({row.env for row in report.rows}) == 1
    assert hnpg_tasks.ROWS[agent].data == "offline_dataset"
    metrics = {row.metric: row.value for row in report.rows}
    assert abs(metrics["gradient_steps"] - (800 - before)) <= hnpg_tasks.N_ENVS


def test_a_tiny_run_learns_from_the_data_and_is_done_once(tmp_path):
    request = make_request("hnpg-tasks", "smoke", "hnpg", "CartPole-v1", seeds=1)
    report = run_suite(request, tmp_path, engine="serial")
    assert not report.failed
    metrics = {row.metric: row.value for row in report.rows}
    assert metrics["gradient_steps"] == 2 and metrics["area"] == metrics["score"] > 0
    file = next(tmp_path.rglob("scores.csv"))
    assert len(read_rows(file, Score)) == 10
    assert "hnpg" in report.tables[0].rows[0]
