"""Rolls copies of the simulator through short plans: the strongest teacher without a network.

Copies get other random numbers than the episode will, so the future arrivals of cars stay hidden
(``driving.md`` 2.8). Both back ends keep the same records, so it works inside either.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hybridrl.agents.tell_drive.teachers.advice import ADVICE_SIZE, Advice, invalid
from hybridrl.agents.tell_drive.teachers.forecast import softmax_rows
from hybridrl.envs.driving.fast import roll
from hybridrl.envs.driving.names import ACTIONS, FASTER, IDLE, LANE_LEFT, LANE_RIGHT, SLOWER
from hybridrl.planners.errors import ScenarioError

if TYPE_CHECKING:
    from hybridrl.envs.driving.scene import Scene
    from hybridrl.envs.driving.task import DrivingArrays

DEPTH = 6  # decisions of a plan, one second each
TEMPERATURE = 0.1  # in units of the return
_F, _I, _S, _L, _R = FASTER, IDLE, SLOWER, LANE_LEFT, LANE_RIGHT
# Plans by their beginnings; the last action goes on. Lane changes are left out of three-action
# scenes because they are not open there.
_SPEED_PLANS = (
    *((_F,), (_I,), (_S,), (_S, _F), (_S, _S, _F), (_S, _S, _S, _F), (_S, _I), (_S, _S, _I)),
    *((_I, _F), (_I, _S), (_F, _S), (_F, _F, _S), (_F, _S, _S, _F), (_I, _I, _F)),
)
_LANE_PLANS = (
    *((_L, _I), (_L, _F), (_L, _S), (_R, _I), (_R, _F), (_R, _S), (_L, _L, _F), (_R, _R, _F)),
    *((_F, _L, _F), (_S, _L, _F), (_I, _L, _I), (_F, _R, _F), (_S, _R, _F), (_I, _R, _I)),
)


def plans(lateral: bool) -> NDArray[np.int64]:
    """Action sequences that are tried, canonical, shape ``(K, DEPTH)``; alike ones side by side.

    Args:
        lateral: Whether lanes can be changed.
    """
    begun = _SPEED_PLANS + (_LANE_PLANS if lateral else ())
    whole = sorted(plan + (plan[-1],) * (DEPTH - len(plan)) for plan in begun)
    return np.array(whole, np.int64)


class LookaheadTeacher:
    """The default offline teacher; milliseconds a decision, inside the environment's process.

    Args:
        samples: Copies of each plan, with other random numbers each.
        gamma: Discount a decision.
        seed: Of the copies. Advice is a function of it and of the scene alone.
        temperature: Of the softmax over the actions' worths, in units of the return. A student that
            cannot tell scenes apart averages advice over them: a low one then tells it what is
            most often best, a high one what is best on average.
        rate: Simulation steps a second in a copy, Hz; ``None`` is the environment's own. Coarser
            copies are cheaper and advise worse: they move a little differently, and the gaps that
            are driven through are small.
    """

    name = "lookahead"
    quality = "planner"

    def __init__(
        self,
        samples: int = 2,
        gamma: float = 0.97,
        seed: int = 0,
        rate: int | None = None,
        temperature: float = TEMPERATURE,
    ) -> None:
        for name, value in (("samples", samples), ("rate", 1 if rate is None else rate)):
            if value < 1:
                raise ScenarioError(name, value, "a whole number above 0")
        if not temperature > 0:
            raise ScenarioError("temperature", temperature, "a number above 0")
        self.temperature = temperature
        self.samples = samples
        self.rate = rate
        self.gamma = gamma
        self.seed = seed

    def advise(self, scenes: Sequence[Scene]) -> list[Advice]:
        """Nothing valid: a scene alone is not enough, use :meth:`rows_in`."""
        return [invalid(scene, self.name, "needs the simulator itself") for scene in scenes]

    def rows_in(self, arrays: Sequence[DrivingArrays], chosen: NDArray[Any]) -> NDArray[np.float32]:
        """Advice for chosen scenes of the environments themselves.

        Args:
            arrays: Of each environment; the same object again where they share one.
            chosen: Numbers of environments, increasing.

        Returns:
            Shape ``(N, 8)``, as slots of the observation.
        """
        out = np.zeros((len(chosen), ADVICE_SIZE), np.float32)
        for first, last, own, rows in _groups(arrays, np.asarray(chosen, np.int64)):
            out[first:last] = softmax_rows(self.worth(own, rows), self.temperature)
        return out

    def worth(self, arrays: DrivingArrays, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Best mean return of the plans that begin with each canonical action.

        Args:
            arrays: Of the environments.
            rows: Which of them.

        Returns:
            Shape ``(N, 5)``; ``-inf`` where an action is not open.
        """
        tried = plans(bool(arrays.config[0]["lateral"]))
        returns = self._returns(arrays, rows, tried)
        out = np.full((len(rows), len(ACTIONS)), -np.inf)
        for action in range(len(ACTIONS)):
            begun = tried[:, 0] == action
            if begun.any():
                out[:, action] = returns[:, begun].max(axis=1)
        return out

    def _returns(
        self, arrays: DrivingArrays, rows: NDArray[np.int64], tried: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Mean return of each plan over the samples, shape ``(N, K)``; ``-inf`` where not open."""
        total = np.zeros((len(rows), len(tried)))
        copied = arrays if self.rate is None else _at_rate(arrays, self.rate)
        for sample in range(self.samples):
            seeds = _seeds(arrays, rows, self.seed + sample)
            total += roll(copied, rows, tried, seeds, self.gamma, only_open=True)[0]
        return total / self.samples


def _seeds(arrays: DrivingArrays, rows: NDArray[np.int64], sample: int) -> NDArray[np.uint64]:
    """Seeds that differ from scene to scene and from the scenes' own (splitmix64's constants)."""
    egos = arrays.cars[rows, arrays.rows["ego"][rows]]
    mixed = egos["x"].copy().view(np.uint64) ^ arrays.rows["rng"][rows]
    with np.errstate(over="ignore"):
        mixed = (mixed + np.uint64(sample + 1)) * np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    made: NDArray[np.uint64] = (mixed ^ (mixed >> np.uint64(27))) >> np.uint64(1)
    return made


def _at_rate(arrays: DrivingArrays, rate: int) -> DrivingArrays:
    """The same scenes with other simulation steps a second."""
    made = copy(arrays)
    made.config = arrays.config.copy()
    seconds = float(arrays.config[0]["decision"])
    frames = max(1, round(rate * seconds))
    made.config["frames"], made.config["dt"] = frames, seconds / frames
    made.config["rule_ticks"] = max(1, rate // 2)
    return made


def _groups(
    arrays: Sequence[DrivingArrays], chosen: NDArray[np.int64]
) -> list[tuple[int, int, DrivingArrays, NDArray[np.int64]]]:
    """Runs of chosen environments that share their arrays, with their rows in these."""
    shared = len(arrays) == 1 or arrays[0] is arrays[-1]
    if shared:
        return [(0, len(chosen), arrays[0], chosen)] if len(chosen) else []
    edges = pairwise(range(len(chosen) + 1))
    return [(i, j, arrays[int(chosen[i])], np.zeros(1, np.int64)) for i, j in edges]
