"""EVERY teacher, one table."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

from hybridrl.agents.tell_drive.teachers.advice import Teacher
from hybridrl.planners.errors import ScenarioError, UnknownNameError


class TeacherRow(NamedTuple):
    """One teacher.

    Args:
        entry_point: ``"module:callable"`` that makes it from settings.
        summary: Half a line for ``hybridrl teacher list``.
    """

    entry_point: str
    summary: str


_HERE = "hybridrl.agents.tell_drive.teachers"
TEACHERS: dict[str, TeacherRow] = {
    "rule": TeacherRow(f"{_HERE}.rule:RuleTeacher", "gaps and times to collision"),
    "forecast": TeacherRow(f"{_HERE}.forecast:ForecastTeacher", "kinematic look-ahead"),
    "lookahead": TeacherRow(f"{_HERE}.lookahead:LookaheadTeacher", "rolls copies of the simulator"),
    "openai": TeacherRow(f"{_HERE}.registry:make_openai", "any OpenAI-compatible endpoint"),
    "local": TeacherRow(f"{_HERE}.local:LocalTeacher", "SmolLM2 in this process: a demonstration"),
    "memory": TeacherRow(f"{_HERE}.registry:make_memory", "nearest remembered scenes"),
    "mixture": TeacherRow(f"{_HERE}.registry:make_mixture", "several, by turns or by vote"),
    "chaos": TeacherRow(f"{_HERE}.chaos:ChaosTeacher", "bad advice of a chosen kind, for tests"),
}


def make_teacher(name: str, **settings: Any) -> Teacher:
    """A teacher by its name.

    Args:
        name: In :data:`TEACHERS`.
        **settings: Of its constructor.

    Raises:
        UnknownNameError: If there is no such teacher.
        ScenarioError: If it does not take one of the settings.
    """
    if name not in TEACHERS:
        raise UnknownNameError("teacher", name, TEACHERS)
    module, _, attribute = TEACHERS[name].entry_point.partition(":")
    make = getattr(importlib.import_module(module), attribute)
    try:
        return cast(Teacher, make(**settings))
    except TypeError as error:
        if "argument" not in str(error):
            raise
        raise ScenarioError(f"settings of {name}", settings, f"its own ({error})") from None


def as_teacher(teacher: Teacher | str | Mapping[str, Any] | None) -> Teacher | None:
    """A teacher as it is, by its name, or by ``{"name": ..., **settings}``."""
    if isinstance(teacher, str):
        return make_teacher(teacher)
    if isinstance(teacher, Mapping):
        settings = dict(teacher)
        return make_teacher(settings.pop("name", ""), **settings)
    return teacher


def make_openai(
    base_url: str,
    model: str,
    key_env: str = "",
    cache: str | None = None,
    cache_mode: str = "read-write",
    ledger: str | None = None,
    memory: str | None = None,
    threads: int = 8,
    prices: Mapping[str, Mapping[str, float]] | None = None,
    budget: Mapping[str, Any] | None = None,
    limits: Mapping[str, Any] | None = None,
    **asking: Any,
) -> Teacher:
    """The teacher of an endpoint from plain values, as a command line or a preset has them.

    Args:
        base_url: Of the endpoint, as in ``http://127.0.0.1:8000/v1``.
        model: Its name.
        key_env: Environment variable that holds the key.
        cache: File of the answers; in memory only when ``None``.
        cache_mode: ``off``, ``read-write``, ``read-only`` or ``refresh``.
        ledger: JSONL file of the calls.
        memory: Folder of remembered cases for the prompt.
        threads: Calls at the same time.
        prices: Of a million prompt and completion tokens, by model.
        budget: ``max_calls``, ``max_tokens``, ``max_cost``, ``max_seconds``.
        limits: Time-outs and retries.
        **asking: ``reasoning``, ``temperature``, ``max_tokens``, ``n_samples``.
    """
    from hybridrl.agents.tell_drive.teachers.cache import AnswerCache
    from hybridrl.agents.tell_drive.teachers.client import ChatClient, Limits
    from hybridrl.agents.tell_drive.teachers.ledger import Budget, Ledger, Price
    from hybridrl.agents.tell_drive.teachers.memory import Memory
    from hybridrl.agents.tell_drive.teachers.openai import Asking, OpenAITeacher

    priced = {name: Price(**price) for name, price in (prices or {}).items()}
    return OpenAITeacher(
        ChatClient(base_url, model, key_env, Limits(**(limits or {}))),
        AnswerCache(cache, cache_mode),
        Ledger(ledger, priced, Budget(**(budget or {}))),
        Asking(**asking),
        Memory.load(memory).cases if memory else None,
        threads,
    )


def make_memory(folder: str | Path, k: int = 3) -> Teacher:
    """The teacher of a memory folder."""
    from hybridrl.agents.tell_drive.teachers.memory import Memory, MemoryTeacher

    return MemoryTeacher(Memory.load(folder), k)


def make_mixture(teachers: list[str | dict[str, Any]] | None = None, **settings: Any) -> Teacher:
    """A mixture of teachers, each by name or by ``{"name": ..., **settings}``."""
    from hybridrl.agents.tell_drive.teachers.mixture import MixtureTeacher

    made = [as_teacher(one) for one in (teachers or [])]
    return MixtureTeacher([one for one in made if one is not None], **settings)
