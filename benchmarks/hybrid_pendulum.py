"""The hybrid-pendulum suite: every hybrid agent on a pendulum, many seeds, minutes on a CPU.

Offline data are rows of a policy that holds random actions (``random``, other rows for each seed)
or the replay of a training up to its medium policy (``medium-replay``, the same for all seeds).
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from hybridrl.benchmarks.gap_pendulum import random_rows
from hybridrl.benchmarks.hybrid_rows import summarise as summarise
from hybridrl.benchmarks.hybrid_small import ALONE, NORMALISED, PLAIN, Small
from hybridrl.benchmarks.hybrid_small import variant as variant
from hybridrl.benchmarks.hybrid_tables import plots, tables
from hybridrl.benchmarks.hybrid_training import MakeVector, Task
from hybridrl.benchmarks.runs import RunConfig
from hybridrl.benchmarks.suites import Request
from hybridrl.datasets.offline import OfflineDataset
from hybridrl.envs.gap.pendulum import GapPendulumEnv, GapPendulumVectorEnv

__all__ = ["datasets", "plots", "summarise", "tables", "train", "trials", "variant"]

RANDOM_ROWS = 2000
REPLAY = "hybridrl/pendulum/medium-replay-v0"


def pendulum_task(data: str) -> Task:
    """The pendulum with ``random`` or ``medium-replay`` data, and its reference scores."""
    from hybridrl.datasets.behaviour import read_facts

    facts = read_facts("pendulum")
    assert facts is not None
    return Task(
        GapPendulumEnv,
        GapPendulumVectorEnv,
        partial(_data, data),
        low=facts["ref_min_score"],
        high=facts["ref_max_score"],
    )


def trials(request: Request) -> list[RunConfig]:
    """One trial for each stack, and for each agent and seed that is trained alone."""
    return SUITE.trials(request)


def datasets(request: Request) -> list[str]:
    """Data that the trials read."""
    return [REPLAY] if "medium-replay" in request.envs else []


def train(config: RunConfig, folder: Path) -> dict[str, Any]:
    """Do one trial; references and counts."""
    return SUITE.train(config, folder)


def _data(data: str, seed: int) -> OfflineDataset | str:
    return random_rows(RANDOM_ROWS, seed) if data == "random" else REPLAY


def pendulums(env: str) -> MakeVector:
    """A vector of pendulums, the same for every dataset."""
    return GapPendulumVectorEnv


SUITE = Small(
    __name__,
    pendulum_task,
    pendulums,
    stacks={"stack": PLAIN, "stack-ln": NORMALISED},
    rows=ALONE,
    common={"batch_size": 128, "tau": 0.01},
)
