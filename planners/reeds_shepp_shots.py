"""Planners that answer with a single Reeds-Shepp curve: the baselines of ``parking.md`` 14.5."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import cache

import numpy as np

from hybridrl.planners.errors import ScenarioError
from hybridrl.planners.path import Path, PlanResult
from hybridrl.planners.path_check import check_path
from hybridrl.planners.reeds_shepp import shortest_path
from hybridrl.planners.rs_candidates import SEGMENTS
from hybridrl.planners.rs_search import (
    RADII,
    Scratch,
    SearchRule,
    default_rule,
    find_free,
    make_scratch,
)
from hybridrl.planners.scenario import Pose, Scenario, require_free
from hybridrl.planners.sweep import arcs_free
from hybridrl.planners.vehicle import VehicleSpec


def reversed_goal(goal: Pose, vehicle: VehicleSpec) -> Pose:
    """The pose that covers the same rectangle the other way round (``parking.md`` 4.3)."""
    x, y, heading = goal
    shift = 2.0 * vehicle.center_offset
    return x + shift * math.cos(heading), y + shift * math.sin(heading), heading + math.pi


class ShortestReedsShepp:
    """Only the shortest curve at the minimum radius: free or nothing.

    Args:
        allow_reversed_goal: Whether the car may also be parked the other way round.
    """

    name = "rs-shortest"

    def __init__(self, *, allow_reversed_goal: bool = False) -> None:
        self.allow_reversed_goal = allow_reversed_goal
        _warm_up()

    def plan(self, scenario: Scenario, budget: float = 2.0, seed: int = 0) -> PlanResult:
        """Test the shortest curve; see :class:`hybridrl.planners.base.Planner`.

        Budget and seed have no meaning here: it takes well under a millisecond.
        """
        return _plan(self.name, scenario, self._shoot, self.allow_reversed_goal)

    def _shoot(self, scenario: Scenario, goals: list[Pose]) -> tuple[Path | None, int]:
        radius = scenario.vehicle.min_radius
        paths = [shortest_path(scenario.start, goal, radius) for goal in goals]
        path = min(paths, key=lambda p: p.length)
        return path if _swept_free(path, scenario) else None, 1


class AnyReedsShepp:
    """The cheapest of all words at several radii that is free.

    Args:
        radii: Turning radii to try, in minimum radii, each at least 1.
        gear_cost: Metres that a change of direction counts for.
        reverse_cost: Metres that a metre in reverse counts for beside its length.
        max_length: Longer paths are left out, metres.
        allow_reversed_goal: Whether the car may also be parked the other way round.

    Raises:
        ScenarioError: If an option cannot be used.
    """

    name = "rs-any"

    def __init__(
        self,
        *,
        radii: tuple[float, ...] = RADII,
        gear_cost: float = 1.0,
        reverse_cost: float = 0.0,
        max_length: float = math.inf,
        allow_reversed_goal: bool = False,
    ) -> None:
        if not radii or not all(math.isfinite(r) and r >= 1.0 for r in radii):
            raise ScenarioError("radii", radii, "one or more finite factors of at least 1")
        for name, value in (("gear_cost", gear_cost), ("reverse_cost", reverse_cost)):
            if not 0.0 <= value < math.inf:
                raise ScenarioError(name, value, "a finite number of metres, 0 or more")
        if not max_length > 0.0:
            raise ScenarioError("max_length", max_length, "metres above 0")
        self.radii = tuple(radii)
        self.gear_cost = gear_cost
        self.reverse_cost = reverse_cost
        self.max_length = max_length
        self.allow_reversed_goal = allow_reversed_goal
        self._scratch = make_scratch(len(self.radii))
        _warm_up()

    def plan(self, scenario: Scenario, budget: float = 2.0, seed: int = 0) -> PlanResult:
        """Test word after word; see :class:`hybridrl.planners.base.Planner`.

        Budget and seed have no meaning here: all words take well under a millisecond.
        """
        return _plan(self.name, scenario, self._shoot, self.allow_reversed_goal)

    def _shoot(self, scenario: Scenario, goals: list[Pose]) -> tuple[Path | None, int]:
        found = [self._search(scenario, goal) for goal in goals]
        paths = [path for path, _ in found if path is not None]
        return min(paths, key=self._cost, default=None), sum(tested for _, tested in found)

    def _cost(self, path: Path) -> float:
        changes = self.gear_cost * path.gear_changes
        return path.length + changes + self.reverse_cost * path.reverse_length

    def _search(self, scenario: Scenario, goal: Pose) -> tuple[Path | None, int]:
        rule = default_rule(
            scenario.vehicle.min_radius,
            radii=self.radii,
            max_length=self.max_length,
            gear_cost=self.gear_cost,
            reverse_cost=self.reverse_cost,
        )
        return _search(scenario, goal, rule, self._scratch)


def _swept_free(path: Path, scenario: Scenario) -> bool:
    """The quick test that spares most blocked curves the slow replay."""
    body, n = scenario.vehicle.body, len(path.lengths)
    return bool(arcs_free(*path.start, path.curvatures, path.lengths, n, body, scenario.packed))


def _search(
    scenario: Scenario, goal: Pose, rule: SearchRule, scratch: Scratch
) -> tuple[Path | None, int]:
    """The first free word and how many were tested."""
    curvature, length = np.zeros(SEGMENTS), np.zeros(SEGMENTS)
    n = find_free(
        *scenario.start, *goal, rule, scenario.vehicle.body, scenario.packed,
        scenario.limits, False, curvature, length, scratch,
    )  # fmt: skip
    path = Path(scenario.start, curvature[:n].copy(), length[:n].copy())
    arrived = n > 0 or bool(np.allclose(scenario.start, goal, rtol=0.0, atol=1e-9))
    return path if arrived else None, int(scratch.tested[0])


def _plan(
    name: str,
    scenario: Scenario,
    shoot: Callable[[Scenario, list[Pose]], tuple[Path | None, int]],
    allow_reversed_goal: bool,
) -> PlanResult:
    """Run one shot and keep its path only if the exact check agrees."""
    require_free(scenario)
    _ = scenario.packed  # loading, not planning
    began = time.thread_time()
    goals: list[Pose] = [scenario.goal]
    if allow_reversed_goal:
        goals.append(reversed_goal(scenario.goal, scenario.vehicle))
    path, tested = shoot(scenario, goals)
    check = check_path(path, scenario) if path is not None else None
    seconds = time.thread_time() - began
    if path is None or check is None or not check.clean:
        return PlanResult(path=None, seconds=seconds, expansions=tested, planner=name)
    return PlanResult(
        path=path, seconds=seconds, expansions=tested, clearance=check.clearance, planner=name
    )


@cache
def _warm_up() -> None:
    """Compile everything now, so that no plan is timed with it."""
    block = np.array([(8.0, 8.0), (9.0, 8.0), (9.0, 9.0)])
    scenario = Scenario(start=(0.0, 0.0, 0.0), goal=(1.0, 0.0, 0.0), obstacles=(block,))
    path = shortest_path(scenario.start, scenario.goal, scenario.vehicle.min_radius)
    _swept_free(path, scenario)
    check_path(path, scenario)
    _search(scenario, scenario.goal, default_rule(1.0, radii=(1.0,)), make_scratch(1))
