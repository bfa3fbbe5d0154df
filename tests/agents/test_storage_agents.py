"""Sibyl and Harmonia: what they learn from, what they keep, what they weigh."""

import json

import numpy as np
import pytest

from hybridrl.agents import Harmonia, Sibyl
from hybridrl.agents.common.compiled_q import UPDATES, WRITTEN
from hybridrl.agents.harmonia.profiles import PROFILES
from hybridrl.envs.storage.engine import HSSEngine
from hybridrl.planners.errors import ScenarioError, UnknownNameError


@pytest.fixture(scope="module")
def trace(skewed_trace):
    return skewed_trace(1, 6000, 500, 1.2, 100)


def engine_of(agent, trace, config="perf"):
    return HSSEngine(trace, config, policy=agent.engine_policy(), log=True)


@pytest.mark.parametrize("agent", [Harmonia, Sibyl, lambda **k: Harmonia(profile="default", **k)])
def test_a_run_keeps_every_page_and_trains_on_time(agent, trace):
    made = agent(seed=0)
    engine = engine_of(made, trace)
    engine.run()
    engine.check()
    trainings = len(trace) // made.settings.train_every
    assert engine.state.p_counts[UPDATES] == made.settings.place_batches * trainings
    assert engine.state.p_counts[WRITTEN] > 100
    moves = made.settings.migration == "agent"
    if made.settings.learner == "worth":
        assert engine.state.rules["placer"][0] == 1
    assert (engine.state.m_counts[WRITTEN] > 100) == moves
    assert (engine.state.m_counts[UPDATES] > 0) == moves


def test_equal_seeds_give_equal_runs_and_a_saved_one_goes_on_alike(trace):
    one, two = (engine_of(Harmonia(seed=3), trace) for _ in range(2))
    one.run()
    two.run(3217)
    saved = two.save()
    third = engine_of(Harmonia(seed=3), trace)
    third.restore(saved)
    third.run()
    assert (one.e.log == third.e.log).all()
    assert (one.state.p_numbers == third.state.p_numbers).all()


def test_every_migration_decision_is_paid_once_and_in_its_window(trace):
    engine = engine_of(Harmonia(seed=0, warmup_requests=500), trace)
    engine.run(400)
    rules, tickets = engine.state.rules[0], engine.state.tickets
    assert rules["ticket"] > 0
    open_windows = [tickets["queue"][k & 255] for k in range(rules["first"], rules["last"])]
    assert all(400 - tickets["start"][t] < rules["window"] for t in open_windows)
    paid = int(engine.state.m_counts[WRITTEN])
    assert paid == rules["first"] <= rules["ticket"]


def test_the_reward_of_staying_is_the_inverse_of_the_mean_latency(trace):
    agent = Harmonia(seed=0, placement="fast", warmup="none", exploration=0.0)
    engine = engine_of(agent, trace)
    engine.run(2000)
    state, latency = engine.state, engine.e.log["latency"]
    first = int(state.rules["first"][0])
    ticket = int(state.tickets["queue"][(first - 1) & 255])
    t = state.tickets[ticket]
    window = latency[t["start"] : t["start"] + 50].sum() / state.rules["unit"][0]
    from hybridrl.agents.common.compiled_q import HEAD, Brain, returns_at

    mover = Brain(*state[3:6])
    at = returns_at(mover) + 2 * ((mover.counts[HEAD] - 1) % len(mover.memory))
    assert mover.numbers[at] == pytest.approx(50 / window - t["penalty"])


def test_a_frozen_agent_changes_nothing_and_repeats_itself(trace):
    agent = Harmonia(seed=0).learn(trace, "perf")
    before = agent.brains["placement"].numbers.copy()
    means = [agent.run(trace, "perf", learn=False).e.sys["latency_sum"][0] for _ in range(2)]
    assert means[0] == means[1]
    assert (agent.brains["placement"].numbers == before).all()


@pytest.mark.parametrize("kind", [Harmonia, Sibyl])
def test_saved_agents_come_back_equal(kind, trace, tmp_path):
    agent = kind(seed=1).learn(trace.head(2500), "tri")
    agent.save(tmp_path / "agent")
    again = kind.load(tmp_path / "agent")
    rows = np.random.default_rng(0).random((50, 7))
    assert (again.predict(rows)[0] == agent.predict(rows)[0]).all()
    assert again.settings == agent.settings and again.num_timesteps == 2500
    means = [a.run(trace, "tri", learn=False).e.sys["latency_sum"][0] for a in (agent, again)]
    assert means[0] == means[1]


