"""The moorl-ablation suite: which part of MOORL does what, at equal gradient steps.

Every variant is one soft actor-critic in one stack: only the source of batches and the meta-update
differ. ``half`` is 50/50 mixing, what MOORL is judged against; ``-gN`` is N gradient steps an
environment step.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hybridrl.agents.moorl.stacked import Method
from hybridrl.benchmarks.hybrid_pendulum import REPLAY, pendulum_task, pendulums
from hybridrl.benchmarks.hybrid_rows import summarise as summarise
from hybridrl.benchmarks.hybrid_small import Small, Stack
from hybridrl.benchmarks.hybrid_small import variant as variant
from hybridrl.benchmarks.hybrid_tables import plots, tables
from hybridrl.benchmarks.hybrid_training import Task
from hybridrl.benchmarks.runs import RunConfig
from hybridrl.benchmarks.suites import Request

__all__ = ["METHODS", "datasets", "plots", "summarise", "tables", "train", "trials", "variant"]

METHODS: dict[str, Method] = {
    "sac": Method("none"),
    "half": Method("half"),
    "moorl": Method("meta", 4, 0.5),
    "k1-eps1": Method("meta", 1, 1.0),  # whole batches of one source, no meta-update
    "k4-eps1": Method("meta", 4, 1.0),
    "k4-eps0.25": Method("meta", 4, 0.25),
    "k4-anneal": Method("meta", 4, 1.0, 0.1),
    "k2": Method("meta", 2, 0.5),
    "k8": Method("meta", 8, 0.5),
    "alternate": Method("meta", 4, 0.5, alternate=True),
    "alternate-eps1": Method("meta", 4, 1.0, alternate=True),
    "half-eps0.5": Method("half", 4, 0.5),  # the meta-update alone, on mixed batches
    "p0.25": Method("meta", 4, 0.5, offline_prob=0.25),
}


def datasets(request: Request) -> list[str]:
    """Data that the trials read."""
    return [REPLAY] if any(env.startswith("medium-replay") for env in request.envs) else []


def trials(request: Request) -> list[RunConfig]:
    """One trial for each dataset and number of gradient steps."""
    return SUITE.trials(request)


def train(config: RunConfig, folder: Path) -> dict[str, Any]:
    """Do one trial; references and counts."""
    return SUITE.train(config, folder)


def _task(env: str) -> Task:
    return pendulum_task(env.rpartition("-g")[0])


def _gradient_steps(env: str) -> int:
    return int(env.rpartition("-g")[2])


SUITE = Small(
    __name__,
    _task,
    pendulums,
    stacks={"stack": Stack(METHODS)},
    gradient_steps=_gradient_steps,
    common={"batch_size": 128, "tau": 0.01},
)
