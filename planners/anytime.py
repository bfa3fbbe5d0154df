"""The strongest classical answer within a budget: two searches and shortcuts."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import Any

import numpy as np

from hybridrl.planners.path import PlanResult
from hybridrl.planners.pose_search import (
    STATUS,
    Finding,
    PoseSearch,
    SearchOptions,
    goals_of,
    race,
    ways,
)
from hybridrl.planners.results import checked_result
from hybridrl.planners.scenario import Pose, Scenario, require_free
from hybridrl.planners.smoothing import cost_of, shortcut

# Shares of the budget after which the searches end; shortcuts and the final check have the rest.
QUICK = 0.9
THOROUGH = 0.5


class BestOf:
    """Everything classical, cheap things first, by ``length + gear_cost * gear changes``.

    A quick search (any Reeds-Shepp word from the start is its first node), shortcuts, a thorough
    search on a finer grid for anything cheaper than that, shortcuts again. It ends before the
    budget when the thorough search is through and shortcuts gain nothing more.

    Args:
        thorough: Whether the second search is made; without it plans take a few milliseconds and
            cost one or two percent more.
        allow_reversed_goal: Whether the car may also be parked the other way round.
        patience: Shortcuts without any gain after which smoothing ends.
        options: Fields of :class:`~hybridrl.planners.pose_search.SearchOptions` of both searches.

    Raises:
        ScenarioError: If an option cannot be used.
        UnknownNameError: If there is no such direction.
    """

    name = "best-of"

    def __init__(
        self,
        *,
        thorough: bool = True,
        allow_reversed_goal: bool = False,
        patience: int = 300,
        **options: Any,
    ) -> None:
        self.options = SearchOptions(**{"weight": 1.2, **options})
        self.thorough = thorough
        self.allow_reversed_goal = allow_reversed_goal
        self.patience = patience
        finer = replace(
            self.options, **{**FINER, **{k: v for k, v in options.items() if k in FINER}}
        )
        self._quick = [PoseSearch(self.options, way) for way in ways(self.options)]
        self._finer = [PoseSearch(finer, way) for way in ways(self.options)] * thorough
        _compile(self)

    def plan(self, scenario: Scenario, budget: float = 2.0, seed: int = 0) -> PlanResult:
        """Search and smooth; see :class:`hybridrl.planners.base.Planner`.

        ``info["first_seconds"]`` is when the first path was there, ``info["quick_cost"]`` the cost
        after the first round of shortcuts and ``info["status"]`` that of the last search.
        """
        require_free(scenario)
        began = time.thread_time()
        goals = goals_of(scenario, self.allow_reversed_goal)
        best = Finding()
        info: dict[str, Any] = {"first_seconds": None, "quick_cost": None}
        for i, goal in enumerate(goals):
            share = began + QUICK * budget * (i + 1) / len(goals)
            best = race(self._quick, scenario, goal, share, best)
            best = self._smooth(best, scenario, began + QUICK * budget, seed)
        if best.path is not None:
            info.update(first_seconds=best.found - began, quick_cost=best.cost)
            for goal in goals * self.thorough:
                best = self._refine(best, scenario, goal, began + THOROUGH * budget)
            best = self._smooth(best, scenario, began + budget, seed + 1)
        info["status"] = STATUS[best.status]
        return checked_result(
            self.name, scenario, best.path, began, expansions=best.expansions, info=info
        )

    def _refine(self, best: Finding, scenario: Scenario, goal: Pose, stop: float) -> Finding:
        """Look for something cheaper, the way round that has worked."""
        if time.thread_time() >= stop:
            return best  # the quick search has used the budget up
        finer = [one for one in self._finer if one.backward == best.backward]
        return race(finer, scenario, goal, stop, best)

    def _smooth(self, best: Finding, scenario: Scenario, stop: float, seed: int) -> Finding:
        left = stop - time.thread_time()
        if best.path is None or left <= 0.0:
            return best
        gear, reverse = self.options.gear_cost, self.options.reverse_cost
        path = shortcut(
            best.path,
            scenario,
            left,
            seed,
            gear_cost=gear,
            reverse_cost=reverse,
            patience=self.patience,
            clearance=self.options.clearance,
        )
        return replace(best, path=path, cost=min(best.cost, cost_of(path, gear, reverse)))


# Of the thorough search, where the caller does not say otherwise.
FINER: dict[str, Any] = {
    "weight": 1.05,
    "cell": 0.15,
    "heading_cell": math.radians(5.0),
    "fine": 1.0 / 3.0,
    "lengths": (0.3, 1.0),
    "margin": 0.005,
}

_compiled: set[str] = set()


def _compile(planner: BestOf) -> None:
    """Compile everything now, once a process, so that no plan is timed with it."""
    if planner.name in _compiled:
        return
    _compiled.add(planner.name)
    block = np.array([(2.0, 1.5), (2.5, 1.5), (2.5, 2.0)])
    scenario = Scenario(start=(0.0, 0.0, 0.0), goal=(1.0, -3.0, 0.0), obstacles=(block,))
    planner.plan(scenario, budget=math.inf)
