"""What the storage environments share: system, workload, injected policy, features."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from hybridrl.envs.storage.config import HSSConfig, make_config
from hybridrl.envs.storage.engine import HSSEngine
from hybridrl.envs.storage.kernels.features import FEATURES, bins_of
from hybridrl.envs.storage.policy import Policy
from hybridrl.envs.storage.traces.trace import Trace
from hybridrl.planners.errors import ScenarioError, UnknownNameError

Array = NDArray[np.float32]
N_FEATURES = len(FEATURES)


class StorageTask:
    """A system in front of a workload; makes the engines of an environment's episodes.

    Args:
        config: ``perf``, ``cost``, ``tri``, ``quad`` or a configuration.
        workload: A name of the suite of 17, or a trace.
        scale: Factor on a named workload's requests and pages.
        fast_fraction: Capacity of the fastest device over the workload's pages.
        replay: ``closed`` or ``open``.
        queue_depth: Outstanding requests of closed replay.
        time_scale: Factor on the trace's times in open replay.
        episode_requests: Truncate after so many requests.
        profile: Of the configuration: ``harmonia``, ``sibyl`` or ``default``.
        page_bytes: Size of a page.
        injected: Takes the decisions that the environment does not ask for.
        migrates: Whether somebody migrates.
        **options: More fields of :class:`~hybridrl.envs.storage.config.HSSConfig`.

    Raises:
        UnknownNameError: For unknown names.
        ScenarioError: For values that cannot be used.
    """

    def __init__(
        self,
        *,
        config: str | HSSConfig = "perf",
        workload: str | Trace = "hm_1",
        scale: float = 1.0,
        fast_fraction: float | None = None,
        replay: str = "closed",
        queue_depth: int = 1,
        time_scale: float = 1.0,
        episode_requests: int | None = None,
        profile: str = "harmonia",
        page_bytes: int = 4096,
        injected: Policy,
        migrates: bool = False,
        **options: Any,
    ) -> None:
        if episode_requests is not None and episode_requests < 1:
            raise ScenarioError("episode_requests", episode_requests, "1 or more, or None")
        self.config = make_config(
            config,
            fast_fraction=fast_fraction,
            profile=profile,
            replay=replay,
            queue_depth=queue_depth,
            time_scale=time_scale,
            page_bytes=page_bytes,
            **options,
        )
        if migrates and not self.config.migration_interval:
            raise ScenarioError("migration_interval", 0, "1 or more where a migration agent acts")
        self.episode_requests = episode_requests
        self.policy = _with_interval(injected, migrates)
        self.devices = len(self.config.devices)
        self.slots = self.config.migration_slots
        self.unit_us = self.config.specs()[0].read_4k_us()
        self._scale = 1.0 / (np.array(bins_of(self.devices)) - 1.0)
        self._workload = workload
        self._size = scale
        self._trace: Trace | None = workload if isinstance(workload, Trace) else None
        if isinstance(workload, str):
            from hybridrl.envs.storage.traces.workloads import WORKLOADS

            if workload not in WORKLOADS:
                raise UnknownNameError("workload", workload, WORKLOADS)

    def engine(self, seed: int, policy: Policy | None = None) -> HSSEngine:
        """A fresh engine of this system and workload.

        Args:
            seed: Of the service times.
            policy: Instead of the injected one.
        """
        return HSSEngine(
            self.trace, self.config, seed=seed, policy=policy or self.policy, log=False
        )

    @property
    def trace(self) -> Trace:
        """The workload; a named one is generated at first use, always the same."""
        if self._trace is None:
            from hybridrl.envs.storage.traces.workloads import make_workload

            self._trace = make_workload(
                str(self._workload), seed=0, scale=self._size, config=self.config
            ).compact()
        return self._trace

    @property
    def stop(self) -> int:
        """Index of the first request that an episode does not run."""
        return min(len(self.trace), self.episode_requests or len(self.trace))

    def features(self, bins: NDArray[np.int64]) -> Array:
        """Bins as network inputs in [0, 1], shape ``(..., 7)``."""
        return (bins * self._scale).astype(np.float32)

    def ended(self) -> tuple[bool, bool, str]:
        """``terminated``, ``truncated`` and ``outcome`` once an episode's requests are done."""
        whole = self.stop == len(self.trace)
        return whole, not whole, "trace_end" if whole else "request_limit"


def injected(policy: Any, kind: str) -> Policy:
    """A policy for the decisions that an environment does not ask for.

    Args:
        policy: ``none``, the name of a baseline, a policy, or an agent of ours (it does not learn).
        kind: ``migration`` or ``placement``, for the message.
    """
    if policy == "none":
        return Policy("none")
    if isinstance(policy, Policy):
        return policy
    if isinstance(policy, str):
        from hybridrl.envs.storage.baselines.registry import make_policy

        return make_policy(policy)
    if hasattr(policy, "engine_policy"):
        return policy.engine_policy(learn=False)  # type: ignore[no-any-return]
    raise ScenarioError(kind, policy, "none, the name of a baseline, a Policy or a storage agent")


def _with_interval(policy: Policy, migrates: bool) -> Policy:
    """The policy with migration decisions as the environment wants them."""
    from dataclasses import replace

    return replace(policy, interval=None) if migrates else policy


def feature_space(rows: int | None = None) -> gym.spaces.Box:
    """Seven features in [0, 1], or ``rows`` times seven."""
    shape = (N_FEATURES,) if rows is None else (rows * N_FEATURES,)
    return gym.spaces.Box(0.0, 1.0, shape, np.float32)
