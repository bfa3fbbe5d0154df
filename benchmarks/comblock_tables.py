"""Tables and figures of the combination-lock suite, from its long rows alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hybridrl.benchmarks.metrics import seed_bootstrap, stratified_bootstrap
from hybridrl.benchmarks.plots import learning_curves
from hybridrl.benchmarks.results import ResultRow
from hybridrl.benchmarks.tables import Table

CURVE = "success_at_"
HALF, MOST = 0.5, 0.9  # mean success over a window that counts as solved, and as well solved
WINDOW = 10  # evaluations
FEW_SEEDS = 3


def first_above(points: Sequence[Any], level: float) -> int | None:
    """Which evaluation is the first whose last ten succeed above a level on average.

    Args:
        points: Evaluations with a ``success``, in order.
        level: In [0, 1].
    """
    success = np.array([point.success for point in points])
    if len(success) < WINDOW:
        return None
    means = np.convolve(success, np.full(WINDOW, 1.0 / WINDOW), "valid")
    hits = np.flatnonzero(means > level)
    return int(hits[0]) + WINDOW - 1 if len(hits) else None


def tables(rows: Sequence[ResultRow]) -> list[Table]:
    """CPU seconds, final success, and last the environment steps until the locks are solved."""
    if not rows:
        return []
    return [_seconds(rows), _final(rows), _steps(rows)]


def plots(rows: Sequence[ResultRow], folder: Path) -> list[Path]:
    """Success against environment steps."""
    labels = ("environment steps", "share of episodes that open the lock")
    return [learning_curves(rows, CURVE, labels, folder / "comblock.png")]


def _values(rows: Sequence[ResultRow], env: str, agent: str, metric: str) -> list[float]:
    found = [r for r in rows if (r.env, r.agent, r.metric) == (env, agent, metric)]
    return [row.value for row in sorted(found, key=lambda row: row.seed)]


def _grid(rows: Sequence[ResultRow], cell: Any, title: str, notes: tuple[str, ...]) -> Table:
    envs = list(dict.fromkeys(row.env for row in rows))
    agents = list(dict.fromkeys(row.agent for row in rows))
    lines = tuple((agent, *(cell(env, agent) for env in envs)) for agent in agents)
    return Table(title, ("agent", *envs), lines, notes)


def _steps(rows: Sequence[ResultRow]) -> Table:
    def cell(env: str, agent: str) -> str:
        reached = _values(rows, env, agent, "steps_to_half")
        if not reached:
            return "-"
        if agent == "hnpg-offline":
            return "no steps"
        solved = [value for value in reached if not math.isnan(value)]
        text = f"{len(solved)}/{len(reached)}"
        if not solved:
            spent = max(r.steps for r in rows if (r.env, r.agent) == (env, agent))
            return f"{text} in {_thousands(spent)}"
        low, high = stratified_bootstrap([solved])
        most = _values(rows, env, agent, "steps_to_most")
        well = [value for value in most if not math.isnan(value)]
        later = f"; {_thousands(float(np.mean(well)))}" if len(well) == len(reached) else ""
        middle = _thousands(float(np.mean(solved)))
        return f"{text}: {middle} [{_thousands(low)}, {_thousands(high)}]{later}"

    first = rows[0]
    return _grid(
        rows,
        cell,
        f"Seeds that solve the lock, and environment steps: suite {first.suite}, {first.variant}",
        (
            "Solved: ten evaluations of 100 fresh episodes in a row open the lock more than half "
            "of the time on average; mean steps over solved seeds [95 % interval]; after the "
            "semicolon: until more than nine in ten, where every seed gets there. Not solved: the "
            "steps that were spent. Offline episodes are not counted: 50,000 (images: 5,000) in "
            "cpu, by a policy that opens the lock in 37 to 40 % of them.",
            *dict.fromkeys(f"Made by: {r.command} ({r.version}, commit {r.commit})" for r in rows),
        ),
    )


def _final(rows: Sequence[ResultRow]) -> Table:
    def cell(env: str, agent: str) -> str:
        found = _values(rows, env, agent, "success")
        if not found:
            return "-"
        low, high = seed_bootstrap([[value] for value in found])
        mode = float(np.mean(_values(rows, env, agent, "success_mode")))
        mark = "*" if len(found) < FEW_SEEDS else ""
        return f"{np.mean(found):.3f} [{low:.3f}, {high:.3f}]{mark} / {mode:.3f}"

    return _grid(
        rows,
        cell,
        "Success after training [95 % interval] / with the most likely actions",
        (
            "1,000 fresh episodes a seed; seeds bootstrapped; hyq acts greedily. Images: of the "
            "test split. * fewer than three seeds.",
        ),
    )


def _seconds(rows: Sequence[ResultRow]) -> Table:
    def cell(env: str, agent: str) -> str:
        found = [v for v in _values(rows, env, agent, "cpu_s_to_half") if not math.isnan(v)]
        return f"{np.mean(found):.0f} (most {max(found):.0f})" if found else "-"

    return _grid(
        rows,
        cell,
        "CPU seconds of one core until the lock is solved, mean over solved seeds",
        ("Training alone, on a machine that other work shared.",),
    )


def _thousands(steps: float) -> str:
    return f"{steps / 1e6:.2f}M" if steps >= 1e6 else f"{steps / 1000:.0f}k"
