"""How the simulator's functions are compiled.

Most of them are called by compiled code only. Leaving out their Python entry halves the time that
compiling takes, as taking a whole engine apart is more code than most of them have.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

F = TypeVar("F", bound=Callable[..., Any])


def inner(function: F) -> F:
    """Compile a function that compiled code calls; Python cannot call it."""
    made: F = njit(cache=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)(
        function
    )
    return made


def inlined(function: F) -> F:
    """The same for a small function in a hot loop, which is to be part of its caller."""
    made: F = njit(
        cache=True,
        error_model="numpy",
        no_cpython_wrapper=True,
        no_cfunc_wrapper=True,
        forceinline=True,
    )(function)
    return made


def entry(function: F) -> F:
    """Compile a function that Python calls as well."""
    made: F = njit(cache=True, error_model="numpy")(function)
    return made
