"""Recipes of random data, and how the names of the gap datasets are read."""

from __future__ import annotations

from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from hybridrl.datasets.collect import Act, collect
from hybridrl.datasets.offline import OfflineDataset
from hybridrl.datasets.registry import RECIPES, Made, MakeOptions
from hybridrl.planners.errors import UnknownNameError


class RandomData(NamedTuple):
    """Random data of one robot.

    Args:
        env: Gymnasium id.
        rows: Transitions.
        hold: Steps for which an action is held.
    """

    env: str
    rows: int
    hold: int = 1


RANDOM: dict[str, RandomData] = {
    "halfcheetah": RandomData("HalfCheetah-v5", 100_000),
    "hopper": RandomData("Hopper-v5", 100_000),
    "walker2d": RandomData("Walker2d-v5", 100_000),
    "ant": RandomData("Ant-v5", 100_000),
    # Thin coverage on purpose: h2o.md 5.2.
    "pendulum": RandomData("hybridrl/Gap-Pendulum-GravityX2-Real-v0", 200, hold=10),
}


class _Random:
    def __init__(self, space: Any, hold: int) -> None:
        self._space, self._hold = space, hold
        self._generator: np.random.Generator | None = None
        self._left = 0
        self._action: NDArray[np.float32] = np.zeros(space.shape, np.float32)

    def __call__(self, observation: Any, generator: np.random.Generator) -> NDArray[np.float32]:
        if generator is not self._generator:  # a new episode
            self._generator, self._left = generator, 0
        if self._left == 0:
            self._left = self._hold
            drawn = generator.uniform(self._space.low, self._space.high)
            self._action = drawn.astype(np.float32)
        self._left -= 1
        return self._action


def random_policy(space: Any, hold: int = 1) -> Act:
    """Uniform actions of a bounded ``Box``, each held for some steps."""
    return _Random(space, hold)


def parts_of(name: str) -> tuple[str, str]:
    """Robot and level of ``hybridrl/<robot>/<level>-v0``.

    Raises:
        UnknownNameError: If it is no such name.
    """
    if name not in RECIPES:
        raise UnknownNameError("dataset recipe", name, RECIPES)
    _, robot, level = name.split("/")
    return robot, level.removesuffix("-v0")


def make(name: str, options: MakeOptions) -> Made:
    """Random data: uniform actions from the environment's own starts.

    Args:
        name: ``hybridrl/<robot>/random-v0``.
        options: Seed, size, work folder, progress.
    """
    robot, level = parts_of(name)
    recipe = RANDOM[robot]
    rows = recipe.rows if options.rows is None and options.episodes is None else options.rows
    with gym.make(recipe.env) as env:
        dataset = collect(
            env,
            random_policy(env.action_space, recipe.hold),
            rows=rows,
            episodes=options.episodes,
            seed=options.seed,
            work=options.work,
            progress=options.progress,
            engine=options.engine,
        )
    facts = {"recipe": name, "robot": robot, "level": level, "env": recipe.env}
    return Made(
        dataset=OfflineDataset.concatenate(dataset, **facts, seed=options.seed, hold=recipe.hold),
        env=recipe.env,
        algorithm="random",
        description=f"uniform actions of {robot}, each held for {recipe.hold} step(s)",
    )
