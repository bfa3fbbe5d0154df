"""Published numbers beside ours, and the difference, for suites that ``published.toml`` knows."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from hybridrl.benchmarks.results import ResultRow, pooled
from hybridrl.benchmarks.tables import Table

# HOPE's levels, and those of our classes that stand for them.
LEVELS = {
    "normal": ("normal-bay", "normal-parallel"),
    "complex": ("complex-bay", "complex-parallel"),
    "extreme": ("extreme-parallel",),
    "lot": ("lot",),
}
LEVEL_SUITES = {"parking": "parking", "hope": "parking"}  # suite -> its part of published.toml
OUR_DRIVERS = ("hope-ppo", "hope-ppo-16")


def beside_table(suite: str, rows: Sequence[ResultRow]) -> Table | None:
    """Published, ours and the difference; ``None`` where there is nothing to compare.

    Args:
        suite: Its name.
        rows: Of one variant.
    """
    text = resources.files("hybridrl.benchmarks").joinpath("published.toml").read_text("utf-8")
    known: dict[str, Any] = tomllib.loads(text)
    if suite in LEVEL_SUITES:
        return _levels(known[LEVEL_SUITES[suite]], rows)
    if "columns" in known.get(suite, {}):
        return _returns(known[suite], rows)
    return None


def _levels(known: Mapping[str, Any], rows: Sequence[ResultRow]) -> Table | None:
    """Success rates of HOPE's levels: a line a level."""
    drivers = [name for name in OUR_DRIVERS if name in {row.agent for row in rows}]
    lines = []
    for level, classes in LEVELS.items():
        published = [float(row[level]) for row in known["rows"]]
        cells = [level, *(f"{value:.1f}" for value in published)]
        for driver in drivers:
            parts = [pooled(rows, env, driver, "success") for env in classes]
            n = sum(count for _, count in parts)
            ours = 100 * sum(rate * count for rate, count in parts if count) / n if n else None
            cells += ["-", "-"] if ours is None else _against(ours, max(published), 1)
        lines.append(tuple(cells))
    if not drivers:
        return None
    heads = [f"published: {row['name']}" for row in known["rows"]]
    heads += [head for name in drivers for head in (f"ours: {name}", "ours - best published")]
    notes = (known["note"], "Ours: our scenes of the same level, pooled; success in %.")
    title = "Success rates published and ours, side by side"
    return Table(title, ("level", *heads), tuple(lines), notes)


def _returns(known: Mapping[str, Any], rows: Sequence[ResultRow]) -> Table | None:
    """Returns by task and method, where our row and column have the published names."""
    lines = []
    for line in known["rows"]:
        for column in known["columns"]:
            ours, n = pooled(rows, line["name"], column.lower(), "return")
            stated = re.match(r"-?[\d.]+", str(line.get(column, "")))
            if n and stated:
                against = _against(ours, float(stated[0]), 0)
                lines.append((line["name"], column, str(line[column]), *against))
    heads = ("task", "method", "published", "ours", "ours - published")
    title = "Returns published and ours, side by side"
    return Table(title, heads, tuple(lines), (known["note"],)) if lines else None


def _against(ours: float, published: float, digits: int) -> list[str]:
    difference = round(ours - published, digits) + 0.0  # no minus before a zero
    return [f"{ours:.{digits}f}", f"{difference:+.{digits}f}"]
