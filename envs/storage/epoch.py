"""Decision points of an engine one after another, with the rewards of both kinds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridrl.envs.storage.engine import HSSEngine
from hybridrl.envs.storage.kernels.records import ASK_MIGRATE, ASK_PLACE, END, MIGRATE
from hybridrl.envs.storage.rewards import inverse_latency, migration_reward, pingpong_penalty
from hybridrl.envs.storage.stepping import LATENCY, answer, compile_place_step, offer
from hybridrl.envs.storage.task import N_FEATURES, StorageTask
from hybridrl.planners.errors import ScenarioError


class Epochs:
    """An engine that stops at every decision that its environment takes.

    Args:
        task: System, workload and the policy for the decisions that are not asked for.
        place: Whether placement decisions are asked for; migration decisions always are.
    """

    def __init__(self, task: StorageTask, place: bool = True) -> None:
        self.task = task
        self._ask = ASK_MIGRATE | (ASK_PLACE if place else 0)
        self._step = compile_place_step(task.policy.hooks)[0]
        self.request = np.zeros(N_FEATURES, np.int64)
        self.bins = np.zeros((task.slots, N_FEATURES), np.int64)
        self.engine: HSSEngine
        self._facts = np.zeros(6)

    def begin(self, seed: int) -> None:
        """Run from the start to the first decision."""
        self.engine = self.task.engine(seed)
        self._stop = self.task.stop
        self._facts[:] = 0
        self._since: tuple[int, float, float] | None = None  # request, latencies, penalty
        self.placed, self.matured = 0.0, 0.0
        self._go(-1)

    @property
    def migration_due(self) -> bool:
        """Whether the pending decision is about candidates."""
        return self._kind == MIGRATE

    @property
    def ended(self) -> bool:
        """Whether the episode's requests are done."""
        return self._kind == END

    def place(self, device: int) -> None:
        """Place the pending request; ``placed`` is its reward."""
        self._go(device)
        self.placed = float(inverse_latency(self._facts[LATENCY] / self.task.unit_us))

    def migrate(self, choices: NDArray[np.int64]) -> None:
        """Decide about the candidates: a device each; only the first ``count`` matter.

        Raises:
            ScenarioError: If a choice is no device.
        """
        if (
            len(choices) != self.task.slots
            or ((choices < 0) | (choices >= self.task.devices)).any()
        ):
            expected = f"{self.task.slots} devices 0 to {self.task.devices - 1}"
            raise ScenarioError("action", choices.tolist(), expected)
        penalty = self._penalty(choices)
        answer(self.engine.e, choices)
        s = self.engine.e.sys[0]
        since = (int(s["i"]), float(s["latency_sum"]), penalty)
        self._go(-1, since)

    def slot_masks(self) -> NDArray[np.bool_]:
        """Which devices each slot may choose, ``(x, D)``; where nothing is due, only to stay."""
        masks = np.zeros((self.task.slots, self.task.devices), np.bool_)
        masks[: self.count] = True
        masks[self.count :, 0] = True
        return masks

    def info(self) -> dict[str, Any]:
        """Facts for ``info``."""
        s = self.engine.e.sys[0]
        return {
            "latency_us": float(self._facts[LATENCY]),
            "requests": int(s["i"]),
            "candidates": self.count,
            "migration_due": self.migration_due,
            "mean_latency_us": float(s["latency_sum"]) / max(1, int(s["i"])),
        }

    def _go(self, action: int, since: tuple[int, float, float] | None = None) -> None:
        """Run to the next decision; a migration window ends at the next one or at the end."""
        e = self.engine.e
        self.request[:] = 0
        self._since = since or self._since
        self._kind = self._step(
            e, self.engine.state, action, self._stop, self._ask, self.request, self._facts
        )
        self.matured = 0.0
        if self._since is not None and self._kind in (MIGRATE, END):
            first, total, penalty = self._since
            s = e.sys[0]
            count = int(s["i"]) - first
            latencies = (float(s["latency_sum"]) - total) / self.task.unit_us
            if count:
                self.matured = float(migration_reward(count, latencies, penalty))
            self._since = None
        self.bins[:] = 0
        self.count = offer(e, self.bins) if self._kind == MIGRATE else 0

    def _penalty(self, choices: NDArray[np.int64]) -> float:
        """Mean ping-pong penalty over the candidates; ``kappa`` is twice the mean reward so far."""
        e = self.engine.e
        s, cand = e.sys[0], e.cand[: self.count]
        if not self.count:
            return 0.0
        mean = float(s["i"]) * self.task.unit_us / max(1e-9, float(s["latency_sum"]))
        total = 0.0
        for c, choice in zip(cand, choices, strict=False):
            page = e.page[c["page"]]
            if choice != c["device"] and page["migr"] > 0:
                accesses = int(s["i"]) + 1 - int(page["last"])
                moves = int(s["migrations"]) + 1 - int(page["migr"])
                total += pingpong_penalty(2.0 * mean, accesses, moves)
        return total / self.count
