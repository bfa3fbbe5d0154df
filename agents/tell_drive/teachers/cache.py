"""Answers on disk: a question that was answered once is not asked again."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hybridrl.planners.errors import ScenarioError, UnknownNameError

MODES = ("off", "read-write", "read-only", "refresh")
NEGATIVE_S = 3600.0  # a failed call is forgotten after this
_TABLE = """CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY, answer TEXT, model TEXT, fingerprint TEXT,
    tokens INTEGER, made REAL, failed INTEGER)"""


class AnswerCache:
    """Raw answers in SQLite, keyed by everything that shaped the question.

    Raw answers are kept and parsed again on reading, so a better parser helps old ones.

    Args:
        file: The database; in memory when ``None``.
        mode: ``off``; ``read-write``; ``read-only``, which replays and never asks; ``refresh``,
            which asks again and overwrites.
        clock: Seconds since 1970.

    Raises:
        UnknownNameError: If there is no such mode.
        ScenarioError: If the file to replay does not exist or is no cache.
    """

    def __init__(
        self,
        file: str | Path | None = None,
        mode: str = "read-write",
        clock: Callable[[], float] = time.time,
    ) -> None:
        if mode not in MODES:
            raise UnknownNameError("cache mode", mode, MODES)
        self.mode = mode
        self._clock = clock
        self._lock = threading.Lock()
        place = ":memory:" if file is None else str(file)
        if mode == "read-only":
            if file is None or not Path(file).is_file():
                raise ScenarioError("cache", place, "a cache that an earlier run wrote")
            place = f"file:{Path(file).absolute().as_posix()}?mode=ro"
        elif file is not None:
            Path(file).parent.mkdir(parents=True, exist_ok=True)
        try:
            self._base = sqlite3.connect(
                place, check_same_thread=False, uri=place.startswith("file:")
            )
            if mode != "read-only":
                self._base.execute(_TABLE)
            self._base.execute("SELECT key FROM answers LIMIT 1")
        except sqlite3.DatabaseError as error:
            raise ScenarioError("cache", place, f"a cache of answers ({error})") from error

    @staticmethod
    def key(**parts: Any) -> str:
        """SHA-256 over template version, model, parameters, scene key and retrieved cases."""
        text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def get(self, key: str) -> tuple[str, int] | None:
        """The raw answer and its tokens, or ``None``; ``""`` is a failure not yet forgotten."""
        if self.mode in ("off", "refresh"):
            return None
        with self._lock:
            row = self._base.execute(
                "SELECT answer, tokens, made, failed FROM answers WHERE key = ?", (key,)
            ).fetchone()
        expired = row and row[3] and self.mode != "read-only"
        if row is None or (expired and self._clock() - row[2] > NEGATIVE_S):
            return None
        return str(row[0]), int(row[1])

    def put(
        self, key: str, answer: str, model: str = "", fingerprint: str = "", tokens: int = 0
    ) -> None:
        """Keep a raw answer; an empty one is a failure and expires after an hour."""
        if self.mode in ("off", "read-only"):
            return
        row = (key, answer, model, fingerprint, tokens, self._clock(), int(not answer))
        with self._lock, self._base:
            self._base.execute("INSERT OR REPLACE INTO answers VALUES (?,?,?,?,?,?,?)", row)

    def stats(self) -> dict[str, Any]:
        """Answers, failures, tokens, and models with their server fingerprints."""
        with self._lock:
            count, failed, tokens = self._base.execute(
                "SELECT COUNT(*), COALESCE(SUM(failed), 0), COALESCE(SUM(tokens), 0) FROM answers"
            ).fetchone()
            models = self._base.execute(
                "SELECT DISTINCT model, fingerprint FROM answers ORDER BY 1, 2"
            ).fetchall()
        named = [" ".join(filter(None, row)) for row in models]
        return {"answers": count - failed, "failed": failed, "tokens": tokens, "models": named}

    def clear(self) -> int:
        """Forget everything; how many answers that was."""
        with self._lock, self._base:
            return self._base.execute("DELETE FROM answers").rowcount

    def close(self) -> None:
        """Close the database."""
        self._base.close()
