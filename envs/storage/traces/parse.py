"""Compiled parsing of request lines: one pass over the bytes, every error with its line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hybridrl.envs.storage.kernels.compiled import entry, inner
from hybridrl.envs.storage.kernels.records import i64

# Places of a line's fields in `Layout.columns`; -1 where a format has no such column.
TIME, OP, OFFSET, SIZE, RESPONSE, SPACE, SPACE2 = range(7)
COLUMNS = 7
LETTER, ZERO_READS, ZERO_WRITES, SCSI, ETW = range(5)  # how a request's type is written
OK, MISSING, NO_NUMBER, NEGATIVE, TOO_LARGE = range(5)
PROBLEMS = {
    MISSING: "too few columns",
    NO_NUMBER: "not a number",
    NEGATIVE: "a negative number",
    TOO_LARGE: "a number beyond 2^63",
}
_COMMA, _SPACE, _TAB, _CR, _LF, _QUOTE = 44, 32, 9, 13, 10, 34
_LIMIT = (1 << 63) - 1
_DECIMAL, _HEX = i64(10), i64(16)


class Rows(NamedTuple):
    """Requests of a piece of a file.

    Args:
        whole: Whole units of time.
        part: Fraction of a unit.
        offset: In the format's unit.
        size: In the format's unit.
        response: In the format's unit, NaN where it is empty.
        space: Number made of the columns that name the volume.
        write: 1 write, 0 read, 2 neither.
        line: Line of the request, from 0 in this piece.
    """

    whole: NDArray[np.int64]
    part: NDArray[np.float64]
    offset: NDArray[np.int64]
    size: NDArray[np.int64]
    response: NDArray[np.float64]
    space: NDArray[np.int64]
    write: NDArray[np.int8]
    line: NDArray[np.int64]


def make_rows(count: int) -> Rows:
    """Room for so many requests."""
    whole = np.zeros(count, np.int64)
    part = np.zeros(count)
    return Rows(
        whole,
        part,
        whole.copy(),
        whole.copy(),
        np.full(count, np.nan),
        whole.copy(),
        np.zeros(count, np.int8),
        whole.copy(),
    )


@inner
def _digit(byte: int) -> int:
    if 48 <= byte <= 57:
        return byte - 48
    low = byte | 32
    if 97 <= low <= 102:
        return low - 87
    return 99


@inner
def _number(data: NDArray[np.uint8], start: int, stop: int, base: int) -> tuple[int, float, int]:
    """Whole part, fraction and status of a field."""
    at = start
    if at < stop and data[at] == 45:
        return 0, 0.0, NEGATIVE
    if at < stop and data[at] == 43:
        at += 1
    if stop - at > 2 and data[at] == 48 and (data[at + 1] | 32) == 120:
        base = 16
        at += 2
    if at >= stop:
        return 0, 0.0, NO_NUMBER
    whole = i64(0)
    while at < stop and data[at] != 46:
        digit = _digit(data[at])
        if digit >= base:
            return 0, 0.0, NO_NUMBER
        if whole > (_LIMIT - digit) // base:
            return 0, 0.0, TOO_LARGE
        whole = whole * base + digit
        at += 1
    part, scale = 0.0, 0.1
    for k in range(at + 1, stop):
        digit = _digit(data[k])
        if digit > 9:
            return 0, 0.0, NO_NUMBER
        part += digit * scale
        scale *= 0.1
    return whole, part, OK


@inner
def _scsi(code: int) -> int:
    if code == 0x28 or code == 0x88:
        return 0
    return 1 if code == 0x2A or code == 0x8A else 2


@inner
def _kind(data: NDArray[np.uint8], start: int, stop: int, coding: int) -> tuple[int, int]:
    """1 write, 0 read, 2 neither; and the status."""
    if start >= stop:
        return 2, MISSING
    if coding == SCSI:
        code, _, status = _number(data, start, stop, _HEX)
        return _scsi(code), status
    if coding == LETTER:
        letter = data[start] | 32
        return (0 if letter == 114 else 1 if letter == 119 else 2), OK
    if coding == ETW:  # DiskRead, DiskWrite
        if stop - start < 8 or (data[start] | 32) != 100:
            return 2, OK
        letter = data[start + 4] | 32
        return (0 if letter == 114 else 1 if letter == 119 else 2), OK
    code, _, status = _number(data, start, stop, _DECIMAL)
    if status != OK or code > 1:
        return 2, status
    return (code if coding == ZERO_READS else 1 - code), OK


@inner
def _field(data: NDArray[np.uint8], at: int, stop: int, comma: bool) -> tuple[int, int, int]:
    """Start and end of the next field without blanks, and where the one after it begins."""
    while at < stop and (data[at] == _SPACE or data[at] == _TAB):
        at += 1
    end = at
    if comma:
        while end < stop and data[end] != _COMMA:
            end += 1
    else:
        while end < stop and data[end] != _SPACE and data[end] != _TAB:
            end += 1
    last = end
    while last > at and (data[last - 1] == _SPACE or data[last - 1] == _TAB):
        last -= 1
    return at, last, end + 1


@inner
def _fill(
    data: NDArray[np.uint8],
    start: int,
    stop: int,
    column: int,
    coding: int,
    base: int,
    rows: Rows,
    k: int,
) -> int:
    """Read one field into row ``k``; returns the status."""
    if column == OP:
        kind, status = _kind(data, start, stop, coding)
        rows.write[k] = kind
        return status
    if column == SPACE or column == SPACE2:
        value = rows.space[k]
        for at in range(start, stop):
            value = (value * 1099511628211 + data[at] + 1) & 0x7FFFFFFFFFFFFFF
        rows.space[k] = value
        return OK
    if column == RESPONSE and start == stop:
        return OK
    whole, part, status = _number(data, start, stop, base)
    if status != OK:
        return NO_NUMBER if start == stop else status
    if column == TIME:
        rows.whole[k], rows.part[k] = whole, part
    elif column == OFFSET:
        rows.offset[k] = whole
    elif column == SIZE:
        rows.size[k] = whole
    else:
        rows.response[k] = whole + part
    return OK


@inner
def _line(
    data: NDArray[np.uint8],
    start: int,
    stop: int,
    wanted: NDArray[np.int64],
    needed: int,
    comma: bool,
    coding: int,
    base: int,
    rows: Rows,
    k: int,
) -> int:
    """Read one line into row ``k``: its type first, as lines of other types may be anything."""
    rows.space[k] = 0
    rows.response[k] = np.nan
    rows.part[k] = 0.0
    for turn in range(2):
        at, index, found = start, i64(0), i64(0)
        while index < len(wanted) and at <= stop:
            first, last, at = _field(data, at, stop, comma)
            column = wanted[index]
            index += 1
            if not comma and first == last:
                break
            if column < 0 or (column == OP) != (turn == 0):
                continue
            status = _fill(data, first, last, column, coding, base, rows, k)
            if status != OK:
                return status
            found += 1
        if turn == 0 and found == 1 and rows.write[k] == 2:
            return OK
        if found < (1 if turn == 0 else needed - 1):
            return MISSING
    return OK


@entry
def parse_lines(
    data: NDArray[np.uint8],
    begin: int,
    wanted: NDArray[np.int64],
    comma: bool,
    coding: int,
    base: int,
    rows: Rows,
) -> tuple[int, int, int, int]:
    """Parse whole lines.

    Args:
        data: Bytes that end with a line feed.
        begin: Where to begin.
        wanted: For each column of the file, what it is (``TIME``, ...; -1: nothing), shape
            ``(columns,)``.
        comma: Columns are separated by commas, else by blanks.
        coding: How the type is written.
        base: Of the numbers, 10 or 16.
        rows: Where to put the requests.

    Returns:
        Requests, lines, status and where it stopped: at the end, or at the start of a line that
        cannot be read.
    """
    count = lines = needed = i64(0)
    for column in wanted:
        needed += column >= 0
    at = begin
    while at < len(data):
        stop = at
        while data[stop] != _LF:
            stop += 1
        end = stop
        while end > at and (data[end - 1] == _CR or data[end - 1] == _SPACE):
            end -= 1
        if end > at and data[at] != 35:  # not empty, not a comment
            status = _line(data, at, end, wanted, needed, comma, coding, base, rows, count)
            if status != OK:
                return count, lines, status, at
            rows.line[count] = lines
            count += 1
        lines += 1
        at = stop + 1
    return count, lines, OK, at


def mapped(rows: Rows, change: Callable[[NDArray[Any]], Any]) -> Rows:
    """Rows with every column changed alike."""
    return Rows(*[change(column) for column in rows])
