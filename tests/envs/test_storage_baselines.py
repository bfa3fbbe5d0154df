"""Baselines and synthetic workloads: what bounds what, and the statistics that are stated."""

import json
from itertools import pairwise

import numpy as np
import pytest

from hybridrl.envs.storage.baselines.registry import ORACLES, POLICIES, make_policy
from hybridrl.envs.storage.compare import compare, gaps, geometric_mean, table
from hybridrl.envs.storage.engine import HSSEngine
from hybridrl.envs.storage.traces.fit import fit
from hybridrl.envs.storage.traces.statistics import lru_hit_ratio, stats
from hybridrl.envs.storage.traces.synthetic import WorkloadSpec, generate, service_times, set_load
from hybridrl.envs.storage.traces.trace import Trace
from hybridrl.envs.storage.traces.workloads import WORKLOADS, make_workload, with_shift
from hybridrl.planners.errors import ScenarioError, UnknownNameError

CAUSAL = [name for name in POLICIES if name not in ("fast_only", "static_topk")]


def mean_latency(trace, config, name, **options):
    engine = HSSEngine(trace, config, policy=make_policy(name), log=False, **options)
    engine.run()
    engine.check()
    return float(engine.e.sys["latency_sum"][0]) / len(trace)


@pytest.mark.parametrize("config", ["perf", "cost"])
def test_the_oracle_bounds_every_causal_policy_and_fast_only_bounds_the_oracle(config):
    trace = make_workload("usr_0", scale=0.4, config=config)
    latency = {name: mean_latency(trace, config, name) for name in [*POLICIES, *ORACLES]}
    oracle = min(latency[name] for name in ORACLES)
    for name in CAUSAL:
        assert latency["fast_only"] < oracle <= 1.01 * latency[name], name


def test_a_larger_fast_device_never_makes_the_oracle_slower():
    trace = make_workload("usr_0", scale=0.3)
    latency = [
        min(mean_latency(trace, "perf", name, fast_fraction=share) for name in ORACLES)
        for share in (0.05, 0.1, 0.2, 0.5, 1.0)
    ]
    assert all(b <= 1.005 * a for a, b in pairwise(latency))


def test_comparison_normalises_and_lets_hindsight_bound_the_oracle():
    trace = make_workload("stg_1", scale=0.5)
    names = ("fast_only", "cde", "lru_write", "oracle")
    records = compare(trace, "perf", names)
    by_name = {record["policy"]: record for record in records}
    assert by_name["fast_only"]["normalised"] == 1
    assert by_name["oracle"]["mean_us"] <= min(by_name[n]["mean_us"] for n in ("cde", "lru_write"))
    rows = table(records)
    assert [row["workload"] for row in rows] == ["stg_1", "geometric mean"]
    assert rows[0]["cde"] == pytest.approx(rows[1]["cde"])
    bridged = gaps(records, "lru_write", ("cde",))
    assert bridged["stg_1"] <= 1 + 1e-9
    assert geometric_mean([1.0, 4.0]) == 2.0


def test_least_recently_used_hits_are_those_of_a_plain_cache():
    rng = np.random.default_rng(0)
    page = rng.zipf(1.3, 3000) % 200
    trace = Trace.from_arrays(None, page, np.ones(3000), np.zeros(3000)).compact()
    cache, hits = [], 0
    for p in trace.page.tolist():
        if p in cache:
            hits += 1
            cache.remove(p)
        elif len(cache) == round(0.1 * trace.pages):
            cache.pop(0)
        cache.append(p)
    assert lru_hit_ratio(trace) == hits / 3000


@pytest.mark.parametrize("name", WORKLOADS)
def test_every_workload_has_its_stated_statistics(name):
    scale = min(1.0, 40_000 / WORKLOADS[name].requests)
    spec = WORKLOADS[name].scaled(scale)
    trace = generate(spec, seed=1)
    numbers = stats(trace)
    assert numbers["requests"] == spec.requests
    assert numbers["write_share"] == pytest.approx(spec.write_share, abs=0.02)
    assert numbers["mean_kib"] == pytest.approx(spec.mean_kib, rel=0.1)
    assert numbers["accesses_per_first_page"] == pytest.approx(spec.accesses, rel=0.15)


