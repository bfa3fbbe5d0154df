"""The hybrid suites: trials, numbers, tables, resuming, and the tasks themselves."""

import numpy as np
import pytest
import torch

from hybridrl.benchmarks import hybrid_mujoco, hybrid_parking, hybrid_pendulum, moorl_ablation
from hybridrl.benchmarks.hybrid_rows import CURVE, Score, summarise
from hybridrl.benchmarks.hybrid_sparse import walks
from hybridrl.benchmarks.hybrid_tables import paired, tables
from hybridrl.benchmarks.hybrid_training import Row, Task, episode_scores, points_of, train_alone
from hybridrl.benchmarks.rows_file import read_rows, write_rows
from hybridrl.benchmarks.runner import make_request, run_suite
from hybridrl.benchmarks.runs import RunConfig, RunResult
from hybridrl.benchmarks.speed_hybrid import NormalisedLists
from hybridrl.benchmarks.suites import SUITES, suite_module
from hybridrl.envs.sparse.point import SparsePointEnv, SparsePointVectorEnv

torch.set_num_threads(1)
HYBRID = [name for name in SUITES if name.startswith("hybrid-") or name == "moorl-ablation"]
CONFIG = RunConfig(suite="hybrid-sparse", env="point-corner", agent="rlpd", work="", seed=1)


def scores(values, method="moorl", seed=0):
    """One evaluation of two episodes after 10, 20, ... steps, around each value."""
    found = []
    for k, value in enumerate(values):
        for episode, change in enumerate((-1.0, 1.0)):
            step = 10 * (k + 1)
            found.append(Score(method, seed, step, 4 * step, episode, value + change))
    return found


def result(tmp_path, found, **changes):
    config = RunConfig(**{**CONFIG.to_json(), **changes})
    write_rows(config.folder(tmp_path) / "scores.csv", Score, found)
    values = {"low": 0.0, "high": 10.0}
    return RunResult(config=config, status="done", values=values, wall_s=6.0)


@pytest.mark.parametrize("name", HYBRID)
@pytest.mark.parametrize("tier", ["smoke", "cpu", "full"])
def test_every_agent_of_a_suite_has_trials_in_every_tier(name, tier):
    request = make_request(name, tier, seeds=2)
    configs = suite_module(name).trials(request)
    folders = {config.folder("runs") for config in configs}
    assert len(folders) == len(configs) > 0
    done = {a for c in configs for a in c.settings.get("methods", [c.agent])}
    assert done == set(SUITES[name].agents)


def test_a_tier_of_the_robots_has_the_robots_and_data_that_it_says():
    def envs(tier):
        return {config.env for config in hybrid_mujoco.trials(make_request("hybrid-mujoco", tier))}

    small = {f"{r}-{d}" for r in ("HalfCheetah", "Hopper") for d in ("random", "medium-replay")}
    assert envs("cpu") == small
    assert len(envs("full")) == 9


def test_chosen_agents_share_a_stack_and_others_train_alone():
    request = make_request("hybrid-sparse", "smoke", agents="sac,moorl,rlpd", seeds=2)
    configs = suite_module("hybrid-sparse").trials(request)
    assert [(c.agent, c.seed) for c in configs[:3]] == [("stack", 0), ("rlpd", 0), ("rlpd", 1)]
    assert configs[0].settings["methods"] == ["sac", "moorl"]


def test_the_ablation_has_a_row_for_every_method():
    assert set(moorl_ablation.METHODS) == set(SUITES["moorl-ablation"].agents)
    assert moorl_ablation.SUITE.gradient_steps("medium-replay-g1") == 1


def test_evaluations_come_at_equal_distances_and_at_the_end():
    assert points_of(100, 4) == [25, 50, 75, 100]
    assert points_of(3, 10) == [1, 2, 3]


def test_long_rows_by_hand(tmp_path):
    offline = [Score("moorl", 0, 0, 7, 0, 3.0)]
    rows = summarise([result(tmp_path, offline + scores([2.0, 4.0, 9.0]))], tmp_path)
    values = {row.metric: row.value for row in rows}
    assert values["score"] == 9.0 and (values["episode_0"], values["episode_1"]) == (8.0, 10.0)
    assert values["area"] == 5.0 and values["regret"] == pytest.approx(0.5)
    assert values["score_offline"] == 3.0 and values[f"{CURVE}20"] == 4.0
    assert values["gradient_steps"] == 120
    assert {row.steps for row in rows} == {30} and {row.wall_s for row in rows} == {6.0}
    assert f"{CURVE}0" not in values


def test_tables_pair_seeds_and_say_what_lies_above(tmp_path):
    results = [
        result(tmp_path, scores([level + seed], agent, seed), agent=agent, seed=seed)
        for agent, level in (("sac", 1.0), ("moorl", 4.0), ("rlpd-lite", 4.5))
        for seed in range(3)
    ]
    rows = summarise(results, tmp_path)
    gap = paired(rows, "point-corner", "moorl", "sac", "area")
    assert gap.mean == gap.low == gap.high == 3.0
    against_sac, against_peer, reached = tables(rows)
    assert against_sac.rows[0][:2] == ("moorl", "3.00 [3.00, 3.00] above")
    assert [line[0] for line in against_peer.rows] == ["sac", "moorl"]
    assert "below" in against_peer.rows[1][1]
    assert [line[0] for line in reached.rows] == ["sac", "moorl", "rlpd-lite"]
    assert reached.rows[0][5:7] == ("10", "40")
    assert tables([]) == []


