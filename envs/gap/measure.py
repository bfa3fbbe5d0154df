"""How far a simulator is from reality after one step (``h2o.md`` 4.1 and 7.2)."""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hybridrl.envs.gap.variants import ROBOTS, sim_keywords, variants_of
from hybridrl.planners.errors import UnknownNameError

Array = NDArray[np.float64]
MEMORY = 16  # past actions that are handed to a simulator with a delay


class Gap(NamedTuple):
    """One-step difference between a simulator and reality over many visited states.

    Args:
        observation: Mean absolute difference of each entry over that entry's standard deviation
            along the real episodes, shape ``(dim,)``; 0 for entries that never vary there.
        positions: Median of error over change of the joint positions (norms).
        velocities: The same of the joint velocities.
        reward: Mean absolute difference of the reward.
        steps: States behind it.
    """

    observation: Array
    positions: float
    velocities: float
    reward: float
    steps: int


def make_pair(robot: str, variant: str) -> tuple[Any, Any]:
    """The real environment and a variant's simulator.

    Args:
        robot: As in the ids, any case.
        variant: As in the ids.

    Raises:
        UnknownNameError: If there is no such robot, or no such variant of it on this machine.
    """
    names = {name.lower(): name for name in ROBOTS}
    if robot.lower() not in names:
        raise UnknownNameError("robot", robot, ROBOTS)
    name = names[robot.lower()]
    if variant not in variants_of(name):
        raise UnknownNameError(f"variant of {name}", variant, variants_of(name))
    change = sim_keywords(name, variant)
    if name == "Pendulum":
        from hybridrl.envs.gap.pendulum import GapPendulumEnv

        return GapPendulumEnv(), GapPendulumEnv(**change)
    from hybridrl.envs.gap.env import GapEnv

    return GapEnv(robot=name.lower()), GapEnv(robot=name.lower(), **change)


def measure_gap(real: Any, sim: Any, steps: int = 2000, seed: int = 0) -> Gap:
    """Put the simulator into every state of real random episodes and compare one step.

    Args:
        real: Stepped with uniform actions.
        sim: Put into each of its states, given the same action.
        steps: How many states.
        seed: Of the episodes and the actions.
    """
    observations, errors, rewards = [], [], []
    position: list[float] = []
    velocity: list[float] = []
    rng = np.random.default_rng(seed)
    sim.reset(seed=seed)
    _, ended, past = real.reset(seed=seed), False, _no_actions(real)
    for _ in range(steps):
        if ended:
            _, past = real.reset(), _no_actions(real)
        before = real.physics
        sim.set_physics(*before, past)
        action = rng.uniform(-1.0, 1.0, real.action_space.shape).astype(np.float32)
        observation, reward, terminated, truncated, _ = real.step(action)
        guess, guessed, *_ = sim.step(action)
        ended = terminated or truncated
        past.append(action)
        observations.append(observation)
        errors.append(np.abs(observation - guess))
        rewards.append(abs(reward - guessed))
        for kept, was, now, wrong in zip(
            (position, velocity), before, real.physics, sim.physics, strict=True
        ):
            kept.append(_norm(now - wrong) / max(_norm(now - was), 1e-12))
    spread = np.std(observations, axis=0, dtype=np.float64)
    return Gap(
        np.where(spread > 1e-8, np.mean(errors, axis=0) / np.maximum(spread, 1e-8), 0.0),
        float(np.median(position)),
        float(np.median(velocity)),
        float(np.mean(rewards)),
        steps,
    )


def observation_names(robot: str) -> list[str]:
    """What the entries of a robot's observation are, in order.

    Args:
        robot: As in the ids, any case.

    Returns:
        Joint positions ``q:<joint>`` without the forward one, then velocities ``v:<joint>``; of
        the Ant only indices, as its root is free and contact forces follow.
    """
    if robot.lower() == "pendulum":
        return ["cos", "sin", "speed"]
    from hybridrl.envs.gap.options import GapOptions
    from hybridrl.envs.gap.robots import make_robot

    made = make_robot(GapOptions(robot=robot.lower()))
    size = made.observation_space.shape[0]
    names = [made.model.joint(i).name for i in range(made.model.njnt)]
    made.close()
    full = [f"q:{name}" for name in names[1:]] + [f"v:{name}" for name in names]
    return full if len(full) == size else [str(i) for i in range(size)]


def _no_actions(env: Any) -> deque[NDArray[np.float32]]:
    zero = np.zeros(env.action_space.shape, np.float32)
    return deque([zero] * MEMORY, maxlen=MEMORY)


def _norm(vector: Array) -> float:
    return float(np.linalg.norm(vector))
