"""HDF5 files from elsewhere: only plain numbers that stand in the file itself are read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from hybridrl.datasets.errors import DatasetError


@contextmanager
def opened(path: str | Path) -> Iterator[Any]:
    """An HDF5 file for reading; whatever goes wrong inside names the file.

    Raises:
        DatasetError: If it is missing or damaged.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            yield file
    except DatasetError:
        raise
    except Exception as error:
        raise DatasetError(str(path), f"{type(error).__name__}: {error}", "a whole file") from error


def arrays_of(group: Any, prefix: str = "", skip: tuple[str, ...] = ()) -> dict[str, Any]:
    """Every array of numbers in a group, with dotted names.

    Args:
        group: An open file or group.
        prefix: Put before the names.
        skip: Names at the top that are not looked at.

    Raises:
        DatasetError: If something is a link out of the file, or is not an array of numbers.
    """
    found: dict[str, Any] = {}
    for key in group:
        name = f"{prefix}{key}"
        if name in skip:
            continue
        item = own(group, key, name)
        if hasattr(item, "shape"):
            found[name] = numbers(item, name)
        else:
            found |= arrays_of(item, f"{name}.")
    return found


def check_links(group: Any, prefix: str = "") -> None:
    """Everything in a group stands in this very file.

    Raises:
        DatasetError: If something is a link, or kept in another file.
    """
    import h5py

    for key in group:
        item = own(group, key, f"{prefix}{key}")
        if isinstance(item, h5py.Group):
            check_links(item, f"{prefix}{key}.")


def own(group: Any, key: str, name: str) -> Any:
    """A member of a group that stands in this very file.

    Raises:
        DatasetError: If it is missing, or a link, or kept in another file.
    """
    import h5py

    if not isinstance(group.get(key, getlink=True), h5py.HardLink):
        raise DatasetError(name, "a link", "data in the file itself")
    item = group[key]
    if isinstance(item, h5py.Dataset) and (item.external or item.is_virtual):
        raise DatasetError(name, "kept in another file", "data in the file itself")
    return item


def numbers(item: Any, name: str) -> Any:
    """The array of an HDF5 dataset.

    Raises:
        DatasetError: If it holds something else than numbers, or is damaged.
    """
    if item.dtype.kind not in "biuf":
        raise DatasetError(name, str(item.dtype), "an array of numbers")
    try:
        return np.asarray(item[()])
    except Exception as error:
        raise DatasetError(name, f"{type(error).__name__}: {error}", "undamaged data") from error


def text(item: Any, name: str) -> str:
    """The text of an HDF5 dataset.

    Raises:
        DatasetError: If it is none.
    """
    try:
        value = item[()]
        return value.decode() if isinstance(value, bytes) else str(value)
    except Exception as error:
        raise DatasetError(name, f"{type(error).__name__}: {error}", "text") from error
