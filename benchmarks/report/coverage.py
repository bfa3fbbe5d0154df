"""What stands behind a suite's cells: seeds, what is missing, what failed."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from hybridrl.benchmarks.report.origins import portable
from hybridrl.benchmarks.results import ResultRow
from hybridrl.benchmarks.runs import read_json
from hybridrl.benchmarks.suites import SUITES
from hybridrl.benchmarks.tables import Table

ENOUGH = 3  # seeds
MARK = "†"
_NAMED = 12  # environments in one cell of the table

Seeds = Mapping[tuple[str, str], int]  # (environment, agent) -> how many


class Failure(NamedTuple):
    """A trial that ended with an error and has no result yet."""

    suite: str
    env: str
    agent: str
    seed: int
    error: str


def seeds_behind(rows: Sequence[ResultRow]) -> dict[tuple[str, str], int]:
    """Seeds with a finite number, for each environment and agent."""
    found: dict[tuple[str, str], set[int]] = {}
    for row in rows:
        seeds = found.setdefault((row.env, row.agent), set())
        if math.isfinite(row.value):
            seeds.add(row.seed)
    return {cell: len(seeds) for cell, seeds in found.items()}


def marked(table: Table, seeds: Seeds) -> Table:
    """A table whose cells with fewer than three seeds carry a mark and say so.

    A cell belongs to an agent and an environment where its row, its column or the title name
    them; tables of other things stay as they are.
    """
    envs = {_plain(env): env for env, _ in seeds}
    agents = {_plain(agent): agent for _, agent in seeds}
    title = re.split(r"[:,(]", table.title)[0].strip()

    def cell(row: Sequence[str], column: int) -> str:
        names = (row[0], table.columns[column], title, f"{title}/{table.columns[column]}")
        env = next((envs[name] for name in map(_plain, names) if name in envs), None)
        agent = next((agents[name] for name in map(_plain, names) if name in agents), None)
        few = env is not None and agent is not None and 0 < seeds.get((env, agent), 0) < ENOUGH
        text = row[column]
        return f"{text} {MARK}" if few and text not in ("", "-") and MARK not in text else text

    rows = tuple((row[0], *(cell(row, i) for i in range(1, len(row)))) for row in table.rows)
    if rows == table.rows:
        return table
    note = f"{MARK} fewer than {ENOUGH} seeds"
    return Table(table.title, table.columns, rows, (*table.notes, note))


def coverage_table(suite: str, rows: Sequence[ResultRow]) -> Table:
    """For each agent: environments with three seeds, with fewer, and without a number.

    Args:
        suite: Its name; where it is registered, its agents and environments are all expected.
        rows: Of one variant.
    """
    seeds = seeds_behind(rows)
    expected = SUITES.get(suite)
    present = dict.fromkeys(row.env for row in rows)
    envs = list(dict.fromkeys([*present, *(expected.envs if expected else ())]))
    # A suite may split its environments into finer ones, as in perf/hm_1.
    envs = [e for e in envs if e in present or not any(p.startswith(f"{e}/") for p in present)]
    agents = dict.fromkeys([row.agent for row in rows] + list(expected.agents if expected else ()))
    lines = []
    for agent in agents:
        counts = {env: seeds.get((env, agent), 0) for env in envs}
        enough = [env for env in envs if counts[env] >= ENOUGH]
        few = [f"{env} ({counts[env]})" for env in envs if 0 < counts[env] < ENOUGH]
        none = [env for env in envs if not counts[env]]
        lines.append((agent, _names(enough), _names(few), _names(none)))
    heads = ("agent", f"{ENOUGH} seeds or more", f"fewer {MARK} (seeds)", "not run, or no number")
    notes = ("What a suite offers need not fit together: not every agent acts in every task.",)
    return Table("What stands behind the cells", heads, tuple(lines), notes)


def failures(runs: Path) -> Iterator[Failure]:
    """Trials in a folder of run folders that failed and were not repeated with success."""
    for file in sorted(runs.rglob("error.txt")):
        folder = file.parent
        if (folder / "result.json").exists():
            continue
        try:
            asked = read_json(folder / "run.json")
            lines = file.read_text("utf-8", "replace").strip().splitlines()
            said = portable(lines[-1]) if lines else ""
            suite, env, agent = (str(asked[key]) for key in ("suite", "env", "agent"))
            yield Failure(suite, env, agent, int(asked["seed"]), said[:300])
        except (OSError, ValueError, TypeError, KeyError):
            yield Failure("?", "?", "?", 0, f"{folder.name}: run.json cannot be read")


def failures_table(found: Sequence[Failure]) -> Table:
    """Failed trials as a table."""
    rows = tuple((f.suite, f.env, f.agent, str(f.seed), f.error) for f in found)
    return Table("Failed trials", ("suite", "environment", "agent", "seed", "error"), rows)


def _plain(name: str) -> str:
    return re.sub(r"[-_\s]+", " ", name.partition(",")[0]).strip().lower()


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NAMED])
    return f"{shown} and {len(names) - _NAMED} more" if len(names) > _NAMED else shown or "-"
