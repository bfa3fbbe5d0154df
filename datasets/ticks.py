"""Progress of long work, shown or not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Ticks(Protocol):
    """Counts finished pieces of work."""

    def tick(self, text: str) -> None:
        """One piece is done."""


class _Silent:
    def tick(self, text: str) -> None:
        """Say nothing."""


@contextmanager
def silent(total: int) -> Iterator[Ticks]:
    """Progress that nobody sees."""
    yield _Silent()


# Called with the number of pieces; gives what counts them.
Progress = Callable[[int], AbstractContextManager[Ticks]]
