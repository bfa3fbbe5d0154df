"""``hybridrl benchmark``: run what is missing of one suite or of all, and print the tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hybridrl.cli_report import benchmark_all
from hybridrl.console import FAILED, command_line, progress, say, show

if TYPE_CHECKING:
    from hybridrl.benchmarks.runner import Report

Suite = Annotated[str, typer.Argument(help="A name of `list suites`, or `all`.")]
Agents = Annotated[str | None, typer.Option("--agents", "--planners", help="Names between commas.")]
Envs = Annotated[str | None, typer.Option("--envs", "--classes", help="Names between commas.")]
Tier = Annotated[str | None, typer.Option(help="smoke, quick, cpu or full [default: quick].")]
Smoke = Annotated[bool, typer.Option("--smoke", help="Short for --tier smoke.")]
Scenes = Annotated[int | None, typer.Option(help="Scenes a class.")]
Budget = Annotated[float | None, typer.Option(help="CPU seconds a scene.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="key=value of the tier's settings.")
]
Seeds = Annotated[int | None, typer.Option(help="How many seeds.")]
Seed = Annotated[int, typer.Option(help="Random seed (the first, where there are several).")]
Jobs = Annotated[int, typer.Option(min=1, help="Worker processes.")]
Engine = Annotated[str, typer.Option(help="serial, processes or ray.")]
Address = Annotated[str | None, typer.Option(help="Of a running Ray cluster.")]
Shard = Annotated[str | None, typer.Option(help="Only the i-th of n shares: i/n.")]
RenderOnly = Annotated[
    bool, typer.Option("--render-only", help="Print the tables of what was run before.")
]
Headline = Annotated[bool, typer.Option("--headline", help="The last table only.")]
Form = Annotated[str, typer.Option("--format", help="rich, markdown, csv, json or latex.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Plots = Annotated[Path | None, typer.Option(help="Folder for figures.")]
Out = Annotated[Path, typer.Option(help="Folder of run folders.")]
Csv = Annotated[Path | None, typer.Option(help="Long results table [default: OUT/SUITE.csv].")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Run again what is done.")]


def benchmark(
    suite: Suite,
    agents: Agents = None,
    envs: Envs = None,
    tier: Tier = None,
    smoke: Smoke = False,
    scenes: Scenes = None,
    budget: Budget = None,
    settings: Settings = None,
    seeds: Seeds = None,
    seed: Seed = 0,
    jobs: Jobs = 2,
    engine: Engine = "processes",
    address: Address = None,
    shard: Shard = None,
    render_only: RenderOnly = False,
    headline: Headline = False,
    form: Form = "rich",
    as_json: Json = False,
    plots: Plots = None,
    out: Out = Path("runs"),
    csv: Csv = None,
    fresh: Fresh = False,
) -> None:
    """Run what is missing of a suite and print its tables; run it again to go on."""
    from hybridrl.benchmarks import runner, tables
    from hybridrl.benchmarks.settings import parse_settings

    form = "json" if as_json else form
    tables.require_format(form)
    tier = "smoke" if smoke else tier
    if suite == "all":
        given = (agents, envs, settings, csv, scenes, budget, plots, render_only, headline)
        spread = {"engine": engine, "jobs": jobs, "share": shard, "address": address}
        chosen = {"seeds": seeds, "seed": seed, "fresh": fresh}
        return benchmark_all(given, tier or "quick", out, as_json, **spread, **chosen)
    if render_only:
        report = runner.report_from_csv(suite, runner.stored_csv(suite, csv, out), tier)
    else:
        own = {"scenes": scenes, "budget": budget, **parse_settings(settings or [])}
        asked = (suite, tier or "quick", agents, envs, seeds, seed, command_line())
        request = runner.make_request(*asked, **own)
        report = runner.run_suite(request, out, csv, engine, jobs, shard, fresh, progress, address)
    shown = report.tables[-1:] if headline else report.tables
    show(tables.render(shown, report.rows, form))
    for figure in runner.plot_report(suite, report, plots) if plots else []:
        say(str(figure))
    _end(report, out)


def _end(report: Report, out: Path) -> None:
    for failure in report.failed:
        say(f"failed: {failure.config.folder(out)}: {failure.error}")
    say(str(report.csv))
    if report.failed:
        raise typer.Exit(FAILED)
