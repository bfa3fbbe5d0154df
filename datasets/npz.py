"""Datasets as one ``.npz`` file: an array a column, facts as JSON text, nothing that is code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from hybridrl.datasets.columns import from_columns, to_columns
from hybridrl.datasets.errors import DatasetError
from hybridrl.datasets.files import check_fingerprint, facts_json, parse_facts, replacing
from hybridrl.datasets.offline import OfflineDataset


def write_npz(dataset: OfflineDataset, path: str | Path, compress: bool = True) -> Path:
    """Write a dataset, whole or not at all.

    Arrays: ``observations``, ``actions``, ``rewards``, ``next_observations``, ``terminations``,
    ``truncations``, and ``mc_returns`` and ``ends`` where needed; dictionaries become
    ``observations.<key>``. ``facts`` is JSON text: spaces, metadata, fingerprint.

    Args:
        dataset: What to write.
        path: Ends with ``.npz``.
        compress: Whether it is to be small rather than written fast.

    Raises:
        DatasetError: If the name ends otherwise or the metadata is not JSON-able.
    """
    path = Path(path)
    if path.suffix != ".npz":
        raise DatasetError("out", str(path), "a file name that ends with .npz")
    arrays: dict[str, Any] = {**to_columns(dataset), "facts": np.array(facts_json(dataset))}
    with replacing(path) as partial:
        (np.savez_compressed if compress else np.savez)(partial, **arrays)
    return path


def read_npz(path: str | Path) -> OfflineDataset:
    """Read what :func:`write_npz` wrote, or any ``.npz`` with those columns; nothing is unpickled.

    Raises:
        DatasetError: If the file is damaged, holds objects, or is no dataset; it names the field.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            if not isinstance(data, np.lib.npyio.NpzFile):
                raise DatasetError(str(path), "a single array", "an .npz file with columns")
            columns = {name: _member(data, name) for name in data.files}
    except DatasetError:
        raise
    except Exception as error:
        raise DatasetError(str(path), _short(error), "an undamaged .npz file") from error
    facts = parse_facts(str(columns.pop("facts"))) if "facts" in columns else {}
    spaces = {key: facts.get(key) for key in ("observation_space", "action_space")}
    dataset = from_columns(columns, metadata=facts.get("metadata", {}), **spaces)
    return check_fingerprint(dataset, facts)


def _member(data: Any, name: str) -> Any:
    try:
        return data[name]
    except Exception as error:  # zip, zlib and numpy each have their own for a damaged member
        raise DatasetError(name, _short(error), "an undamaged array of numbers") from error


def _short(error: Exception) -> str:
    return json.dumps(f"{type(error).__name__}: {error}")[1:-1]
