"""The storage simulator: one trace, one system, run by a policy or decision by decision."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hybridrl.envs.storage.config import HSSConfig, make_config
from hybridrl.envs.storage.kernels.candidates import apply_choices, candidates
from hybridrl.envs.storage.kernels.drivers import compile_driver
from hybridrl.envs.storage.kernels.features import FEATURES, page_bins, request_bins
from hybridrl.envs.storage.kernels.random import first_state
from hybridrl.envs.storage.kernels.records import (
    ALL,
    ASK_MIGRATE,
    ASK_PLACE,
    CANDIDATE,
    DEVICE,
    END,
    JOB,
    LOG,
    MIGRATE,
    MIGRATING,
    PAGE,
    PLACE,
    PLACING,
    SYSTEM,
    WRITES,
    Engine,
)
from hybridrl.envs.storage.kernels.requests import decide_place, end_migration
from hybridrl.envs.storage.policy import Policy
from hybridrl.envs.storage.traces.trace import Trace
from hybridrl.planners.errors import ScenarioError

SATURATED = 0.95
KINDS = {END: "end", PLACE: "place", MIGRATE: "migrate"}


class SaturationWarning(UserWarning):
    """Open replay asks for more than a device can do."""


class DecisionPoint(NamedTuple):
    """Where :meth:`HSSEngine.advance` stopped.

    Args:
        kind: ``place``, ``migrate`` or ``end``.
        pages: First pages to decide about, shape ``(1,)`` or ``(candidates,)``.
        bins: Their features as bins, shape ``(len(pages), 7)``.
        devices: Where they are, shape ``(len(pages),)``.
    """

    kind: str
    pages: NDArray[np.int64]
    bins: NDArray[np.int64]
    devices: NDArray[np.int64]


class HSSEngine:
    """A hybrid storage system in front of one trace.

    Args:
        trace: Requests; compacted if they are not yet.
        config: ``perf``, ``cost``, ``tri``, ``quad`` or a configuration.
        seed: Of the service times (and of nothing else).
        policy: Taken into account for what a policy fixes: unlimited devices, where pages start,
            which requests it decides on and how often it migrates.
        log: Keep arrival and latency of every request.
        options: Fields of :class:`HSSConfig`, ``profile`` and ``fast_fraction``, as
            :func:`~hybridrl.envs.storage.config.make_config` takes them.

    Raises:
        ScenarioError: If the trace is empty, or has no times and replay is open.
        UnknownNameError: For unknown names.
    """

    def __init__(
        self,
        trace: Trace,
        config: str | HSSConfig = "perf",
        *,
        seed: int = 0,
        policy: Policy | None = None,
        log: bool = True,
        **options: Any,
    ) -> None:
        self.config = make_config(config, **options) if options else make_config(config)
        if isinstance(config, HSSConfig) and not options:
            self.config = config
        if not len(trace):
            raise ScenarioError("trace", trace.name, "a trace with at least one request")
        if self.config.replay == "open" and not trace.timed:
            raise ScenarioError("replay", "open", "closed: this trace has no times")
        self.trace = trace.compact()
        self.policy = policy
        self.seed = seed
        self._log = log
        self._requests = self.trace.packed(self.config.time_scale)
        self._drive = compile_driver((policy or Policy("none")).hooks)
        self.state: Any = None
        self.e = self._fresh()
        self.reset(seed)

    def reset(self, seed: int | None = None) -> None:
        """Back to the first request: idle devices, fresh pages, a fresh policy state."""
        self.seed = self.seed if seed is None else seed
        for array, new in zip(self.e, self._fresh(), strict=True):
            if array is not self._requests:
                array[:] = new
        self.state = (self.policy or Policy("none")).make_state(self)

    @property
    def devices(self) -> int:
        """How many devices there are."""
        return len(self.config.devices)

    @property
    def pages(self) -> int:
        """Unique pages of the trace."""
        return int(self.trace.pages or 0)

    @property
    def position(self) -> int:
        """Index of the next request."""
        return int(self.e.sys["i"][0])

    def run(self, stop: int | None = None) -> None:
        """Run the policy to request ``stop`` (the end by default) in one compiled call."""
        self._drive(self.e, self.state, self._stop(stop), 0)
        self._warn_when_saturated()

    def advance(
        self, stop: int | None = None, *, ask_place: bool = True, ask_migrate: bool = True
    ) -> DecisionPoint:
        """Run to the next decision that is asked for; the policy takes the others.

        Args:
            stop: Index of the first request not to run.
            ask_place: Stop for placement decisions.
            ask_migrate: Stop for migration decisions.
        """
        ask = ASK_PLACE * ask_place | ASK_MIGRATE * ask_migrate
        kind = self._drive(self.e, self.state, self._stop(stop), ask)
        s = self.e.sys[0]
        if kind == PLACE:
            bins = np.empty((1, len(FEATURES)), np.int64)
            request_bins(self.e, bins[0])
            pages = np.array([s.page])
            return DecisionPoint(KINDS[kind], pages, bins, bins[:, 5].copy())
        count = candidates(self.e) if kind == MIGRATE else 0
        bins = np.empty((count, len(FEATURES)), np.int64)
        cand = self.e.cand[:count]
        for k in range(count):
            page_bins(self.e, int(cand["page"][k]), bins[k])
        return DecisionPoint(KINDS[kind], cand["page"].copy(), bins, cand["device"].copy())

    def decide(self, kind: str, actions: int | Sequence[int] | NDArray[np.int64]) -> None:
        """Take the decision that :meth:`advance` stopped for.

        Args:
            kind: ``place`` or ``migrate``, as :meth:`advance` said.
            actions: Device of the request, or device of each candidate (its own: it stays).

        Raises:
            ScenarioError: If this decision is not due, or an action is not a device.
        """
        stage = int(self.e.sys["stage"][0])
        due = {PLACING: "place", MIGRATING: "migrate"}.get(stage, "none")
        if kind != due:
            raise ScenarioError("kind", kind, f"the decision that is due: {due}")
        chosen = np.atleast_1d(np.asarray(actions, np.int64))
        if ((chosen < 0) | (chosen >= self.devices)).any():
            raise ScenarioError("actions", chosen.tolist(), f"devices 0 to {self.devices - 1}")
        if kind == "place":
            decide_place(self.e, int(chosen[0]))
            return
        count = candidates(self.e)
        if len(chosen) < count:
            raise ScenarioError("actions", chosen.tolist(), f"{count} devices, one a candidate")
        self.e.cand["choice"][:count] = chosen[:count]
        apply_choices(self.e, count)
        end_migration(self.e)

    def save(self) -> list[NDArray[Any]]:
        """A copy of everything that changes; see :meth:`restore`."""
        return [array.copy() for array in self._changing()]

    def restore(self, saved: Sequence[NDArray[Any]]) -> None:
        """Go on from what :meth:`save` gave, in this engine or an equal one."""
        for array, old in zip(self._changing(), saved, strict=True):
            array[:] = old

    def check(self) -> None:
        """Hold the books against the pages (storage.md 13).

        Raises:
            AssertionError: If a page is lost, a device holds more than it can, or a list is torn.
        """
        count = np.bincount(self.e.page["loc"][: self.pages], minlength=self.devices)
        used, cap = self.e.dev["used"], self.e.dev["cap"]
        assert (count == used).all() and used.sum() == self.pages, (count, used)
        assert (used + self.e.dev["reserved"] <= cap).all(), (used, self.e.dev["reserved"], cap)
        for k in range(self.devices - 1):
            p, seen = int(self.e.dev["head"][k]), 0
            while p >= 0:
                assert self.e.page["loc"][p] == k
                p, seen = int(self.e.page["next"][p]), seen + 1
            assert seen == used[k], (k, seen, used[k])

    def _stop(self, stop: int | None) -> int:
        return len(self.trace) if stop is None else min(stop, len(self.trace))

    def _changing(self) -> list[NDArray[Any]]:
        own = [array for array in self.e if array is not self._requests]
        state = self.state if isinstance(self.state, tuple) else (self.state,)
        return own + [array for array in state if isinstance(array, np.ndarray)]

    def _fresh(self) -> Engine:
        policy = self.policy or Policy("none")
        dev = self._fresh_devices(policy)
        page = np.zeros(self.pages, PAGE)
        start = self.devices - 1 if policy.start_device is None else policy.start_device
        page["loc"], page["prev"], page["next"] = start, -1, -1
        dev["used"][start] = self.pages
        if start < self.devices - 1:
            _link_all(page)
            dev["head"][start], dev["tail"][start] = 0, self.pages - 1
        return Engine(
            sys=self._fresh_system(policy),
            dev=dev,
            page=page,
            moved=np.full(self.pages, -1, np.int32),
            job=np.zeros(self.config.max_bg, JOB),
            cand=np.zeros(self.config.migration_slots, CANDIDATE),
            req=self._requests,
            log=np.zeros(len(self.trace) if self._log else 0, LOG),
        )

    def _fresh_devices(self, policy: Policy) -> NDArray[np.void]:
        config = self.config
        dev = np.zeros(self.devices, DEVICE)
        for record, spec in zip(dev, config.specs(), strict=True):
            spec.fill(record, config.noise, config.write_buffer, config.gc)
        dev["cap"] = self.pages if policy.unlimited else config.capacities(self.pages)
        return dev

    def _fresh_system(self, policy: Policy) -> NDArray[np.void]:
        config = self.config
        sys = np.zeros(1, SYSTEM)
        interval = config.migration_interval if policy.interval is None else policy.interval
        values = {
            "n": len(self.trace),
            "pages": self.pages,
            "devices": self.devices,
            "page_bytes": config.page_bytes,
            "closed": config.replay == "closed",
            "depth": config.queue_depth,
            "think": config.think_us,
            "decision_us": config.decision_ns / 1000,
            "stripe": config.stripe_pages,
            "act_on": ALL if (policy.act_on or config.act_on) == "all" else WRITES,
            "interval": interval,
            "countdown": interval,
            "slots": config.migration_slots,
            "extent": config.extent_pages,
            "max_jobs": config.max_bg,
            "backlog": config.backlog_us,
            "span": max(1, self.pages),
            "rng": first_state(self.seed),
            "bg_next": np.inf,
            "next_page": -1,
        }
        for name, value in values.items():
            sys[name] = value
        return sys

    def utilisation(self) -> NDArray[np.float64]:
        """Busy share of each device's channels so far, shape ``(D,)``."""
        span = max(float(self.e.sys["last_finish"][0]), 1e-9)
        busy = self.e.dev["busy"].sum(axis=1) + self.e.dev["gc_busy"]
        return np.asarray(busy / (span * self.e.dev["channels"]))

    def _warn_when_saturated(self) -> None:
        if self.config.replay != "open":
            return
        for spec, share in zip(self.config.specs(), self.utilisation(), strict=True):
            if share > SATURATED:
                warnings.warn(
                    f"{spec.name} is busy {share:.0%} of the time: open replay of "
                    f"{self.trace.name} is saturated; raise time_scale or use closed replay",
                    SaturationWarning,
                    stacklevel=3,
                )


def _link_all(page: NDArray[np.void]) -> None:
    """One list of all pages in order."""
    count = len(page)
    page["prev"] = np.arange(-1, count - 1)
    page["next"] = np.append(np.arange(1, count), -1)
