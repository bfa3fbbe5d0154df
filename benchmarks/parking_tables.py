"""The tables of the parking suite, from its long rows alone."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Sequence
from importlib import resources
from typing import Any

from hybridrl.benchmarks.results import ResultRow, interval, percent, pooled
from hybridrl.benchmarks.tables import Table

_DETAILS = (
    "planner",
    "success % [95 %]",
    "touching %",
    "length m",
    "over best known",
    "gear changes",
    "clearance m",
    "decisions p50",
    "time p50 ms",
    "time p95 ms",
    "<=20",
    "<=40",
    "<=80",
    "<=200",
)


def tables(rows: Sequence[ResultRow]) -> list[Table]:
    """One table a class, the published figures, and last the headline: planners by classes."""
    own = class_tables(rows)
    return [*own[:-1], published_table(), own[-1]] if own else []


def class_tables(rows: Sequence[ResultRow]) -> list[Table]:
    """One table a class, and last the headline: planners by classes."""
    envs, agents = _in_order(r.env for r in rows), _in_order(r.agent for r in rows)
    details = [_class_table(rows, env, agents) for env in envs]
    return [*details, _headline(rows, envs, agents)] if rows else []


def published_table() -> Table:
    """What others have published, every figure traceable to its source."""
    text = resources.files("hybridrl.benchmarks").joinpath("published.toml").read_text("utf-8")
    data: dict[str, Any] = tomllib.loads(text)["parking"]
    names = ("normal", "complex", "extreme", "lot")
    lines = tuple(
        (row["name"], *(f"{row[k]:g}" for k in names), row["source"]) for row in data["rows"]
    )
    return Table(
        "Published success rates of HOPE in %, for comparison",
        ("policy", "Normal", "Complex", "Extreme", "DLP", "source"),
        lines,
        (data["note"],),
    )


def _class_table(rows: Sequence[ResultRow], env: str, agents: Sequence[str]) -> Table:
    run = {row.agent for row in rows if row.env == env}
    agents = [agent for agent in agents if agent in run]
    n = max(pooled(rows, env, agent, "success")[1] for agent in agents)
    lines = tuple(_details(rows, env, agent) for agent in agents)
    told = [k for k, column in enumerate(zip(*lines, strict=True)) if set(column) != {"-"}]
    return Table(
        f"{env}, {n} scenes ({rows[0].variant})",
        tuple(_DETAILS[k] for k in told),
        tuple(tuple(line[k] for k in told) for line in lines),
    )


def _details(rows: Sequence[ResultRow], env: str, agent: str) -> tuple[str, ...]:
    def figure(metric: str, digits: int, scale: float = 1.0) -> str:
        value = pooled(rows, env, agent, metric)[0] * scale
        return f"{value:.{digits}f}" if math.isfinite(value) else "-"

    return (
        agent,
        _success(rows, env, agent),
        figure("not_clean", 1, 100),
        figure("length_m_mean", 1),
        figure("length_ratio_mean", 2),
        figure("gear_changes_mean", 1),
        figure("clearance_m_p50", 2),
        figure("decisions_p50", 0),
        figure("seconds_p50", 1, 1000),
        figure("seconds_p95", 1, 1000),
        *(figure(f"success_within_{limit}", 0, 100) for limit in (20, 40, 80, 200)),
    )


def _headline(rows: Sequence[ResultRow], envs: Sequence[str], agents: Sequence[str]) -> Table:
    lines = tuple((agent, *(_success(rows, env, agent) for env in envs)) for agent in agents)
    first = rows[0]
    seeds = len({row.seed for row in rows})
    scenes = max(row.n for row in rows if row.metric == "success")
    return Table(
        f"Success rate in % [95 % interval]: suite {first.suite}, tier {first.variant}",
        ("planner", *(env.replace("-", " ") for env in envs)),
        lines,
        (
            f"{scenes} fixed scenes a class, {seeds} seed(s); budget a scene (s: seconds of one "
            f"core, d: decisions): {first.variant.split('-')[1]}; every path checked again at "
            "1 cm. Intervals: Wilson's, or over seeds and then episodes where there are several.",
            *_in_order(f"Made by: {r.command} ({r.version}, commit {r.commit})" for r in rows),
        ),
    )


def _success(rows: Sequence[ResultRow], env: str, agent: str) -> str:
    return percent(*interval(rows, env, agent))


def _in_order(names: Any) -> list[str]:
    return list(dict.fromkeys(names))
