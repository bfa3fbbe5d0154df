"""A language model's answer: the JSON schema it is asked for, and the one way it is read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

LONGEST = 8_000  # characters of an answer that are looked at
_Share = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]


class InvalidAnswer(ValueError):
    """An answer that cannot be used; the message is one of a few fixed sentences."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Ranked(_Strict):
    """Probability of one action."""

    action: Annotated[str, Field(max_length=32)]
    p: _Share


class Answer(_Strict):
    """What is read of an answer (``driving.md`` 3.6).

    Args:
        reasoning: For people only; at most 400 characters.
        action: Name of an action.
        confidence: In [0, 1].
        ranking: Probabilities of several actions.
    """

    reasoning: Annotated[str, Field(max_length=400)] = ""
    action: Annotated[str, Field(max_length=32)]
    confidence: _Share = 0.5
    ranking: Annotated[list[Ranked], Field(max_length=8)] | None = None


def answer_schema(available: Sequence[str], reasoning: bool = True) -> dict[str, Any]:
    """The JSON schema of an answer to a scene.

    Args:
        available: Names of the actions that may be taken.
        reasoning: Ask for a sentence first; small models are asked for the action only.
    """
    action = {"type": "string", "enum": list(available)}
    share = {"type": "number", "minimum": 0, "maximum": 1}
    parts: dict[str, Any] = {"action": action}
    if reasoning:
        parts = {
            "reasoning": {"type": "string", "maxLength": 400},
            "action": action,
            "confidence": share,
        }
    return {
        "type": "object",
        "properties": parts,
        "required": list(parts),
        "additionalProperties": False,
    }


def parse_answer(text: str, available: Sequence[str]) -> Answer:
    """The answer in a text: its first balanced JSON object, validated; nothing else is acted on.

    Args:
        text: What the model said.
        available: Names of the actions that may be taken.

    Returns:
        The answer; its names are spelt as in ``available``.

    Raises:
        InvalidAnswer: If there is no whole object, it breaks the schema, names an action that is
            not available, or names two.
    """
    found = first_object(text[:LONGEST])
    if found is None:
        raise InvalidAnswer("no whole JSON object")
    try:
        data = json.loads(found, object_pairs_hook=_without_twins)
    except (ValueError, RecursionError):
        raise InvalidAnswer("not JSON, or a key stands twice") from None
    try:
        answer = Answer.model_validate(data)
    except ValidationError as error:
        places = sorted({".".join(map(str, e["loc"])) or "object" for e in error.errors()})
        raise InvalidAnswer(f"breaks the schema at {', '.join(places)[:80]}") from None
    return _known(answer, available)


def _known(answer: Answer, available: Sequence[str]) -> Answer:
    names = {name.casefold(): name for name in available}
    action = names.get(answer.action.strip().casefold())
    if action is None:
        raise InvalidAnswer("the action is not available")
    ranking = [
        Ranked(action=names[entry.action.strip().casefold()], p=entry.p)
        for entry in answer.ranking or []
        if entry.action.strip().casefold() in names
    ]
    shares: dict[str, float] = {}
    for entry in ranking:
        if entry.action in shares:
            raise InvalidAnswer("the ranking names an action twice")
        shares[entry.action] = entry.p
    if shares and max(shares.values()) > shares.get(action, 0.0):
        raise InvalidAnswer("two actions: the ranking prefers another one")
    return answer.model_copy(update={"action": action, "ranking": ranking or None})


def first_object(text: str) -> str | None:
    """The first balanced ``{...}`` of a text, or ``None``; braces in strings do not count."""
    start = text.find("{")
    if start < 0:
        return None
    depth, quoted, escaped = 0, False, False
    for i, letter in enumerate(text[start:], start):
        if quoted:
            quoted = escaped or letter != '"'
            escaped = letter == "\\" and not escaped
        elif letter == '"':
            quoted = True
        elif letter in "{}":
            depth += 1 if letter == "{" else -1
            if depth == 0:
                return text[start : i + 1]
    return None


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key stands twice")
    return made
