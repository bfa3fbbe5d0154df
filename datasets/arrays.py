"""Arrays of transitions, alone or as a dictionary with one array for each key."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridrl.datasets.errors import DatasetError

Array = NDArray[Any]
Observations = Array | dict[str, Array]


def mapped(function: Callable[[Array], Array], data: Observations) -> Observations:
    """Apply a function to an array, or to the array of each key."""
    if isinstance(data, dict):
        return {key: function(array) for key, array in data.items()}
    return function(data)


def named(name: str, data: Observations) -> Iterator[tuple[str, Array]]:
    """Pairs of dotted name and array, keys in alphabetical order."""
    if isinstance(data, dict):
        yield from ((f"{name}.{key}", data[key]) for key in sorted(data))
    else:
        yield name, data


def stacked(parts: list[Observations]) -> Observations:
    """Concatenate along the first axis, key by key."""
    first = parts[0]
    if not isinstance(first, dict):
        return np.concatenate([np.asarray(part) for part in parts])
    return {key: np.concatenate([_entry(part, key) for part in parts]) for key in first}


def coerced(name: str, data: Any) -> Observations:
    """Contiguous read-only arrays: floats and booleans as float32, other integers as int64.

    Bytes (``uint8``, images) stay bytes. Nested dictionaries become dotted keys.

    Raises:
        DatasetError: If something is not an array of numbers.
    """
    if isinstance(data, dict):
        flat: dict[str, Array] = {}
        for key, part in data.items():
            inner = coerced(f"{name}.{key}", part)
            if isinstance(inner, dict):
                flat |= {f"{key}.{inside}": array for inside, array in inner.items()}
            else:
                flat[key] = inner
        if not flat:
            raise DatasetError(name, data, "at least one key")
        return flat
    return frozen(_numbers(name, data))


def flags(name: str, data: Any) -> Array:
    """A read-only column of booleans; 0 and 1 are taken for False and True.

    Raises:
        DatasetError: If a value is neither.
    """
    array = np.asarray(data)
    if array.dtype != bool:
        if array.dtype.kind not in "iuf" or not np.isin(array, (0, 1)).all():
            raise DatasetError(name, array.dtype.str, "booleans (or 0 and 1)")
        array = array.astype(bool)
    return frozen(array)


def whole_rows(mask: Array) -> Array:
    """Rows of a mask in which everything is true."""
    return np.asarray(mask.all(axis=tuple(range(1, mask.ndim))))


def frozen(array: Array) -> Array:
    """A contiguous view that cannot be written to."""
    view = np.ascontiguousarray(array).view()
    view.setflags(write=False)
    return view


def _entry(part: Observations, key: str) -> Array:
    if not isinstance(part, dict) or key not in part:
        raise DatasetError("observations", type(part).__name__, f"a dictionary with key {key!r}")
    return part[key]


def _numbers(name: str, data: Any) -> Array:
    try:
        array = np.asarray(data)
    except ValueError as error:
        raise DatasetError(name, str(error), "rows of equal shape") from error
    if array.dtype.kind in "fb":
        with np.errstate(over="ignore"):  # what does not fit becomes infinite and is refused later
            return array.astype(np.float32, copy=False)
    if array.dtype.kind in "iu":
        return array if array.dtype == np.uint8 else array.astype(np.int64, copy=False)
    raise DatasetError(name, array.dtype.str, "an array of numbers")
