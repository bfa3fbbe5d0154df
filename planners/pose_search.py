"""One best-first search over poses that can be stopped, resumed and bounded from outside."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hybridrl.planners.astar_kernel import (
    DONE,
    EXHAUSTED,
    FULL,
    SEARCHING,
    Rules,
    Task,
    make_best,
    plant,
    search,
)
from hybridrl.planners.errors import ScenarioError, UnknownNameError
from hybridrl.planners.grid import distance_map
from hybridrl.planners.path import Path
from hybridrl.planners.reeds_shepp_shots import reversed_goal
from hybridrl.planners.results import safe_body
from hybridrl.planners.rs_search import default_rule, make_scratch
from hybridrl.planners.scenario import Pose, Scenario
from hybridrl.planners.search_tree import SearchTree, clear, make_tree, trace

DIRECTIONS = ("both", "backward", "forward")
STATUS = {SEARCHING: "budget", DONE: "optimal", EXHAUSTED: "exhausted", FULL: "memory"}
BATCH = 32  # expansions between two looks at the clock, about a millisecond
HASTE = 2.0  # weight of the heuristic until there is a path
LEVELS = 4  # grids, each half as coarse as the one before


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """How poses are searched.

    The cost is ``length + gear_cost * gear changes + reverse_cost * reverse length``.

    Args:
        direction: ``"backward"`` searches from the goal to the start, ``"forward"`` the other way,
            ``"both"`` takes turns until one of them has a path. Leaving a slot is easy and finding
            its mouth is not, so it is best to begin at the narrower end.
        weight: Of the heuristic, at least 1; larger ones give up quality for speed.
        cell: Side of a grid cell, metres, at least 0.02.
        heading_cell: Range of headings in a cell, radians, at least one degree.
        fine: Cells near the root are smaller by this factor, in [0.1, 1].
        fine_radius: How near, metres.
        lengths: Arc lengths that are driven, metres, increasing, below a quarter turn; the exact
            length to the first contact is added where it is shorter than the longest.
        steering: Curvatures that are driven, as shares of the largest, each in [-1, 1].
        margin: Distance kept to the first contact at the end of an arc, metres.
        clearance: Distance that is kept to all obstacles, metres; less where the start or the goal
            leaves less than twice as much room.
        gear_cost: Metres that a change of direction counts for.
        reverse_cost: Metres that a metre in reverse counts for beside its length.
        radii: Turning radii of the shots at the target, in minimum radii.
        max_nodes: Memory limit of each direction; about 80 bytes a node, taken when used.

    Raises:
        ScenarioError: If an option cannot be used.
        UnknownNameError: If there is no such direction.
    """

    direction: str = "both"
    weight: float = 1.1
    cell: float = 0.2
    heading_cell: float = math.radians(7.5)
    fine: float = 0.25
    fine_radius: float = 2.0
    lengths: tuple[float, ...] = (0.5, 1.5)
    steering: tuple[float, ...] = (-1.0, 0.0, 1.0)
    margin: float = 0.01
    clearance: float = 0.001
    gear_cost: float = 1.0
    reverse_cost: float = 0.0
    radii: tuple[float, ...] = (1.0, 1.5)
    max_nodes: int = 1 << 19

    def __post_init__(self) -> None:
        """Refuse what cannot be used, naming the option."""
        if self.direction not in DIRECTIONS:
            raise UnknownNameError("direction", self.direction, DIRECTIONS)
        lows = {"weight": 1.0, "cell": 0.02, "heading_cell": math.radians(1.0), "fine": 0.1}
        for name in (*lows, "fine_radius", "margin", "clearance", "gear_cost", "reverse_cost"):
            value, low = getattr(self, name), lows.get(name, 0.0)
            if not (isinstance(value, int | float) and low <= value < math.inf):
                raise ScenarioError(name, value, f"a finite number, {low:.4g} or more")
        if self.fine > 1.0:
            raise ScenarioError("fine", self.fine, "a number in [0.1, 1]")
        _check_all("radii", self.radii, 1.0, math.inf)
        _check_all("steering", self.steering, -1.0, 1.0)
        _check_all("lengths", self.lengths, 0.01, math.inf)
        if any(np.diff(self.lengths) <= 0.0):
            raise ScenarioError("lengths", self.lengths, "increasing metres")
        if not self.max_nodes >= 1000:
            raise ScenarioError("max_nodes", self.max_nodes, "a number of at least 1000")


class PoseSearch:
    """A search from one pose to another with its own memory.

    Args:
        options: See :class:`SearchOptions`.
        backward: Whether to search from the goal to the start.
    """

    def __init__(self, options: SearchOptions, backward: bool) -> None:
        self.options = options
        self.backward = backward
        self.path: Path | None = None
        self.status = EXHAUSTED
        self.expansions = 0
        self._tree = make_tree(int(options.max_nodes))
        self._scratch = make_scratch(len(options.radii))
        self._best = make_best()

    @property
    def cost(self) -> float:
        """Of the best path, metres; the bound that was set where there is none."""
        return float(self._best.cost[0])

    def begin(self, scenario: Scenario, goal: Pose, bound: float = math.inf) -> None:
        """Take up a task and forget the last one.

        Args:
            scenario: The problem; its own goal is not looked at.
            goal: Pose to reach.
            bound: Only paths that cost less are wanted, metres.
        """
        root, target = (goal, scenario.start) if self.backward else (scenario.start, goal)
        body, obstacles = safe_body(scenario, self.options.clearance), scenario.packed
        limits, vehicle = scenario.limits, scenario.vehicle
        field = distance_map((target[0], target[1]), limits, body, obstacles)
        self._task = Task(
            np.array(root), np.array(target), body, obstacles, limits, field, vehicle.min_radius
        )
        self._curvature = vehicle.max_curvature
        self._shots = default_rule(
            vehicle.min_radius,
            radii=self.options.radii,
            max_length=math.inf,
            gear_cost=self.options.gear_cost,
        )
        self._start = scenario.start
        self._scratch.goal_reach[:] = -1.0
        self._best.cost[0] = bound
        self.path = None
        self.expansions = 0
        self._lay_grid(0, hasty=math.isinf(bound))

    def step(self, expansions: int = BATCH) -> None:
        """Expand some nodes.

        The first grid is coarse everywhere and the heuristic heavy; on a grid without a path it
        goes on with a finer one, and from the first path with the grid that was asked for.
        """
        before = self.cost
        self.status, done = search(
            self._tree, self._task, self._rules, self._shots, self._scratch, self._best, expansions
        )
        self.expansions += done
        if self.cost < before:
            self.path = self._trace_path()
        if self.status == EXHAUSTED and self._level + 1 < LEVELS:
            self._lay_grid(self._level + 1, hasty=True)
        elif self.status == DONE and self._hasty:
            self._lay_grid(max(0, self._level - 1), hasty=False)

    def _lay_grid(self, level: int, hasty: bool) -> None:
        """Begin at the root, on the grid of a level."""
        o, scale = self.options, 0.5**level
        self._level = level
        self._hasty = hasty
        self._rules = Rules(
            self._curvature * np.array(o.steering, np.float64),
            np.array(o.lengths, np.float64),
            float(o.cell) * scale,
            float(o.heading_cell) * scale,
            1.0 if hasty else float(o.fine),
            float(o.fine_radius),
            float(o.margin) * scale,
            max(HASTE, float(o.weight)) if hasty else float(o.weight),
            float(o.gear_cost),
            float(o.reverse_cost),
            self.backward,
        )
        clear(self._tree)
        plant(self._tree, self._task, self._rules)
        self.status = SEARCHING

    def _trace_path(self) -> Path:
        """The best path, in the order in which it is driven."""
        best = self._best
        arcs = _arcs_to(self._tree, int(best.node[0]))
        n = best.segments[0]
        arcs += list(zip(best.curvature[:n].tolist(), best.length[:n].tolist(), strict=True))
        if self.backward:
            arcs = [(curvature, -length) for curvature, length in reversed(arcs)]
        return Path.from_arcs(self._start, arcs)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What searches have found so far.

    Args:
        path: The best path.
        cost: Its cost, metres.
        found: ``time.thread_time()`` when the first path was there, seconds.
        expansions: Nodes expanded by all searches.
        status: Of the last search; see ``STATUS``.
        backward: Whether the last path was found backwards.
    """

    path: Path | None = None
    cost: float = math.inf
    found: float = math.nan
    expansions: int = 0
    status: int = EXHAUSTED
    backward: bool = True


