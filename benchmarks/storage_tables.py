"""The tables of the storage suite, from its long rows alone."""

from __future__ import annotations

import math
import tomllib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

import numpy as np

from hybridrl.benchmarks.metrics import seed_bootstrap
from hybridrl.benchmarks.results import ResultRow
from hybridrl.benchmarks.tables import Table

FAST_ONLY = "fast_only"
ORACLE = "oracle"
OURS = "harmonia"  # first word of what is not a prior policy
CEILINGS = (FAST_ONLY, ORACLE, "oracle_belady", "static_topk")  # look ahead, or break the capacity
SHIFT = 0.5  # of the trace: where the workload changes

# agent -> workload -> seed -> value
Numbers = Mapping[str, Mapping[str, Mapping[int, float]]]


def tables(rows: Sequence[ResultRow]) -> list[Table]:
    """Per system: every workload, then the summary; published figures; the headline last."""
    if not rows:
        return []
    systems = _in_order(row.env.partition("/")[0] for row in rows)
    agents = _in_order(row.agent for row in rows)
    made: list[Table] = []
    for system in systems:
        means = numbers_of(rows, system, "mean_us")
        here = [agent for agent in agents if agent in means]
        made.append(_workload_table(system, means, here, rows[0].variant))
        made.append(_summary(rows, system, means, here))
        if system.endswith("-shift"):
            made.append(_adaptation(rows, system, here))
    return [*made, published_table(), _headline(rows, systems, agents)]


