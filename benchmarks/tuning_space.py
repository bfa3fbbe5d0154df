"""Search spaces as they are typed: ``learning_rate=loguniform:1e-5,1e-3``."""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Sequence
from typing import Any

from hybridrl.planners.errors import ScenarioError, UnknownNameError

# Name of a setting to the text of its space.
Spaces = dict[str, str]
# Ray Tune's own names -> how many values they take; None: one or more.
KINDS: dict[str, int | None] = {
    "uniform": 2,
    "quniform": 3,
    "loguniform": 2,
    "qloguniform": 3,
    "randint": 2,
    "lograndint": 2,
    "choice": None,
    "grid_search": None,
}


def parse_spaces(pairs: Sequence[str]) -> Spaces:
    """Read ``name=kind:values``; the values stand between commas, as TOML writes them.

    Raises:
        ScenarioError: If a pair has another form.
        UnknownNameError: If there is no such kind.
    """
    spaces: Spaces = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name.strip():
            raise ScenarioError("param", pair, "name=kind:values, as in gamma=uniform:0.9,1")
        parse_space(text)
        spaces[name.strip()] = text.strip()
    return spaces


def parse_space(text: str) -> tuple[str, list[Any]]:
    """Kind and values of one space, as in ``loguniform:1e-5,1e-3`` or ``choice:32,64``.

    Raises:
        ScenarioError: If the values cannot be read, are of another number or kind, or the first
            bound is not below the second.
        UnknownNameError: If there is no such kind.
    """
    kind, _, values = text.strip().partition(":")
    if kind not in KINDS:
        raise UnknownNameError("kind of space", kind, KINDS)
    try:
        read: list[Any] = tomllib.loads(f"values = [{values}]")["values"]
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise ScenarioError("param", text, f"TOML values between commas: {error}") from error
    count = KINDS[kind]
    if not read or (count is not None and len(read) != count):
        raise ScenarioError("param", text, f"{count or 'one or more'} values")
    if count is not None:
        _check_bounds(kind, text, read)
    return kind, read


def _check_bounds(kind: str, text: str, values: list[Any]) -> None:
    whole = kind.endswith("randint")
    for value in values:
        number = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
        if not number or not math.isfinite(value):
            raise ScenarioError("param", text, "whole numbers" if whole else "finite numbers")
    low, high, *step = values
    if not low < high or ("log" in kind and low <= 0):
        raise ScenarioError("param", text, "a lower bound, then an upper one; above 0 for logs")
    if step and not 0 < step[0] <= high - low:
        raise ScenarioError("param", text, "as third value a step that fits between the bounds")


def draws(spaces: Spaces, tune: Any) -> tuple[dict[str, Any], list[str]]:
    """Spaces as Ray Tune takes them, and ``key=value`` of one value of each to check names with.

    Args:
        spaces: From :func:`parse_spaces`.
        tune: The module.
    """
    space: dict[str, Any] = {}
    examples = []
    for name, text in spaces.items():
        kind, values = parse_space(text)
        several = KINDS[kind] is None
        space[name] = getattr(tune, kind)(values) if several else getattr(tune, kind)(*values)
        examples.append(as_setting(name, values[0]))
    return space, examples


def as_setting(name: str, value: Any) -> str:
    """``key=value`` as ``--set`` reads it.

    Args:
        name: Of the setting.
        value: Of the kinds that TOML and JSON share: text, numbers, truth values, lists of them.
    """
    value = value.item() if hasattr(value, "item") else value
    return f"{name}={json.dumps(value)}"
