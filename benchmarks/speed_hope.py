"""What ``hybridrl speed hope`` times: whole plans of the shipped policy beside the search."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from hybridrl.benchmarks.speed import Subject

CLASSES = (
    "normal-bay",
    "normal-parallel",
    "complex-bay",
    "complex-parallel",
    "extreme-parallel",
)
PEER = "hybrid A*, first path"


def hope_subjects(seed: int) -> list[Subject]:
    """Plans of fixed scenes of the five classes in turn, and single decisions of the network."""
    return [
        Subject("one roll-out", "plans", _plans("hope-ppo", seed), PEER),
        Subject("best of 16 roll-outs", "plans", _plans("hope-ppo-16", seed), PEER),
        Subject(PEER, "plans", _plans("hybrid-astar", seed)),
        Subject("network, 1 row", "decisions", _decisions(1), "network, 16 rows"),
        Subject("network, 16 rows", "decisions", _decisions(16)),
    ]


def _plans(name: str, seed: int, count: int = 4) -> Callable[[], int]:
    from hybridrl.envs.parking.scenes import fixed_scenes
    from hybridrl.planners.registry import make_planner

    planner = make_planner(name)
    drawn = zip(*(fixed_scenes(kind, count, first_seed=seed) for kind in CLASSES), strict=True)
    scenes = itertools.cycle(list(itertools.chain(*drawn)))

    def work() -> int:
        for scene in itertools.islice(scenes, len(CLASSES)):
            planner.plan(scene, budget=2.0, seed=seed)
        return len(CLASSES)

    return work


def _decisions(rows: int, times: int = 20) -> Callable[[], int]:
    from hybridrl.agents.hope.weights import load_network
    from hybridrl.envs.parking.vector_env import ParkingVectorEnv

    network = load_network()
    env: Any = ParkingVectorEnv(rows, level="hard", action_type="discrete")
    env.reset(seed=0)
    env.step(env.action_masks().argmax(axis=1).astype(np.int64))

    def work() -> int:
        for _ in range(times):
            network.masked_logits(env.task.rows, 200)
        return rows * times

    return work
