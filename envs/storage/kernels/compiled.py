"""How the simulator's functions are compiled.

A call passes an engine and a policy as some hundred words, which costs more than most functions
do: what runs at every request is therefore made part of its caller (:func:`inlined`).

Most of them are called by compiled code only. Leaving out their Python entry halves the time that
compiling takes, as taking a whole engine apart is more code than most of them have. None of them
allocates or returns an array, so they also do without reference counts, which would be most of the
time of a request. What does allocate is compiled by numba's own ``njit``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

F = TypeVar("F", bound=Callable[..., Any])
_ENTRY = {"error_model": "numpy", "_nrt": False}
_INNER = {**_ENTRY, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}


def inner(function: F) -> F:
    """Compile a function that compiled code calls; Python cannot call it."""
    return _compiled(function, _INNER)


def inlined(function: F) -> F:
    """The same for a small function in a hot loop, which is to be part of its caller."""
    return _compiled(function, {**_INNER, "forceinline": True})


def entry(function: F) -> F:
    """Compile a function that Python calls as well."""
    return _compiled(function, _ENTRY)


def inlined_entry(function: F) -> F:
    """A function that is part of its compiled caller, and that Python calls as well."""
    return _compiled(function, {**_ENTRY, "forceinline": True})


def _compiled(function: F, options: dict[str, Any]) -> F:
    made: F
    try:
        made = njit(cache=True, **options)(function)
    except RuntimeError:  # numba keeps nothing of what was typed in and has no file
        made = njit(**options)(function)
    return made
