"""Hybrid A*: graph search over poses with exact arcs and Reeds-Shepp shots at the target.

A textbook Hybrid A* (Dolgov et al., "Path planning for autonomous vehicles in unknown
semi-structured environments", 2010) with four changes that tight slots ask for: an arc that is not
free is driven up to its exact first contact instead of being thrown away; every expanded node
shoots at the target; the search also runs from the goal, where all moves are forced; and a grid
that turns out to be too coarse is halved.
"""

from __future__ import annotations

import math
import time
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
from hybridrl.planners.scenario import Scenario, require_free


class HybridAStar:
    """Hybrid A* over poses and gears.

    It goes on until no path on its grid can be cheaper than ``1 / weight`` times what it has, or
    the budget is spent.

    Args:
        allow_reversed_goal: Whether the car may also be parked the other way round.
        options: Fields of :class:`~hybridrl.planners.pose_search.SearchOptions`.

    Raises:
        ScenarioError: If an option cannot be used.
        UnknownNameError: If there is no such direction.
    """

    name = "hybrid-astar"

    def __init__(self, *, allow_reversed_goal: bool = False, **options: Any) -> None:
        self.allow_reversed_goal = allow_reversed_goal
        self.options = SearchOptions(**options)
        self._searches = [PoseSearch(self.options, way) for way in ways(self.options)]
        _compile(self)

    def plan(self, scenario: Scenario, budget: float = 2.0, seed: int = 0) -> PlanResult:
        """Search; see :class:`hybridrl.planners.base.Planner`.

        Nothing is drawn, so the seed has no meaning. ``info["status"]`` is ``"optimal"`` (nothing
        on this grid is cheaper by more than the weight), ``"exhausted"`` (nothing on the finest
        grid gets there), ``"budget"`` or ``"memory"``; ``info["first_seconds"]`` is when the first
        path was there.
        """
        require_free(scenario)
        began = time.thread_time()
        goals = goals_of(scenario, self.allow_reversed_goal)
        best = Finding()
        for i, goal in enumerate(goals):
            share = budget * (i + 1) / len(goals)
            best = race(self._searches, scenario, goal, began + share, best)
        info = {
            "status": STATUS[best.status],
            "first_seconds": best.found - began if best.path else None,
        }
        return checked_result(
            self.name, scenario, best.path, began, expansions=best.expansions, info=info
        )


_compiled: set[str] = set()


def _compile(planner: HybridAStar) -> None:
    """Compile everything now, once a process, so that no plan is timed with it."""
    if planner.name in _compiled:
        return
    _compiled.add(planner.name)
    block = np.array([(2.0, 1.5), (2.5, 1.5), (2.5, 2.0)])
    scenario = Scenario(start=(0.0, 0.0, 0.0), goal=(1.0, -3.0, 0.0), obstacles=(block,))
    planner.plan(scenario, budget=math.inf)
