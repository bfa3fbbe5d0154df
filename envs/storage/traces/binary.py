"""The binary formats of libCacheSim: oracleGeneral and vscsi."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridrl.envs.storage.kernels.records import MAX_REQUEST
from hybridrl.envs.storage.traces.trace import Trace, sorted_trace
from hybridrl.planners.errors import ScenarioError

_PAGE = 4096
ORACLE = np.dtype([("time", "<u4"), ("id", "<u8"), ("size", "<u4"), ("next", "<i8")])
VSCSI1 = np.dtype(
    [
        ("sn", "<u4"),
        ("len", "<u4"),
        ("nsg", "<u4"),
        ("cmd", "<u2"),
        ("ver", "<u2"),
        ("lbn", "<u8"),
        ("ts", "<u8"),
    ]
)
VSCSI2 = np.dtype(
    [
        ("cmd", "<u2"),
        ("ver", "<u2"),
        ("sn", "<u4"),
        ("len", "<u4"),
        ("nsg", "<u4"),
        ("lbn", "<u8"),
        ("ts", "<u8"),
        ("rt", "<u8"),
    ]
)
_READS, _WRITES = (0x28, 0x88), (0x2A, 0x8A)


def detect(head: bytes, name: str) -> str | None:
    """The binary format by a file's first bytes and its name, or ``None``."""
    if "oracleGeneral" in name or _looks_oracle(head):
        return "oracle-general"
    for format, dtype in (("vscsi2", VSCSI2), ("vscsi1", VSCSI1)):
        rows = np.frombuffer(head, dtype, count=min(64, len(head) // dtype.itemsize))
        if len(rows) and np.isin(rows["cmd"], _READS + _WRITES).mean() > 0.5:
            return format
    return None


def _looks_oracle(head: bytes) -> bool:
    rows = np.frombuffer(head, ORACLE, count=min(64, len(head) // ORACLE.itemsize))
    if not len(rows):
        return False
    rising = bool((np.diff(rows["time"].astype(np.int64)) >= 0).all())
    small = bool((rows["size"] <= MAX_REQUEST * _PAGE).all() and (rows["size"] > 0).any())
    return rising and small and bool((rows["next"] >= -1).all())


def _records(
    pieces: Iterator[bytes], dtype: np.dtype[Any], limit: int | None, notes: list[str]
) -> NDArray[Any]:
    data = b"".join(pieces)
    left = len(data) % dtype.itemsize
    if left:
        notes.append(f"the last record was cut off after {left} bytes and left out")
    rows = np.frombuffer(data, dtype, count=len(data) // dtype.itemsize)
    return rows[:limit] if limit else rows


def _require_sizes(size: NDArray[Any], path: str) -> None:
    bad = np.flatnonzero(size > MAX_REQUEST * _PAGE)
    if len(bad):
        raise ScenarioError(
            f"{path}, record {bad[0] + 1}", int(size[bad[0]]), "a request of at most 4 GiB"
        )


def read_oracle_general(pieces: Iterator[bytes], path: str, limit: int | None) -> Trace:
    """Objects without types: every request is a read, every object has an extent of its own."""
    notes: list[str] = []
    rows = _records(pieces, ORACLE, limit, notes)
    _require_sizes(rows["size"], path)
    if not (rows["size"] > 0).all():
        notes.append(f"{int((rows['size'] == 0).sum())} requests of no size left out")
        rows = rows[rows["size"] > 0]
    npages = -(-rows["size"].astype(np.int64) // _PAGE)
    _, which = np.unique(rows["id"], return_inverse=True)
    largest = np.zeros(int(which.max()) + 1 if len(rows) else 0, np.int64)
    np.maximum.at(largest, which, npages)
    first = np.cumsum(largest) - largest
    notes.append("the format has no types: every request is a read")
    seconds = rows["time"].astype(np.float64)
    return sorted_trace(
        _spread(seconds - (seconds.min() if len(rows) else 0.0)) * 1e6,
        first[which],
        npages,
        np.zeros(len(rows), np.bool_),
        None,
        name=path.rpartition("/")[2].split(".")[0],
        timed=True,
        notes=notes,
    )


def _spread(seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Requests of one second spread over it, in order."""
    order = np.argsort(seconds, kind="stable")
    _, first, count = np.unique(seconds[order], return_index=True, return_counts=True)
    out = np.empty(len(seconds))
    out[order] = seconds[order] + (np.arange(len(seconds)) - np.repeat(first, count)) / np.repeat(
        count, count
    )
    return out


def _vscsi(dtype: np.dtype[Any], pieces: Iterator[bytes], path: str, limit: int | None) -> Trace:
    notes: list[str] = []
    rows = _records(pieces, dtype, limit, notes)
    known = np.isin(rows["cmd"], _READS + _WRITES) & (rows["len"] > 0)
    if not known.all():
        notes.append(f"{int((~known).sum())} requests of other types or no size left out")
        rows = rows[known]
    _require_sizes(rows["len"], path)
    if len(rows) and int(rows["lbn"].max()) > 1 << 43:
        bad = int(rows["lbn"].argmax())
        raise ScenarioError(f"{path}, record {bad + 1}", int(rows["lbn"][bad]), "a block to 2^43")
    offset = rows["lbn"].astype(np.int64) * 512
    page = offset // _PAGE
    last = (offset + rows["len"].astype(np.int64) - 1) // _PAGE
    start = rows["ts"].min() if len(rows) else 0
    return sorted_trace(
        (rows["ts"] - start).astype(np.float64),
        page,
        last - page + 1,
        np.isin(rows["cmd"], _WRITES),
        rows["rt"].astype(np.float64) if "rt" in (dtype.names or ()) else None,
        name=path.rpartition("/")[2].split(".")[0],
        timed=True,
        notes=notes,
    )


def read_vscsi1(pieces: Iterator[bytes], path: str, limit: int | None) -> Trace:
    """Version 1: 32 bytes a request, times in microseconds, blocks of 512 bytes."""
    return _vscsi(VSCSI1, pieces, path, limit)


def read_vscsi2(pieces: Iterator[bytes], path: str, limit: int | None) -> Trace:
    """Version 2: 40 bytes a request, with response times."""
    return _vscsi(VSCSI2, pieces, path, limit)


READERS: dict[str, Callable[[Iterator[bytes], str, int | None], Trace]] = {
    "oracle-general": read_oracle_general,
    "vscsi1": read_vscsi1,
    "vscsi2": read_vscsi2,
}
