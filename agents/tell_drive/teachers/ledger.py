"""What the calls of a teacher cost, and how much they may."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Budget:
    """How much a teacher may use; ``None`` is no limit.

    Args:
        max_calls: Calls over the network.
        max_tokens: Of prompts and completions together.
        max_cost: In the unit of the price table.
        max_seconds: Since the first call.
    """

    max_calls: int | None = None
    max_tokens: int | None = None
    max_cost: float | None = None
    max_seconds: float | None = None


@dataclass(frozen=True)
class Price:
    """Money for a million tokens.

    Args:
        prompt: Of the prompt.
        completion: Of the completion.
    """

    prompt: float = 0.0
    completion: float = 0.0


class Ledger:
    """Counts calls, tokens, money and time; each call is a line of a JSONL file.

    Args:
        file: To append to; nothing is written when ``None``.
        prices: Of models, given by the user; others cost nothing.
        budget: What may be used.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        file: str | Path | None = None,
        prices: Mapping[str, Price] | None = None,
        budget: Budget | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.file = None if file is None else Path(file)
        self.prices = dict(prices or {})
        self.budget = budget or Budget()
        self.calls = self.cached = self.failed = self.tokens = 0
        self.cost = 0.0
        self._reserved = 0
        self._latencies: list[float] = []
        self._clock = clock
        self._began: float | None = None
        self._lock = threading.Lock()

    def reserve(self) -> bool:
        """Take one call from the budget; False when the budget is used up."""
        with self._lock:
            self._began = self._clock() if self._began is None else self._began
            if self._spent():
                return False
            self._reserved += 1
            return True

    def paid(self, model: str, prompt: int, completion: int, latency_s: float, ok: bool) -> float:
        """Enter a call that was made.

        Args:
            model: That was called.
            prompt: Its prompt's tokens.
            completion: Tokens of the answer.
            latency_s: Seconds with all retries.
            ok: Whether an answer came.

        Returns:
            What it cost.
        """
        price = self.prices.get(model, Price())
        cost = (prompt * price.prompt + completion * price.completion) / 1e6
        with self._lock:
            self.calls += 1
            self._reserved -= 1
            self.failed += not ok
            self.tokens += prompt + completion
            self.cost += cost
            self._latencies.append(latency_s)
            self._write(
                {
                    "model": model,
                    "prompt_tokens": prompt,
                    "completion_tokens": completion,
                    "cost": cost,
                    "latency_s": round(latency_s, 4),
                    "ok": ok,
                }
            )
        return cost

    def hit(self) -> None:
        """Enter an answer that came from the cache."""
        with self._lock:
            self.cached += 1

    def summary(self) -> dict[str, Any]:
        """Counts, money, and the middle and the slow end of the latencies in seconds."""
        slow = np.percentile(self._latencies, [50, 95]) if self._latencies else (0.0, 0.0)
        return {
            "calls": self.calls,
            "cached": self.cached,
            "failed": self.failed,
            "tokens": self.tokens,
            "cost": self.cost,
            "latency_p50_s": float(slow[0]),
            "latency_p95_s": float(slow[1]),
        }

    def _spent(self) -> bool:
        seconds = self._clock() - (self._began or 0.0)
        used = (self.calls + self._reserved, self.tokens, self.cost, seconds)
        budget = self.budget
        limits = (budget.max_calls, budget.max_tokens, budget.max_cost, budget.max_seconds)
        return any(m is not None and u >= m for u, m in zip(used, limits, strict=True))

    def _write(self, line: dict[str, Any]) -> None:
        if self.file is not None:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with self.file.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(line) + "\n")
