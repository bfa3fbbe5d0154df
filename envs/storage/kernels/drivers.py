"""The loop that runs an engine under a policy's compiled functions.

A policy is five compiled functions over the engine and a state of its own (:class:`Hooks`). They
are put into the loop as global names, so the whole becomes one compiled function that numba's disk
cache can hold: the name carries a digest of the sources, and a changed hook is compiled anew.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from types import FunctionType
from typing import Any, NamedTuple

from hybridrl.envs.storage.kernels.compiled import entry, inlined, inner
from hybridrl.envs.storage.kernels.lists import lru_victim
from hybridrl.envs.storage.kernels.records import (
    ASK_MIGRATE,
    ASK_PLACE,
    END,
    IDLE,
    MIGRATE,
    MIGRATING,
    PLACE,
    PLACING,
    SERVED,
    Engine,
)
from hybridrl.envs.storage.kernels.requests import begin, complete, evict, flush_evictions, prepare


@inner
def place_slow(e: Engine, p: Any) -> int:
    """Write to the slowest device."""
    return int(e.sys[0].devices - 1)


@inner
def serve_nothing(e: Engine, p: Any) -> None:
    """Learn nothing from a served request."""


@inner
def move_nothing(e: Engine, p: Any) -> None:
    """Take no migration decision."""


@inner
def victim_lru(e: Engine, p: Any, device: int) -> int:
    """Evict the least recently used page."""
    return lru_victim(e, device)


class Hooks(NamedTuple):
    """The compiled functions of a policy; ``e`` is the engine, ``p`` the policy's own state.

    Args:
        place: ``place(e, p) -> device`` for the current request (``e.sys[0].page``, ``npages``,
            ``write``, ...), before anything of it has happened.
        served: ``served(e, p)`` after every request: its latency stands in ``e.sys[0].latency``.
        migrate: ``migrate(e, p)`` every ``interval`` requests: may call ``candidates``,
            ``apply_choices`` and ``queue_move``.
        victim: ``victim(e, p, device) -> page`` to evict from ``device``.
    """

    place: Callable[..., Any] = place_slow
    served: Callable[..., Any] = serve_nothing
    migrate: Callable[..., Any] = move_nothing
    victim: Callable[..., Any] = victim_lru


DEFAULT_HOOKS = Hooks()
# Stand-ins: each template below is compiled with a policy's functions under these names.
place, served, migrate, victim = place_slow, serve_nothing, move_nothing, victim_lru


def _make_room(e: Engine, p: Any) -> None:
    """Evict what ``prepare`` asked for, from the slowest device up; the policy names victims."""
    s = e.sys[0]
    for device in range(s.devices - 2, -1, -1):
        while s.need[device] > 0:
            evict(e, victim(e, p, device), device)
    flush_evictions(e)


def _after(e: Engine, p: Any, ask: int) -> bool:
    """A request was served. Returns whether the migration decision is left to the caller."""
    s = e.sys[0]
    served(e, p)
    s.stage = IDLE
    if s.due:
        if ask & ASK_MIGRATE:
            s.stage = MIGRATING
            return True
        s.due = 0
        migrate(e, p)
    return False


def _drive(e: Engine, p: Any, stop: int, ask: int) -> int:
    """Run until request ``stop`` or until a decision that is asked for.

    Args:
        e: Engine.
        p: The policy's state.
        stop: Index of the first request not to run.
        ask: ``ASK_PLACE`` and ``ASK_MIGRATE`` bits: decisions that the caller takes.

    Returns:
        ``END``, or ``PLACE`` or ``MIGRATE``: answer and call again.
    """
    s = e.sys[0]
    if s.stage == PLACING:
        return PLACE
    if s.stage == MIGRATING:
        return MIGRATE
    while True:
        if s.stage == SERVED and _after(e, p, ask):
            return MIGRATE
        if s.i >= stop:
            return END
        if begin(e):
            if ask & ASK_PLACE:
                s.stage = PLACING
                return PLACE
            if prepare(e, place(e, p)):
                _make_room(e, p)
        complete(e)


@lru_cache(maxsize=64)
def compile_driver(hooks: Hooks = DEFAULT_HOOKS) -> Callable[[Engine, Any, int, int], int]:
    """The driver with a policy's functions in it, ``drive(e, p, stop, ask) -> kind``."""
    digest = _digest(hooks)
    names = {**_drive.__globals__, **hooks._asdict()}
    for template in (_make_room, _after):
        names[template.__name__] = inlined(_copy(template, names, digest))
    driver: Callable[[Engine, Any, int, int], int] = entry(_copy(_drive, names, digest))
    return driver


def _copy(template: Any, names: dict[str, Any], digest: str) -> FunctionType:
    """The template's code over other global names, known to the disk cache by the digest."""
    function = FunctionType(template.__code__, names, template.__name__)
    function.__qualname__ = f"{template.__name__}_{digest}"
    function.__module__ = __name__
    return function


def _digest(hooks: Hooks) -> str:
    """Changes with the hooks, their files and the kernel's files."""
    known = hashlib.sha256()
    files = set(Path(__file__).parent.glob("*.py"))
    for hook in hooks:
        plain = getattr(hook, "py_func", hook)
        code = plain.__code__
        known.update(f"{plain.__module__}.{plain.__qualname__} {code.co_consts}".encode())
        known.update(code.co_code)
        file = Path(inspect.getfile(plain))
        files |= set(file.parent.glob("*.py")) if file.exists() else set()
    for path in sorted(files):
        known.update(path.read_bytes())
    return known.hexdigest()[:16]
