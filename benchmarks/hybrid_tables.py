"""Tables and figures of the hybrid suites, from their long rows alone."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hybridrl.benchmarks.hybrid_rows import CURVE, EPISODE
from hybridrl.benchmarks.metrics import seed_bootstrap
from hybridrl.benchmarks.plots import learning_curves
from hybridrl.benchmarks.results import ResultRow
from hybridrl.benchmarks.suites import get_suite
from hybridrl.benchmarks.tables import Table

SCRATCH = "sac"  # what every hybrid agent has to beat
PEER = "rlpd-lite"  # 50/50 mixing with two critics
FEW = 3  # seeds below which a difference says nothing
COLUMNS = ("final score [95 %]", "area under the curve [95 %]", "regret", "after offline phase")
TO_SCRATCH = f"steps to final score of {SCRATCH}"
COUNTS = ("env steps", "gradient steps", "seconds a seed", "seeds")


class Interval(NamedTuple):
    """A mean over seeds with its 95 % interval."""

    mean: float
    low: float
    high: float

    @property
    def text(self) -> str:
        """As a table prints it."""
        digits = 0 if abs(self.mean) >= 100 else 1 if abs(self.mean) >= 10 else 2
        return f"{self.mean:.{digits}f} [{self.low:.{digits}f}, {self.high:.{digits}f}]"


def tables(rows: Sequence[ResultRow]) -> list[Table]:
    """Differences to SAC from scratch and to 50/50 mixing, then for each task what each reached."""
    if not rows:
        return []
    envs = list(dict.fromkeys(row.env for row in rows))
    compared = [_differences(rows, envs, other) for other in (SCRATCH, PEER)]
    return [*(t for t in compared if t is not None), *(_reached(rows, env) for env in envs)]


def plots(rows: Sequence[ResultRow], folder: Path) -> list[Path]:
    """Learning curves: score against environment steps."""
    labels = ("environment steps", "score")
    return [learning_curves(rows, CURVE, labels, folder / f"{rows[0].suite}.png")]


def paired(rows: Sequence[ResultRow], env: str, agent: str, other: str, metric: str) -> Interval:
    """Difference of a metric between two agents, paired over the seeds that both have.

    Returns:
        Mean and 95 % bootstrap interval; ``nan`` where they share no seed.
    """
    mine, theirs = _by_seed(rows, env, agent, metric), _by_seed(rows, env, other, metric)
    return _interval(tuple(((mine[seed] - theirs[seed]),) for seed in sorted(mine.keys() & theirs)))


def _reached(rows: Sequence[ResultRow], env: str) -> Table:
    here = [row for row in rows if row.env == env]
    agents = _in_order(here)
    lines: list[tuple[str, ...]] = [(agent, *_cells(here, env, agent)) for agent in agents]
    columns: tuple[str, ...] = ("agent", *COLUMNS, *COUNTS)
    most = max((row.n for row in here if row.metric == "score"), default=0)
    note = (
        f"Deterministic policy, {most} episodes an evaluation; area: mean over all evaluations "
        "after the first step; regret: 1 - area between the task's reference scores; intervals "
        "bootstrap seeds, then episodes. Gradient steps count those of an offline phase."
    )
    if SCRATCH in agents:
        columns += (TO_SCRATCH,)
        lines = [(*line, _steps_to_scratch(here, env, line[0])) for line in lines]
        note += (
            f" {TO_SCRATCH.capitalize()}: environment steps at the first evaluation, mean over "
            "seeds, that is no worse than its last; - where there is none."
        )
    notes = (
        note,
        *dict.fromkeys(f"Made by: {r.command} ({r.version}, commit {r.commit})" for r in here),
    )
    title = f"{env}: suite {rows[0].suite}, {rows[0].variant}"
    return Table(title, columns, tuple(lines), notes)


def _cells(rows: Sequence[ResultRow], env: str, agent: str) -> tuple[str, ...]:
    area, regret = (_by_seed(rows, env, agent, m) for m in ("area", "regret"))
    offline = _by_seed(rows, env, agent, "score_offline")
    own = [row for row in rows if row.agent == agent and row.metric == "gradient_steps"]
    final: dict[int, list[float]] = {}
    for row in rows:
        if row.agent == agent and row.metric.startswith(EPISODE):
            final.setdefault(row.seed, []).append(row.value)
    return (
        _interval(tuple(tuple(final[seed]) for seed in sorted(final))).text,
        _interval(tuple((area[seed],) for seed in sorted(area))).text,
        f"{np.mean(list(regret.values())):.3f}",
        f"{np.mean(list(offline.values())):.3g}" if offline else "-",
        f"{max(row.steps for row in own):,}",
        f"{max(row.value for row in own):,.0f}",
        f"{np.mean([row.wall_s for row in own]):.0f}",
        str(len(own)),
    )


def _steps_to_scratch(rows: Sequence[ResultRow], env: str, agent: str) -> str:
    """Environment steps after which an agent is as good as SAC from scratch in the end."""
    goal = list(_by_seed(rows, env, SCRATCH, "score").values())
    curve: dict[int, list[float]] = {}
    for row in rows:
        if (row.env, row.agent) == (env, agent) and row.metric.startswith(CURVE):
            curve.setdefault(int(row.metric.removeprefix(CURVE)), []).append(row.value)
    there = [steps for steps in sorted(curve) if goal and np.mean(curve[steps]) >= np.mean(goal)]
    return f"{there[0]:,}" if there else "-"


def _differences(rows: Sequence[ResultRow], envs: Sequence[str], other: str) -> Table | None:
    envs = [env for env in envs if any((r.env, r.agent) == (env, other) for r in rows)]
    rows = [row for row in rows if row.env in envs]
    if not rows:
        return None
    agents = [agent for agent in _in_order(rows) if agent != other]

    def cell(env: str, agent: str, metric: str) -> str:
        found = paired(rows, env, agent, other, metric)
        if np.isnan(found.mean):
            return "-"
        seeds = {r.seed for r in rows if (r.env, r.agent) == (env, agent)}
        if len(seeds) < FEW:
            return f"{found.mean:.3g} (too few seeds)"
        word = "above" if found.low > 0 else "below" if found.high < 0 else "overlap"
        return f"{found.text} {word}"

    pairs = [(env, metric) for env in envs for metric in ("area", "score")]
    lines = tuple((agent, *(cell(env, agent, metric) for env, metric in pairs)) for agent in agents)
    heads = tuple(f"{env}, {'final' if metric == 'score' else metric}" for env, metric in pairs)
    notes = ("Differences are paired over seeds; above and below: the interval leaves 0 out.",)
    return Table(f"Difference to {other} [95 %]", ("agent", *heads), lines, notes)


def _in_order(rows: Sequence[ResultRow]) -> list[str]:
    present = {row.agent for row in rows}
    return [agent for agent in get_suite(rows[0].suite).agents if agent in present]


def _by_seed(rows: Sequence[ResultRow], env: str, agent: str, metric: str) -> dict[int, float]:
    wanted = (env, agent, metric)
    return {r.seed: r.value for r in rows if (r.env, r.agent, r.metric) == wanted}


@cache
def _interval(runs: tuple[tuple[float, ...], ...]) -> Interval:
    if not runs:
        return Interval(np.nan, np.nan, np.nan)
    return Interval(float(np.mean([np.mean(run) for run in runs])), *seed_bootstrap(runs))
