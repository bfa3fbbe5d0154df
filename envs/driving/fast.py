"""The compiled simulator behind the arrays: B scenes in a few calls a decision."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridrl.envs.driving.kernels.populate import BEGIN, FLOW, JOIN, populate
from hybridrl.envs.driving.kernels.simulate import simulate
from hybridrl.envs.driving.kernels.stepping import unroll
from hybridrl.envs.driving.task import ONLY, DrivingArrays

WARM_UP = 3.0  # s of traffic at the intersection before the ego comes


class FastWorld:
    """Steps scenes of the arrays; the same seed gives the same scenes in any row.

    Args:
        arrays: Arrays of B scenes.
    """

    def __init__(self, arrays: DrivingArrays) -> None:
        self.arrays = arrays
        self._crossing = arrays.options.scenario == "intersection"
        self._ticks = int(arrays.config[0]["frames"])
        self._warm_up = round(WARM_UP * arrays.options.simulation_frequency)

    def seed(self, row: int, seed: int) -> None:
        """Seed the generator of one scene; it is first used at its next draw."""
        self.arrays.rows["rng"][row] = np.uint64(seed)

    def begin(self, which: NDArray[np.int64]) -> None:
        """Draw new episodes in some scenes."""
        self._populate(which, BEGIN)
        if self._crossing:
            self._simulate(which, np.full(len(which), -1), self._warm_up)
            self._populate(which, JOIN)
        self.arrays.score(which, fresh=True)
        self.arrays.look(which, fresh=True)

    def step(self, which: NDArray[np.int64], actions: NDArray[np.int64]) -> None:
        """Take one decision in some scenes.

        Args:
            which: Rows.
            actions: Their canonical actions.
        """
        self._simulate(which, actions, self._ticks)
        if self._crossing:
            self._populate(which, FLOW)
        self.arrays.score(which, fresh=False)
        self.arrays.look(which, fresh=False)

    def _populate(self, which: NDArray[np.int64], stage: int) -> None:
        a = self.arrays
        table = (a.table.lanes, a.table.routes, a.table.origins)
        populate(a.config, *table, a.cars, a.rows, a.s, a.r, which, stage)

    def _simulate(self, which: NDArray[np.int64], actions: NDArray[np.int64], ticks: int) -> None:
        a = self.arrays
        simulate(a.config, a.table.lanes, a.cars, a.rows, a.s, a.r, which, actions, ticks)


class FastScene:
    """One compiled scene with the two calls of a world.

    Args:
        arrays: Arrays of one scene.
    """

    def __init__(self, arrays: DrivingArrays) -> None:
        self.arrays = arrays
        self._world = FastWorld(arrays)

    def begin(self, seed: int) -> None:
        """Draw a new scene from a seed."""
        self._world.seed(0, seed)
        self._world.begin(ONLY)

    def step(self, action: int) -> None:
        """Take one decision in the environment's own numbers."""
        self._world.step(ONLY, self.arrays.canonical[[action]])

    def render(self) -> NDArray[np.uint8]:
        """A picture of the scene, ``(H, W, 3)``."""
        from hybridrl.envs.driving.drawing import draw_scene

        return draw_scene(self.arrays, 0)


def roll(
    arrays: DrivingArrays,
    which: NDArray[np.int64],
    plans: NDArray[np.int64],
    seeds: NDArray[Any],
    gamma: float = 0.95,
    only_open: bool = False,
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Roll reseeded copies of scenes through plans; the scenes themselves stay as they are.

    Works on the arrays of either back end. A plan ends with its episode. Plans that begin alike
    and stand side by side are driven once as far as they agree.

    Args:
        arrays: Scenes.
        which: Rows that are copied, shape ``(N,)``.
        plans: Canonical actions, shape ``(P, T)``.
        seeds: Of the copies' generators: one for each of ``which``, the same for all its plans.
        gamma: Discount a decision.
        only_open: Leave out plans that begin with an action that is not open: worth ``-inf``.

    Returns:
        Discounted aligned rewards, shape ``(N, P)``, and which plans crashed.
    """
    a = arrays
    config = a.config.copy()
    config["stock_reward"] = False
    depth = plans.shape[1] + 1
    state = (a.cars, a.rows, a.s, a.r)
    spare = tuple(np.zeros((depth, *part.shape[1:]), part.dtype) for part in state)
    values = np.full((len(which), len(plans)), -np.inf)
    crashed = np.zeros(values.shape, np.bool_)
    road = (a.table.lanes, a.table.routes, a.table.origins)
    numbers = np.asarray(seeds, np.uint64)
    unroll(config, road, state, spare, which, numbers, plans, gamma, only_open, values, crashed)
    return values, crashed
