"""The one interface of all planners."""

from __future__ import annotations

from typing import Protocol

from hybridrl.planners.path import PlanResult
from hybridrl.planners.scenario import Scenario


class Planner(Protocol):
    """Anything that turns a scenario into a path."""

    def plan(self, scenario: Scenario, budget: float = 2.0, seed: int = 0) -> PlanResult:
        """Look for a path from the scenario's start to its goal.

        Args:
            scenario: The problem; start and goal must be free.
            budget: CPU seconds after which it gives up (or returns the best it has).
            seed: Of its random draws; equal seeds and enough budget give equal paths.

        Returns:
            A result whose path, if any, touches nothing: it was checked exactly.
        """
        ...
