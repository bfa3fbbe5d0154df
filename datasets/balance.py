"""Recipes of balancing tasks: a hand-written linear controller that often acts at random."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Discrete

from hybridrl.datasets.collect import Act, collect
from hybridrl.datasets.offline import OfflineDataset
from hybridrl.datasets.recipes import parts_of
from hybridrl.datasets.registry import Made, MakeOptions
from hybridrl.planners.errors import UnknownNameError

ROWS = 20_000


class Controller(NamedTuple):
    """A linear feedback.

    Args:
        env: Gymnasium id.
        gains: Of the observation's numbers: their sum is the force, or its sign picks the second
            of two actions.
        uniform: Probability of a uniform action instead.
    """

    env: str
    gains: tuple[float, ...]
    uniform: float


CONTROLLERS: dict[str, Controller] = {
    "cartpole": Controller("CartPole-v1", (0.0, 0.0, 1.0, 0.2), 0.5),
    "invertedpendulum": Controller("InvertedPendulum-v5", (0.3, 5.0, 0.5, 1.0), 0.1),
}


def controller_policy(controller: Controller, space: Any) -> Act:
    """Act as a controller does.

    Args:
        controller: Its gains.
        space: Two actions, or a bounded ``Box`` with one number.
    """
    return partial(_force, controller, space)


def _force(
    controller: Controller, space: Any, observation: Any, generator: np.random.Generator
) -> Any:
    force = float(np.dot(controller.gains, observation))
    if generator.random() < controller.uniform:
        force = generator.uniform(-1.0, 1.0)
        force *= 1.0 if isinstance(space, Discrete) else float(space.high[0])
    if isinstance(space, Discrete):
        return np.int64(force > 0.0)
    return np.clip([force], space.low, space.high).astype(np.float32)


def controller_data(task: str, seed: int = 0, **size: Any) -> OfflineDataset:
    """Roll out the controller of a task from the environment's own starts.

    Args:
        task: A key of :data:`CONTROLLERS`.
        seed: Of everything.
        **size: Of :func:`~hybridrl.datasets.collect.collect` [default: ``rows=20_000``].

    Raises:
        UnknownNameError: If there is no controller of that name.
    """
    if task not in CONTROLLERS:
        raise UnknownNameError("task", task, CONTROLLERS)
    controller = CONTROLLERS[task]
    with gym.make(controller.env) as env:
        act = controller_policy(controller, env.action_space)
        data = collect(env, act, seed=seed, **(size or {"rows": ROWS}))
    facts = {"task": task, "env": controller.env, "uniform": controller.uniform, "seed": seed}
    return OfflineDataset.concatenate(data, **facts)


def make(name: str, options: MakeOptions) -> Made:
    """The data of :func:`controller_data`, to be stored.

    Args:
        name: ``hybridrl/<task>/controller-v0``, of a row of :data:`CONTROLLERS`.
        options: Seed, size, work folder, progress.
    """
    task, level = parts_of(name)
    controller = CONTROLLERS[task]
    dataset = controller_data(
        task,
        options.seed,
        rows=ROWS if options.rows is None and options.episodes is None else options.rows,
        episodes=options.episodes,
        work=options.work,
        progress=options.progress,
        engine=options.engine,
    )
    return Made(
        dataset=OfflineDataset.concatenate(dataset, recipe=name, level=level),
        env=controller.env,
        algorithm="controller",
        description=f"linear feedback of {task}, uniform with probability {controller.uniform}",
    )
