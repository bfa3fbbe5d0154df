"""A circuit breaker: an endpoint that keeps failing is left alone for a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class CircuitBreaker:
    """Opens after failures in a row, and lets one call through when its time is over.

    Args:
        failures: In a row, after which it opens.
        open_s: Seconds that it stays open.
        clock: Seconds that only grow.
    """

    def __init__(
        self, failures: int = 5, open_s: float = 60.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.failures = failures
        self.open_s = open_s
        self._clock = clock
        self._lock = threading.Lock()
        self._in_a_row = 0
        self._opened: float | None = None

    @property
    def state(self) -> str:
        """``closed``, ``open``, or ``half-open``: the next call is a trial."""
        if self._opened is None:
            return "closed"
        return "open" if self._clock() - self._opened < self.open_s else "half-open"

    def allow(self) -> bool:
        """Whether a call may be made now; the trial of a half-open breaker is given out once."""
        with self._lock:
            state = self.state
            if state == "half-open":
                self._opened = self._clock()  # others wait until the trial has spoken
            return state != "open"

    def succeeded(self) -> None:
        """A call went well: closed again."""
        with self._lock:
            self._in_a_row, self._opened = 0, None

    def failed(self) -> None:
        """A call failed: one more in a row."""
        with self._lock:
            self._in_a_row += 1
            if self._in_a_row >= self.failures or self._opened is not None:
                self._opened = self._clock()
