"""Errors of bad input: they name the field, the value and the fix."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ScenarioError(ValueError):
    """A scenario, vehicle or option that cannot be used.

    Args:
        field: Where the bad value stands, as in ``obstacles[3]``.
        value: The bad value (shortened in the message).
        expected: What is allowed there, and so the fix.
    """

    def __init__(self, field: str, value: object, expected: str) -> None:
        text = repr(value)
        shown = text if len(text) <= 80 else text[:77] + "..."
        super().__init__(f"{field} is {shown}; expected {expected}")
        self.field = field


class UnknownNameError(ValueError):
    """A name that is not in a registry; the message gives the nearest ones.

    Args:
        kind: What was looked up, as in ``planner``.
        name: The unknown name.
        known: Every name that would have been accepted.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        near = difflib.get_close_matches(name.lower(), names, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        super().__init__(f"unknown {kind} {name!r}: {hint}known: {', '.join(names)}")
        self.near = near
