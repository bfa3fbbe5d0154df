"""How the kernels of this folder are compiled: cached, and dividing as NumPy does."""

from typing import Any

from numba import njit

_njit: Any = njit  # its stub does not know the two options below
compiled = _njit(cache=True, error_model="numpy")
# For functions that only compiled code calls: no entry from Python is built.
inner = _njit(cache=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)
