"""Typed tables on disk: a CSV whose columns are the fields of a ``NamedTuple`` or dataclass."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from hybridrl.benchmarks.runs import atomic_write
from hybridrl.planners.errors import ScenarioError

Row = TypeVar("Row")
Readers = dict[str, tuple[Callable[[str], Any], str]]
BOOLEANS = {"True": True, "False": False}
# Annotation of a field -> how its text is read, and what that may be.
READERS: dict[Any, tuple[Callable[[str], Any], str]] = {
    str: (str, "text"),
    int: (int, "a whole number"),
    float: (float, "a number"),
    bool: (BOOLEANS.__getitem__, "True or False"),
}


def write_rows(file: Path, kind: type[Row], rows: Iterable[Row]) -> None:
    """Write a table whole or not at all.

    Args:
        file: The CSV.
        kind: Of the rows; its fields are the columns.
        rows: In their order.
    """
    names = _columns(kind)
    with atomic_write(file) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([getattr(row, name) for name in names] for row in rows)


def read_rows(file: Path, kind: type[Row]) -> list[Row]:
    """Read what :func:`write_rows` wrote.

    Args:
        file: The CSV.
        kind: Of the rows; every value is read as its field is annotated.

    Raises:
        ScenarioError: If the file cannot be read, has other columns, or a value does not fit.
    """
    names, readers = _columns(kind), _readers(kind)
    try:
        with file.open(newline="", encoding="utf-8") as stream:
            reader = csv.reader(stream)
            head = tuple(next(reader, ()))
            if head != names:
                raise ScenarioError(str(file), head, f"the columns {names}")
            return [
                _row(f"{file}, line {reader.line_num}", kind, readers, line)
                for line in reader
                if line
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ScenarioError(str(file), str(error), f"a CSV with the columns {names}") from None


def rows_so_far(file: Path, kind: type[Row]) -> list[Row]:
    """The rows of a file; none where it is not there yet."""
    return read_rows(file, kind) if file.exists() else []


def _row(where: str, kind: type[Row], readers: Readers, line: list[str]) -> Row:
    if len(line) != len(readers):
        raise ScenarioError(where, line, f"{len(readers)} values")
    values = {}
    for (name, (read, expected)), text in zip(readers.items(), line, strict=True):
        try:
            values[name] = read(text)
        except (ValueError, KeyError):
            raise ScenarioError(f"{where}, {name}", text, expected) from None
    return kind(**values)


def _columns(kind: type[Any]) -> tuple[str, ...]:
    if is_dataclass(kind):
        return tuple(f.name for f in fields(kind))
    names: tuple[str, ...] = kind._fields
    return names


def _readers(kind: type[Any]) -> Readers:
    hints = get_type_hints(kind)
    return {name: READERS[hints[name]] for name in _columns(kind)}
