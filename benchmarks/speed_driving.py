"""What ``hybridrl speed driving`` times: decisions of our scenes and of the shipped student.

Both sides draw the same traffic at 15 simulation steps a decision, observe and score, with random
actions and the resets these cause. The peer is highway-env with its own observation and reward.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np

import hybridrl  # noqa: F401  (registers the ids)
from hybridrl.benchmarks.speed import Subject
from hybridrl.envs.driving.names import SCENARIOS

ROWS = 64


def driving_subjects(seed: int) -> list[Subject]:
    """Decisions a second of every scene: a vector of 64, one environment, highway-env; a student's.

    The shipped student is asked about one observation at a time, as when it drives.
    """
    subjects = [Subject("shipped student", "decisions", _student(seed), tail=True)]
    for scenario in SCENARIOS:
        peer = f"highway-env, {scenario}"
        subjects += [
            Subject(f"{scenario}, vector of {ROWS}", "decisions", _vector(scenario, seed), peer),
            Subject(f"{scenario}, gym.make", "decisions", _single(scenario, seed), peer),
            Subject(peer, "decisions", _highway(scenario, seed)),
        ]
    return subjects


def _id(scenario: str) -> str:
    return f"hybridrl/Driving-{scenario.capitalize()}-v0"


def _student(seed: int) -> Callable[[], int]:
    from hybridrl.agents.tell_drive.weights import shipped_policy

    policy = shipped_policy("intersection")
    policy.observation_space.seed(seed)
    seen = policy.observation_space.sample()

    def work() -> int:
        policy.predict(seen, deterministic=True)
        return 1

    return work


def _vector(scenario: str, seed: int) -> Callable[[], int]:
    env: Any = gym.make_vec(_id(scenario), num_envs=ROWS, vectorization_mode="vector_entry_point")
    env.reset(seed=seed)
    high = env.single_action_space.n
    actions = np.random.default_rng(seed).integers(high, size=(256, ROWS))
    at = iter(range(10**9))

    def work(steps: int = 8) -> int:
        for _ in range(steps):
            env.step(actions[next(at) % len(actions)])
        return steps * ROWS

    return work


def _single(scenario: str, seed: int) -> Callable[[], int]:
    return _loop(gym.make(_id(scenario)), seed, 100)


def _highway(scenario: str, seed: int) -> Callable[[], int]:
    """highway-env's environment of the same scene, without our observation and reward."""
    from hybridrl.envs.driving.config import DrivingOptions
    from hybridrl.envs.driving.highway import make_scene

    return _loop(make_scene(DrivingOptions(scenario=scenario)), seed, 4)


def _loop(env: Any, seed: int, count: int) -> Callable[[], int]:
    env.reset(seed=seed)
    rng = np.random.default_rng(seed)

    def work() -> int:
        for _ in range(count):
            ended = env.step(int(rng.integers(env.action_space.n)))[2:4]
            if any(ended):
                env.reset()
        return count

    return work
