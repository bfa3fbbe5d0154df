"""How the kernels of this folder are compiled: cached, and dividing as NumPy does."""

from numba import njit

compiled = njit(cache=True, error_model="numpy")
# For functions that only compiled code calls: no entry from Python is built.
inner = njit(cache=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)