def test_damaged_and_foreign_files_are_refused(trace, tmp_path):
    Sibyl(seed=1).save(tmp_path)
    with pytest.raises(ScenarioError, match="Harmonia"):
        Harmonia.load(tmp_path)
    (tmp_path / "agent.json").write_text(json.dumps({"format": 1}))
    with pytest.raises(ScenarioError):
        Sibyl.load(tmp_path)
    with pytest.raises(ScenarioError):
        Sibyl.load(tmp_path / "nowhere")


@pytest.mark.parametrize("devices", [2, 3, 4])
def test_both_agents_fit_in_206_kib(devices):
    report = Harmonia().memory_report(devices)
    parts = [sum(report[name].values()) for name in ("placement", "migration")]
    assert report["total"] == sum(parts) + report["pending"] <= 206 * 1024
    assert report["page_metadata_per_page"]["published"] == 4
    assert Harmonia(profile="default").memory_report(devices)["total"] <= 206 * 1024
    alone = Harmonia(profile="default", migration="none").memory_report(devices)
    assert alone["total"] < report["total"] and "migration" not in alone


def test_predictions_are_devices_for_one_and_for_many(trace):
    agent = Harmonia(seed=0).learn(trace.head(1500), "quad")
    assert agent.predict(np.zeros(7))[0].shape == ()
    chosen = agent.predict(np.random.default_rng(0).random((20, 7)), agent="migration")[0]
    assert chosen.shape == (20,) and set(chosen) <= {0, 1, 2, 3}
    with pytest.raises(ScenarioError):
        agent.predict(np.zeros(6))


def test_without_coordination_the_others_doing_is_not_seen(trace):
    engine = engine_of(Harmonia(seed=0, coordination=False), trace)
    engine.run(3000)
    memory = engine.state.p_memory
    assert (memory[:, 4:7] == 0).all() and (memory[:, 12:15] == 0).all()
    assert memory[:, 2:4].any()


def test_an_environment_can_be_learned_in(trace):
    agent = Harmonia(env="hybridrl/HybridStorage-v0", seed=0)
    agent.env = __import__("gymnasium").make("hybridrl/HybridStorage-v0", workload=trace)
    agent.learn(8000)
    assert agent.num_timesteps == 8000 and agent.devices == 2


def test_profiles_hold_the_published_numbers():
    harmonia, sibyl = PROFILES["harmonia"], PROFILES["sibyl"]
    assert (harmonia.place_gamma, harmonia.move_gamma) == (0.9, 0.1)
    assert (harmonia.place_rate, harmonia.move_rate, harmonia.exploration) == (1e-3, 1e-2, 1e-3)
    assert (harmonia.place_batch, harmonia.move_batch, harmonia.capacity) == (128, 256, 1000)
    assert (sibyl.hidden, sibyl.atoms, sibyl.head, sibyl.act_on) == ((20, 30), 51, "c51", "all")


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"profile": "gold"}, UnknownNameError),
        ({"reward": "joy"}, UnknownNameError),
        ({"place_gama": 0.5}, UnknownNameError),
        ({"place_gamma": 1.5}, ScenarioError),
        ({"place_batch": 100}, ScenarioError),
        ({"policy": "CnnPolicy"}, ScenarioError),
        ({"learner": "worth", "features": "six"}, ScenarioError),
        ({"head": "count", "hidden": (20, 30)}, ScenarioError),
        ({"caution": 0.0}, ScenarioError),
    ],
)
def test_bad_settings_are_refused(settings, error):
    with pytest.raises(error):
        Harmonia(**settings)


def test_the_command_line_trains_pass_after_pass_and_saves(hybridrl, tmp_path):
    words = ("storage", "train", "harmonia", "stg_1", "--limit", 1500, "--passes", 2, "--json")
    done = hybridrl(*words, "--set", "warmup_requests=200", "--out", tmp_path / "agent")
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)
    assert [(row["pass"], row["requests"]) for row in rows] == [(1, 1500), (2, 1500)]
    assert all(0 < row["mean_us"] <= row["p99_us"] for row in rows)
    agent = Harmonia.load(tmp_path / "agent")
    assert agent.num_timesteps == 3000 and agent.settings.warmup_requests == 200
