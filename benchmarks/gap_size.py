"""The gap-size suite: how far a simulator is from reality after one step (``h2o.md`` 4.1)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hybridrl.benchmarks.plots import metric_bars
from hybridrl.benchmarks.results import ResultRow, pooled, row_of
from hybridrl.benchmarks.runs import RunConfig, RunResult
from hybridrl.benchmarks.suites import Request
from hybridrl.benchmarks.tables import Table
from hybridrl.envs.gap.measure import make_pair, measure_gap, observation_names
from hybridrl.envs.gap.variants import ROBOTS, variants_of

__all__ = ["measure_trial", "plots", "summarise", "tables", "trials", "variant"]

ENTRY = "entry_"
NAMES = {name.lower(): name for name in ROBOTS}


def variant(tier: str, settings: dict[str, Any]) -> str:
    """Tier and number of states, as in ``cpu-5000``."""
    return f"{tier}-{settings['steps']}"


def trials(request: Request) -> list[RunConfig]:
    """One trial for each robot, variant that it has, and seed."""
    return [
        request.trial(
            env=robot,
            agent=name,
            work="hybridrl.benchmarks.gap_size:measure_trial",
            seed=seed,
            settings={"steps": request.settings["steps"]},
        )
        for robot in request.envs
        for name in request.agents
        if name in variants_of(NAMES[robot])
        for seed in request.seeds
    ]


def measure_trial(config: RunConfig, folder: Path) -> dict[str, Any]:
    """Measure one variant of one robot; the result's values are the metrics themselves."""
    real, sim = make_pair(config.env, config.agent)
    gap = measure_gap(real, sim, config.settings["steps"], config.seed)
    real.close()
    sim.close()
    names = observation_names(config.env)
    entries = dict(zip(names, gap.observation.tolist(), strict=True))
    return {
        "observation_mean": float(gap.observation.mean()),
        "observation_max": float(gap.observation.max()),
        "positions": gap.positions,
        "velocities": gap.velocities,
        "reward": gap.reward,
        **({} if config.env == "ant" else {ENTRY + k: v for k, v in entries.items()}),
    }


def summarise(results: Sequence[RunResult], root: Path) -> list[ResultRow]:
    """Long rows of every measurement that is done."""
    return [
        row_of(result, metric, value, result.config.settings["steps"])
        for result in results
        if result.status != "failed"
        for metric, value in result.values.items()
    ]


def tables(rows: Sequence[ResultRow]) -> list[Table]:
    """One table a robot."""
    robots = list(dict.fromkeys(row.env for row in rows))
    return [_robot_table(rows, robot) for robot in robots]


def plots(rows: Sequence[ResultRow], folder: Path) -> list[Path]:
    """The mean difference of the observation, a panel for each robot."""
    label = "one-step difference, mean over observation entries, over their spread"
    return [metric_bars(rows, "observation_mean", label, folder / "gap_size.png")]


def _robot_table(rows: Sequence[ResultRow], robot: str) -> Table:
    mine = [row for row in rows if row.env == robot]
    names = list(dict.fromkeys(row.agent for row in mine))
    first = mine[0]
    return Table(
        f"One-step gap of {NAMES[robot]}'s simulators ({first.variant})",
        ("variant", "mean", "largest", "entry", "positions", "velocities", "reward"),
        tuple(_line(mine, robot, name) for name in names),
        (
            "mean, largest: |difference| of the observation over its spread in real episodes of "
            "uniform actions; positions, velocities: median of error over change; reward: mean "
            f"|difference|; {first.n} states, {len({r.seed for r in mine})} seed(s).",
            *dict.fromkeys(f"Made by: {r.command} ({r.version}, commit {r.commit})" for r in mine),
        ),
    )


def _line(rows: Sequence[ResultRow], robot: str, name: str) -> tuple[str, ...]:
    def figure(metric: str) -> str:
        return f"{pooled(rows, robot, name, metric)[0]:.3f}"

    entries = {row.metric for row in rows if row.metric.startswith(ENTRY)}
    worst = max(sorted(entries), key=lambda m: pooled(rows, robot, name, m)[0], default="")
    return (
        name,
        figure("observation_mean"),
        figure("observation_max"),
        worst.removeprefix(ENTRY) or "-",
        figure("positions"),
        figure("velocities"),
        figure("reward"),
    )