def test_tables_tell_when_an_agent_is_as_good_as_sac_in_the_end(tmp_path):
    curves = {"sac": [1.0, 2.0, 6.0], "moorl": [1.0, 7.0, 5.0], "rlpd-lite": [0.0, 1.0, 2.0]}
    results = [result(tmp_path, scores(c, agent), agent=agent) for agent, c in curves.items()]
    reached = tables(summarise(results, tmp_path))[-1]
    assert reached.columns[-1] == "steps to final score of sac"
    assert [line[-1] for line in reached.rows] == ["30", "20", "-"]
    alone = tables(summarise(results[1:], tmp_path))[-1]
    assert "sac" not in alone.columns[-1]


def test_figures_are_drawn(tmp_path):
    rows = summarise([result(tmp_path, scores([1.0, 2.0]))], tmp_path)
    (file,) = hybrid_pendulum.plots(rows, tmp_path)
    assert file.stat().st_size > 1000


def task(**changes):
    from functools import partial

    options = {
        "make": partial(SparsePointEnv, layout="corner"),
        "evaluate": partial(SparsePointVectorEnv, layout="corner"),
        "dataset": partial(walks, "corner"),
        "low": 0.0,
        "high": 1.0,
        "episodes": 3,
    }
    return Task(**{**options, **changes})


@pytest.mark.parametrize("success", [False, True])
def test_an_episode_counts_by_its_return_or_its_success(success):
    found = episode_scores(lambda seen: np.ones((3, 2)), task(success=success))
    assert found == [1.0, 1.0, 1.0]  # straight to the corner, where the goal is
    assert episode_scores(lambda seen: -np.ones((3, 2)), task(success=success)) == [0.0] * 3


SMALL = {"policy_kwargs": {"net_arch": [8]}, "batch_size": 8, "gradient_steps": 1}


@pytest.mark.parametrize("agent", ["moorl", "iql"])
def test_an_interrupted_training_ends_with_the_scores_of_an_uninterrupted_one(tmp_path, agent):
    def config(steps, points):
        settings = {"steps": steps, "points": points, "offline_steps": 8}
        return RunConfig(suite="s", env="e", agent=agent, work="", settings=settings)

    row = Row(agent, offline=0.5)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for folder in (whole, parts):
        folder.mkdir()
    counts = train_alone(config(24, 2), whole, task(), row, SMALL)
    train_alone(config(12, 1), parts, task(), row, SMALL)
    again = train_alone(config(24, 2), parts, task(), row, SMALL)
    assert read_rows(parts / "scores.csv", Score) == read_rows(whole / "scores.csv", Score)
    assert again == counts and counts["updates"] > 20
    first = read_rows(whole / "scores.csv", Score)[0]
    assert (first.steps, first.updates) == (0, 4)  # after the offline half


def test_walks_arrive_sometimes_and_uniform_actions_do_not():
    for layout in ("corner", "wall"):
        data = walks(layout, 0)
        assert data.n_episodes == 40
        assert 0 < data.rewards.sum() <= 20 and data.rewards[data.starts[20] :].sum() == 0
    assert walks("corner", 0).fingerprint() != walks("corner", 1).fingerprint()


def test_a_suite_runs_from_its_name_to_its_table(tmp_path):
    request = make_request("hybrid-sparse", "smoke", agents="sac,moorl,calql", envs="point-wall",
                           seeds=1)  # fmt: skip
    report = run_suite(request, tmp_path, engine="serial")
    assert not report.failed
    assert {row.agent for row in report.rows} == {"sac", "moorl", "calql"}
    assert report.tables[-1].title.startswith("point-wall")
    again = run_suite(request, tmp_path, engine="serial")
    assert [row.value for row in again.rows] == [row.value for row in report.rows]


def test_parking_rows_differ_in_their_data_alone():
    rows = hybrid_parking.ROWS
    assert (rows["hope-sac"].data, rows["hope-sac-demos"].data) == ("", "demonstrations")
    assert rows["hope-sac"].settings == rows["hope-sac-demos"].settings
    assert set(rows) == set(SUITES["hybrid-parking"].agents)


@pytest.mark.slow
def test_demonstrations_are_made_once_and_every_parking_row_trains(tmp_path):
    request = make_request("hybrid-parking", "smoke", envs="hard-auto", seeds=1)
    report = run_suite(request, tmp_path, engine="serial")
    assert not report.failed
    assert len(list(tmp_path.rglob("demonstrations-*.npz"))) == 1
    assert {row.value for row in report.rows if row.metric.startswith("episode_")} <= {0.0, 1.0}


def test_the_list_that_rlpd_is_timed_against_is_normalised():
    from hybridrl.agents import RLPD

    model = RLPD(NormalisedLists, SparsePointEnv(), n_critics=3, layer_norm=False, **SMALL,
                 learning_starts=10, buffer_size=100, device="cpu")  # fmt: skip
    assert sum(isinstance(m, torch.nn.LayerNorm) for m in model.critic.modules()) == 3
    model.learn(14)
    assert all(torch.isfinite(p).all() for p in model.policy.parameters())
