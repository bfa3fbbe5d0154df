"""``hybridrl parking ...``: what can be asked of the parking scenes themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hybridrl.console import Group, progress, say, show_values

app = typer.Typer(cls=Group, no_args_is_help=True, help="Facts about the parking scenes.")


@app.callback()
def parking() -> None:
    """Facts about the parking scenes."""


@app.command()
def feasible(
    scenes_of: Annotated[str, typer.Argument(help="A class or level, as in ultra-parallel.")],
    scenes: Annotated[int, typer.Option(min=1, help="How many fixed scenes.")] = 100,
    first_seed: Annotated[int, typer.Option(min=0, help="Seed of the first.")] = 0,
    budget: Annotated[
        float, typer.Option(min=0.001, help="CPU seconds of the long search a scene.")
    ] = 10.0,
    task: Annotated[str, typer.Option(help="in or out.")] = "in",
    out: Annotated[
        Path | None, typer.Option(help="One JSON line a scene; a second call goes on from it.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List fixed scenes that allow no motion, or for which nothing finds a path."""
    from hybridrl.benchmarks.parking_feasible import summary, survey

    with progress(scenes) as ticker:
        verdicts = survey(
            scenes_of, scenes, first_seed, budget, task=task, out=out, tick=ticker.tick
        )
    show_values(f"{scenes_of}, {scenes} fixed scenes", summary(verdicts), as_json)
    if out:
        say(str(out))
