"""The whole page: one file without scripts, servers or addresses outside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from hybridrl.benchmarks.report.coverage import (
    ENOUGH,
    MARK,
    Failure,
    failures,
    failures_table,
    seeds_behind,
)
from hybridrl.benchmarks.report.html import Html, join, slug, tag
from hybridrl.benchmarks.report.pictures import data_uri
from hybridrl.benchmarks.report.sections import Section, suite_section, table_html
from hybridrl.benchmarks.runs import atomic_write, provenance
from hybridrl.benchmarks.suites import SUITES
from hybridrl.benchmarks.tables import Table
from hybridrl.planners.errors import ScenarioError

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


@dataclass(frozen=True)
class Page:
    """What was written.

    Args:
        file: The page.
        suites: On it.
        problems: What could not be read or drawn, a line each; they stand on the page as well.
    """

    file: Path
    suites: list[str]
    problems: list[str]


def write_report(
    results: Path,
    out: Path,
    runs: Path | None = None,
    episodes: bool = True,
    cache: Path | None = None,
    tick: Callable[[str], None] = lambda text: None,
) -> Page:
    """Write the page of a results folder.

    Args:
        results: Folder of long CSV files, with pictures kept beside them.
        out: The file to write.
        runs: Folder of run folders, for what failed there.
        episodes: Show films.
        cache: Folder of films made before; the user's own when ``None``.
        tick: Called after each suite and film.

    Raises:
        ScenarioError: If the folder holds no CSV file.
    """
    files = sorted(results.glob("*.csv"), key=_place)
    if not files:
        raise ScenarioError("results", str(results), "a folder with CSV files of suites")
    sections = []
    for file in files:
        sections.append(suite_section(file))
        tick(f"{file.stem}")
    films, lost = _films(cache, tick) if episodes else (Html(), [])
    failed = list(failures(runs)) if runs is not None and runs.is_dir() else []
    problems = [line for section in sections for line in section.problems] + lost
    body = [
        _header(sections),
        tag("main", _overview(sections, problems, failed), films, *(s.body for s in sections)),
    ]
    with atomic_write(out) as stream:
        stream.write(_document(body))
    return Page(out, [section.name for section in sections], problems)


def _document(body: Sequence[Html]) -> str:
    style = resources.files("hybridrl.benchmarks.report").joinpath("style.css").read_text("utf-8")
    head = "".join(
        (
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            tag("title", "hybridrl: results"),
            f"<style>\n{style}</style>",
        )
    )
    page = tag("html", Html(f"<head>{head}</head>"), tag("body", *body), lang="en")
    return f"<!doctype html>\n{page}\n"


def _header(sections: Sequence[Section]) -> Html:
    source = provenance()
    links = [tag("li", tag("a", s.name, href=f"#{slug(s.name)}")) for s in sections]
    made = f"Made by hybridrl report, version {source['version']}, commit {source['commit']}."
    return tag(
        "header",
        tag("h1", "hybridrl: results"),
        tag("p", made, class_="note"),
        tag("nav", tag("ul", *links), aria_label="Suites"),
    )


def _overview(
    sections: Sequence[Section], problems: Sequence[str], failed: Sequence[Failure]
) -> Html:
    lines = tuple(_line(section) for section in sections)
    heads = ("suite", "what", "agents", "tasks", "seeds", "numbers", f"cells {MARK}")
    notes = (
        f"{MARK}: cells with fewer than {ENOUGH} seeds; marked where a cell is one agent on one "
        "task. Planners on fixed scenes have one seed by design. "
        "Every figure links to the command and commit that made it.",
        "Not run: " + (", ".join(_absent(sections)) or "none; every suite has rows."),
    )
    parts = [table_html(Table("Suites", heads, lines, notes))]
    parts += [table_html(failures_table(failed))] if failed else []
    if problems:
        told = [tag("li", line) for line in problems]
        parts.append(tag("div", tag("h3", "Problems"), tag("ul", *told), class_="problem"))
    return tag("section", tag("h2", "Overview"), *parts, id="overview")


def _line(section: Section) -> tuple[str, ...]:
    rows = section.rows
    seeds = seeds_behind(rows)
    few = sum(0 < count < ENOUGH for count in seeds.values())
    title = SUITES[section.name].title if section.name in SUITES else "not a suite of this version"
    return (
        section.name,
        title,
        str(len({row.agent for row in rows})),
        str(len({row.env for row in rows})),
        str(len({row.seed for row in rows})),
        f"{len(rows):,}",
        f"{few} of {len(seeds)}",
    )


def _absent(sections: Sequence[Section]) -> list[str]:
    present = {section.name for section in sections if section.rows}
    return [name for name in SUITES if name not in present]


def _films(cache: Path | None, tick: Callable[[str], None]) -> tuple[Html, list[str]]:
    from hybridrl.benchmarks.report.episodes import EPISODES, default_cache, film

    shown, lost = [], []
    for episode in EPISODES:
        try:
            source = data_uri(film(episode, cache or default_cache()), "image/gif")
        except Exception as error:
            lost.append(f"film {episode.name}: {type(error).__name__}: {error}")
            continue
        told = ", ".join(f"{key} {_said(value)}" for key, value in episode.settings.items())
        image = Html(f'<img src="{source}" alt="{join([episode.title])}">')
        caption = tag("figcaption", tag("b", episode.title), " ", tag("span", told, class_="note"))
        shown.append(tag("figure", image, caption))
        tick(episode.name)
    if not shown:
        return Html(), lost
    row = tag("div", *shown, class_="films")
    note = "Made by hybridrl report with the settings below each, from the weights that ship."
    told = tag("p", note, class_="note")
    return tag("section", tag("h2", "Episodes"), told, row, id="episodes"), lost


def _said(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _place(file: Path) -> tuple[int, str]:
    """Suites in the order of their table, others after them."""
    names = list(SUITES)
    return (names.index(file.stem) if file.stem in names else len(names), file.stem)
