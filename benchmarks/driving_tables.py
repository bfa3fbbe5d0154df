"""Tables and figures of the driving suite, from its long rows alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hybridrl.benchmarks.results import ResultRow, interval, percent, pooled
from hybridrl.benchmarks.tables import Table


def tables(rows: Sequence[ResultRow]) -> list[Table]:
    """Returns, speeds, crashes and time-outs, and last the headline: success."""
    if not rows:
        return []
    return [
        _table(rows, "Return of the aligned reward", "return_mean", "{:.2f}", 1.0),
        _table(rows, "Mean forward speed, m/s", "mean_speed", "{:.1f}", 1.0),
        _table(rows, "Time-outs in %", "timeout", "{:.1f}", 100.0),
        _table(rows, "Crashes in %", "crash", "{:.1f}", 100.0),
        _table(rows, "Success in % [95 % interval]", "success", "", 100.0),
    ]


def plots(rows: Sequence[ResultRow], folder: Path) -> list[Path]:
    """Success of every driver in every scene, as bars with intervals."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    if not rows:
        return []
    envs = list(dict.fromkeys(row.env for row in rows))
    figure, axes = plt.subplots(1, len(envs), figsize=(4 * len(envs), 4), squeeze=False)
    for axis, env in zip(axes[0], envs, strict=True):
        agents = list(dict.fromkeys(r.agent for r in rows if r.env == env))
        found = np.array([interval(rows, env, agent) for agent in agents])
        errors = np.maximum(np.abs(found[:, 1:].T - found[:, 0]), 0.0)
        axis.barh(agents, found[:, 0], xerr=errors)
        axis.invert_yaxis()
        axis.set(title=env, xlim=(0, 1), xlabel="success")
    figure.tight_layout()
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "driving_success.png"
    figure.savefig(file, dpi=120)
    plt.close(figure)
    return [file]


def _table(rows: Sequence[ResultRow], title: str, metric: str, form: str, scale: float) -> Table:
    envs = list(dict.fromkeys(row.env for row in rows))
    agents = list(dict.fromkeys(row.agent for row in rows))
    lines = []
    for agent in agents:
        cells = [_cell(rows, env, agent, metric, form, scale) for env in envs]
        lines.append((agent, _steps(rows, agent), *cells))
    counts = sorted({row.n for row in rows})
    notes = (
        f"{'-'.join(map(str, counts))} test episodes a seed, seeds 10000 and up, most likely "
        "actions; learners: mean over training seeds (their number in brackets, in the cells where "
        "scenes differ).",
        *dict.fromkeys(f"Made by: {r.command} ({r.version}, commit {r.commit})" for r in rows),
    )
    heading = f"{title}: suite {rows[0].suite}, tier {rows[0].variant}"
    return Table(heading, ("driver", "steps (seeds)", *envs), tuple(lines), notes)


def _steps(rows: Sequence[ResultRow], agent: str) -> str:
    own = [row for row in rows if row.agent == agent]
    steps = max(row.steps for row in own)
    counts = _seeds(own).values()
    some = f"{min(counts)}-" if min(counts) < max(counts) else ""
    return f"{steps:,} ({some}{max(counts)})" if steps else "-"


def _seeds(own: Sequence[ResultRow]) -> dict[str, int]:
    """How many training seeds a driver has in each scene."""
    return {env: len({r.seed for r in own if r.env == env}) for env in {r.env for r in own}}


def _cell(
    rows: Sequence[ResultRow], env: str, agent: str, metric: str, form: str, scale: float
) -> str:
    value, n = pooled(rows, env, agent, metric)
    if not n:
        return "-"
    if metric != "success":
        return form.format(scale * value)
    seeds = _seeds([row for row in rows if row.agent == agent])
    count = f" ({seeds[env]})" if len(set(seeds.values())) > 1 else ""
    return percent(*interval(rows, env, agent)) + count
