"""Roll-outs as planners: drive the simulator many times at once and keep the best path."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridrl.envs.parking.config import ParkingOptions, make_config
from hybridrl.envs.parking.kernels.records import RUNNING, SUCCESS
from hybridrl.envs.parking.simulator import ParkingSimulator
from hybridrl.planners.path import Path, PlanResult
from hybridrl.planners.path_check import check_path
from hybridrl.planners.scenario import Scenario, require_free
from hybridrl.planners.vehicle import VehicleSpec

VEHICLES = 8  # whose simulators are kept
GEAR_COST = 1.0  # metres a change of direction, as in the Reeds-Shepp search


class RandomRollouts:
    """Random allowed motions with Reeds-Shepp hand-over: the untrained baseline.

    Args:
        rollouts: How many run side by side; the best success is returned.
        max_decisions: Decisions of a roll-out.
        env_kwargs: More keywords of the environment that is driven, as in ``steer_rate``.
    """

    name = "random-rs"

    def __init__(
        self,
        rollouts: int = 1,
        max_decisions: int = 200,
        env_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        self._rollouts = rollouts
        self._max_decisions = max_decisions
        self._env_kwargs = dict(env_kwargs or {})
        self._simulators: dict[VehicleSpec, ParkingSimulator] = {}

    def plan(self, scenario: Scenario, budget: float = 2.0, seed: int = 0) -> PlanResult:
        """Drive until every roll-out has ended or the budget is spent.

        Args:
            scenario: The problem; start and goal must be free.
            budget: CPU seconds.
            seed: Of the random motions.

        Returns:
            The success of least length and fewest gear changes, checked exactly.
        """
        require_free(scenario)
        simulator = self._simulator(scenario)
        rng = np.random.default_rng(seed)
        began = time.thread_time()
        simulator.begin(np.arange(self._rollouts))
        rows = simulator.batch.rows
        while (rows["outcome"] == RUNNING).any() and time.thread_time() - began < budget:
            simulator.step_discrete(self.choose(rows, rng))
        path = self._best(simulator, scenario)
        seconds = time.thread_time() - began
        clearance = check_path(path, scenario).clearance if path else float("nan")
        return PlanResult(
            path=path,
            seconds=seconds,
            expansions=int(rows["decisions"].sum()),
            clearance=clearance,
            planner=self.name,
        )

    def choose(self, rows: NDArray[np.void], rng: np.random.Generator) -> NDArray[np.int64]:
        """One of the allowed motions for each roll-out, with equal chances, shape ``(N,)``."""
        scores: NDArray[np.float64] = rng.random(rows["allowed"].shape) * rows["allowed"]
        return np.asarray(scores.argmax(axis=1))

    def _simulator(self, scenario: Scenario) -> ParkingSimulator:
        """The vehicle's simulator (made once) with the scenario in every row."""
        vehicle = scenario.vehicle
        known = self._simulators.get(vehicle)
        simulator = known or self._make_simulator(vehicle)
        for i in range(self._rollouts):
            simulator.load(i, scenario)
        if known is None:
            # Compile before the clock of the budget starts.
            simulator.begin(np.arange(self._rollouts))
            simulator.step_discrete(np.zeros(self._rollouts, np.int64))
            if len(self._simulators) >= VEHICLES:
                self._simulators.pop(next(iter(self._simulators)))
            self._simulators[vehicle] = simulator
        return simulator

    def _make_simulator(self, vehicle: VehicleSpec) -> ParkingSimulator:
        options = ParkingOptions(
            **{
                "vehicle": vehicle,
                "action_type": "discrete",
                "rs": "auto",
                "max_decisions": self._max_decisions,
                **self._env_kwargs,
            }
        )
        return ParkingSimulator(self._rollouts, vehicle, make_config(options))

    def _best(self, simulator: ParkingSimulator, scenario: Scenario) -> Path | None:
        """The best success whose exact replay is clean."""
        rows = simulator.batch.rows
        cost = rows["path_length"] + GEAR_COST * rows["gear_changes"]
        for i in np.argsort(cost).tolist():
            if rows["outcome"][i] == SUCCESS:
                path = simulator.driven_path(i)
                if check_path(path, scenario).clean:
                    return path
        return None


class RandomRollouts64(RandomRollouts):
    """The best of 64 random roll-outs."""

    name = "random-rs-64"

    def __init__(self, max_decisions: int = 200) -> None:
        super().__init__(64, max_decisions)