def test_equal_seeds_give_equal_workloads_and_scale_multiplies_them():
    a, b, c = (generate(WORKLOADS["web_1"], seed) for seed in (1, 1, 2))
    assert (a.page == b.page).all() and (a.t_us == b.t_us).all() and (a.page != c.page).any()
    large = make_workload("web_1", scale=2.0)
    assert len(large) == pytest.approx(2 * len(a), rel=1e-3)
    assert large.pages == pytest.approx(2 * a.pages, rel=0.1)


@pytest.mark.parametrize("config", ["perf", "cost"])
def test_the_load_is_that_of_the_slowest_device_alone(config):
    trace = make_workload("usr_0", scale=0.5, config=config, load=0.3)
    engine = HSSEngine(
        trace, config, policy=make_policy("slow_only"), replay="open", write_buffer=False
    )
    engine.run()
    busy = float(engine.e.dev["busy"][-1].sum())
    assert busy == pytest.approx(service_times(trace, engine.config.specs()[-1]).sum(), rel=0.03)
    span = trace.t_us[-1] - trace.t_us[0]
    assert busy / (span * engine.config.specs()[-1].channels) == pytest.approx(0.3, rel=0.03)


@pytest.mark.parametrize("name", ["hm_1", "prn_1", "proj_0", "stg_1", "usr_0"])
def test_a_fitted_generator_regenerates_the_statistics(name):
    trace = make_workload(name, seed=3, scale=min(1.0, 60_000 / WORKLOADS[name].requests))
    spec = fit(trace)
    a, b = stats(trace), stats(generate(spec, seed=5))
    assert b["write_share"] == pytest.approx(a["write_share"], abs=0.02)
    assert b["mean_kib"] == pytest.approx(a["mean_kib"], rel=0.1)
    assert b["accesses_per_page"] == pytest.approx(a["accesses_per_page"], rel=0.15)
    assert b["lru_10_hit_ratio"] == pytest.approx(a["lru_10_hit_ratio"], abs=0.05)
    assert b["span_s"] == pytest.approx(a["span_s"], rel=0.35)


def test_a_shift_joins_two_workloads_over_separate_pages():
    a, b = make_workload("stg_1", scale=0.2), make_workload("web_1", scale=0.2)
    both = with_shift(a, b)
    assert len(both) == len(a) + len(b) and both.pages == a.pages + b.pages
    assert (np.diff(both.t_us) >= 0).all()


def test_bad_workloads_name_the_field():
    with pytest.raises(ScenarioError, match="write_share"):
        WorkloadSpec(name="x", write_share=1.5, mean_kib=4, accesses=2, first_pages=10)
    with pytest.raises(ScenarioError, match="load"):
        set_load(generate(WORKLOADS["stg_1"].scaled(0.1)), "perf", 0.0)
    with pytest.raises(ScenarioError, match="at least 100"):
        fit(Trace.from_arrays(None, [1], [1], [True]))
    with pytest.raises(UnknownNameError, match="did you mean"):
        make_workload("hm1")
    with pytest.raises(UnknownNameError, match="did you mean"):
        make_policy("cdx")


def test_the_command_line_inspects_fits_replays_and_compares(hybridrl, tmp_path):
    done = hybridrl("storage", "inspect", "stg_1", "--scale", "0.2", "--out", "t.npz", "--json")
    assert done.exit_code == 0 and json.loads(done.stdout)["requests"] > 500
    done = hybridrl("storage", "fit", "t.npz", "--json")
    assert json.loads(done.stdout)["spec"]["write_share"] == pytest.approx(0.36, abs=0.03)
    done = hybridrl("storage", "replay", "t.npz", "--policy", "cde", "--json")
    assert json.loads(done.stdout)["mean_us"] > 0
    words = ("--policies", "cde,lru_write", "--config", "perf,cost", "--out", "c.json")
    done = hybridrl("storage", "compare", "t.npz", *words)
    assert done.exit_code == 0 and "geometric mean" in done.stdout
    assert len(json.loads((tmp_path / "c.json").read_text())) == 4
    for words in (("inspect", "no.csv"), ("replay", "t.npz", "--policy", "x"), ("inspect", "hm_9")):
        assert hybridrl("storage", *words).exit_code == 2
