"""Tables and figures of the suite optimism, from its long rows alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hybridrl.benchmarks.plots import learning_curves
from hybridrl.benchmarks.results import ResultRow
from hybridrl.benchmarks.tables import Table

DEEP, BASELINE = "area", "sac"
SAMPLES, LEVELS = 2000, (0.025, 0.975)  # of the bootstrap over seeds


def tables(rows: Sequence[ResultRow]) -> list[Table]:
    """Episodes to solve, regret and its slope, and last the deep half."""
    found = [
        _grid(rows, "solved_after", "Episodes until the lock opens in more than half of 50", 0),
        _grid(rows, "slope", "Slope of log regret over log episodes, the first tenth left out", 2),
        _grid(rows, "regret", "Regret after all episodes", 1),
        _grid(rows, "switches", "How often the critic was rebuilt", 0),
        _differences(rows),
        _grid(rows, "return", "Return of the target policy after the last step", 2),
        _grid(rows, DEEP, "Area under the learning curve: mean return of 10 evaluations", 2),
    ]
    made = [table for table in found if table is not None]
    if made:
        made[-1] = Table(made[-1].title, made[-1].columns, made[-1].rows, _notes(rows))
    return made


def plots(rows: Sequence[ResultRow], folder: Path) -> list[Path]:
    """Regret against episodes, and return against environment steps."""
    deep = {row.env for row in rows if row.metric == DEEP}
    drawn = []
    for name, prefix, labels, chosen in (
        ("regret", "regret_at_", ("episodes", "regret"), False),
        ("deep", "return_at_", ("environment steps", "return"), True),
    ):
        part = [row for row in rows if (row.env in deep) == chosen]
        if part:
            drawn.append(learning_curves(part, prefix, labels, folder / f"optimism-{name}.png"))
    return drawn


def values_of(rows: Sequence[ResultRow], env: str, agent: str, metric: str) -> list[float]:
    """One value a seed, in the order of seeds."""
    chosen = [r for r in rows if (r.env, r.agent, r.metric) == (env, agent, metric)]
    return [row.value for row in sorted(chosen, key=lambda row: row.seed)]


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean over seeds and the 95 % interval of resampled seeds."""
    low, high = np.quantile(_resampled(values), LEVELS)
    return float(np.mean(values)), float(low), float(high)


def _resampled(values: Sequence[float]) -> NDArray[np.float64]:
    """Means of seeds drawn again, ``(SAMPLES,)``; all at once, as there are hundreds of cells."""
    drawn = np.random.default_rng(0).choice(np.asarray(values), (SAMPLES, len(values)))
    means: NDArray[np.float64] = drawn.mean(axis=1)
    return means


def _grid(rows: Sequence[ResultRow], metric: str, title: str, digits: int) -> Table | None:
    chosen = [row for row in rows if row.metric == metric]
    envs = [e for e in dict.fromkeys(r.env for r in rows) if any(r.env == e for r in chosen)]
    if metric == "solved_after":  # the others have no lock to open
        envs = [env for env in envs if env.startswith(("lock", "hadamard"))]
    if metric == "switches":
        deep = {row.env for row in rows if row.metric == DEEP}
        envs = [env for env in envs if env not in deep]
    agents = dict.fromkeys(row.agent for row in chosen if row.env in envs)
    if not envs:
        return None
    lines = tuple(
        (agent, *(_cell(values_of(chosen, env, agent, metric), digits) for env in envs))
        for agent in agents
    )
    return Table(title, ("agent", *envs), lines)


def _cell(values: Sequence[float], digits: int) -> str:
    known = [value for value in values if not math.isnan(value)]
    if not values:
        return "-"
    if not known:
        return f"never (0/{len(values)})"
    mean, low, high = interval(known)
    text = f"{mean:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"
    return text if len(known) == len(values) else f"{text} ({len(known)}/{len(values)})"


def _differences(rows: Sequence[ResultRow]) -> Table | None:
    """Area of each method minus plain SAC's, seeds of both resampled."""
    envs = list(dict.fromkeys(row.env for row in rows if row.metric == DEEP))
    agents = [a for a in dict.fromkeys(r.agent for r in rows if r.metric == DEEP) if a != BASELINE]
    if not envs:
        return None
    lines = []
    for agent in agents:
        cells = []
        for env in envs:
            ours, theirs = (values_of(rows, env, name, DEEP) for name in (agent, BASELINE))
            cells.append(_difference(ours, theirs))
        lines.append((agent, *cells))
    return Table("Area against plain SAC", ("agent", *envs), tuple(lines))


def _difference(ours: Sequence[float], theirs: Sequence[float]) -> str:
    if not ours or not theirs:
        return "-"
    # The second sample is turned round: equal draws would pair seeds that have nothing in common.
    low, high = np.quantile(_resampled(ours) - _resampled(theirs)[::-1], LEVELS)
    change = float(np.mean(ours) - np.mean(theirs))
    apart = interval(ours)[1] > interval(theirs)[2]
    return f"{change:+.2f} [{low:+.2f}, {high:+.2f}]{' apart' if apart else ''}"


def _notes(rows: Sequence[ResultRow]) -> tuple[str, ...]:
    cells: dict[tuple[str, str], set[int]] = {}
    for row in rows:
        cells.setdefault((row.env, row.agent), set()).add(row.seed)
    counts = sorted({len(seeds) for seeds in cells.values()})
    seeds = " to ".join(str(count) for count in dict.fromkeys((counts[0], counts[-1])))
    made = dict.fromkeys(f"Made by: {r.command} ({r.version}, commit {r.commit})" for r in rows)
    return (
        f"Variant {rows[0].variant}, {seeds} seed(s); means over seeds, in brackets 95 % "
        "intervals of resampled seeds; (k/n): k of n seeds.",
        "apart: the agent's interval lies above plain SAC's.",
        *made,
    )
