"""Named columns, as in files and dictionaries, to an :class:`OfflineDataset` and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hybridrl.datasets.arrays import Array, flags, mapped, named
from hybridrl.datasets.checks import check_column, check_lengths
from hybridrl.datasets.errors import DatasetError
from hybridrl.datasets.offline import OfflineDataset

_OTHER_NAMES = {"terminals": "terminations", "timeouts": "truncations"}  # as D4RL calls them
_NEEDED = ("observations", "actions", "rewards", "terminations", "truncations")
_KNOWN = (*_NEEDED, "next_observations", "mc_returns", "ends")
_PASSED_OVER = ("infos", "metadata", "facts")


def from_columns(columns: Mapping[str, Any], **keywords: Any) -> OfflineDataset:
    """A dataset from a dictionary of arrays.

    Dictionary observations are nested, or flat with dotted names (``observations.lidar``). D4RL's
    ``terminals`` and ``timeouts`` are understood. Without ``next_observations`` they are rebuilt
    from the following row; then the last row of an episode that time ended is dropped, as its
    true next observation is not known.

    Args:
        columns: Name to array; names that begin with ``infos`` or ``metadata`` are passed over.
        **keywords: More arguments of :class:`OfflineDataset`.

    Raises:
        DatasetError: If a column is missing, unknown or wrong.
    """
    known = _nested(columns)
    for name in _NEEDED:
        if name not in known:
            raise DatasetError(name, "missing", f"columns {', '.join(_NEEDED)}")
    if "next_observations" not in known:
        known = _with_next(known)
    return OfflineDataset(**known, **keywords)


def to_columns(dataset: OfflineDataset) -> dict[str, Array]:
    """Flat dictionary of arrays with dotted names; ``ends`` only where the flags do not say it."""
    names = (*_NEEDED[:3], "next_observations", *_NEEDED[3:])
    columns = {k: v for name in names for k, v in named(name, getattr(dataset, name))}
    if dataset.mc_returns is not None:
        columns["mc_returns"] = dataset.mc_returns
    done = dataset.terminations | dataset.truncations
    if not np.array_equal(np.union1d(np.flatnonzero(done) + 1, [len(dataset)]), dataset.ends):
        columns["ends"] = np.asarray(dataset.ends)
    return columns


def _nested(columns: Mapping[str, Any]) -> dict[str, Any]:
    known: dict[str, Any] = {}
    for name, data in columns.items():
        head, _, rest = str(name).partition(".")
        head = _OTHER_NAMES.get(head, head)
        if head.split("/")[0] in _PASSED_OVER:
            continue
        if head not in _KNOWN:
            raise DatasetError(str(name), "an unknown column", f"one of {', '.join(_KNOWN)}")
        if head in known and not (rest and isinstance(known[head], dict)):
            raise DatasetError(str(name), "a second one", f"either {head} or its parts, once")
        if rest:
            known.setdefault(head, {})[rest] = data
        else:
            known[head] = data
    return known


def _with_next(columns: dict[str, Any]) -> dict[str, Any]:
    """Next observations by shifting; rows that lose theirs go, terminal ones never use theirs."""
    check_lengths({n: mapped(np.asarray, data) for n, data in columns.items() if n != "ends"})
    terminated, truncated = (flags(n, columns[n]) for n in ("terminations", "truncations"))
    check_column("terminations", terminated)
    check_column("truncations", truncated)
    ended = terminated | truncated
    rows = np.arange(len(ended))
    last = ended | (rows == len(rows) - 1)
    following = np.where(last, rows, rows + 1)
    kept = np.flatnonzero(terminated | ~last)
    if not len(kept):
        raise DatasetError("next_observations", "missing", "rows that have a row after them")
    ends = np.searchsorted(kept, np.flatnonzero(last) + 1)
    done = {"ends": np.unique(ends[ends > 0])}
    done["next_observations"] = _take(columns["observations"], following[kept])
    return {name: _take(data, kept) for name, data in columns.items() if name != "ends"} | done


def _take(data: Any, rows: Array) -> Any:
    if isinstance(data, dict):
        return {key: _take(part, rows) for key, part in data.items()}
    return mapped(lambda array: array[rows], np.asarray(data))
