"""The storage suite: policies on the 17 workloads in front of four systems (``storage.md`` 10).

A trial is one policy on all workloads of one system; each workload's numbers are kept in the
trial's folder, so an interrupted trial goes on where it stopped. Every policy starts cold on every
workload and learns while it is measured.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hybridrl.benchmarks.results import ResultRow, row_of
from hybridrl.benchmarks.runs import RunConfig, RunResult, read_json, write_json
from hybridrl.benchmarks.storage_plots import plots
from hybridrl.benchmarks.storage_tables import tables
from hybridrl.benchmarks.suites import Request
from hybridrl.envs.storage.baselines.registry import ORACLES, make_policy
from hybridrl.envs.storage.engine import HSSEngine, SaturationWarning
from hybridrl.envs.storage.metrics import latency_over_time, measure
from hybridrl.envs.storage.policy import Policy
from hybridrl.envs.storage.traces.trace import Trace
from hybridrl.envs.storage.traces.workloads import WORKLOADS, make_workload, with_shift

__all__ = ["plots", "run_policy", "summarise", "tables", "trials", "variant"]

ORACLE = "oracle"
STRETCHES = 50  # of the latency over time
# Our agents: class, and settings of its constructor.
AGENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "sibyl": ("Sibyl", {}),
    "harmonia": ("Harmonia", {}),
    "harmonia-place": ("Harmonia", {"migration": "none"}),
    "harmonia-move": ("Harmonia", {"placement": "cde"}),
    "harmonia-blind": ("Harmonia", {"coordination": False}),
    "harmonia-cold": ("Harmonia", {"warmup": "none"}),
    "harmonia-default": ("Harmonia", {"profile": "default"}),
    "harmonia-default-place": ("Harmonia", {"profile": "default", "migration": "none"}),
    "harmonia-default-move": ("Harmonia", {"profile": "default", "placement": "cde"}),
    "harmonia-default-blind": ("Harmonia", {"profile": "default", "coordination": False}),
    "harmonia-default-bare": ("Harmonia", {"profile": "default", "prior": False}),
}
# What is kept of a run's numbers; where a system lacks a device its numbers are missing.
KEPT = (
    "requests",
    "mean_us",
    "p50_us",
    "p99_us",
    "p99.9_us",
    "iops",
    "promotions",
    "demotions",
    "evictions",
    "cancelled",
    "pingpongs",
    "moved_pages",
    "moved_per_user_byte",
    "capped",
    "lifetime_years_d0",
    "lifetime_years_d1",
    "hit_share_d0",
)


def variant(tier: str, settings: dict[str, Any]) -> str:
    """Tier and size, as in ``cpu-x1-n100000``: longer workloads are scaled to so many requests."""
    return f"{tier}-x{settings['scale']:g}-n{settings['requests']}"


def trials(request: Request) -> list[RunConfig]:
    """One trial for each system, policy and seed; policies that draw nothing run the same seeds."""
    return [
        request.trial(
            env=env,
            agent=agent,
            work="hybridrl.benchmarks.storage:run_policy",
            seed=seed,
            settings={
                "scale": request.settings["scale"],
                "requests": request.settings["requests"],
                "workloads": list(request.settings["workloads"]),
            },
        )
        for seed in request.seeds
        for env in request.envs
        for agent in request.agents
    ]


def run_policy(config: RunConfig, folder: Path) -> dict[str, Any]:
    """Run a policy over the workloads of one system and write ``workloads.json``."""
    file = folder / "workloads.json"
    try:
        done: dict[str, dict[str, float]] = read_json(file)
    except (OSError, ValueError):
        done = {}
    for name in config.settings["workloads"]:
        if name not in done:
            scale = scale_of(name, config.settings["scale"], config.settings["requests"])
            done[name] = run_workload(config.agent, name, config.env, config.seed, scale)
            write_json(file, done)
    return {"workloads": len(done)}


def scale_of(workload: str, scale: float, requests: int) -> float:
    """The scale of a workload, less where it would have more than so many requests."""
    return min(scale, requests / WORKLOADS[workload].requests)


def run_workload(
    agent: str, workload: str, env: str, seed: int, scale: float = 1.0
) -> dict[str, float]:
    """One policy on one workload.

    Args:
        agent: A baseline, ``oracle`` or one of :data:`AGENTS`.
        workload: One of the 17.
        env: System and protocol: ``perf``, ``perf-open``, ``perf-shift`` and so on.
        seed: Of workload, service times and agent.
        scale: Factor on the workload's requests and pages.
    """
    system, _, mode = env.partition("-")
    trace = _trace(workload, system, mode, seed, scale)
    names = list(ORACLES) if agent == ORACLE else [agent]
    best: dict[str, float] = {}
    for name in names:
        numbers = _numbers(name, trace, system, mode, seed)
        if not best or numbers["mean_us"] < best["mean_us"]:
            best = numbers
    return best


def _trace(workload: str, system: str, mode: str, seed: int, scale: float) -> Trace:
    first = make_workload(workload, seed=seed, scale=scale, config=system)
    if mode != "shift":
        return first
    # The same statistics over other pages: what was hot is not, and the gap can be compared.
    second = make_workload(workload, seed=seed + 1000, scale=scale, config=system)
    return with_shift(first, second, name=f"{workload}-shift")


def _numbers(name: str, trace: Trace, system: str, mode: str, seed: int) -> dict[str, float]:
    replay = "open" if mode == "open" else "closed"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SaturationWarning)
        engine = _engine(name, trace, system, seed, replay)
        engine.run()
    everything = measure(engine)
    numbers = {key: everything[key] for key in KEPT if key in everything}
    numbers["late_mean_us"] = measure(engine, start=0.5)["mean_us"]
    if mode == "shift":
        means = latency_over_time(engine, STRETCHES)["mean_us"]
        numbers |= {f"mean_us_at_{k:02d}": float(value) for k, value in enumerate(means)}
    return numbers


def _engine(name: str, trace: Trace, system: str, seed: int, replay: str) -> HSSEngine:
    options: dict[str, Any] = {"replay": replay}
    policy: Policy
    if name in AGENTS:
        from hybridrl import agents

        kind, settings = AGENTS[name]
        agent = getattr(agents, kind)(seed=seed, **settings)
        policy = agent.engine_policy()
        options["extent_pages"] = agent.settings.extent_pages
    else:
        policy = make_policy(name)
    return HSSEngine(trace, system, seed=seed, policy=policy, **options)


def summarise(results: Sequence[RunResult], root: Path) -> list[ResultRow]:
    """Long rows of every finished trial; their ``env`` is ``system/workload``."""
    rows: list[ResultRow] = []
    for result in results:
        if result.status == "failed":
            continue
        config = result.config
        numbers = read_json(config.folder(root) / "workloads.json")
        for workload, metrics in numbers.items():
            if workload in config.settings["workloads"]:
                requests, env = int(metrics["requests"]), f"{config.env}/{workload}"
                rows += [
                    row_of(result, name, value, requests, requests, env=env)
                    for name, value in metrics.items()
                ]
    return rows


def workload_names() -> tuple[str, ...]:
    """The 17, in the order of the table."""
    return tuple(WORKLOADS)
