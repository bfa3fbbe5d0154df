"""Reading traces from files of any of the public formats, compressed or not."""

from __future__ import annotations

import bz2
import gzip
import lzma
import operator
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from hybridrl.envs.storage.kernels.records import MAX_REQUEST
from hybridrl.envs.storage.traces import binary
from hybridrl.envs.storage.traces.formats import (
    BINARY_FORMATS,
    TEXT_FORMATS,
    TextFormat,
    detect,
)
from hybridrl.envs.storage.traces.parse import (
    OK,
    PROBLEMS,
    RESPONSE,
    Rows,
    make_rows,
    mapped,
    parse_lines,
)
from hybridrl.envs.storage.traces.trace import Trace, sorted_trace
from hybridrl.planners.errors import ScenarioError, UnknownNameError

PAGE = 4096
CHUNK = 1 << 24
_SPACE_PAGES = 1 << 40  # address space of one volume, pages
_LONGEST_LINE = 1 << 16
_BROKEN = (EOFError, OSError, lzma.LZMAError, zlib.error)
Tick = Callable[[int], None]


def read_trace(
    path: str | Path,
    format: str | None = None,
    *,
    errors: str = "raise",
    limit: int | None = None,
    tick: Tick | None = None,
) -> Trace:
    """Read a trace; the format is found by its content if it is not given.

    Requests that are neither reads nor writes, or empty, are skipped; times that go back are
    sorted, requests at one time keep their order; a last line that was cut off is left out. What
    was repaired stands in ``Trace.notes``.

    Args:
        path: The file: plain, gz, bz2, xz or zst, told by its first bytes.
        format: A name of :data:`~hybridrl.envs.storage.traces.formats.TEXT_FORMATS` or
            ``BINARY_FORMATS``, or ``npz``.
        errors: ``raise`` refuses a line that cannot be read and names it; ``skip`` leaves it out.
        limit: Read at most so many requests.
        tick: Called with the number of bytes after each piece, for progress bars.

    Raises:
        ScenarioError: If the file is missing, empty, cut off inside its compression, or holds a
            line that cannot be read.
        UnknownNameError: If there is no such format, or it cannot be told from the content.
    """
    path = Path(path)
    if not path.is_file():
        raise ScenarioError("trace file", str(path), "the path of an existing file")
    if errors not in ("raise", "skip"):
        raise UnknownNameError("errors", errors, ("raise", "skip"))
    if format == "npz" or (format is None and path.suffix == ".npz"):
        return Trace.load(path)
    known = {*TEXT_FORMATS, *BINARY_FORMATS, "npz"}
    if format is not None and format not in known:
        raise UnknownNameError("trace format", format, known)
    pieces = _pieces(path, tick)
    if format is None:
        format, pieces = _detected(path, pieces)
    if format in BINARY_FORMATS:
        trace = binary.READERS[format](pieces, str(path), limit)
    else:
        trace = _TextReader(TEXT_FORMATS[format], path, errors, limit).read(pieces)
    if not len(trace):
        raise ScenarioError(f"trace file {path.name}", "no requests", "at least one request")
    return trace


def _pieces(path: Path, tick: Tick | None) -> Iterator[bytes]:
    """The file's bytes, decompressed, piece by piece."""
    with path.open("rb") as raw:
        magic = raw.read(6)
        raw.seek(0)
        stream = _decompressed(raw, magic)
        while True:
            try:
                piece = stream.read(CHUNK)
            except _BROKEN as error:
                raise ScenarioError(
                    f"trace file {path.name}", str(error), "a complete compressed file"
                ) from None
            except Exception as error:  # zstandard has its own
                if type(error).__name__ != "ZstdError":
                    raise
                raise ScenarioError(
                    f"trace file {path.name}", str(error), "a complete zst file"
                ) from None
            if not piece:
                return
            if tick:
                tick(len(piece))
            yield piece


def _decompressed(raw: BinaryIO, magic: bytes) -> BinaryIO:
    if magic[:2] == b"\x1f\x8b":
        return cast(BinaryIO, gzip.GzipFile(fileobj=raw))
    if magic[:3] == b"BZh":
        return cast(BinaryIO, bz2.BZ2File(raw))
    if magic[:6] == b"\xfd7zXZ\x00":
        return cast(BinaryIO, lzma.LZMAFile(raw))
    if magic[:4] == b"\x28\xb5\x2f\xfd":
        import zstandard

        reader: Any = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True)
        return cast(BinaryIO, reader)
    return raw


def _detected(path: Path, pieces: Iterator[bytes]) -> tuple[str, Iterator[bytes]]:
    first = next(pieces, b"")
    head = first[:_LONGEST_LINE]
    if b"\x00" in head:
        name = binary.detect(head, path.name)
    else:
        name = detect(head.decode("latin-1").splitlines()[:200])
    if name is None:
        if not first:
            raise ScenarioError(f"trace file {path.name}", "no requests", "at least one request")
        raise UnknownNameError("trace format of", path.name, {*TEXT_FORMATS, *BINARY_FORMATS})

    def again() -> Iterator[bytes]:
        yield first
        yield from pieces

    return name, again()


