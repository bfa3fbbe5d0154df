"""What ``hybridrl speed storage-agents`` times: decisions and whole-trace training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hybridrl.agents.common.brain_spec import BrainSpec
from hybridrl.agents.common.compiled_q import Brain, greedy, make_brain
from hybridrl.benchmarks.speed import Subject
from hybridrl.envs.storage.baselines.registry import make_policy
from hybridrl.envs.storage.engine import HSSEngine
from hybridrl.envs.storage.kernels.features import bins_of
from hybridrl.envs.storage.policy import Policy
from hybridrl.envs.storage.traces.workloads import make_workload

PEER = "lru_write, whole trace"
TIMES = 20_000


def storage_agent_subjects(seed: int) -> list[Subject]:
    """Decisions of the published networks in compiled code, and online training."""
    small = BrainSpec(bins=bins_of(2), actions=2, seed=seed)
    wide = BrainSpec(bins=bins_of(2)[:6], actions=2, hidden=(20, 30), head="c51", seed=seed)
    trace = make_workload("ycsb_a", seed=seed, scale=0.1)
    return [
        Subject("decision, 7-10-2", "decisions", _decisions(small, seed, TIMES)),
        Subject("decision, 7-10-4", "decisions", _decisions(_four(seed), seed, TIMES)),
        Subject("decision, 6-20-30-2x51", "decisions", _decisions(wide, seed, TIMES // 20)),
        Subject("Harmonia, learning", "requests", _agent("Harmonia", trace, seed), PEER),
        Subject(
            "Harmonia, default, learning",
            "requests",
            _agent("Harmonia", trace, seed, "default"),
            PEER,
        ),
        Subject("Sibyl, learning", "requests", _agent("Sibyl", trace.head(5_000), seed), PEER),
        Subject(PEER, "requests", _run(make_policy("lru_write"), trace)),
    ]


def _four(seed: int) -> BrainSpec:
    return BrainSpec(bins=bins_of(4), actions=4, seed=seed)


def _decisions(spec: BrainSpec, seed: int, times: int) -> Callable[[], int]:
    brain = make_brain(spec)
    bins = np.zeros((256, 8), np.int64)
    drawn = np.random.default_rng(seed).integers(0, spec.bins, (256, len(spec.bins)))
    bins[:, : len(spec.bins)] = drawn
    row = np.zeros(8, np.int64)

    def work() -> int:
        _repeat(brain, bins, row, times)
        return times

    return work


@njit(cache=True)
def _repeat(brain: Brain, bins: NDArray[np.int64], row: NDArray[np.int64], times: int) -> int:
    total = 0
    for k in range(times):
        for i in range(8):
            row[i] = bins[k & 255, i]
        total += greedy(brain, row)
    return total


def _agent(name: str, trace: Any, seed: int, profile: str | None = None) -> Callable[[], int]:
    from hybridrl import agents

    made = getattr(agents, name)(seed=seed, profile=profile)
    return _run(made.engine_policy(), trace, extent_pages=made.settings.extent_pages)


def _run(policy: Policy, trace: Any, **options: Any) -> Callable[[], int]:
    engine = HSSEngine(trace, "perf", policy=policy, log=False, **options)

    def work() -> int:
        engine.reset(0)
        engine.run()
        return len(trace)

    return work
