"""The command line: each command parses, calls one function and prints.

Exit codes: 0 done, 1 a run failed, 2 wrong usage, 130 interrupted (every folder can be resumed).
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from hybridrl.cli_benchmark import benchmark
from hybridrl.cli_dataset import app as dataset_commands
from hybridrl.cli_export import export
from hybridrl.cli_parking import app as parking_commands
from hybridrl.cli_report import report
from hybridrl.cli_storage import storage as storage_commands
from hybridrl.cli_teacher import teacher as teacher_commands
from hybridrl.cli_tune import tune
from hybridrl.console import (
    FAILED,
    Group,
    command_line,
    progress,
    say,
    show,
    show_json,
    show_records,
    show_values,
)

# Plain help: the rich one takes a fifth of a second more to start.
app = typer.Typer(cls=Group, no_args_is_help=True, add_completion=False, rich_markup_mode=None)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Seed = Annotated[int, typer.Option(help="Random seed (the first, where there are several).")]
Out = Annotated[Path, typer.Option(help="Folder of run folders.")]


EnvKwargs = Annotated[
    list[str] | None,
    typer.Option("--env-kwargs", help="key=value of the environment; may be repeated."),
]


class Kind(StrEnum):
    """What ``list`` lists."""

    envs = "envs"
    agents = "agents"
    suites = "suites"
    datasets = "datasets"
    planners = "planners"


def _print_version(asked: bool) -> None:
    if asked:
        from hybridrl import __version__

        show(__version__)
        raise typer.Exit


@app.callback()
def hybridrl(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
) -> None:
    """Environments, planners and agents for hybrid reinforcement learning."""


@app.command("list")
def list_(kind: Kind, as_json: Json = False) -> None:
    """List what there is: envs, agents, suites, datasets or planners."""
    from hybridrl.benchmarks.catalogue import CATALOGUE

    show_records(kind.value, CATALOGUE[kind.value](), as_json, "none yet")


@app.command()
def plan(
    file: Annotated[Path, typer.Argument(help="Scenario JSON; docs/parking.md describes it.")],
    planner: Annotated[str, typer.Option(help="A name of `list planners`.")] = "auto",
    budget: Annotated[float, typer.Option(min=0.001, help="CPU seconds a scenario.")] = 2.0,
    seed: Seed = 0,
    clearance: Annotated[
        float | None, typer.Option(min=0.0, help="Distance to keep from obstacles, metres.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Picture (png) or film (gif, mp4).")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the result as JSON.")] = None,
    as_json: Json = False,
) -> None:
    """Plan a path through your own scene; the path is checked at 1 cm."""
    from hybridrl.benchmarks.planning import plan_file

    with progress(1) as ticker:
        answers = plan_file(file, planner, budget, seed, plot, out, clearance)
        ticker.tick(f"{len(answers)} scenario(s) planned")
    if as_json:
        show_json(answers)
    else:
        show_records(f"{planner} on {file}", [_short(answer) for answer in answers], False)
    for written in (plot, out):
        if written:
            say(str(written))
    if not all(answer["success"] for answer in answers):
        raise typer.Exit(FAILED)


def _short(answer: dict[str, Any]) -> dict[str, Any]:
    keys = ("scenario", "planner", "success", "length", "gear_changes", "clearance", "seconds")
    return {key: answer[key] for key in keys}


@app.command()
def train(
    agent: Annotated[str, typer.Argument(help="A name of `list agents`.")],
    env: Annotated[str, typer.Argument(help="Any Gymnasium id.")],
    steps: Annotated[
        int | None, typer.Option("-n", "--steps", min=1, help="Timesteps [default: preset].")
    ] = None,
    seed: Seed = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    n_envs: Annotated[int | None, typer.Option(min=1, help="Parallel environments.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="key=value; may be repeated.")
    ] = None,
    env_kwargs: EnvKwargs = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start again.")] = False,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Log for it too.")] = False,
    out: Out = Path("runs"),
    as_json: Json = False,
) -> None:
    """Train an agent; its run folder holds everything that is needed to repeat or resume it."""
    from hybridrl.benchmarks import train as training
    from hybridrl.benchmarks.settings import parse_settings

    own = {"total_timesteps": steps, "n_envs": n_envs}
    overrides = {k: v for k, v in own.items() if v} | parse_settings(settings or [])
    kwargs = parse_settings(env_kwargs or [])
    config = training.train_config(
        agent, env, seed, overrides, kwargs, device, tensorboard, command_line()
    )
    result = training.train(config, out, resume, fresh)
    folder = config.folder(out)
    if result.status == "failed":
        say(f"failed: {folder}: {result.error}")
        raise typer.Exit(FAILED)
    if result.status == "skipped":
        say("done before; --fresh runs it again")
    show_values(f"{agent} on {env}", result.values, as_json)
    say(str(folder))


@app.command()
def evaluate(
    name: Annotated[str, typer.Argument(help="`random` or a run folder.")],
    env: Annotated[str | None, typer.Argument(help="Gymnasium id [default: the run's].")] = None,
    episodes: Annotated[int, typer.Option(min=1, help="How many.")] = 100,
    seed: Seed = 0,
    env_kwargs: EnvKwargs = None,
    stochastic: Annotated[bool, typer.Option("--stochastic", help="Sample actions.")] = False,
    trust: Annotated[
        bool, typer.Option("--trust", help="Unpickle model.zip: runs code from the file.")
    ] = False,
    video: Annotated[Path | None, typer.Option(help="GIF of the first episode.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the episodes as CSV.")] = None,
    as_json: Json = False,
) -> None:
    """Roll out a policy on seeds that training never saw."""
    from hybridrl.benchmarks.evaluate import evaluate_name
    from hybridrl.benchmarks.settings import parse_settings

    with progress(episodes) as ticker:
        numbers = evaluate_name(
            name,
            env,
            episodes,
            seed,
            env_kwargs=parse_settings(env_kwargs or []),
            deterministic=not stochastic,
            trust=trust,
            video=video,
            out=out,
            tick=ticker.tick,
        )
    show_values(f"{name} on {numbers['env']}", numbers, as_json)
    for written in (video, out):
        if written:
            say(str(written))


@app.command()
def render(
    name: Annotated[str, typer.Argument(help="Gymnasium id, run folder or scenario JSON.")],
    out: Annotated[Path, typer.Option(help="GIF or MP4 to write; PNG for a scenario.")],
    seed: Seed = 0,
    planner: Annotated[str, typer.Option(help="Who drives a scenario file.")] = "auto",
    budget: Annotated[float, typer.Option(min=0.001, help="CPU seconds to plan it.")] = 2.0,
) -> None:
    """Write a picture or a film of an episode."""
    from hybridrl.benchmarks.videos import render_anything

    say(str(render_anything(name, out, seed, planner, budget)))


@app.command()
def speed(
    what: Annotated[str, typer.Argument(help="A family, as in parking or storage.")],
    seconds: Annotated[float, typer.Option(min=0.01, help="Time for each measurement.")] = 2.0,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Time our code beside its peers in one process, and print the ratios."""
    from hybridrl.benchmarks.speed import measure

    with progress(1) as ticker:
        records = measure(what, seconds, seed)
        ticker.tick("measured")
    show_records(f"speed of {what}, one core", records, as_json)


app.command()(benchmark)
app.command()(export)
app.command()(report)
app.command()(tune)
app.add_typer(dataset_commands, name="dataset")
app.add_typer(parking_commands, name="parking")
app.add_typer(storage_commands, name="storage")
app.add_typer(teacher_commands, name="teacher")


def main() -> None:
    """Entry point of the ``hybridrl`` command."""
    app()
