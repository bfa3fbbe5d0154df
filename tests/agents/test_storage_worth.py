"""Profile ``default``: values of pages, prices of room, and what follows from them."""

import json

import numpy as np
import pytest

from hybridrl.agents import Harmonia
from hybridrl.agents.common.compiled_q import WRITTEN, Brain, layers_of, learned, returns_at
from hybridrl.agents.harmonia.worth_predict import Market, cheapest_devices, equal_values
from hybridrl.agents.harmonia.worth_state import FOLLOW, SLOTS
from hybridrl.envs.storage.baselines.registry import make_policy
from hybridrl.envs.storage.engine import HSSEngine
from hybridrl.envs.storage.traces.trace import Trace


@pytest.fixture(scope="module")
def trace(skewed_trace):
    return skewed_trace(1, 6000, 500, 1.2, 100)


def run(trace, config="cost", stop=None, learn=True, fast_fraction=None, **settings):
    policy = Harmonia(profile="default", seed=0, **settings).engine_policy(learn)
    engine = HSSEngine(trace, config, policy=policy, fast_fraction=fast_fraction)
    engine.run(stop)
    engine.check()
    return engine


def mean_of(engine):
    return engine.e.sys["latency_sum"][0] / engine.position


@pytest.mark.parametrize("config", ["perf", "cost", "quad"])
def test_no_page_is_lost_and_a_saved_run_goes_on_alike(config, trace):
    whole, part = run(trace, config), run(trace, config, stop=2500)
    saved = part.save()
    agent = Harmonia(profile="default", seed=0)
    third = HSSEngine(trace, config, policy=agent.engine_policy())
    third.restore(saved)
    third.run()
    assert (third.e.log == whole.e.log).all()


@pytest.mark.slow
def test_in_front_of_a_disk_it_beats_the_heuristics_on_a_skewed_trace(trace):
    ours = mean_of(run(trace))
    for name in ("lru_write", "lru_all", "lfu", "hps", "cde"):
        engine = HSSEngine(trace, "cost", policy=make_policy(name))
        engine.run()
        assert ours < mean_of(engine), name


def test_while_there_is_room_every_request_comes_up():
    n = 200
    trace = Trace.from_arrays(np.arange(n) * 10.0, np.arange(n) * 2, np.ones(n), np.arange(n) % 2)
    engine = run(trace.compact(), fast_fraction=1.0)
    assert (engine.e.page["loc"] > 0).sum() <= 2  # the last reads are still being copied
    assert engine.e.sys["evictions"][0] == 0


def test_a_page_that_comes_again_teaches_its_discounted_cost():
    n = 60
    trace = Trace.from_arrays(np.arange(n) * 10.0, np.arange(n) % 2 * 64, np.ones(n), np.ones(n))
    engine = run(trace.compact(), stop=5, fast_fraction=0.5, prior=False, train_every=1000)
    state = engine.state
    brain = Brain(*state[:3])
    assert brain.counts[WRITTEN] == 3
    at = returns_at(brain)
    level, horizon = state.levels[1], state.rules["horizon"][0]
    gain = np.exp(-2.0 / horizon)
    # Before any training every value is exp(0) = 1 in units of the disk's 4 KiB read.
    assert brain.numbers[at] == pytest.approx(
        gain * (level["cost"] / level["scale"] + 1.0), rel=0.01
    )
    assert brain.numbers[at + 1] == 0.0


def test_the_prior_promises_in_proportion_to_the_count(trace):
    state = run(trace, stop=2000).state
    brain = Brain(*state[:3])
    at, rows = returns_at(brain), brain.memory[:500]
    exposure = brain.numbers[at + 1 : at + 1000 : 2]
    slope = np.polyfit(rows[:, 3].astype(float), exposure, 1)[0]
    assert slope == pytest.approx(np.log(2) / 4, rel=0.3)


def test_a_frozen_agent_changes_nothing(trace):
    agent = Harmonia(profile="default", seed=0).learn(trace, "tri")
    before = agent.brains["placement"].numbers.copy()
    means = [mean_of(agent.run(trace, "tri", learn=False)) for _ in range(2)]
    assert means[0] == means[1]
    assert (agent.brains["placement"].numbers == before).all()


def test_least_recently_used_pages_leave_without_a_migration_agent(trace):
    engine = run(trace, migration="none")
    assert engine.state.rules["mover"][0] == 0
    assert engine.state.m_counts[WRITTEN] == 0 < engine.state.p_counts[WRITTEN]


def test_with_cde_placement_reads_stay_where_they_are(trace):
    engine = run(trace, placement="cde")
    plain = HSSEngine(trace, "cost", policy=make_policy("cde"))
    plain.run()
    assert engine.e.sys["promotions"][0] < engine.e.sys["evictions"][0] + engine.e.dev["cap"][0]
    assert (engine.e.sys["user_pages"] == plain.e.sys["user_pages"]).all()


def test_predictions_weigh_values_against_prices():
    agent = Harmonia(profile="default", seed=0)
    brain = agent._brain("placement")
    equal_values(brain)
    assert all(not part.any() for part in layers_of(brain, learned(brain))[-1])
    row = np.array([[1, 0, 20, 0, 0, 1, 63, 0]])
    cheap, dear = (Market(0.0, [1.0, 100.0], [price]) for price in (10.0, 1000.0))
    assert cheapest_devices(brain, row, cheap, agent.settings).tolist() == [0]
    assert cheapest_devices(brain, row, dear, agent.settings).tolist() == [1]
    hot = row.copy()
    hot[0, 3] = 24  # 64 accesses
    assert cheapest_devices(brain, hot, dear, agent.settings).tolist() == [0]


def test_prices_are_saved_with_the_agent(trace, tmp_path):
    agent = Harmonia(profile="default", seed=0).learn(trace.head(3000), "tri")
    agent.save(tmp_path)
    again = Harmonia.load(tmp_path)
    assert again.market == agent.market
    rows = np.random.default_rng(0).random((50, 7))
    assert (again.predict(rows)[0] == agent.predict(rows)[0]).all()
    assert len(json.loads((tmp_path / "agent.json").read_text())["market"]["prices"]) == 2


def test_followed_pages_fit_the_memory_budget():
    assert SLOTS * FOLLOW.itemsize <= 40 * 1024
