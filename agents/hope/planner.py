"""The policy as a planner: roll it out in the simulator many times at once, keep the best path."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridrl.agents.hope.compiled import parked_cleanly
from hybridrl.agents.hope.network import HopeNetwork
from hybridrl.agents.hope.weights import load_network
from hybridrl.envs.parking.kernels.records import RUNNING, SUCCESS, TIMEOUT
from hybridrl.envs.parking.rollouts import GEAR_COST, RandomRollouts
from hybridrl.envs.parking.simulator import ParkingSimulator
from hybridrl.planners.path import Path, PlanResult
from hybridrl.planners.path_check import check_path
from hybridrl.planners.scenario import Scenario, require_free
from hybridrl.planners.smoothing import shortcut

SMOOTH_SECONDS = 0.02  # of shortcuts on a path


class HopePlanner(RandomRollouts):
    """Roll-outs of a trained policy with Reeds-Shepp hand-over.

    Every executed motion is certified free, so a success is a path; the best by
    ``length + gear changes`` is returned, after shortcuts if asked for.

    Args:
        rollouts: How many run side by side.
        max_decisions: Decisions of a roll-out.
        deterministic: Take the most likely motion (one roll-out is then as good as many).
        smooth: CPU seconds of random shortcuts on the best path; 0 returns it as it was driven.
        stall_breaker: A random allowed motion follows a decision that moved nothing.
        weights: A folder of ``HopePPO.save_weights`` or a network; the shipped ones by default.
        env_kwargs: More keywords of the environment that is driven, as in ``steer_rate``.

    Raises:
        ScenarioError: If there are no such weights.
    """

    name = "hope-ppo"

    def __init__(
        self,
        rollouts: int = 1,
        max_decisions: int = 200,
        *,
        deterministic: bool = False,
        smooth: float = 0.0,
        stall_breaker: bool = True,
        weights: str | FilePath | HopeNetwork | None = None,
        env_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(rollouts, max_decisions, env_kwargs)
        self.deterministic = deterministic
        self.smooth = smooth
        self.stall_breaker = stall_breaker
        self.network = weights if isinstance(weights, HopeNetwork) else load_network(weights)

    def plan(self, scenario: Scenario, budget: float = 2.0, seed: int = 0) -> PlanResult:
        """Drive until no roll-out can become the best any more or the budget is spent.

        ``info`` tells the number of successes and, of the best roll-out, how many decisions the
        policy (``rl``) and the hand-over (``rs``) took.

        Args:
            scenario: The problem; start and goal must be free.
            budget: CPU seconds.
            seed: Of the draws.
        """
        require_free(scenario)
        simulator = self._simulator(scenario)
        rng = np.random.default_rng(seed)
        began = time.thread_time()
        self._drive(simulator, rng, began + budget)
        rows = simulator.batch.rows
        info: dict[str, Any] = {"successes": int((rows["outcome"] == SUCCESS).sum())}
        path = None
        for i in _by_cost(rows):
            driven = simulator.driven_path(i)
            if _clean(driven, scenario):
                rs = int(rows["rs_decisions"][i])
                info |= {"rl": int(rows["decisions"][i]) - rs, "rs": rs}
                path = self._smoothed(driven, scenario, began + budget, seed)
                break
        seconds = time.thread_time() - began
        # The path is exact already; its clearance, sampled finely, is a report and not planning.
        return PlanResult(
            path=path,
            seconds=seconds,
            expansions=int(rows["decisions"].sum()),
            clearance=check_path(path, scenario).clearance if path else math.nan,
            planner=self.name,
            info=info,
        )

    def choose(self, rows: NDArray[np.void], rng: np.random.Generator) -> NDArray[np.int64]:
        """The policy's motion in each roll-out, shape ``(N,)``."""
        scores: NDArray[Any] = self.network.masked_logits(rows, self._max_decisions)
        if not self.deterministic:
            # The Gumbel trick: the largest of logits plus noise is a draw from their softmax.
            scores = scores + rng.gumbel(size=scores.shape)
        return np.asarray(scores.argmax(axis=1))

    def _drive(self, simulator: ParkingSimulator, rng: np.random.Generator, stop: float) -> None:
        simulator.begin(np.arange(self._rollouts))
        rows = simulator.batch.rows
        actions = np.zeros(self._rollouts, np.int64)
        driven = np.full(self._rollouts, -1.0)
        while time.thread_time() < stop:
            _give_up_dear_ones(rows)
            left = np.flatnonzero(rows["outcome"] == RUNNING)
            if not len(left):
                return
            seen = rows if len(left) == len(rows) else rows[left]
            actions[left] = self.choose(seen, rng)
            stalled = left[rows["path_length"][left] == driven[left]]
            if self.stall_breaker and len(stalled):
                actions[stalled] = super().choose(rows[stalled], rng)
            driven[:] = rows["path_length"]
            simulator.step_discrete(actions)

    def _smoothed(self, path: Path, scenario: Scenario, stop: float, seed: int) -> Path:
        seconds = min(self.smooth, stop - time.thread_time())
        return shortcut(path, scenario, seconds, seed) if seconds > 0.0 else path


class HopePlanner16(HopePlanner):
    """The best of 16 roll-outs."""

    name = "hope-ppo-16"

    def __init__(self, max_decisions: int = 200, **options: Any) -> None:
        super().__init__(16, max_decisions, **options)


class HopePlanner16Smooth(HopePlanner16):
    """The best of 16 roll-outs, and 20 ms of shortcuts on it: more of them gain next to nothing."""

    name = "hope-ppo-16-smooth"

    def __init__(self, max_decisions: int = 200, **options: Any) -> None:
        super().__init__(max_decisions, **{"smooth": SMOOTH_SECONDS, **options})


def _clean(path: Path, scenario: Scenario) -> bool:
    """What ``check_path`` calls clean, in microseconds."""
    start, goal, limits = (np.array(v) for v in (path.start, scenario.goal, scenario.limits))
    body, obstacles = scenario.vehicle.body, scenario.packed
    return bool(parked_cleanly(start, goal, limits, path.curvatures, path.lengths, body, obstacles))


def _costs(rows: NDArray[np.void]) -> NDArray[np.float64]:
    return np.asarray(rows["path_length"] + GEAR_COST * rows["gear_changes"])


def _by_cost(rows: NDArray[np.void]) -> list[int]:
    """The successful rows, the best first."""
    order = np.argsort(_costs(rows), kind="stable")
    return [int(i) for i in order if rows["outcome"][i] == SUCCESS]


def _give_up_dear_ones(rows: NDArray[np.void]) -> None:
    """End roll-outs that already cost more than the best success."""
    won = rows["outcome"] == SUCCESS
    if won.any():
        costs = _costs(rows)
        rows["outcome"][(rows["outcome"] == RUNNING) & (costs >= costs[won].min())] = TIMEOUT
