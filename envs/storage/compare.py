"""Many policies on one trace, and the oracle that bounds them (storage.md 10)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from hybridrl.envs.storage.baselines.registry import NORMALISER, ORACLES, POLICIES, make_policy
from hybridrl.envs.storage.config import CONFIGS
from hybridrl.envs.storage.engine import HSSEngine
from hybridrl.envs.storage.metrics import gap_bridged, measure
from hybridrl.envs.storage.traces.trace import Trace
from hybridrl.planners.errors import UnknownNameError

ORACLE = "oracle"
DEFAULT_POLICIES = (*(name for name in POLICIES if name != "static_topk"), ORACLE)


def check_names(configs: Iterable[str], policies: Iterable[str]) -> None:
    """Refuse unknown configurations and policies before anything is run.

    Raises:
        UnknownNameError: Names the first one, and the known ones.
    """
    for name in configs:
        if name not in CONFIGS:
            raise UnknownNameError("storage configuration", name, CONFIGS)
    for name in policies:
        if name != ORACLE and name not in POLICIES and name not in ORACLES:
            raise UnknownNameError("storage policy", name, {*POLICIES, *ORACLES, ORACLE})


def run_policy(
    trace: Trace, config: str, name: str, seed: int = 0, start: float = 0.0, **options: Any
) -> dict[str, Any]:
    """Replay a trace under one policy.

    Args:
        trace: Requests.
        config: ``perf``, ``cost``, ``tri`` or ``quad``.
        name: A baseline, a member of the oracle family, or ``oracle``.
        seed: Of service times and of the policy.
        start: Latencies leave out this share of the requests at the beginning.
        options: As :class:`HSSEngine` takes them.

    Returns:
        The numbers of :func:`~hybridrl.envs.storage.metrics.measure`; of the oracle, those of the
        best member, with its name as ``rule``.
    """
    if name == ORACLE:
        runs = {rule: run_policy(trace, config, rule, seed, start, **options) for rule in ORACLES}
        best = min(runs, key=lambda rule: float(runs[rule]["mean_us"]))
        return {**runs[best], "rule": best}
    engine = HSSEngine(trace, config, seed=seed, policy=make_policy(name), **options)
    engine.run()
    return {**measure(engine, start), "rule": name}


def compare(
    trace: Trace,
    config: str,
    policies: Sequence[str],
    seed: int = 0,
    start: float = 0.0,
    **options: Any,
) -> list[dict[str, Any]]:
    """Replay a trace under several policies and under ``fast_only``, which normalises.

    The oracle is the best of its family and of the policies that were run: to choose among those
    in hindsight is to look ahead as well.

    Returns:
        One record a policy: the numbers of :func:`run_policy`, ``config``, ``workload``,
        ``policy``, ``seed`` and ``normalised``, the mean latency over that of ``fast_only``.
    """
    fast = run_policy(trace, config, NORMALISER, seed, start, **options)["mean_us"]
    records: list[dict[str, Any]] = []
    for name in policies:
        numbers = run_policy(trace, config, name, seed, start, **options)
        key = {"config": config, "workload": trace.name, "policy": name, "seed": seed}
        records.append({**key, "normalised": numbers["mean_us"] / fast, **numbers})
    causal = [r for r in records if r["policy"] not in (ORACLE, NORMALISER)]
    for record in records:
        if record["policy"] == ORACLE and causal:
            best = min(causal, key=lambda r: float(r["mean_us"]))
            if best["mean_us"] < record["mean_us"]:
                record.update({k: v for k, v in best.items() if k != "policy"})
    return records


def table(records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row a workload (geometric mean over seeds), and a last row with that over workloads."""
    workloads = list(dict.fromkeys(record["workload"] for record in records))
    policies = list(dict.fromkeys(record["policy"] for record in records))
    rows: list[dict[str, Any]] = []
    for name in [*workloads, "geometric mean"]:
        row: dict[str, Any] = {"workload": name}
        for policy in policies:
            values = [
                record["normalised"]
                for record in records
                if record["policy"] == policy and name in (record["workload"], "geometric mean")
            ]
            row[policy] = geometric_mean(values)
        rows.append(row)
    return rows


def geometric_mean(values: Sequence[float]) -> float:
    """The geometric mean of positive numbers; NaN of none."""
    return math.exp(sum(map(math.log, values)) / len(values)) if values else math.nan


def gaps(records: Sequence[dict[str, Any]], policy: str, prior: Sequence[str]) -> dict[str, float]:
    """Share of the gap between the best prior policy and the oracle that a policy bridges.

    Args:
        records: Of :func:`compare`, the oracle among them.
        policy: The one in question.
        prior: The ones before it.

    Returns:
        One number a workload, over its seeds' mean latencies.
    """
    out: dict[str, float] = {}
    for name in dict.fromkeys(record["workload"] for record in records):
        mean = {
            p: geometric_mean(
                [r["mean_us"] for r in records if r["workload"] == name and r["policy"] == p]
            )
            for p in (*prior, policy, ORACLE)
        }
        out[name] = gap_bridged(min(mean[p] for p in prior), mean[policy], mean[ORACLE])
    return out