def race(
    searches: Sequence[PoseSearch],
    scenario: Scenario,
    goal: Pose,
    deadline: float,
    known: Finding,
) -> Finding:
    """Let searches take turns until one has a path, then let that one finish.

    Args:
        searches: One or more.
        scenario: The problem.
        goal: Pose to reach.
        deadline: Of ``time.thread_time()``, seconds; one turn is always given.
        known: Only paths that are cheaper than this one are looked for.

    Returns:
        The better one of what was known and what was found.
    """
    for one in searches:
        one.begin(scenario, goal, known.cost)
    running = list(searches)
    found = known.found
    turn = 0
    while running and (turn == 0 or time.thread_time() < deadline):
        one = running[turn % len(running)]
        one.step()
        if one.path is not None and len(running) > 1:
            running = [one]
        if one.path is not None and math.isnan(found):
            found = time.thread_time()
        if one.status != SEARCHING:
            running.remove(one)
        turn += 1
    best = min(searches, key=lambda one: one.cost if one.path else math.inf)
    better = best.path is not None
    return Finding(
        path=best.path if better else known.path,
        cost=best.cost if better else known.cost,
        found=found,
        expansions=known.expansions + sum(one.expansions for one in searches),
        status=best.status,
        backward=best.backward if better else known.backward,
    )


def ways(options: SearchOptions) -> list[bool]:
    """Whether to search backwards, once for each search that the direction asks for."""
    return {"both": [True, False], "backward": [True], "forward": [False]}[options.direction]


def goals_of(scenario: Scenario, allow_reversed: bool) -> list[Pose]:
    """The goal, and the same rectangle the other way round where that is allowed."""
    goals: list[Pose] = [scenario.goal]
    return goals + [reversed_goal(scenario.goal, scenario.vehicle)] * allow_reversed


def _arcs_to(tree: SearchTree, node: int) -> list[tuple[float, float]]:
    """Arcs from the root to a node."""
    out = np.empty((trace(tree, node, np.empty((0, 2))), 2))
    trace(tree, node, out)
    return [(float(curvature), float(length)) for curvature, length in out[::-1]]


def _check_all(name: str, values: tuple[float, ...], low: float, high: float) -> None:
    if not values or not all(math.isfinite(v) and low <= v <= high for v in values):
        raise ScenarioError(name, values, f"one or more finite numbers in [{low}, {high}]")
