"""``hybridrl dataset``: make, list, show and export offline data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hybridrl.console import Group, progress, say, show_records, show_values

app = typer.Typer(cls=Group, no_args_is_help=True, help="Offline datasets in Minari.")
Name = Annotated[str, typer.Argument(help="Minari id.")]
Source = Annotated[str, typer.Argument(help="Minari id, .npz or .hdf5 file, or Minari folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("make")
def make(
    name: Name,
    seed: Annotated[int, typer.Option(help="Of whatever acts.")] = 0,
    steps: Annotated[
        int | None, typer.Option("-n", "--steps", min=1, help="Rows [default: the recipe's].")
    ] = None,
    episodes: Annotated[int | None, typer.Option(min=1, help="Episodes, not rows.")] = None,
    stored_as: Annotated[
        str | None, typer.Option("--as", help="Minari id of the result [default: NAME].")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an unfinished one.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Throw away what is there.")] = False,
    engine: Annotated[str, typer.Option(help="serial or ray: who makes the pieces.")] = "serial",
    jobs: Annotated[int, typer.Option(min=1, help="Pieces at a time, on Ray.")] = 2,
    address: Annotated[str | None, typer.Option(help="Of a running Ray cluster.")] = None,
    download: Annotated[
        bool, typer.Option("--download", help="Fetch a remote Minari id; needs a network.")
    ] = False,
) -> None:
    """Make a registered dataset, or download one; nothing half-written is left."""
    from hybridrl.datasets import registry
    from hybridrl.datasets.engines import make_engine

    if download:
        say(registry.download_dataset(name))
        return
    made = registry.make_dataset(
        name,
        seed,
        rows=steps,
        episodes=episodes,
        stored_as=stored_as,
        resume=resume,
        fresh=fresh,
        progress=progress,
        engine=make_engine(engine, jobs, address),
    )
    say(made)


@app.command("list")
def list_(as_json: Json = False) -> None:
    """List recipes and what is stored locally."""
    from hybridrl.datasets.registry import list_datasets

    show_records("datasets", list_datasets(), as_json, "no recipe, and the local store is empty")


@app.command("show")
def show(name: Source, as_json: Json = False) -> None:
    """Show what a dataset holds, with its own and D4RL's normalised score."""
    from hybridrl.datasets.registry import show_dataset

    show_values(name, show_dataset(name), as_json)


@app.command("export")
def export(
    name: Source,
    out: Annotated[Path, typer.Option(help="File, or folder of a Minari store.")],
    form: Annotated[
        str | None, typer.Option("--format", help="npz, d4rl or minari [default: by suffix].")
    ] = None,
    stored_as: Annotated[
        str | None, typer.Option("--as", help="Minari id in that store [default: NAME].")
    ] = None,
) -> None:
    """Write a dataset in another format."""
    from hybridrl.datasets.registry import export_dataset

    say(str(export_dataset(name, out, form, stored_as)))
