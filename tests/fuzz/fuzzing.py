"""What every fuzzed parser needs: its description, files in memory, and which errors are ours."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

Seeds = Callable[[], list[bytes]]


class Target(NamedTuple):
    """A parser.

    Args:
        parse: Called with the input.
        seeds: Whole inputs.
        modules: Whose branches the fuzzer watches; they are loaded when it begins.
    """

    parse: Callable[[bytes], object]
    seeds: Seeds
    modules: tuple[str, ...]


def ours() -> tuple[type[Exception], ...]:
    """The package's own types of error."""
    from hybridrl.agents.tell_drive.teachers.answer import InvalidAnswer
    from hybridrl.planners.errors import ScenarioError, UnknownNameError

    return ScenarioError, UnknownNameError, InvalidAnswer


@cache
def folder() -> Path:
    """A folder in memory where there is one: each input is a file."""
    given = os.environ.get("FUZZ_FOLDER")  # the fuzzer ends its process and tidies nothing up
    return Path(tempfile.mkdtemp(prefix="fuzz-", dir=given or memory()))


def memory() -> Path | None:
    """Where files stay in memory, if there is such a place."""
    fast = Path("/dev/shm")
    return fast if os.access(fast, os.W_OK) else None


def as_file(name: str, read: Callable[[Path], object]) -> Callable[[bytes], object]:
    """A parser of files as one of bytes."""

    def parse(data: bytes) -> object:
        file = folder() / name
        file.write_bytes(data)
        return read(file)

    return parse


def written(name: str, *writers: Callable[[Path], object]) -> list[bytes]:
    """What some functions write into a file of that name."""
    found = []
    with tempfile.TemporaryDirectory() as here:
        for write in writers:
            write(Path(here) / name)
            found.append((Path(here) / name).read_bytes())
    return found
