"""The planner to use when none is named: the shipped policy, and search where it has no answer."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from hybridrl.agents.hope.planner import HopePlanner16
from hybridrl.planners.anytime import BestOf
from hybridrl.planners.path import PlanResult
from hybridrl.planners.scenario import Scenario
from hybridrl.planners.vehicle import VehicleSpec

POLICY_SHARE = 0.5  # of the budget at most; the rest is for the search
SMOOTH_SHARE = 0.1


class AutoPlanner:
    """Best of 16 roll-outs of the shipped policy, else the best of the search planners.

    The policy is asked where it fits: the vehicle is the one it was trained with and no distance
    has to be kept. ``PlanResult.planner`` names who found the path, ``info["asked"]`` all who
    were asked.

    Args:
        clearance: Distance to keep from all obstacles, metres; only search planners keep one.
    """

    name = "auto"

    def __init__(self, clearance: float | None = None) -> None:
        self.clearance = clearance
        self._policy: HopePlanner16 | None = None
        self._search = BestOf() if clearance is None else BestOf(clearance=clearance)

    def plan(self, scenario: Scenario, budget: float = 2.0, seed: int = 0) -> PlanResult:
        """Ask the policy, then the search with the time that is left.

        Args:
            scenario: The problem; start and goal must be free.
            budget: CPU seconds.
            seed: Of all draws.
        """
        began, asked, tried = time.thread_time(), [], 0
        if self.fits(scenario):
            policy = self._policy_planner(SMOOTH_SHARE * budget)
            began = time.thread_time()  # loading the weights is no planning
            asked.append(policy.name)
            found = policy.plan(scenario, POLICY_SHARE * budget, seed)
            tried = found.expansions
            if found.success:
                return _told(found, asked)
        asked.append(self._search.name)
        left = max(budget - (time.thread_time() - began), 0.0)
        found = self._search.plan(scenario, left, seed)
        seconds = time.thread_time() - began
        return _told(replace(found, seconds=seconds, expansions=found.expansions + tried), asked)

    def fits(self, scenario: Scenario) -> bool:
        """Whether the shipped policy knows this vehicle and keeps what is asked for."""
        if self.clearance is not None:
            return False
        trained: dict[str, Any] = self._policy_planner(0.0).network.description.get("env", {})
        if trained.get("vehicles") is not None:
            return False
        known = trained.get("vehicle")
        return scenario.vehicle == (
            VehicleSpec() if known is None else VehicleSpec.from_json(known)
        )

    def _policy_planner(self, smooth: float) -> HopePlanner16:
        if self._policy is None:
            self._policy = HopePlanner16()
        self._policy.smooth = smooth
        return self._policy


def _told(result: PlanResult, asked: list[str]) -> PlanResult:
    return replace(result, info={**result.info, "asked": asked})
