"""Tables and figures of the suites gap-pendulum and gap-mujoco, from their long rows alone."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from hybridrl.benchmarks.gap import CURVE, EPISODE, home
from hybridrl.benchmarks.metrics import seed_bootstrap
from hybridrl.benchmarks.plots import learning_curves
from hybridrl.benchmarks.results import ResultRow
from hybridrl.benchmarks.tables import Table

OURS = "h2o"
FEW_SEEDS = 3


def tables(rows: Sequence[ResultRow]) -> list[Table]:
    """What each rival loses or wins against H2O, published figures, and last the returns."""
    if not rows:
        return []
    envs = _gaps(rows)
    agents = list(dict.fromkeys(row.agent for row in rows))
    cells = {(env, agent): _cell(rows, env, agent) for env in envs for agent in agents}
    published = [table] if (table := published_table(rows[0].suite)) else []
    return [_verdicts(cells, envs, agents), *published, _returns(rows, cells, envs, agents)]


def plots(rows: Sequence[ResultRow], folder: Path) -> list[Path]:
    """Learning curves: return in the real environment against updates.

    Runs that several gaps share stand in the panel of each.
    """
    drawn = [
        row._replace(env=env)
        for env in _gaps(rows)
        for row in rows
        if row.env == home(env, row.agent)
    ]
    labels = ("updates", "return in the real environment")
    return [learning_curves(drawn, CURVE, labels, folder / f"{rows[0].suite}.png")]


def published_table(suite: str) -> Table | None:
    """Figures of others on the same gaps, every one marked with where it is from."""
    text = resources.files("hybridrl.benchmarks").joinpath("published.toml").read_text("utf-8")
    data: dict[str, Any] = tomllib.loads(text).get(suite, {})
    if not data:
        return None
    names = data["columns"]
    lines = tuple((row["name"], *(str(row.get(k, "-")) for k in names)) for row in data["rows"])
    return Table(data["title"], ("gap", *names), lines, (data["note"],))


class Cell(tuple[float, float, float, int]):
    """Mean return of a method on a gap, its 95 % interval, and the number of seeds."""

    @property
    def text(self) -> str:
        """As a table prints it; fewer than three seeds are marked."""
        mean, low, high, seeds = self
        if not seeds:
            return "-"
        mark = "*" if seeds < FEW_SEEDS else ""
        return f"{mean:.0f} [{low:.0f}, {high:.0f}]{mark}"


def _cell(rows: Sequence[ResultRow], env: str, agent: str) -> Cell:
    episodes: dict[int, list[float]] = {}
    for row in rows:
        here = (row.env, row.agent) == (home(env, agent), agent)
        if here and row.metric.startswith(EPISODE):
            episodes.setdefault(row.seed, []).append(row.value)
    return _interval(tuple(tuple(episodes[seed]) for seed in sorted(episodes)))


def _gaps(rows: Sequence[ResultRow]) -> list[str]:
    """Cells of the table: gaps with their data; shared runs where there is nothing else."""
    found = list(dict.fromkeys(row.env for row in rows))
    return [env for env in found if not _shared(env)] or found


def _shared(env: str) -> bool:
    gap, _, data = env.partition("-")
    return gap == "offline" or data == "none"


@cache
def _interval(runs: tuple[tuple[float, ...], ...]) -> Cell:
    if not runs:
        return Cell((math.nan, math.nan, math.nan, 0))
    low, high = seed_bootstrap(runs)
    return Cell((float(np.mean([np.mean(run) for run in runs])), low, high, len(runs)))


def _returns(
    rows: Sequence[ResultRow],
    cells: dict[tuple[str, str], Cell],
    envs: Sequence[str],
    agents: Sequence[str],
) -> Table:
    lines = tuple((agent, *(cells[env, agent].text for env in envs)) for agent in agents)
    seeds = sorted({cell[3] for cell in cells.values() if cell[3]})
    stepped = sum(row.value for row in rows if row.metric == "real_steps_training")
    first = rows[0]
    return Table(
        f"Return in the real environment [95 % interval]: suite {first.suite}, {first.variant}",
        ("method", *envs),
        lines,
        (
            f"{'-'.join(map(str, dict.fromkeys((seeds[0], seeds[-1]))))} training seeds; "
            "deterministic policy after the last update; seeds, then episodes, bootstrapped"
            f"{'; * fewer than three seeds' if seeds[0] < FEW_SEEDS else ''}.",
            f"Steps of the real environment during training, all runs together: {stepped:.0f}.",
            *dict.fromkeys(f"Made by: {r.command} ({r.version}, commit {r.commit})" for r in rows),
        ),
    )


def _verdicts(
    cells: dict[tuple[str, str], Cell], envs: Sequence[str], agents: Sequence[str]
) -> Table:
    def verdict(env: str, agent: str) -> str:
        ours, rival = cells[env, OURS] if (env, OURS) in cells else None, cells[env, agent]
        if ours is None or not (ours[3] and rival[3]):
            return "-"
        change = f"{ours[0] - rival[0]:+.0f}"
        if ours[1] > rival[2]:
            return f"{change} above"
        return f"{change} below" if ours[2] < rival[1] else f"{change} overlap"

    rivals = [agent for agent in agents if agent != OURS]
    lines = tuple((rival, *(verdict(env, rival) for env in envs)) for rival in rivals)
    return Table(
        "H2O against each method: difference of the means, and whether the 95 % intervals separate",
        ("against", *envs),
        lines,
        ("above: H2O's interval lies above the other's; below: under it; overlap: neither.",),
    )
