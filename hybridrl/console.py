"""What the command line writes: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

USAGE, FAILED, INTERRUPTED = 2, 1, 130


class Group(TyperGroup):
    """A command group whose errors are messages with an exit code, not tracebacks."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; wrong usage exits with 2, a failed run with 1, Ctrl-C with 130."""
        try:
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort, typer.TyperException):
            raise
        except KeyboardInterrupt:
            say("interrupted; the same command goes on where this one stopped")
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            raise typer.Exit(0) from None
        except Exception as error:
            if ctx.params.get("debug"):
                raise
            if is_usage(error):
                raise typer.BadParameter(str(error)) from None
            say(f"error: {type(error).__name__}: {error} (hybridrl --debug shows where)")
            raise typer.Exit(FAILED) from None


def is_usage(error: Exception) -> bool:
    """Whether an error says that something wrong was asked for."""
    from gymnasium.error import UnregisteredEnv

    from hybridrl.planners.errors import ScenarioError, UnknownNameError

    return isinstance(error, ScenarioError | UnknownNameError | UnregisteredEnv)


def say(text: str) -> None:
    """Chatter: a line on stderr."""
    typer.echo(text, err=True)


def show(text: str) -> None:
    """A result: text on stdout."""
    typer.echo(text, nl=not text.endswith("\n"))


def show_json(data: Any) -> None:
    """A result as JSON on stdout."""
    show(json.dumps(data, indent=1, allow_nan=False))


def show_records(
    title: str, records: Sequence[Mapping[str, Any]], as_json: bool, empty: str = "nothing"
) -> None:
    """A list of equal records, as JSON or as a table.

    Args:
        title: Of the table.
        records: One mapping a row, with the same keys.
        as_json: Print JSON.
        empty: Said instead of a table without rows.
    """
    if as_json:
        return show_json(list(records))
    if not records:
        return say(f"{title}: {empty}")
    from hybridrl.benchmarks.tables import Table, to_text

    rows = tuple(tuple(_cell(value) for value in record.values()) for record in records)
    show(to_text([Table(title, tuple(records[0]), rows)], width=_width()))


def show_values(title: str, values: Mapping[str, Any], as_json: bool) -> None:
    """One record, as JSON or as two columns."""
    if as_json:
        return show_json(dict(values))
    show_records(title, [{"what": key, "value": v} for key, v in values.items()], False)


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_cell(item) for item in value)
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return "" if value is None else str(value)


def _width() -> int:
    import shutil

    return max(100, shutil.get_terminal_size((150, 24)).columns)


def command_line() -> str:
    """The command as it was typed, for the record."""
    import shlex

    return shlex.join(["hybridrl", *sys.argv[1:]])


class Ticker:
    """Counts finished pieces of work; see :func:`progress`."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.done = 0
        self._spoken = time.monotonic()

    def tick(self, text: str) -> None:
        """One piece is done; in a pipe, a line at most every 5 seconds says so."""
        self.done += 1
        if time.monotonic() - self._spoken > 5 or self.done == self.total:
            self._spoken = time.monotonic()
            say(f"{self.done}/{self.total} {text}")


class _Bar(Ticker):
    def __init__(self, total: int, bar: Any) -> None:
        super().__init__(total)
        self._bar = bar
        self._task = bar.add_task("", total=total)

    def tick(self, text: str) -> None:
        self._bar.update(self._task, advance=1, description=text)


@contextmanager
def progress(total: int) -> Iterator[Ticker]:
    """A progress bar on a terminal, plain lines in a pipe; both on stderr."""
    if not sys.stderr.isatty():
        yield Ticker(total)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    described = TextColumn("{task.description}")
    with Progress(*columns, described, console=Console(stderr=True), transient=True) as bar:
        yield _Bar(total, bar)
