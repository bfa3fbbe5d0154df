"""Tables as data, and the forms they are printed in."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import Console, Group
from rich.table import Table as RichTable

from hybridrl.benchmarks.results import COLUMNS, ResultRow
from hybridrl.planners.errors import UnknownNameError


@dataclass(frozen=True)
class Table:
    """A rectangle of text with a heading.

    Args:
        title: One line.
        columns: Headings; the first column is a name.
        rows: Cells, each row as long as ``columns``.
        notes: Lines under the table: what the figures are and how they were made.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


def to_markdown(tables: Sequence[Table]) -> str:
    """GitHub's pipe tables under bold titles."""
    return "\n".join(_markdown(table) for table in tables)


def to_latex(tables: Sequence[Table]) -> str:
    """``tabular`` environments with the rules of ``booktabs``."""
    return "\n".join(_latex(table) for table in tables)


def to_rich(tables: Sequence[Table]) -> Group:
    """Something for a ``rich`` console to print."""
    return Group(*(part for table in tables for part in _rich(table)))


def to_text(tables: Sequence[Table], width: int = 150) -> str:
    """What a terminal shows, without colours."""
    sink = io.StringIO()
    Console(file=sink, width=width, no_color=True).print(to_rich(tables))
    return "\n".join(line.rstrip() for line in sink.getvalue().splitlines()) + "\n"


def to_csv(rows: Sequence[ResultRow]) -> str:
    """The long rows as CSV."""
    lines = [COLUMNS, *((str(value) for value in row) for row in rows)]
    return "\n".join(",".join(_quoted(cell) for cell in line) for line in lines) + "\n"


def to_json(rows: Sequence[ResultRow]) -> str:
    """The long rows as a JSON list; numbers that do not exist are ``null``."""
    return json.dumps([json_row(row) for row in rows], indent=1) + "\n"


def json_row(row: ResultRow) -> dict[str, Any]:
    """One long row as a JSON object."""
    return {**row._asdict(), "value": row.value if row.value == row.value else None}


FORMATS: dict[str, Callable[[Sequence[Table], Sequence[ResultRow]], str]] = {
    "rich": lambda tables, rows: to_text(tables),
    "markdown": lambda tables, rows: to_markdown(tables),
    "latex": lambda tables, rows: to_latex(tables),
    "csv": lambda tables, rows: to_csv(rows),
    "json": lambda tables, rows: to_json(rows),
}


def render(tables: Sequence[Table], rows: Sequence[ResultRow], form: str) -> str:
    """Text in one of :data:`FORMATS`.

    Raises:
        UnknownNameError: If there is no such form.
    """
    require_format(form)
    return FORMATS[form](tables, rows)


def require_format(form: str) -> None:
    """Refuse an unknown form before hours are spent on what it would print.

    Raises:
        UnknownNameError: If there is no such form.
    """
    if form not in FORMATS:
        raise UnknownNameError("format", form, FORMATS)


def _markdown(table: Table) -> str:
    rule = ["---"] + ["---:"] * (len(table.columns) - 1)
    lines = [table.columns, rule, *table.rows]
    body = ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
    notes = ["", *table.notes] if table.notes else []
    return "\n".join([f"**{table.title}**", "", *body, *notes, ""])


def _latex(table: Table) -> str:
    def line(cells: Sequence[str]) -> str:
        return " & ".join(_tex(cell) for cell in cells) + r" \\"

    body = [line(table.columns), r"\midrule", *map(line, table.rows)]
    caption = _tex(" ".join([table.title + ".", *table.notes]))
    return "\n".join(
        [
            r"\begin{table}",
            rf"\caption{{{caption}}}",
            rf"\begin{{tabular}}{{l{'r' * (len(table.columns) - 1)}}}",
            r"\toprule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _tex(text: str) -> str:
    for plain in "&%$#_{}":
        text = text.replace(plain, "\\" + plain)
    return text.replace("<=", r"$\le$").replace(">=", r"$\ge$")


def _rich(table: Table) -> list[Any]:
    grid = RichTable(title=table.title, box=box.SIMPLE_HEAD, title_justify="left", min_width=60)
    for i, name in enumerate(table.columns):
        figures = all(row[i][:1] in "+-.0123456789" for row in table.rows)
        grid.add_column(name, justify="right" if figures else "left", no_wrap=not i)
    for row in table.rows:
        grid.add_row(*row)
    return [grid, *(f"  {note}" for note in table.notes), ""]


def _quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if any(c in cell for c in ',"\n') else cell
