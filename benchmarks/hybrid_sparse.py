"""The hybrid-sparse suite: one reward, at a goal that online exploration does not find.

Offline data are 20 noisy walks towards the goal, most of which arrive, and 20 episodes of uniform
actions; other draws for each seed. Entropy is left out of the targets, as it should be with 0/1
rewards.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from hybridrl.benchmarks.hybrid_rows import summarise as summarise
from hybridrl.benchmarks.hybrid_small import ALONE, NORMALISED, PLAIN, Small
from hybridrl.benchmarks.hybrid_small import variant as variant
from hybridrl.benchmarks.hybrid_tables import plots, tables
from hybridrl.benchmarks.hybrid_training import MakeVector, Row, Task
from hybridrl.benchmarks.runs import RunConfig
from hybridrl.benchmarks.suites import Request
from hybridrl.datasets.offline import OfflineDataset
from hybridrl.datasets.transitions import from_transitions
from hybridrl.envs.sparse.point import SparsePointEnv, SparsePointVectorEnv

__all__ = ["plots", "summarise", "tables", "train", "trials", "variant", "walks"]

WALKS = 20  # of each kind
NOISE = 0.6  # deviation of the noise on a walk's actions
WAYPOINTS = {  # of the walks, in half-widths of the room
    "corner": ((0.8, 0.8),),
    "wall": ((-0.25, 0.65), (0.25, 0.65), (0.8, -0.8)),
}
NEAR = 0.15  # of a waypoint before the next one


def trials(request: Request) -> list[RunConfig]:
    """One trial for each stack, and for each agent and seed that is trained alone."""
    return SUITE.trials(request)


def train(config: RunConfig, folder: Path) -> dict[str, Any]:
    """Do one trial; references and counts."""
    return SUITE.train(config, folder)


def walks(layout: str, seed: int) -> OfflineDataset:
    """Noisy walks to the goal, then uniform actions.

    Args:
        layout: ``corner`` or ``wall``.
        seed: Of everything.
    """
    env, rng = SparsePointEnv(layout=layout), np.random.default_rng([seed, 2])
    rows = (
        row
        for episode in range(2 * WALKS)
        for row in _walk(
            env, rng, WAYPOINTS[layout] if episode < WALKS else (), 10_000 * seed + episode
        )
    )
    return from_transitions(rows, action_space=env.action_space)


def _walk(
    env: SparsePointEnv,
    rng: np.random.Generator,
    waypoints: tuple[tuple[float, float], ...],
    seed: int,
) -> Iterator[tuple[Any, ...]]:
    left = list(waypoints)
    seen, _ = env.reset(seed=seed)
    ended = False
    while not ended:
        drawn = rng.uniform(-1.0, 1.0, 2)
        if left:
            if len(left) > 1 and np.linalg.norm(np.subtract(left[0], seen)) < NEAR:
                left.pop(0)
            way = np.subtract(left[0], seen)
            drawn = way / max(1e-6, float(np.linalg.norm(way))) + NOISE * rng.normal(size=2)
        action = np.clip(drawn, -1.0, 1.0).astype(np.float32)
        following, reward, terminated, truncated, _ = env.step(action)
        yield seen, action, reward, following, terminated, truncated
        seen, ended = following, terminated or truncated


def _task(env: str) -> Task:
    layout = env.removeprefix("point-")
    return Task(
        partial(SparsePointEnv, layout=layout),
        _make(env),
        partial(walks, layout),
        low=0.0,
        high=1.0,
    )


def _make(env: str) -> MakeVector:
    return partial(SparsePointVectorEnv, layout=env.removeprefix("point-"))


_FAILURE = {"failure_reward": 0.0}
SUITE = Small(
    __name__,
    _task,
    _make,
    stacks={"stack": PLAIN, "stack-ln": NORMALISED},
    rows={
        name: Row(
            row.agent,
            {**row.settings, **(_FAILURE if row.agent == "calql" else {})},
            row.data,
            row.offline,
        )
        for name, row in ALONE.items()
    },
    # A reward of 1 is soon drowned by an entropy bonus that begins at 1.
    common={"backup_entropy": False, "initial_ent_coef": 0.05, "tau": 0.02, "gamma": 0.97},
)
