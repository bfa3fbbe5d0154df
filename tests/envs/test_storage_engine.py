"""The engine from outside: books, decisions, determinism, checkpoints, errors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridrl.envs.storage.baselines.registry import make_policy
from hybridrl.envs.storage.config import CONFIGS, make_config
from hybridrl.envs.storage.devices import DeviceSpec
from hybridrl.envs.storage.engine import HSSEngine, SaturationWarning
from hybridrl.envs.storage.kernels.batch import stack
from hybridrl.envs.storage.kernels.features import bins_of, log_bin
from hybridrl.envs.storage.kernels.records import PAGE
from hybridrl.envs.storage.metrics import gap_bridged, latency_over_time, measure
from hybridrl.envs.storage.traces.trace import Trace
from hybridrl.planners.errors import ScenarioError, UnknownNameError


def some_trace(n=3000, seed=0, spread=900, longest=20):
    rng = np.random.default_rng(seed)
    return Trace.from_arrays(
        np.cumsum(rng.exponential(500, n)),
        rng.zipf(1.2, n) % spread * 2,
        rng.integers(1, longest, n),
        rng.random(n) < 0.5,
    )


def arrays(engine):
    return [
        array.tobytes()
        for name, array in zip(engine.e._fields, engine.e, strict=True)
        if name != "cand"
    ]


@pytest.mark.filterwarnings("ignore:.*saturated")
@settings(max_examples=12)
@given(
    config=st.sampled_from(list(CONFIGS)),
    policy=st.sampled_from(["random", "lru_all", "hps", "cde+hps"]),
    replay=st.sampled_from(["open", "closed"]),
    depth=st.integers(1, 16),
    jobs=st.integers(0, 12),
    fraction=st.floats(0.001, 0.5),
    seed=st.integers(0, 99),
)
def test_no_page_is_ever_lost_or_in_two_places(config, policy, replay, depth, jobs, fraction, seed):
    engine = HSSEngine(
        some_trace(seed=seed),
        config,
        policy=make_policy(policy),
        replay=replay,
        queue_depth=depth,
        max_bg=jobs,
        fast_fraction=fraction,
    )
    for stop in range(0, 3000, 250):
        engine.run(stop)
        engine.check()
    engine.run()
    engine.check()
    assert (engine.e.log["latency"] > 0).all()
    assert (np.diff(engine.e.log["arrive"]) >= 0).all()


def test_equal_seeds_give_equal_bytes_and_others_do_not():
    runs = []
    for seed in (1, 1, 2):
        engine = HSSEngine(some_trace(), "tri", seed=seed, policy=make_policy("random"))
        engine.run()
        runs.append(arrays(engine))
    assert runs[0] == runs[1] != runs[2]
    engine.reset(1)
    engine.run()
    assert arrays(engine) == runs[0]


def test_a_run_cut_in_pieces_or_restored_gives_the_same_rest():
    whole = HSSEngine(some_trace(), "quad", seed=3, policy=make_policy("lru_all"))
    whole.run()
    first = HSSEngine(some_trace(), "quad", seed=3, policy=make_policy("lru_all"))
    first.run(1234)
    saved = first.save()
    first.run()
    assert arrays(first) == arrays(whole)
    other = HSSEngine(some_trace(), "quad", seed=9, policy=make_policy("lru_all"))
    other.restore(saved)
    assert other.position == 1234
    other.run()
    assert arrays(other) == arrays(whole)


def test_decisions_from_outside_give_the_run_of_the_policy_that_takes_them():
    trace = some_trace()
    inside = HSSEngine(trace, "tri", policy=make_policy("lru_write"))
    inside.run()
    outside = HSSEngine(trace, "tri")
    points = 0
    while (point := outside.advance()).kind != "end":
        assert point.kind == "place" and point.pages.shape == (1,)
        assert (point.bins >= 0).all() and (point.bins < bins_of(3)).all()
        assert outside.advance().pages == point.pages  # asking twice changes nothing
        outside.decide("place", 0)
        points += 1
    assert points == trace.write.sum()
    assert arrays(outside) == arrays(inside)


def test_candidates_stay_or_move_as_decided():
    trace = some_trace()
    options = {"replay": "open", "migration_interval": 50, "time_scale": 100.0}
    engine = HSSEngine(trace, "perf", policy=None, **options)
    engine.e.sys["interval"] = engine.e.sys["countdown"] = 50
    moved = 0
    while (point := engine.advance(ask_place=False)).kind != "end":
        assert point.kind == "migrate" and engine.position % 50 == 0
        assert len(point.pages) <= 10 and len(set(point.pages.tolist())) == len(point.pages)
        assert (point.bins < bins_of(2)).all()
        with pytest.raises(ScenarioError, match="due: migrate"):
            engine.decide("place", 0)
        engine.decide("migrate", 1 - point.devices)
        moved += 1
        engine.check()
    assert moved == len(trace) // 50
    s = engine.e.sys[0]
    assert s["promotions"] > 100 and s["evictions"] == 0
    assert s["done_count"] == s["promotions"] + s["demotions"]
    assert engine.e.dev["used"][0] > 0


def test_a_write_cancels_the_move_of_its_page():
    from hybridrl.envs.storage.kernels.background import queue_move

    trace = Trace.from_arrays([0.0, 1.0, 1e6], [0, 0, 0], [1, 1, 1], [False, True, False])
    engine = HSSEngine(trace, "cost", replay="open")
    engine.run(1)
    assert queue_move(engine.e, 0, 1, 0, 7)
    assert not queue_move(engine.e, 0, 1, 0, 8)  # in flight already
    engine.run()
    assert engine.e.sys["cancelled"][0] == 1 and engine.e.page["loc"][0] == 1
    engine.check()


def test_moves_to_a_full_device_wait_for_room_or_are_refused():
    from hybridrl.envs.storage.kernels.background import queue_move

    n = 40
    trace = Trace.from_arrays(np.arange(n) * 1e5, np.arange(n) % 10, np.ones(n), np.zeros(n))
    engine = HSSEngine(trace, "perf", replay="open", fast_fraction=0.1)
    assert engine.e.dev["cap"].tolist() == [1, 10]
    engine.run(1)
    assert queue_move(engine.e, 3, 1, 0, 1)
    engine.run(2)
    assert not queue_move(engine.e, 4, 1, 0, 2) and engine.e.sys["refused"][0] == 1
    assert queue_move(engine.e, 3, 1, 1, 3) and queue_move(engine.e, 4, 1, 0, 4)
    engine.run(4)
    engine.check()
    assert engine.e.page["loc"][[3, 4]].tolist() == [1, 0]
    assert engine.e.sys["done_tag"][0][:3].tolist() == [1, 3, 4]
    assert not queue_move(engine.e, 99, 1, 0, 0) and not queue_move(engine.e, 5, 1, 1, 0)


def test_features_count_requests_accesses_and_migrations():
    for value, expected in [(1, 0), (2, 4), (3, 6), (4, 8), (1000, 39), (55_109, 63), (10**9, 63)]:
        assert log_bin(value) == expected == min(63, int(np.floor(4 * np.log2(value))))
    trace = Trace.from_arrays(None, [0, 8, 0, 0], [3, 1, 70, 1], [False, False, False, True])
    engine = HSSEngine(trace, "perf", act_on="all")
    seen = []
    while (point := engine.advance()).kind == "place":
        seen.append(point.bins[0].tolist())
        engine.decide("place", 1)
    never, first = 63, 0
    assert seen[0] == [0, 2, never, first, 7, 1, never]
    assert seen[1] == [0, 0, never, first, 7, 1, never]
    assert seen[2] == [0, 7, log_bin(2), log_bin(2), 7, 1, never]
    assert seen[3] == [1, 0, log_bin(1), log_bin(3), 7, 1, never]


def test_reads_are_unchanged_by_what_placement_acts_on():
    """A policy that leaves reads where they are gives the same run on writes and on everything."""
    trace = some_trace(2000, longest=2)  # single pages
    runs = []
    for act_on in ("writes", "all"):
        engine = HSSEngine(trace, "perf", act_on=act_on, decision_ns=0.0)
        while (point := engine.advance()).kind == "place":
            engine.decide("place", 0 if engine.e.sys[0]["write"] else int(point.devices[0]))
        runs.append(engine.e.log["latency"].tolist())
    assert runs[0] == runs[1]


def test_engines_stack_into_a_batch():
    engines = [HSSEngine(some_trace(n, n), "perf", seed=n) for n in (100, 200)]
    batch = stack([engine.e for engine in engines])
    assert batch.sys.shape == (2, 1) and batch.page.shape[0] == 2 and len(batch.req) == 300
    assert batch.sys["first"][:, 0].tolist() == [0, 100]
    assert (batch.dev["cap"][1] == engines[1].e.dev["cap"]).all()


def test_a_page_takes_twenty_bytes():
    assert PAGE.itemsize == 20


def test_metrics_add_up():
    engine = HSSEngine(some_trace(), "tri", policy=make_policy("lru_write"))
    engine.run()
    numbers = measure(engine)
    latency = engine.e.log["latency"]
    assert numbers["mean_us"] == pytest.approx(latency.mean())
    assert numbers["p99_us"] == pytest.approx(np.percentile(latency, 99))
    assert sum(numbers[f"hit_share_d{k}"] for k in range(3)) == pytest.approx(1)
    written = engine.trace.npages[engine.trace.write].sum() * 4096
    moved = numbers["evictions"] * 4096
    total = sum(numbers[f"write_bytes_{g}_d{k}"] for g in ("fg", "bg") for k in range(3))
    left = sum(int(j["npages"]) for j in engine.e.job if j["state"] in (1, 2, 3)) * 4096
    assert written + moved - left <= total <= written + moved
    assert numbers["lifetime_years_d0"] > 0 and "lifetime_years_d2" not in numbers
    half = measure(engine, 0.5)
    assert half["requests"] == 1500 and half["mean_us"] == pytest.approx(latency[1500:].mean())
    curve = latency_over_time(engine, 30)
    assert curve["mean_us"].mean() == pytest.approx(latency.mean())
    assert gap_bridged(10, 4, 2) == 0.75 and np.isnan(gap_bridged(2, 1, 2))
    with pytest.raises(ScenarioError, match="log=True"):
        measure(HSSEngine(some_trace(), "perf", log=False))


def test_open_replay_beyond_what_a_device_can_do_warns_and_is_held_back():
    n = 2000
    trace = Trace.from_arrays(np.arange(n) * 10.0, np.arange(n) * 7 % n, np.ones(n), np.zeros(n))
    engine = HSSEngine(trace, "cost", replay="open", backlog_us=1e5)
    with pytest.warns(SaturationWarning, match="hdd is busy"):
        engine.run()
    assert engine.e.sys["capped"][0] > 0
    assert engine.e.log["latency"].max() < 1.5e5


def test_wrong_options_name_the_value_and_the_fix():
    trace = some_trace(50)
    with pytest.raises(UnknownNameError, match="did you mean perf"):
        HSSEngine(trace, "pref")
    with pytest.raises(UnknownNameError, match="optane"):
        make_config(devices=("optan", "hdd"))
    with pytest.raises(UnknownNameError, match="queue_depth"):
        make_config("perf", queue_dept=3)
    for name, value in [("queue_depth", 0), ("time_scale", 0.0), ("fast_fraction", 0.0)]:
        with pytest.raises(ScenarioError, match=name):
            make_config("perf", **{name: value})
    with pytest.raises(ScenarioError, match="shares"):
        make_config("tri", shares=(0.2, 0.1))
    with pytest.raises(ScenarioError, match="replay"):
        HSSEngine(Trace.from_arrays(None, [0], [1], [True]), "perf", replay="open")
    with pytest.raises(ScenarioError, match="at least one request"):
        HSSEngine(Trace.from_arrays(None, [], [], []), "perf")
    with pytest.raises(ScenarioError, match="sustained"):
        DeviceSpec("x", buffer_bytes=1.0)
    engine = HSSEngine(trace, "perf")
    engine.advance()
    with pytest.raises(ScenarioError, match="devices 0 to 1"):
        engine.decide("place", 2)


def test_the_profiles_change_what_they_say():
    assert make_config("perf", profile="sibyl").act_on == "all"
    assert make_config("perf", profile="default").extent_pages == 64
    assert make_config("quad").capacities(1000) == (50, 100, 200, 1000)
    assert make_config("tri", fast_fraction=0.1).capacities(1000) == (100, 200, 1000)
