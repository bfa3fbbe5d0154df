"""Hybrid A*: graph search over poses with exact arcs and Reeds-Shepp shots at the target.

A textbook Hybrid A* (Dolgov et al., "Path planning for autonomous vehicles in unknown
semi-structured environments", 2010) with three changes that tight slots ask for: an arc that is not
free is driven up to its exact first contact instead of being thrown away, every expanded node
shoots at the target, and the search starts at the goal. Leaving a slot takes few moves, and all of
them are forced; finding its mouth from outside is what makes the search from the start slow.
"""

from __future__ import annotations

import math
import time
from functools import cache

import numpy as np

from hybridrl.planners.astar_kernel import (
    DONE,
    EXHAUSTED,
    FULL,
    SEARCHING,
    Best,
    Rules,
    Task,
    make_best,
    plant,
    search,
)
from hybridrl.planners.errors import ScenarioError, UnknownNameError
from hybridrl.planners.grid import distance_map
from hybridrl.planners.path import Path, PlanResult
from hybridrl.planners.reeds_shepp_shots import reversed_goal
from hybridrl.planners.results import checked_result
from hybridrl.planners.rs_search import default_rule, make_scratch
from hybridrl.planners.scenario import Pose, Scenario, require_free
from hybridrl.planners.search_tree import SearchTree, clear, make_tree, trace
from hybridrl.planners.vehicle import VehicleSpec

DIRECTIONS = ("backward", "forward")
STATUS = {SEARCHING: "budget", DONE: "optimal", EXHAUSTED: "exhausted", FULL: "memory"}
BATCH = 32  # expansions between two looks at the clock, about a millisecond


