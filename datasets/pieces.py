"""Pieces in their order, kept in the work folder as they are finished."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from hybridrl.datasets.engines import SERIAL, Engine, Make


@dataclass(frozen=True)
class Shelf:
    """Where finished pieces are kept.

    Args:
        file: Of a piece; that it is there means that the piece is whole.
        read: A piece from its file.
        write: A piece to its file, whole or not at all.
    """

    file: Callable[[int], Path]
    read: Callable[[Path], Any]
    write: Callable[[Any, Path], object]


def in_order(
    make: Make, shelf: Shelf | None = None, engine: Engine = SERIAL
) -> Generator[Any, None, None]:
    """Piece 0, 1, 2 and so on without end; close the iterator when there are enough.

    Args:
        make: Makes a piece from its number; what is on the shelf is not made again.
        shelf: Keeps them, in whatever order they are finished; in memory only when ``None``.
        engine: Who makes them. A parallel one runs ahead by some pieces, which may be in vain.
    """
    early: dict[int, Any] = {}

    def kept(number: int) -> bool:
        return shelf is not None and shelf.file(number).exists()

    missing = (number for number in count() if not kept(number))
    with closing(engine.pieces(make, missing)) as finished:
        for wanted in count():
            if wanted not in early and shelf is not None and kept(wanted):
                early[wanted] = shelf.read(shelf.file(wanted))
            while wanted not in early:
                number, piece = next(finished)
                if shelf is not None:
                    shelf.write(piece, shelf.file(number))
                early[number] = piece
            yield early.pop(wanted)
