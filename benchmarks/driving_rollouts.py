"""Drives episodes of the driving scenes side by side, and counts how they ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

TEST_SEED = 10_000  # first seed of the test episodes, driving.md 5
SELECTION_SEED = 20_000

# Observations (batched), masks and the arrays of each environment to actions, all for open rows.
Act = Callable[[dict[str, NDArray[Any]], Sequence[Any], NDArray[np.int64]], NDArray[np.int64]]


@dataclass(frozen=True)
class Drive:
    """One episode; a column of ``episodes.csv`` each.

    Args:
        seed: That the scene was made with.
        outcome: ``success``, ``crash`` or ``timeout``.
        episode_return: Sum of the aligned rewards.
        decisions: Length.
        mean_speed: Forward, m/s.
        min_ttc: Smallest time to collision in the own lane, seconds.
        decision_ms: Mean wall time of a decision, milliseconds, shared by scenes side by side.
    """

    seed: int
    outcome: str
    episode_return: float
    decisions: int
    mean_speed: float
    min_ttc: float
    decision_ms: float


def drive(
    act: Act, scenario: str, seeds: Sequence[int], backend: str = "fast", **options: Any
) -> list[Drive]:
    """One episode for each seed.

    Args:
        act: Who decides.
        scenario: One of the four.
        seeds: Of the scenes.
        backend: ``fast``, or ``highway-env`` for scenes one by one.
        **options: More keywords of the environment.
    """
    shown = {"observation": "dict", "clock": True, "signals": True, "expose_scene": True}
    options = {**shown, **options}
    name = f"hybridrl/Driving-{scenario.capitalize()}-v0"
    if backend == "fast":
        return _side_by_side(act, gym.make_vec(name, num_envs=len(seeds), **options), seeds)
    env = gym.make(name, backend=backend, **options)
    driven = [_one(act, env, seed) for seed in seeds]
    env.close()
    return driven


def _side_by_side(act: Act, env: Any, seeds: Sequence[int]) -> list[Drive]:
    count = len(seeds)
    seen, _ = env.reset(seed=list(seeds))
    arrays = env.unwrapped.arrays
    total, spent, length = np.zeros(count), np.zeros(count), np.zeros(count, np.int64)
    done: dict[int, Drive] = {}
    actions = np.zeros(count, np.int64)
    while len(done) < count:
        left = np.array([i for i in range(count) if i not in done])
        began = time.perf_counter()
        actions[left] = act({k: v[left] for k, v in seen.items()}, [arrays], left)
        spent[left] += (time.perf_counter() - began) / len(left)
        seen, rewards, terminated, truncated, info = env.step(actions)
        total += rewards
        length[left] += 1
        for i in np.flatnonzero((terminated | truncated)[left]):
            row = int(left[i])
            facts = {key: value[row] for key, value in info["final_info"].items()}
            done[row] = _ended(seeds[row], facts, total[row], int(length[row]), spent[row])
        ended = terminated | truncated
        total[ended] = 0.0
    env.close()
    return [done[i] for i in range(count)]


def _one(act: Act, env: Any, seed: int) -> Drive:
    seen, info = env.reset(seed=seed)
    arrays = [env.unwrapped.arrays]
    total, spent, length, over = 0.0, 0.0, 0, False
    while not over:
        began = time.perf_counter()
        batch = {key: np.asarray(value)[None] for key, value in seen.items()}
        action = int(act(batch, arrays, np.zeros(1, np.int64))[0])
        spent += time.perf_counter() - began
        seen, reward, terminated, truncated, info = env.step(action)
        total, length, over = total + float(reward), length + 1, terminated or truncated
    return _ended(seed, info, total, length, spent)


def _ended(seed: int, facts: dict[str, Any], total: float, length: int, spent: float) -> Drive:
    return Drive(
        seed=seed,
        outcome=str(facts["outcome"]),
        episode_return=float(total),
        decisions=length,
        mean_speed=float(facts["mean_speed"]),
        min_ttc=float(facts["min_ttc"]),
        decision_ms=1000.0 * float(spent) / length,
    )
