"""Pictures inside the page: drawn by a suite itself, or kept beside its rows."""

from __future__ import annotations

import base64
import io
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from hybridrl.benchmarks.report.html import Html, tag
from hybridrl.benchmarks.report.origins import portable
from hybridrl.benchmarks.results import ResultRow
from hybridrl.benchmarks.suites import suite_module

_COLOURS = 64  # of a picture: lines and text stay sharp at a third of the size
# Folder under results/ -> what draws its pictures.
_DRAWN_BY = {"hope": "python -m hybridrl.benchmarks.hope_card results/hope"}


def data_uri(data: bytes, kind: str) -> str:
    """Bytes as an address that needs no network."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def picture(file: Path, caption: object) -> Html:
    """A PNG in the page, with fewer colours than its file.

    Raises:
        OSError: If the file is no picture.
    """
    from PIL import Image

    small = io.BytesIO()
    with Image.open(file) as image:
        image.convert("RGB").quantize(_COLOURS).save(small, "PNG", optimize=True)
    name = file.stem.replace("_", " ")
    shown = tag("figcaption", tag("b", name), " ", caption)
    source = data_uri(small.getvalue(), "image/png")
    return tag("figure", _img(source, name), shown, class_="picture")


def drawn_by_suite(suite: str, rows: Sequence[ResultRow], caption: Html) -> Iterator[Html]:
    """The figures that a suite draws from its rows."""
    with tempfile.TemporaryDirectory() as folder:
        for file in suite_module(suite).plots(rows, Path(folder)):
            yield picture(file, caption)


def committed(suite: str, results: Path) -> Iterator[Html]:
    """Pictures kept in the results folder for a suite: ``<suite>_*.png`` and ``<suite>/*.png``."""
    for file in sorted([*results.glob(f"{suite}_*.png"), *results.glob(f"{suite}/*.png")]):
        default = f"hybridrl benchmark {suite} --render-only --plots DIR"
        command = _DRAWN_BY.get(file.parent.name, default)
        commit = last_commit(file)
        yield picture(file, Html(tag("code", portable(command)) + f", kept at commit {commit}"))


def last_commit(file: Path) -> str:
    """The commit that last changed a file, ``unknown`` outside a repository."""
    ask = ["git", "-C", str(file.parent), "log", "-1", "--format=%h", "--", file.name]
    try:
        answer = subprocess.run(ask, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return answer.stdout.strip() or "unknown"


def _img(source: str, name: str) -> Html:
    return Html(tag("img", src=source, alt=name, loading="lazy").removesuffix("</img>"))
