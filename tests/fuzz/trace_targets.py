"""The readers of storage traces, one target a format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from fuzzing import Seeds, Target, as_file, folder, written


def trace(format: str) -> Callable[[bytes], object]:
    def read(file: Path) -> object:
        from hybridrl.envs.storage.traces.readers import read_trace

        found = read_trace(file, None if format == "any" else format, limit=10_000)
        return found.save(folder() / "saved.npz") if len(found) else found

    return as_file("trace.npz" if format == "npz" else "trace", read)


def lines(format: str) -> bytes:
    """Three requests of a text format."""
    from hybridrl.envs.storage.traces import parse
    from hybridrl.envs.storage.traces.formats import TEXT_FORMATS

    row = TEXT_FORMATS[format]
    words = {parse.SCSI: "28", parse.ETW: "DiskRead", parse.LETTER: "R"}
    read = words.get(row.coding, "0")
    cells = {parse.TIME: "{t}", parse.OP: read, parse.OFFSET: "4096", parse.SIZE: "8"}
    text = ("," if row.comma else " ").join(cells.get(column, "1") for column in row.columns)
    head = f"{row.starts_after}\n" if row.starts_after else ""
    return (head + "".join(text.format(t=t) + "\n" for t in (10, 20, 35))).encode()


def records(format: str) -> bytes:
    """Three requests of a binary format."""
    from hybridrl.envs.storage.traces import binary

    kinds = {"vscsi1": binary.VSCSI1, "vscsi2": binary.VSCSI2, "oracle-general": binary.ORACLE}
    rows = np.ones(3, kinds[format])
    for name, value in (("cmd", 0x28), ("len", 4096), ("size", 4096)):
        if name in (rows.dtype.names or ()):
            rows[name] = value
    return rows.tobytes()


def trace_seeds(format: str) -> Seeds:
    """Whole files of a format; for ``any`` each text format, plain and compressed."""

    def seeds() -> list[bytes]:
        import bz2
        import gzip
        import lzma

        import zstandard

        from hybridrl.envs.storage.traces.formats import TEXT_FORMATS
        from hybridrl.envs.storage.traces.trace import Trace

        if format == "npz":
            ones = np.arange(1, 4)
            made = Trace.from_arrays(ones * 10.0, ones, ones, ones > 1)
            return written("t.npz", made.save)
        if format in TEXT_FORMATS:
            return [lines(format)]
        if format != "any":
            return [records(format)]
        packers = (gzip.compress, bz2.compress, lzma.compress, zstandard.compress)
        return [*map(lines, TEXT_FORMATS), *(pack(lines("msr")) for pack in packers)]

    return seeds


_READERS = tuple(
    f"hybridrl.envs.storage.traces.{name}" for name in ("readers", "binary", "trace", "formats")
)
FORMATS = (
    *("msr", "systor17", "tencent", "alibaba", "k5cloud", "fiu", "spc", "etw", "mqsim"),
    *("libcachesim", "oracle-general", "vscsi1", "vscsi2", "npz", "any"),
)
TRACES = {
    f"trace-{format}": Target(trace(format), trace_seeds(format), _READERS) for format in FORMATS
}