class HybridAStar:
    """Hybrid A* over poses and gears.

    With a weight of 1 it goes on until no path on its grid can be cheaper, or the budget is spent;
    it keeps the cheapest path it has seen. The cost is
    ``length + gear_cost * gear changes + reverse_cost * reverse length``.

    Args:
        direction: ``"backward"`` searches from the goal to the start, ``"forward"`` the other way.
        weight: Of the heuristic, at least 1; larger ones give up quality for speed.
        cell: Side of a grid cell, metres.
        heading_cell: Range of headings in a cell, radians.
        lengths: Arc lengths that are driven, metres, increasing, below a quarter turn; the exact
            length to the first contact is added where it is shorter than the longest.
        steering: Curvatures that are driven, as shares of the largest, each in [-1, 1].
        margin: Distance kept to the first contact at the end of an arc, metres.
        gear_cost: Metres that a change of direction counts for.
        reverse_cost: Metres that a metre in reverse counts for beside its length.
        radii: Turning radii of the shots at the target, in minimum radii.
        allow_reversed_goal: Whether the car may also be parked the other way round.
        max_nodes: Memory limit; about 80 bytes a node, taken when used.

    Raises:
        ScenarioError: If an option cannot be used.
        UnknownNameError: If there is no such direction.
    """

    name = "hybrid-astar"

    def __init__(
        self,
        *,
        direction: str = "backward",
        weight: float = 1.0,
        cell: float = 0.15,
        heading_cell: float = math.radians(5.0),
        lengths: tuple[float, ...] = (0.3, 1.0),
        steering: tuple[float, ...] = (-1.0, 0.0, 1.0),
        margin: float = 0.01,
        gear_cost: float = 1.0,
        reverse_cost: float = 0.0,
        radii: tuple[float, ...] = (1.0, 1.5),
        allow_reversed_goal: bool = False,
        max_nodes: int = 1 << 19,
    ) -> None:
        if direction not in DIRECTIONS:
            raise UnknownNameError("direction", direction, DIRECTIONS)
        _check("weight", weight, 1.0, "a number of at least 1")
        _check("cell", cell, 0.01, "metres, at least 0.01")
        _check("heading_cell", heading_cell, math.radians(0.5), "radians, at least half a degree")
        _check("margin", margin, 0.0, "metres, 0 or more")
        _check("gear_cost", gear_cost, 0.0, "metres, 0 or more")
        _check("reverse_cost", reverse_cost, 0.0, "metres, 0 or more")
        if not radii or not all(math.isfinite(r) and r >= 1.0 for r in radii):
            raise ScenarioError("radii", radii, "one or more finite factors of at least 1")
        if not steering or not all(abs(share) <= 1.0 for share in steering):
            raise ScenarioError("steering", steering, "one or more shares in [-1, 1]")
        if not lengths or lengths[0] <= 0.0 or any(np.diff(lengths) <= 0.0):
            raise ScenarioError("lengths", lengths, "increasing metres above 0")
        _check("max_nodes", max_nodes, 1000, "a number of at least 1000")
        self.direction = direction
        self.weight = weight
        self.cell = cell
        self.heading_cell = heading_cell
        self.lengths = tuple(lengths)
        self.steering = tuple(steering)
        self.margin = margin
        self.gear_cost = gear_cost
        self.reverse_cost = reverse_cost
        self.radii = tuple(radii)
        self.allow_reversed_goal = allow_reversed_goal
        self._tree = make_tree(int(max_nodes))
        self._scratch = make_scratch(len(self.radii))
        _warm_up()

    def plan(self, scenario: Scenario, budget: float = 2.0, seed: int = 0) -> PlanResult:
        """Search; see :class:`hybridrl.planners.base.Planner`.

        Nothing is drawn, so the seed has no meaning. ``info["status"]`` is ``"optimal"`` (nothing
        on this grid is cheaper), ``"exhausted"`` (nothing on this grid gets there), ``"budget"`` or
        ``"memory"``; ``info["first_seconds"]`` is when the first path was there.
        """
        require_free(scenario)
        began = time.thread_time()
        goals = [scenario.goal]
        if self.allow_reversed_goal:
            goals.append(reversed_goal(scenario.goal, scenario.vehicle))
        path, expansions = None, 0
        best = make_best()
        info: dict[str, float | str | None] = {"status": "exhausted", "first_seconds": None}
        for i, goal in enumerate(goals):
            deadline = began + budget * (i + 1) / len(goals)
            before = best.cost[0]
            expansions += self._search(scenario, goal, deadline, began, best, info)
            if best.cost[0] < before:
                path = self._path(scenario, best)
        return checked_result(
            self.name, scenario, path, began, expansions=expansions, info=dict(info)
        )

    def _search(
        self,
        scenario: Scenario,
        goal: Pose,
        deadline: float,
        began: float,
        best: Best,
        info: dict[str, float | str | None],
    ) -> int:
        """Look for something cheaper than ``best``; how many nodes were expanded."""
        root, target = (scenario.start, goal)
        if self.direction == "backward":
            root, target = target, root
        task = self._task(scenario, target)
        rules = self._rules(scenario.vehicle)
        shots = default_rule(
            scenario.vehicle.min_radius,
            radii=self.radii,
            max_length=math.inf,
            gear_cost=self.gear_cost,
        )
        self._scratch.goal_reach[:] = -1.0
        clear(self._tree)
        plant(*root, self._tree, task, rules)
        status, expansions = SEARCHING, 0
        while status == SEARCHING and time.thread_time() < deadline:
            status, done = search(self._tree, task, rules, shots, self._scratch, best, BATCH)
            expansions += done
            if info["first_seconds"] is None and best.cost[0] < math.inf:
                info["first_seconds"] = time.thread_time() - began
        info["status"] = STATUS[status]
        return expansions

    def _task(self, scenario: Scenario, target: Pose) -> Task:
        body, obstacles, limits = scenario.vehicle.body, scenario.packed, scenario.limits
        field = distance_map((target[0], target[1]), limits, body, obstacles)
        return Task(np.array(target), body, obstacles, limits, field, scenario.vehicle.min_radius)

    def _rules(self, vehicle: VehicleSpec) -> Rules:
        return Rules(
            vehicle.max_curvature * np.array(self.steering, np.float64),
            np.array(self.lengths, np.float64),
            float(self.cell),
            float(self.heading_cell),
            float(self.margin),
            float(self.weight),
            float(self.gear_cost),
            float(self.reverse_cost),
            self.direction == "backward",
        )

    def _path(self, scenario: Scenario, best: Best) -> Path:
        """The best path of the tree at hand, in the order in which it is driven."""
        arcs = _arcs_to(self._tree, int(best.node[0]))
        n = best.count[0]
        word = zip(best.curvature[:n].tolist(), best.length[:n].tolist(), strict=True)
        arcs += list(word)
        if self.direction == "backward":
            arcs = [(curvature, -length) for curvature, length in reversed(arcs)]
        return Path.from_arcs(scenario.start, arcs)


def _arcs_to(tree: SearchTree, node: int) -> list[tuple[float, float]]:
    """Arcs from the root to a node."""
    out = np.empty((trace(tree, node, np.empty((0, 2))), 2))
    trace(tree, node, out)
    return [(float(curvature), float(length)) for curvature, length in out[::-1]]


def _check(name: str, value: float, low: float, expected: str) -> None:
    if not (isinstance(value, int | float) and low <= value < math.inf):
        raise ScenarioError(name, value, expected)


@cache
def _warm_up() -> None:
    """Compile everything now, so that no plan is timed with it."""
    block = np.array([(2.0, 1.5), (2.5, 1.5), (2.5, 2.0)])
    scenario = Scenario(start=(0.0, 0.0, 0.0), goal=(1.0, -3.0, 0.0), obstacles=(block,))
    HybridAStar().plan(scenario, budget=math.inf)
