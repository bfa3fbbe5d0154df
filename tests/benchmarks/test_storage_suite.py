"""The storage suite: trials, rows and tables from numbers worked by hand."""

import math

import pytest

from hybridrl.benchmarks.results import ResultRow
from hybridrl.benchmarks.runs import execute
from hybridrl.benchmarks.storage import AGENTS, scale_of, summarise, trials, variant
from hybridrl.benchmarks.storage_plots import plots
from hybridrl.benchmarks.storage_tables import (
    best_possible,
    bridged,
    geometric_mean,
    logs_over,
    numbers_of,
    tables,
)
from hybridrl.benchmarks.suites import SUITES, Request
from hybridrl.envs.storage.baselines.registry import ORACLES, POLICIES
from hybridrl.envs.storage.traces.workloads import WORKLOADS


def rows_of(table, metric="mean_us", system="perf"):
    """Long rows from ``{agent: {workload: value}}``."""
    return [
        ResultRow(
            suite="storage",
            env=f"{system}/{workload}",
            agent=agent,
            seed=0,
            variant="cpu-x1",
            metric=metric,
            value=value,
            n=10,
            steps=10,
            wall_s=1.0,
            version="0",
            commit="c",
            command="x",
        )
        for agent, values in table.items()
        for workload, value in values.items()
    ]


TABLE = {
    "fast_only": {"a": 1.0, "b": 10.0},
    "cde": {"a": 4.0, "b": 40.0},
    "lru_write": {"a": 8.0, "b": 80.0},
    "harmonia": {"a": 3.0, "b": 30.0},
    "oracle": {"a": 2.0, "b": 50.0},
}


def test_the_suite_names_what_exists():
    suite = SUITES["storage"]
    assert set(suite.agents) <= {*POLICIES, *ORACLES, *AGENTS, "oracle"}
    assert suite.tiers["cpu"]["workloads"] == tuple(WORKLOADS)


def test_long_workloads_are_scaled_to_the_wanted_requests():
    assert scale_of("stg_1", 1.0, 100_000) == 1.0
    requests = WORKLOADS["ycsb_a"].requests
    assert scale_of("ycsb_a", 1.0, 100_000) == pytest.approx(100_000 / requests)


def test_geometric_means_are_taken_over_ratios_to_fast_only():
    means = numbers_of(rows_of(TABLE), "perf", "mean_us")
    assert geometric_mean(logs_over(means, "cde")) == pytest.approx(4.0)
    assert math.isnan(geometric_mean(logs_over(means, "nobody")))


def test_the_oracle_is_at_most_any_policy_within_capacity():
    every = best_possible(numbers_of(rows_of(TABLE), "perf", "mean_us"))
    assert every["oracle"] == {"a": {0: 2.0}, "b": {0: 30.0}}


def test_the_share_of_the_gap_is_counted_from_the_best_prior_policy():
    means = numbers_of(rows_of(TABLE), "perf", "mean_us")
    best, share = bridged(means, "harmonia")
    assert best == "cde"
    assert share == pytest.approx((4 - 3) / (4 - math.sqrt(6)))


def test_tables_end_with_the_headline_and_name_the_published_figures():
    made = tables(rows_of(TABLE))
    assert [t.title.split(":")[0] for t in made[:2]] == ["perf", "perf"]
    assert "Published" in made[-2].title and "geometric mean" in made[-1].title
    line = next(row for row in made[-1].rows if "against" in row[0])
    assert line[1].startswith("+33.3 % (cde)")
    assert tables([]) == []


def test_adaptation_compares_the_gap_before_and_after_the_change():
    rows = rows_of(TABLE, system="perf-shift")
    for k in range(10):
        level = 2.0 if k < 5 else 5.0 if k < 7 else 2.1
        shift = {"fast_only": {"a": 1.0}, "harmonia": {"a": level}}
        rows += rows_of(shift, f"mean_us_at_{k:02d}", "perf-shift")
    table = next(t for t in tables(rows) if "adaptation" in t.title)
    assert next(row for row in table.rows if row[0] == "harmonia") == (
        "harmonia",
        "1",
        "1.1",
        "1.1",
    )


def test_plots_are_drawn_from_rows(tmp_path):
    assert [file.exists() for file in plots(rows_of(TABLE), tmp_path)] == [True]


def test_a_trial_runs_goes_on_and_gives_rows(tmp_path):
    settings = {"scale": 0.02, "requests": 100, "workloads": ["stg_1", "web_1"]}
    request = Request(
        suite="storage",
        envs=("perf",),
        agents=("fast_only", "cde"),
        seeds=(0,),
        variant=variant("smoke", settings),
        settings=settings,
    )
    results = [execute(trial, tmp_path) for trial in trials(request)]
    assert [r.status for r in results] == ["done", "done"]
    assert execute(trials(request)[0], tmp_path).status == "skipped"
    rows = summarise(results, tmp_path)
    assert {row.env for row in rows} == {"perf/stg_1", "perf/web_1"}
    means = numbers_of(rows, "perf", "mean_us")
    assert means["cde"]["stg_1"][0] > means["fast_only"]["stg_1"][0]
    assert {row.agent for row in rows} == {"fast_only", "cde"}