def numbers_of(rows: Sequence[ResultRow], system: str, metric: str) -> Numbers:
    """A metric of one system, by agent, workload and seed."""
    found: dict[str, dict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        name, _, workload = row.env.partition("/")
        if name == system and row.metric == metric and math.isfinite(row.value):
            found[row.agent][workload][row.seed] = row.value
    return found


def logs_over(numbers: Numbers, agent: str, base: str = FAST_ONLY) -> list[list[float]]:
    """Logarithm of an agent's numbers over a base's: a row a workload, a value a seed."""
    made = []
    for workload, seeds in numbers.get(agent, {}).items():
        below = numbers.get(base, {}).get(workload, {})
        values = [math.log(v / below[s]) for s, v in seeds.items() if below.get(s) and v > 0]
        if values:
            made.append(values)
    return made


def geometric_mean(logs: Sequence[Sequence[float]]) -> float:
    """Geometric mean over workloads of each one's mean over seeds; NaN without numbers."""
    return math.exp(float(np.mean([np.mean(row) for row in logs]))) if logs else math.nan


def best_possible(numbers: Numbers) -> Numbers:
    """The numbers with an oracle that is the best of itself and every policy within capacity.

    The oracle is a family of clairvoyant rules; where a causal policy beats all of them, choosing
    it in hindsight is a clairvoyant rule as well.
    """
    oracle: dict[str, dict[int, float]] = {}
    for workload, seeds in numbers.get(ORACLE, {}).items():
        oracle[workload] = {
            seed: min(
                numbers[agent][workload][seed]
                for agent in numbers
                if agent != FAST_ONLY and seed in numbers[agent].get(workload, {})
            )
            for seed in seeds
        }
    return {**numbers, ORACLE: oracle}


def bridged(means: Numbers, agent: str) -> tuple[str, float]:
    """Best prior policy by geometric mean, and the share of its gap to the oracle bridged."""
    every = best_possible(means)
    prior = {
        name: geometric_mean(logs_over(every, name))
        for name in every
        if name not in CEILINGS and not name.startswith(OURS)
    }
    if not prior:
        return "", math.nan
    best = min(prior, key=lambda name: prior[name])
    gap = prior[best] - geometric_mean(logs_over(every, ORACLE))
    ours = geometric_mean(logs_over(every, agent))
    return best, (prior[best] - ours) / gap if gap > 0 else math.nan


def _workload_table(system: str, means: Numbers, agents: Sequence[str], size: str) -> Table:
    workloads = _in_order(w for agent in agents for w in means.get(agent, {}))
    every = best_possible(means)
    lines = []
    for agent in agents:
        cells = []
        for workload in workloads:
            one = {a: {workload: every.get(a, {}).get(workload, {})} for a in (agent, FAST_ONLY)}
            cells.append(_figure(geometric_mean(logs_over(one, agent))))
        lines.append((agent, *cells))
    title = f"{system}: mean latency over Fast-Only, by workload ({size})"
    return Table(title, ("policy", *workloads), tuple(lines))


def _summary(
    rows: Sequence[ResultRow], system: str, means: Numbers, agents: Sequence[str]
) -> Table:
    every = best_possible(means)
    others = {m: numbers_of(rows, system, m) for m in ("late_mean_us", "p99_us", "iops")}
    moved = numbers_of(rows, system, "moved_per_user_byte")
    life = numbers_of(rows, system, "lifetime_years_d1")
    lines = []
    for agent in agents:
        logs = logs_over(every, agent)
        lines.append(
            (
                agent,
                _interval(logs),
                *(_figure(geometric_mean(logs_over(o, agent))) for o in others.values()),
                _figure(_median(moved, agent)),
                _figure(_median(life, agent)),
                _figure(bridged(means, agent)[1]) if agent not in (FAST_ONLY, ORACLE) else "-",
                str(len(logs)),
            )
        )
    columns = (
        "policy",
        "latency [95 %]",
        "last half",
        "p99",
        "IOPS",
        "moved/user byte",
        "life of device 1, years",
        "gap bridged",
        "workloads",
    )
    best = bridged(means, agents[0])[0]
    note = (
        "Latency, p99 and IOPS: geometric mean of the ratio to Fast-Only, bootstrap over workloads "
        f"and seeds. Gap: from the best prior policy ({best}) to the oracle."
    )
    return Table(f"{system}: summary", columns, tuple(lines), (note,))


def _adaptation(rows: Sequence[ResultRow], system: str, agents: Sequence[str]) -> Table:
    """Gap to Fast-Only before an abrupt change half-way and soon after it."""
    steps = sorted({r.metric for r in rows if r.metric.startswith("mean_us_at_")})
    count = len(steps)

    def gap(agent: str, low: float, high: float) -> float:
        logs = []
        for k in range(round(low * count), round(high * count)):
            logs += logs_over(numbers_of(rows, system, steps[k]), agent)
        return geometric_mean(logs) - 1.0

    lines = []
    for agent in agents:
        if agent == FAST_ONLY:
            continue
        before, after = gap(agent, SHIFT - 0.2, SHIFT), gap(agent, SHIFT + 0.2, SHIFT + 0.4)
        ratio = after / before if before > 0 else math.nan
        lines.append((agent, _figure(before), _figure(after), _figure(ratio)))
    return Table(
        f"{system}: adaptation",
        ("policy", "gap before", "gap 20 % of the trace later", "ratio"),
        tuple(lines),
        ("Gap: latency over Fast-Only less 1, geometric mean; the bar is a ratio of at most 1.1.",),
    )


def published_table() -> Table:
    """What the papers state, for comparison with ours."""
    text = resources.files("hybridrl.benchmarks").joinpath("published.toml").read_text("utf-8")
    data: dict[str, Any] = tomllib.loads(text)["storage"]
    names = ("perf", "cost", "tri", "quad")
    lines = tuple(
        (row["name"], *(str(row.get(name, "-")) for name in names), row["source"])
        for row in data["rows"]
    )
    return Table(
        "Published improvements, for comparison", ("what", *names, "source"), lines, (data["note"],)
    )


def _headline(rows: Sequence[ResultRow], systems: Sequence[str], agents: Sequence[str]) -> Table:
    means = {system: numbers_of(rows, system, "mean_us") for system in systems}
    every = {system: best_possible(numbers) for system, numbers in means.items()}
    lines = [
        (agent, *(_figure(geometric_mean(logs_over(every[s], agent))) for s in systems))
        for agent in agents
    ]
    for agent in agents:
        if agent.startswith(OURS):
            cells = []
            for system in systems:
                best, share = bridged(means[system], agent)
                ratio = geometric_mean(logs_over(means[system], best, agent)) if best else math.nan
                known = math.isfinite(ratio)  # not every policy runs on every system
                text = f"{100 * (ratio - 1):+.1f} % ({best}), G {_figure(share)}"
                cells.append(text if known else "-")
            lines.append((f"{agent} against the best prior", *cells))
    seeds = len({row.seed for row in rows})
    first = rows[0]
    notes = (
        f"{seeds} seed(s), {first.variant}; 'better than' is L_other / L_ours - 1.",
        *_in_order(f"Made by: {r.command} ({r.version}, commit {r.commit})" for r in rows),
    )
    title = "Mean latency over Fast-Only, geometric mean over the workloads"
    return Table(title, ("policy", *systems), tuple(lines), notes)


def _interval(logs: Sequence[Sequence[float]]) -> str:
    if not logs:
        return "-"
    low, high = seed_bootstrap(logs, samples=1000)
    return f"{geometric_mean(logs):.3f} [{math.exp(low):.2f}-{math.exp(high):.2f}]"


def _median(numbers: Numbers, agent: str) -> float:
    values = [v for seeds in numbers.get(agent, {}).values() for v in seeds.values()]
    return float(np.median(values)) if values else math.nan


def _figure(value: float) -> str:
    return f"{value:.3g}" if math.isfinite(value) else "-"


def _in_order(names: Any) -> list[str]:
    return list(dict.fromkeys(names))
