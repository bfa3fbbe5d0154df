"""What ``hybridrl speed gap`` times: gap environments beside the stock ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np

import hybridrl  # noqa: F401  (registers the ids)
from hybridrl.benchmarks.speed import Subject
from hybridrl.envs.gap.robots import quiet_loading
from hybridrl.envs.gap.variants import has_pybullet

CHEETAH, PENDULUM, MANY = "HalfCheetah-v5", "Pendulum-v1", "Pendulum-v1, vector of 64"
ROWS = 64


def gap_subjects(seed: int) -> list[Subject]:
    """Steps of HalfCheetah and the pendulum, each beside Gymnasium's own."""
    bullet = [("HalfCheetah in PyBullet", "hybridrl/Gap-HalfCheetah-Bullet-Sim-v0")]
    ours = [
        ("HalfCheetah, real", "hybridrl/Gap-HalfCheetah-GravityX2-Real-v0"),
        ("HalfCheetah, joint noise", "hybridrl/Gap-HalfCheetah-JointNoise-Sim-v0"),
        *(bullet if has_pybullet() else ()),
    ]
    pendulum = "hybridrl/Gap-Pendulum-GainX2.5-Sim-v0"
    return [
        *(Subject(name, "steps", _single(id, seed), CHEETAH) for name, id in ours),
        Subject(CHEETAH, "steps", _single(CHEETAH, seed)),
        Subject("pendulum", "steps", _single(pendulum, seed), PENDULUM),
        Subject(PENDULUM, "steps", _single(PENDULUM, seed)),
        Subject("pendulum, vector of 64", "steps", _vector(pendulum, seed), MANY),
        Subject(MANY, "steps", _vector(PENDULUM, seed)),
    ]


def _single(id: str, seed: int) -> Callable[[], int]:
    with quiet_loading():
        env: Any = gym.make(id)
    env.reset(seed=seed)
    actions = np.random.default_rng(seed).uniform(-1, 1, (256, *env.action_space.shape))
    actions = actions.astype(np.float32)

    def work() -> int:
        for action in actions:
            if any(env.step(action)[2:4]):
                env.reset()
        return len(actions)

    return work


def _vector(id: str, seed: int) -> Callable[[], int]:
    mode = "vector_entry_point" if id.startswith("hybridrl/") else "sync"
    env: Any = gym.make_vec(id, num_envs=ROWS, vectorization_mode=mode)
    env.reset(seed=seed)
    actions = np.random.default_rng(seed).uniform(-1, 1, (16, *env.action_space.shape))
    actions = actions.astype(np.float32)

    def work() -> int:
        for action in actions:
            env.step(action)
        return len(actions) * ROWS

    return work
