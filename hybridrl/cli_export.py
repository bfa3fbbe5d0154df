"""``hybridrl export``: a trained policy as a file for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hybridrl.console import say, show_values


def export(
    name: Annotated[
        str, typer.Argument(help="hope-ppo, a weights folder, a run folder or a model.zip.")
    ],
    out: Annotated[Path, typer.Argument(help="File that ends with .onnx.")],
    trust: Annotated[
        bool, typer.Option("--trust", help="Unpickle a model.zip: runs code from the file.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write a parking policy as ONNX, normalisation and mask inside, and check the round trip."""
    from hybridrl.benchmarks.exporting import export_policy

    show_values(f"{name} as ONNX", export_policy(name, out, trust), as_json)
    say(str(out))
