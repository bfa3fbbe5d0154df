"""A benchmark from its name to its table: choose, run what is missing, summarise, render."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from hybridrl.benchmarks import engines
from hybridrl.benchmarks.needed_data import make_missing
from hybridrl.benchmarks.results import ResultRow, merge_results, read_results, write_results
from hybridrl.benchmarks.runs import RunConfig, RunResult, finished, taking_turns
from hybridrl.benchmarks.suites import TIERS, Request, get_suite, suite_module
from hybridrl.benchmarks.tables import Table
from hybridrl.planners.errors import ScenarioError, UnknownNameError


class Ticker(Protocol):
    """Something that counts finished trials."""

    def tick(self, text: str) -> None:
        """One more is done."""
        ...


Progress = Callable[[int], AbstractContextManager[Ticker]]


@dataclass(frozen=True)
class Report:
    """What a benchmark came to.

    Args:
        rows: Long rows of what was asked.
        tables: Rendered from them, the headline last.
        failed: Trials that failed.
        csv: The file that holds the rows.
    """

    rows: list[ResultRow]
    tables: list[Table]
    failed: list[RunResult]
    csv: Path


def make_request(
    name: str,
    tier: str = "quick",
    agents: str | None = None,
    envs: str | None = None,
    seeds: int | None = None,
    seed: int = 0,
    command: str = "",
    **settings: Any,
) -> Request:
    """Fill in and check what is asked of a suite.

    Args:
        name: The suite's.
        tier: One of ``smoke``, ``quick``, ``cpu``, ``full``.
        agents: Names between commas; all of the suite when ``None``.
        envs: Likewise.
        seeds: How many; the suite's own number when ``None``.
        seed: The first of them.
        command: The command line, for the record.
        **settings: Override the tier's; ``None`` leaves it as it is.

    Raises:
        UnknownNameError: If a name is not one of the suite's, or a setting none of the tier's.
        ScenarioError: If a number is out of range.
    """
    suite = get_suite(name)
    if tier not in TIERS:
        raise UnknownNameError("tier", tier, TIERS)
    for key, value in {**settings, "seeds": seeds}.items():
        if isinstance(value, int | float) and not value > 0:
            raise ScenarioError(key, value, "a number above 0")
    own = {key: value for key, value in settings.items() if value is not None}
    for key in own:
        if key not in suite.tiers[tier]:
            raise UnknownNameError(f"setting of the suite {name}", key, suite.tiers[tier])
    complete = {**suite.tiers[tier], **own}
    return Request(
        suite=name,
        envs=_chosen("class or environment", envs, suite.envs),
        agents=_chosen("planner or agent", agents, suite.agents),
        seeds=tuple(range(seed, seed + (seeds or suite.seeds_at(tier)))),
        variant=suite_module(name).variant(tier, complete),
        settings=complete,
        command=command,
    )


def run_suite(
    request: Request,
    out: Path,
    csv: Path | None = None,
    engine: str = "processes",
    jobs: int = 2,
    share: str | None = None,
    fresh: bool = False,
    progress: Progress | None = None,
    address: str | None = None,
) -> Report:
    """Run what is missing of a request, add its rows to the long CSV and make its tables.

    Registered datasets that its trials read are made first, where they are not stored yet.

    Args:
        request: What to run.
        out: Folder of run folders.
        csv: Long CSV; ``<out>/<suite>.csv`` when ``None``.
        engine: See :func:`engines.run`.
        jobs: Worker processes.
        share: ``i/n`` runs only the i-th of n shares; the rows are those of all shares that are
            complete by now, so the last share to end makes the whole table.
        fresh: Forget what was done before.
        progress: Makes a bar for a number of trials; silent when ``None``.
        address: Of a running Ray cluster, for that engine.
    """
    module = suite_module(request.suite)
    trials = module.trials(request)
    mine = engines.shard(trials, share)
    if fresh:
        for trial in mine:
            (trial.folder(out) / "result.json").unlink(missing_ok=True)
    if any(finished(trial, out) is None for trial in mine):
        make_missing(request, progress)
    with nullcontext() if progress is None else progress(len(mine)) as ticker:

        def tick(result: RunResult) -> None:
            if ticker is not None:
                ticker.tick(f"{result.status}: {result.config.env} {result.config.agent}")

        results = engines.run(mine, out, engine, jobs, tick, address)
    known = {result.config.folder(out): result for result in results}
    every = [known.get(t.folder(out)) or finished(t, out) or _missing(t) for t in trials]
    rows = module.summarise(every, out)
    path = csv or out / f"{request.suite}.csv"
    add_rows(path, rows)
    failed = [result for result in results if result.status == "failed"]
    return Report(rows, module.tables(rows), failed, path)


def add_rows(path: Path, rows: Sequence[ResultRow]) -> None:
    """Put rows into a long CSV in place of older ones of the same runs; others stay.

    Several processes may do so at once: none loses the rows of another.
    """
    with taking_turns(path.parent):
        write_results(path, merge_results(read_results(path) if path.exists() else [], rows))


def report_from_csv(name: str, path: Path, variant: str | None = None) -> Report:
    """The tables of a suite from its long CSV alone, one set for each variant in it.

    Args:
        name: The suite's.
        path: The long CSV.
        variant: Only this one, as in ``cpu-2s``, or only those of a tier, as in ``cpu``.

    Raises:
        ScenarioError: If the file has no row of it, or its rows give no tables.
    """
    get_suite(name)
    rows = [row for row in read_results(path) if row.suite == name]
    variants = sorted({row.variant for row in rows})
    chosen = [v for v in variants if variant in (None, v, v.partition("-")[0])]
    if not chosen:
        raise ScenarioError(str(path), variant or name, f"a variant in the file: {variants}")
    rows = [row for row in rows if row.variant in chosen]
    try:
        tables = [t for v in chosen for t in suite_module(name).tables(_of(rows, v))]
    except Exception as error:  # rows are missing, or say what the suite never says
        found = f"{type(error).__name__}: {error}"
        raise ScenarioError(str(path), found, f"all rows of runs of the suite {name}") from error
    return Report(rows, tables, [], path)


def stored_csv(name: str, csv: Path | None, out: Path) -> Path:
    """Where the rows of a suite are: as asked, of the user's own runs, or the committed ones."""
    own, committed = out / f"{name}.csv", Path("results") / f"{name}.csv"
    return csv or (own if own.exists() or not committed.exists() else committed)


def plot_report(name: str, report: Report, folder: Path) -> list[Path]:
    """Draw the figures of every variant in a report."""
    module = suite_module(name)
    variants = sorted({row.variant for row in report.rows})
    return [file for v in variants for file in module.plots(_of(report.rows, v), folder / v)]


def _of(rows: Sequence[ResultRow], variant: str) -> list[ResultRow]:
    return [row for row in rows if row.variant == variant]


def _missing(trial: RunConfig) -> RunResult:
    return RunResult(config=trial, status="failed", error="not run yet")


def _chosen(kind: str, names: str | None, known: Sequence[str]) -> tuple[str, ...]:
    if names is None:
        return tuple(known)
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    for name in wanted:
        if name not in known:
            raise UnknownNameError(kind, name, known)
    if not wanted:
        raise ScenarioError(kind, names, f"names between commas out of {', '.join(known)}")
    return tuple(name for name in known if name in wanted)
