"""``hybridrl report`` and ``hybridrl benchmark all``: every result on one page, every suite."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hybridrl.console import FAILED, progress, say, show_records

if TYPE_CHECKING:
    from hybridrl.benchmarks.every_suite import Outcome

# Options of `benchmark` that ask something of one suite.
OF_ONE_SUITE = (
    *("--agents", "--envs", "--set", "--csv", "--scenes", "--budget", "--plots"),
    *("--render-only", "--headline"),
)


def report(
    results: Annotated[Path, typer.Option(help="Folder of long CSV files.")] = Path("results"),
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("report.html"),
    runs: Annotated[Path, typer.Option(help="Run folders, for what failed.")] = Path("runs"),
    no_episodes: Annotated[
        bool, typer.Option("--no-episodes", help="No films: they take minutes the first time.")
    ] = False,
) -> None:
    """Write one self-contained HTML page of all results; it needs no server and no network."""
    from hybridrl.benchmarks.report.page import write_report

    with progress(len(list(results.glob("*.csv"))) + 3 * (not no_episodes)) as ticker:
        page = write_report(results, out, runs, not no_episodes, tick=ticker.tick)
    for problem in page.problems:
        say(f"problem: {problem}")
    say(str(page.file))
    if page.problems:
        raise typer.Exit(FAILED)


def benchmark_all(
    given: Sequence[object], tier: str, out: Path, as_json: bool, **options: Any
) -> None:
    """Run every suite and print a line for each.

    Args:
        given: Values of :data:`OF_ONE_SUITE`, options that mean nothing here.
        tier: Of all suites.
        out: Folder of run folders and long tables.
        as_json: Print JSON.
        **options: As :func:`~hybridrl.benchmarks.every_suite.run_every_suite` takes them.

    Raises:
        ScenarioError: If an option of one suite is given.
    """
    from dataclasses import asdict

    from hybridrl.benchmarks.every_suite import run_every_suite
    from hybridrl.planners.errors import ScenarioError

    for name, value in zip(OF_ONE_SUITE, given, strict=True):
        if value:
            raise ScenarioError(name, value, "one suite's name in place of `all` with it")

    def told(outcome: Outcome) -> None:
        say(f"{outcome.suite}: {outcome.status}, {outcome.seconds:.0f} s, {outcome.note}")

    outcomes = run_every_suite(tier, out, on_outcome=told, progress=progress, **options)
    show_records(f"every suite, tier {tier}", [asdict(outcome) for outcome in outcomes], as_json)
    if any(outcome.status != "done" for outcome in outcomes):
        raise typer.Exit(FAILED)
