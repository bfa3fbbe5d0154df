"""One suite as a section of the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hybridrl.benchmarks.report import curves, pictures
from hybridrl.benchmarks.report.coverage import MARK, coverage_table, marked, seeds_behind
from hybridrl.benchmarks.report.html import Html, slug, tag
from hybridrl.benchmarks.report.origins import Origins, portable
from hybridrl.benchmarks.report.published import beside_table
from hybridrl.benchmarks.report.svg import style_class
from hybridrl.benchmarks.results import ResultRow, read_results
from hybridrl.benchmarks.suites import SUITES, suite_module
from hybridrl.benchmarks.tables import Table
from hybridrl.planners.errors import ScenarioError

_LONG = 30  # characters of a cell that is broken into lines
_FINE = "/"  # in the names of environments that are too many for a panel each


@dataclass
class Section:
    """What the page says of a suite.

    Args:
        name: Of the suite.
        body: Its part of the page.
        rows: All of it.
        problems: What could not be read or drawn, a line each.
    """

    name: str
    body: Html = field(default_factory=Html)
    rows: list[ResultRow] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def suite_section(file: Path) -> Section:
    """Everything about the suite whose long rows a file holds; a bad file becomes a problem."""
    section = Section(file.stem)
    title = SUITES[file.stem].title if file.stem in SUITES else file.stem
    head = [tag("h2", title, " ", tag("small", file.stem))]
    try:
        section.rows = read_results(file)
        if not section.rows:
            raise ScenarioError(file.name, "no row", "at least one")
        origins = Origins(file.stem, section.rows)
        for variant in sorted({row.variant for row in section.rows}):
            rows = [row for row in section.rows if row.variant == variant]
            head += _variant(section, rows, origins)
        head += _kept(section, file.parent)
        head += [tag("h3", "Runs"), origins.listing()]
    except ScenarioError as error:
        section.problems.append(portable(str(error)))
    head += [tag("p", problem, class_="problem") for problem in section.problems]
    section.body = tag("section", *head, id=slug(file.stem))
    return section


def table_html(table: Table, origin: object = "") -> Html:
    """A table that scrolls inside its own frame; what made it is behind the caption."""
    notes = [portable(note) for note in table.notes if not note.startswith("Made by:")]
    words = [not i or _is_text([row[i] for row in table.rows]) for i in range(len(table.columns))]
    longest = [max((len(row[i]) for row in table.rows), default=0) for i in range(len(words))]
    classes = [
        None if not text else "words long" if length > _LONG else "words"
        for text, length in zip(words, longest, strict=True)
    ]
    heads = zip(table.columns, classes, strict=True)
    head = tag("tr", *(tag("th", name, scope="col", class_=kind) for name, kind in heads))
    body = [
        tag(
            "tr",
            tag("th", row[0], scope="row", class_="words"),
            *(_cell(text, kind) for text, kind in zip(row[1:], classes[1:], strict=True)),
        )
        for row in table.rows
    ]
    grid = tag("table", tag("thead", head), tag("tbody", *body))
    return tag(
        "figure",
        tag("figcaption", tag("b", portable(table.title)), " ", origin),
        tag("div", grid, class_="scroll", tabindex="0"),
        *(tag("p", note, class_="note") for note in notes),
        class_="table",
    )


def chart_html(chart: curves.Chart, origin: object) -> Html:
    """A chart with its legend and what made it."""
    legend = [
        tag("li", _swatch(style), name, class_=style_class(style)) for name, style in chart.legend
    ]
    panels = [
        tag("figure", tag("figcaption", name), drawing, class_="panel")
        for name, drawing in chart.panels
    ]
    return tag(
        "figure",
        tag("figcaption", tag("b", chart.title), " ", origin),
        tag("ul", *legend, class_="legend") if legend else "",
        tag("div", *panels, class_="panels"),
        tag("p", chart.note, class_="note"),
        class_="chart",
    )


def folded(summary: str, parts: Sequence[Html]) -> Html:
    """Parts behind a line that opens them; nothing if there are none."""
    return tag("details", tag("summary", summary), *parts) if parts else Html()


def _variant(section: Section, rows: list[ResultRow], origins: Origins) -> list[Html]:
    suite, variant = section.name, rows[0].variant
    made = origins.links(rows)
    seeds = seeds_behind(rows)
    parts = [tag("h3", variant or "results", class_="variant")]
    tables = [marked(table, seeds) for table in _tables(section, rows)]
    beside = beside_table(suite, rows)
    parts += [table_html(table, made) for table in tables[-1:]]
    parts += [table_html(marked(beside, seeds), made)] if beside else []
    parts += _figures(section, rows, origins)
    parts.append(
        folded(f"More tables: {len(tables) - 1}", [table_html(t, made) for t in tables[:-1]])
        if len(tables) > 1
        else Html()
    )
    parts.append(folded("Seeds behind the cells", [table_html(coverage_table(suite, rows), made)]))
    return parts


def _tables(section: Section, rows: list[ResultRow]) -> list[Table]:
    """The suite's own tables; rows that it cannot read are named, and cost only these tables."""
    if section.name not in SUITES:
        return []
    try:
        return suite_module(section.name).tables(rows)
    except Exception as error:
        said = f"{section.name} {rows[0].variant}: no tables, {type(error).__name__}: {error}"
        section.problems.append(portable(said))
        return []


def _figures(section: Section, rows: list[ResultRow], origins: Origins) -> list[Html]:
    drawn = [] if any(_FINE in row.env for row in rows) else curves.charts(rows)
    if not drawn and section.name in SUITES:
        try:
            return list(pictures.drawn_by_suite(section.name, rows, origins.links(rows)))
        except Exception as error:
            said = f"{section.name} {rows[0].variant}: no figures, {type(error).__name__}: {error}"
            section.problems.append(portable(said))
            return []
    boxes = [c for c in drawn if c.title.startswith("Distributions")]
    shown = [chart_html(c, origins.links(c.rows)) for c in drawn if c not in boxes]
    hidden = [chart_html(c, origins.links(c.rows)) for c in boxes]
    return [*shown, folded("Distributions", hidden)]


def _kept(section: Section, results: Path) -> list[Html]:
    try:
        kept = list(pictures.committed(section.name, results))
        return [folded("Pictures kept with the results", kept)]
    except OSError as error:
        section.problems.append(portable(f"{section.name}: a picture cannot be read: {error}"))
        return []


def _cell(text: str, kind: str | None) -> Html:
    figure, mark, rest = text.partition(MARK)
    return tag("td", figure, tag("span", mark, class_="few") if mark else "", rest, class_=kind)


def _is_text(cells: Sequence[str]) -> bool:
    """Whether a column holds words, which stand on the left and may be broken into lines."""
    return any(cell.strip()[:1] not in (*"+-.0123456789[\u2212", "") for cell in cells)


def _swatch(style: int) -> Html:
    line = tag("line", x1=0, y1=5, x2=24, y2=5)
    return tag("svg", line, view_box="0 0 24 10", class_=f"swatch {style_class(style)}")