class _TextReader:
    """Collects the requests of one text file."""

    def __init__(self, format: TextFormat, path: Path, errors: str, limit: int | None) -> None:
        self.format = format
        self.path = path
        self.skip = errors == "skip"
        self.limit = limit
        self.parts: list[Rows] = []
        self.requests = 0
        self.lines = 0
        self.bad = 0
        self.notes: list[str] = []
        self.waiting = format.starts_after

    def read(self, pieces: Iterator[bytes]) -> Trace:
        rest = b""
        for piece in pieces:
            data = rest + piece
            cut = data.rfind(b"\n") + 1
            if not cut and len(data) > _LONGEST_LINE:
                raise self._error(data[:80], "a line with at most 65,536 characters")
            rest = data[cut:]
            self._take(data[:cut])
            if self.limit and self.requests >= self.limit:
                rest = b""
                break
        if rest.strip(b"\x00\r\n "):
            self._last(rest)
        return self._trace()

    def _take(self, data: bytes) -> None:
        if self.waiting:
            data = self._after_header(data)
        array = np.frombuffer(data, np.uint8)
        begin = 0
        while begin < len(array):
            rows = make_rows(data.count(b"\n", begin))
            count, lines, status, at = parse_lines(
                array,
                begin,
                self.format.wanted(),
                self.format.comma,
                self.format.coding,
                self.format.base,
                rows,
            )
            taken = mapped(rows, operator.itemgetter(slice(0, int(count))))
            self.parts.append(taken._replace(line=taken.line + self.lines))
            self.requests += int(count)
            self.lines += int(lines)
            if status != OK:
                at = self._refuse(data, int(at), int(status))
            begin = int(at)

    def _after_header(self, data: bytes) -> bytes:
        mark = str(self.waiting).encode()
        at = data.find(mark)
        if at < 0:
            self.lines += data.count(b"\n")
            return b""
        end = data.index(b"\n", at) + 1
        self.lines += data.count(b"\n", 0, end)
        self.waiting = None
        return data[end:]

    def _refuse(self, data: bytes, at: int, status: int) -> int:
        """A line that cannot be read: a header, a line to skip, or an error."""
        end = data.index(b"\n", at)
        self.lines += 1
        if self.lines == 1:
            self.notes.append("the first line was taken for a header")
        elif self.skip:
            self.bad += 1
        else:
            raise self._error(data[at:end], f"{self.format.name} columns ({PROBLEMS[status]})")
        return end + 1

    def _last(self, rest: bytes) -> None:
        """The last line has no end: it may have been cut off."""
        before, requests = self.lines, self.requests
        try:
            self._take(rest + b"\n")
        except ScenarioError:
            self.notes.append(f"line {before + 1}, the last, was cut off and left out")
            return
        if self.requests == requests and self.lines > before and requests:
            self.notes.append(f"line {before + 1}, the last, was cut off and left out")

    def _error(self, line: bytes, expected: str) -> ScenarioError:
        text = line.decode("latin-1").strip()
        return ScenarioError(f"{self.path.name}, line {self.lines}", text, expected)

    def _trace(self) -> Trace:
        if not self.parts:
            self.parts.append(make_rows(0))
        rows = Rows(*(np.concatenate(column) for column in zip(*self.parts, strict=True)))
        if self.limit:
            rows = mapped(rows, lambda column: column[: self.limit])
        format = self.format
        if self.bad:
            self.notes.append(f"{self.bad} lines that could not be read were left out")
        if len(rows.line) and rows.line[0] == 0 and rows.write[0] == 2 and not format.starts_after:
            self.notes.append("the first line was taken for a header")
            rows = mapped(rows, lambda column: column[1:])
        good = (rows.write < 2) & (rows.size > 0)
        if not good.all():
            self.notes.append(f"{int((~good).sum())} requests of other types or no size left out")
            rows = mapped(rows, lambda column: column[good])
        page, npages = self._pages(rows)
        times = _times(rows, format)
        response = rows.response * format.response_us if RESPONSE in format.columns else None
        return sorted_trace(
            times,
            page,
            npages,
            rows.write == 1,
            response,
            name=self.path.name.split(".")[0],
            timed=format.timed,
            notes=self.notes,
        )

    def _pages(self, rows: Rows) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """First page and length; each volume has an address space of its own."""
        format = self.format
        self._require(rows, rows.offset, _SPACE_PAGES * PAGE // format.offset_bytes, "offset")
        self._require(rows, rows.size, MAX_REQUEST * PAGE // format.size_bytes, "size")
        offset, size = rows.offset * format.offset_bytes, rows.size * format.size_bytes
        volumes, volume = np.unique(rows.space, return_inverse=True)
        if len(volumes) > 1 << 20:
            raise ScenarioError("volumes", len(volumes), "at most 2^20 in one trace")
        first = offset // PAGE
        last = (offset + size - 1) // PAGE
        return first + volume.astype(np.int64) * (2 * _SPACE_PAGES), last - first + 1

    def _require(self, rows: Rows, values: NDArray[np.int64], high: int, what: str) -> None:
        bad = np.flatnonzero(values > high)
        if len(bad):
            self.lines = int(rows.line[bad[0]]) + 1
            raise self._error(str(values[bad[0]]).encode(), f"a {what} of at most {high}")


def _times(rows: Rows, format: TextFormat) -> NDArray[np.float64]:
    """Times from the first request on, us; whole seconds are spread evenly, in order."""
    if not format.timed or not len(rows.whole):
        return np.arange(len(rows.whole), dtype=np.float64)
    whole = rows.whole - rows.whole.min()
    times = (whole + rows.part) * format.time_us
    if not format.spread:
        return np.asarray(times)
    order = np.argsort(whole, kind="stable")
    _, first, count = np.unique(whole[order], return_index=True, return_counts=True)
    within = np.arange(len(whole)) - np.repeat(first, count)
    shift = np.empty(len(whole))
    shift[order] = within / np.repeat(count, count)
    return np.asarray(times + shift * format.time_us)
