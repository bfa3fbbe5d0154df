"""The public text formats of block traces (storage.md 7.2): columns and units, one table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hybridrl.envs.storage.traces.parse import (
    ETW,
    LETTER,
    OFFSET,
    OP,
    RESPONSE,
    SCSI,
    SIZE,
    SPACE,
    SPACE2,
    TIME,
    ZERO_READS,
    ZERO_WRITES,
)

_NO = -1


@dataclass(frozen=True)
class TextFormat:
    """One text format.

    Args:
        name: What ``--format`` calls it.
        summary: Where it comes from.
        columns: What each column is.
        comma: Separated by commas, else by blanks.
        coding: How the type of a request is written.
        time_us: Microseconds of a unit of time.
        offset_bytes: Bytes of a unit of offset.
        size_bytes: Bytes of a unit of size.
        response_us: Microseconds of a unit of response time.
        base: Of its numbers.
        spread: Times are whole seconds: spread the requests of one second over it.
        starts_after: The requests begin after this line.
    """

    name: str
    summary: str
    columns: tuple[int, ...]
    comma: bool = True
    coding: int = LETTER
    time_us: float = 1.0
    offset_bytes: int = 1
    size_bytes: int = 1
    response_us: float = 1.0
    base: int = 10
    spread: bool = False
    starts_after: str | None = None

    @property
    def timed(self) -> bool:
        """Whether requests have times."""
        return TIME in self.columns

    def wanted(self) -> NDArray[np.int64]:
        """The columns for the parser."""
        return np.array(self.columns, np.int64)


_FORMATS = (
    TextFormat(
        "msr",
        "MSR Cambridge CSV; a volume is host and disk",
        (TIME, SPACE, SPACE2, OP, OFFSET, SIZE, RESPONSE),
        time_us=0.1,
        response_us=0.1,
    ),
    TextFormat(
        "systor17",
        "SYSTOR'17 VDI CSV",
        (TIME, RESPONSE, OP, SPACE, OFFSET, SIZE),
        time_us=1e6,
        response_us=1e6,
    ),
    TextFormat(
        "tencent",
        "Tencent cloud block storage CSV, 1 s resolution",
        (TIME, OFFSET, SIZE, OP, SPACE),
        coding=ZERO_READS,
        time_us=1e6,
        offset_bytes=512,
        size_bytes=512,
        spread=True,
    ),
    TextFormat(
        "alibaba",
        "Alibaba cloud block storage CSV",
        (SPACE, OP, OFFSET, SIZE, TIME),
    ),
    TextFormat("k5cloud", "K5cloud CSV, without times", (SPACE, _NO, OP, OFFSET, SIZE)),
    TextFormat(
        "fiu",
        "FIU block traces, blanks",
        (TIME, _NO, _NO, OFFSET, SIZE, OP, SPACE, SPACE2, _NO),
        comma=False,
        time_us=1e-3,
        offset_bytes=512,
        size_bytes=512,
    ),
    TextFormat(
        "spc",
        "SPC and UMass CSV",
        (SPACE, OFFSET, SIZE, OP, TIME),
        time_us=1e6,
        offset_bytes=512,
    ),
    TextFormat(
        "etw",
        "MS Enterprise event traces as text",
        (OP, TIME, _NO, _NO, _NO, OFFSET, SIZE, _NO, SPACE),
        coding=ETW,
        starts_after="EndHeader",
    ),
    TextFormat(
        "mqsim",
        "MQSim and DiskSim ASCII, blanks",
        (TIME, SPACE, OFFSET, SIZE, OP),
        comma=False,
        coding=ZERO_WRITES,
        time_us=1e-3,
        offset_bytes=512,
        size_bytes=512,
    ),
    TextFormat(
        "libcachesim",
        "libCacheSim CSV: version, time, SCSI opcode, size, block",
        (_NO, TIME, OP, SIZE, OFFSET),
        coding=SCSI,
        offset_bytes=512,
    ),
    TextFormat("sibyl", "Sibyl CSV, without times", (OFFSET, SIZE, OP)),
)
TEXT_FORMATS: dict[str, TextFormat] = {f.name: f for f in _FORMATS}
BINARY_FORMATS: dict[str, str] = {
    "oracle-general": "libCacheSim oracleGeneral (CloudPhysics and others): 24 bytes a request",
    "vscsi1": "libCacheSim vscsi version 1: 32 bytes a request",
    "vscsi2": "libCacheSim vscsi version 2: 40 bytes a request",
}


def detect(first_lines: list[str]) -> str | None:
    """The text format of a file by its first lines, or ``None``."""
    if any(line.strip() == "EndHeader" or line.startswith("BeginHeader") for line in first_lines):
        return "etw"
    for line in first_lines:
        name = _detect_line(line.strip())
        if name:
            return name
    return None


def _detect_line(line: str) -> str | None:
    if "," not in line:
        words = line.split()
        if len(words) == 5 and all(word.isdigit() for word in words) and words[4] in "01":
            return "mqsim"
        return "fiu" if len(words) == 9 and words[5][:1] in "RrWw" else None
    words = [word.strip() for word in line.split(",")]
    types = [k for k, word in enumerate(words) if word.lower() in ("r", "w", "read", "write")]
    at = types[0] if types else -1
    known = {
        (7, 3): "msr",
        (6, 2): "systor17",
        (5, 1): "alibaba",
        (5, 2): "k5cloud",
        (5, 3): "spc",
        (3, 2): "sibyl",
    }
    if at >= 0:
        return known.get((len(words), at))
    if len(words) == 5 and words[0].isdigit():
        opcode = words[2].lower().removeprefix("0x")
        if opcode in ("28", "2a", "88", "8a") and words[3] not in ("0", "1"):
            return "libcachesim"
        return "tencent" if words[3] in ("0", "1") else None
    return None
