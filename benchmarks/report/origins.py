"""Where a figure comes from: commands and commits with anchors, never a path of a machine."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from hybridrl.benchmarks.report.html import Html, join, slug, tag
from hybridrl.benchmarks.results import ResultRow

# Folders before the last name of an absolute path: /a/b/c.csv, ~/b/c.csv, C:\b\c.csv.
_FOLDERS = re.compile(r"(?<![\w./:~-])(?:[A-Za-z]:[\\/]|~?/)(?:[^\s'\",:;=/\\]+[\\/])*(?=[^\s/])")


class Origin(NamedTuple):
    """What made a number."""

    command: str
    version: str
    commit: str


class Origins:
    """The commands behind the rows of one suite, each with an anchor.

    Args:
        suite: Its name.
        rows: All of it.
    """

    def __init__(self, suite: str, rows: Sequence[ResultRow]) -> None:
        self._suite = slug(suite)
        counts: dict[Origin, int] = {}
        for row in rows:
            counts[origin_of(row)] = counts.get(origin_of(row), 0) + 1
        self._counts = counts
        self._numbers = {origin: i for i, origin in enumerate(counts, 1)}

    def links(self, rows: Sequence[ResultRow]) -> Html:
        """Links to what made some of the rows."""
        found = dict.fromkeys(origin_of(row) for row in rows)
        links = [
            tag("a", str(n), href=f"#run-{self._suite}-{n}")
            for n in sorted(self._numbers[origin] for origin in found)
        ]
        return tag("span", "made by run ", join(links, ", "), class_="origin") if links else Html()

    def listing(self) -> Html:
        """Every command with its commit, as a list of anchors."""
        items = [
            tag(
                "li",
                tag("code", portable(origin.command) or "command not kept"),
                f" hybridrl {origin.version or '?'}, commit {origin.commit or 'not kept'}; "
                f"{count:,} numbers",
                id=f"run-{self._suite}-{self._numbers[origin]}",
            )
            for origin, count in self._counts.items()
        ]
        return tag("ol", *items, class_="runs")


def origin_of(row: ResultRow) -> Origin:
    """What made one number."""
    return Origin(row.command, row.version, row.commit)


def portable(text: str) -> str:
    """A text whose absolute paths keep their last name only."""
    return _FOLDERS.sub("", text)
