"""One run is one folder, and one folder is enough to repeat the run.

The unit of work is a *trial*: a function of a JSON-able :class:`RunConfig` that writes into one
folder with a deterministic name and is safe to repeat. ``result.json`` is written last, so its
presence means "done"; a folder without it is run again, or continued where its work can be.
"""

from __future__ import annotations

import errno
import importlib
import json
import os
import platform
import re
import subprocess
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal, TextIO

from hybridrl.planners.json_text import parse_json

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

Work = Callable[["RunConfig", Path], dict[str, Any]]
Status = Literal["done", "skipped", "failed"]


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Everything that a trial needs to know; JSON-able, hence good for any queue.

    Args:
        suite: Name in ``suites.py``, or ``train``.
        env: Gymnasium id or scene class.
        agent: Agent or planner.
        work: ``"module:function"`` that does it, called with the configuration and its folder.
        seed: Of the run.
        variant: Tier and budget in a word, as in ``quick-1s``; part of the folder's name.
        part: Where a run is split into several trials, the name of this piece.
        settings: JSON-able arguments of the work.
        command: The command line that asked for it.
    """

    suite: str
    env: str
    agent: str
    work: str
    seed: int = 0
    variant: str = ""
    part: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    command: str = ""

    def folder(self, root: str | Path) -> Path:
        """``root/suite/env/agent/seed-k[/variant][/part]``."""
        names = [self.suite, self.env.removeprefix("hybridrl/"), self.agent, f"seed-{self.seed}"]
        names += [name for name in (self.variant, self.part) if name]
        return Path(root).joinpath(*(re.sub(r"[^\w.+-]+", "_", name) for name in names))

    def to_json(self) -> dict[str, Any]:
        """All fields as a JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> RunConfig:
        """Read what :meth:`to_json` wrote; other keys are ignored."""
        return cls(**{k: v for k, v in data.items() if k in cls.__dataclass_fields__})


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """How a trial ended.

    Args:
        config: What was asked.
        status: ``done`` now, ``skipped`` since it was done before, or ``failed``.
        values: What the work returned.
        wall_s: Seconds that it took.
        error: Of a failed trial: type and message in a line.
        version: Of hybridrl when it ran.
        commit: Of the source when it ran.
    """

    config: RunConfig
    status: Status
    values: dict[str, Any] = field(default_factory=dict)
    wall_s: float = 0.0
    error: str = ""
    version: str = ""
    commit: str = ""


def execute(config: RunConfig, root: str | Path) -> RunResult:
    """Do one trial unless it is done already; an exception becomes a failed result.

    Of several processes that are asked for the same trial, one does it, and those that come
    meanwhile report it as failed.
    """
    before = finished(config, root)
    if before is not None:
        return before
    folder = config.folder(root)
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder) as alone:
        if not alone:
            error = "another process is at work in this run folder; wait for it, or end it"
            return RunResult(config=config, status="failed", error=error)
        # It may have been done between the look above and the lock.
        return finished(config, root) or _work(config, folder)


def _work(config: RunConfig, folder: Path) -> RunResult:
    for stale in (folder / "result.json", folder / "error.txt", *folder.glob("*.partial")):
        stale.unlink(missing_ok=True)
    source = provenance()
    write_json(folder / "run.json", {**config.to_json(), **source, **machine()})
    started = time.perf_counter()
    try:
        module, _, name = config.work.partition(":")
        values = getattr(importlib.import_module(module), name)(config, folder)
    except Exception as error:
        (folder / "error.txt").write_text(traceback.format_exc(), encoding="utf-8")
        return RunResult(config=config, status="failed", error=f"{type(error).__name__}: {error}")
    outcome = {"values": values, "wall_s": time.perf_counter() - started, **source}
    write_json(folder / "result.json", outcome)
    return RunResult(config=config, status="done", **outcome)


@contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    """Whether no other process holds this folder; if so, hold it until the end.

    The lock belongs to the process, so a killed one leaves none; children do not inherit it.
    """
    if fcntl is None:
        yield True
        return
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            # A file system without locks is no reason not to work on it.
            yield error.errno not in (errno.EACCES, errno.EAGAIN)
            return
        yield True


@contextmanager
def taking_turns(folder: Path) -> Iterator[None]:
    """Wait until no other process changes a shared file of this folder, and hold it till the end.

    Without effect where the file system has no such locks.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if fcntl is None:
        yield
        return
    place = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(place, fcntl.LOCK_EX)
        yield
    finally:
        os.close(place)


def finished(config: RunConfig, root: str | Path) -> RunResult | None:
    """The stored result of a trial; ``None`` where it is missing, damaged or of other settings."""
    folder = config.folder(root)
    try:
        asked = RunConfig.from_json(read_json(folder / "run.json"))
        result = RunResult(config=config, status="skipped", **read_json(folder / "result.json"))
    except (OSError, ValueError, TypeError, AttributeError):
        return None
    if (asked.settings, asked.work) != (config.settings, config.work):
        return None
    return result if isinstance(result.values, dict) else None


@contextmanager
def atomic_write(path: Path) -> Iterator[TextIO]:
    """Open a text file that appears under its name only once it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("w", newline="", encoding="utf-8") as file:
            yield file
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_json(path: Path, data: Any) -> None:
    """Write JSON whole or not at all."""
    with atomic_write(path) as file:
        json.dump(data, file, indent=1)
        file.write("\n")


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    return parse_json(path.read_text(encoding="utf-8"))


@cache
def provenance() -> dict[str, str]:
    """Version of hybridrl and commit of its source (``-dirty`` with changes on top of it)."""
    import hybridrl

    return {"version": hybridrl.__version__, "commit": _commit(Path(hybridrl.__file__).parent)}


def _commit(folder: Path) -> str:
    ask = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--exclude=*"]
    try:
        answer = subprocess.run(ask, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return answer.stdout.strip()


def machine() -> dict[str, Any]:
    """What the numbers depend on besides the code: Python, platform, cores, start time."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }
