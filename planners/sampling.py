"""Sampling planners of OMPL in Reeds-Shepp space, with this project's exact collision check."""

from __future__ import annotations

import math
import time
from itertools import pairwise
from types import ModuleType
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hybridrl.planners.astar_kernel import Bounds, arc_inside
from hybridrl.planners.errors import ScenarioError
from hybridrl.planners.geometry import advance_pose, pose_free
from hybridrl.planners.obstacles import Obstacles
from hybridrl.planners.path import Path, PlanResult
from hybridrl.planners.reeds_shepp import to_start_frame
from hybridrl.planners.results import checked_result, safe_body
from hybridrl.planners.rs_candidates import COLUMNS, SEGMENTS, WORDS, candidates, expand
from hybridrl.planners.scenario import Pose, Scenario, require_free
from hybridrl.planners.smoothing import shortcut
from hybridrl.planners.sweep import arcs_free
from hybridrl.planners.vehicle import Body

Array = NDArray[np.float64]
PIECE = 0.5  # metres: arcs are tested against the bounds in pieces of this length


@njit(cache=True, error_model="numpy")
def shortest_word(
    ax: float, ay: float, ah: float, bx: float, by: float, bh: float, radius: float,
    curvature: Array, length: Array,
) -> float:  # fmt: skip
    """The shortest Reeds-Shepp word between two poses; equal poses give equal words.

    Args:
        ax: Rear axle, world frame, metres.
        ay: See ``ax``.
        ah: Radians.
        bx: Pose to reach.
        by: See ``bx``.
        bh: Radians.
        radius: Turning radius, metres.
        curvature: Filled with 1/m, shape ``(5,)``, zero padded.
        length: Filled with signed metres, shape ``(5,)``, zero padded.

    Returns:
        Its length, metres.
    """
    table = np.empty((WORDS + 1, COLUMNS))
    x, y, h = to_start_frame(ax, ay, ah, bx, by, bh, radius)
    n = candidates(x, y, h, table)
    best = 0
    for i in range(1, n):
        if table[i, 4] < table[best, 4]:
            best = i
    expand(table[best], curvature, length)
    for j in range(SEGMENTS):
        curvature[j] /= radius
        length[j] *= radius
    return radius * float(table[best, 4])


@njit(cache=True, error_model="numpy")
def motion_free(
    ax: float, ay: float, ah: float, bx: float, by: float, bh: float, radius: float,
    body: Body, obstacles: Obstacles, bounds: Bounds,
) -> bool:  # fmt: skip
    """Whether the shortest word between two poses touches nothing and stays inside the bounds."""
    curvature = np.empty(SEGMENTS)
    length = np.empty(SEGMENTS)
    shortest_word(ax, ay, ah, bx, by, bh, radius, curvature, length)
    if not pose_free(ax, ay, ah, body, obstacles):
        return False
    if not arcs_free(ax, ay, ah, curvature, length, SEGMENTS, body, obstacles):
        return False
    x, y, h = ax, ay, ah
    for k, s in zip(curvature, length):  # noqa: B905 - numba has no strict
        pieces = math.ceil(abs(s) / PIECE)
        for _ in range(pieces):
            nx, ny, h = advance_pose(x, y, h, k, s / pieces)
            if not arc_inside(x, y, nx, ny, k, s / pieces, bounds):
                return False
            x, y = nx, ny
    return True


class SamplingPlanner:
    """What the two planners share; use :class:`RRTConnect` or :class:`RRTStar`.

    Args:
        step: Longest motion that is added at once, metres.
        smoothing: CPU seconds of shortcuts after a path was found, as far as the budget goes.
        clearance: Distance that is kept to all obstacles, metres; less where the start or the goal
            leaves less than twice as much room.

    Raises:
        ScenarioError: If an option cannot be used.
        ImportError: If OMPL is not installed.
    """

    name = ""
    stops_at_first = True

    def __init__(
        self, *, step: float = 5.0, smoothing: float = 0.2, clearance: float = 0.001
    ) -> None:
        for field, value, low in (
            ("step", step, 0.01),
            ("smoothing", smoothing, 0.0),
            ("clearance", clearance, 0.0),
        ):
            if not (isinstance(value, int | float) and low <= value < math.inf):
                raise ScenarioError(field, value, f"a finite number, {low} or more")
        self.step = step
        self.smoothing = smoothing
        self.clearance = clearance
        _import_ompl()
        self._compile()

    def plan(self, scenario: Scenario, budget: float = 2.0, seed: int = 0) -> PlanResult:
        """Grow trees of Reeds-Shepp motions; see :class:`hybridrl.planners.base.Planner`.

        ``expansions`` counts checked motions; ``info`` has when OMPL was done and the path before
        shortcuts.
        """
        require_free(scenario)
        began = time.thread_time()
        end = began + budget
        reserve = 0.0 if self.stops_at_first else min(self.smoothing, 0.25 * budget)
        poses, checked = self._solve(scenario, end - reserve, seed)
        info: dict[str, Any] = {}
        path = _to_path(scenario, poses) if poses else None
        if path is not None:
            now = time.thread_time()
            info["first_seconds"] = now - began
            info["raw_length"] = path.length
            info["raw_gear_changes"] = path.gear_changes
            path = shortcut(path, scenario, min(end - now, self.smoothing), seed)
        return checked_result(self.name, scenario, path, began, expansions=checked, info=info)

    def _planner(self, geometric: ModuleType, information: Any) -> Any:
        """OMPL's planner with its options."""
        planner = geometric.RRTConnect(information)
        planner.setRange(self.step)
        return planner

    def _solve(self, scenario: Scenario, deadline: float, seed: int) -> tuple[list[Pose], int]:
        """The poses of OMPL's solution, none without one; how many motions were checked.

        The tree is rooted at the goal, as slots are easier to leave than to enter.
        """
        base, geometric, util = _import_ompl()
        util.setLogLevel(util.LOG_NONE)
        util.RNG.setSeed(seed + 1)
        body = safe_body(scenario, self.clearance)
        setup, motions = _make_setup(base, geometric, scenario, body)
        setup.setPlanner(self._planner(geometric, setup.getSpaceInformation()))
        late = base.PlannerTerminationCondition(lambda: time.thread_time() >= deadline)
        setup.solve(late)
        poses: list[Pose] = []
        if setup.haveExactSolutionPath():
            states = setup.getSolutionPath().getStates()
            poses = [(s.getX(), s.getY(), s.getYaw()) for s in reversed(states)]
        return poses, motions.checked

    def _compile(self) -> None:
        """Compile everything now, so that no plan is timed with it."""
        block = np.array([(2.0, 1.5), (2.5, 1.5), (2.5, 2.0)])
        scenario = Scenario(start=(0.0, 0.0, 0.0), goal=(1.0, -3.0, 0.0), obstacles=(block,))
        vehicle = scenario.vehicle
        scene = (safe_body(scenario, self.clearance), scenario.packed, scenario.limits)
        motion_free(*scenario.start, *scenario.goal, vehicle.min_radius, *scene)
        path = shortcut(_to_path(scenario, [scenario.start, scenario.goal]), scenario, 0.1)
        checked_result(self.name, scenario, path, 0.0)


class RRTConnect(SamplingPlanner):
    """RRT-Connect (Kuffner and LaValle, 2000) through OMPL, then shortcuts.

    Args:
        step: Longest motion that is added at once, metres.
        smoothing: CPU seconds of shortcuts after a path was found, as far as the budget goes.
        clearance: Distance that is kept to all obstacles, metres.
    """

    name = "rrt-connect"


class RRTStar(SamplingPlanner):
    """RRT* (Karaman and Frazzoli, 2011) through OMPL: uses the whole budget to shorten its path.

    Args:
        step: Longest motion that is added at once, metres.
        smoothing: CPU seconds of shortcuts at the end, at most a quarter of the budget.
        clearance: Distance that is kept to all obstacles, metres.
    """

    name = "rrt-star"
    stops_at_first = False

    def _planner(self, geometric: ModuleType, information: Any) -> Any:
        planner = geometric.RRTstar(information)
        planner.setRange(self.step)
        return planner


def _to_path(scenario: Scenario, poses: list[Pose]) -> Path:
    """The words between the poses, exactly those that were checked."""
    curvature, length = np.empty(SEGMENTS), np.empty(SEGMENTS)
    arcs: list[tuple[float, float]] = []
    for a, b in pairwise(poses):
        shortest_word(*a, *b, scenario.vehicle.min_radius, curvature, length)
        arcs += list(zip(curvature.tolist(), length.tolist(), strict=True))
    return Path.from_arcs(scenario.start, arcs)


def _import_ompl() -> tuple[Any, Any, Any]:
    try:
        from ompl import base, geometric, util
    except ImportError as error:
        raise ImportError(
            "the planners rrt-connect and rrt-star need the package ompl, which has no wheel for "
            "every platform: pip install ompl, or use best-of or hybrid-astar"
        ) from error
    return base, geometric, util


def _make_setup(base: Any, geometric: Any, scenario: Scenario, body: Body) -> tuple[Any, Any]:
    """OMPL's simple setup from goal to start, and the motion validator that counts."""
    space = base.ReedsSheppStateSpace(scenario.vehicle.min_radius)
    space.setBounds(_bounds(base, scenario))
    setup = geometric.SimpleSetup(space)
    information = setup.getSpaceInformation()
    scene = (body, scenario.packed, scenario.limits)
    radius = scenario.vehicle.min_radius

    class Motions(base.MotionValidator):  # type: ignore[misc]
        """Sweeps the word that the final path will drive, which is from ``b`` to ``a``."""

        checked = 0

        def checkMotion(self, a: Any, b: Any) -> bool:
            """Whether the car meets nothing on its way between two states."""
            self.checked += 1
            return motion_free(
                b.getX(), b.getY(), b.getYaw(), a.getX(), a.getY(), a.getYaw(), radius, *scene
            )

    def free(state: Any) -> bool:
        inside = space.satisfiesBounds(state)
        return bool(inside and pose_free(state.getX(), state.getY(), state.getYaw(), *scene[:2]))

    motions = Motions(information)
    information.setMotionValidator(motions)
    setup.setStateValidityChecker(free)
    setup.setStartAndGoalStates(_state(space, scenario.goal), _state(space, scenario.start))
    return setup, motions


def _bounds(base: Any, scenario: Scenario) -> Any:
    xmin, xmax, ymin, ymax = scenario.limits
    bounds = base.RealVectorBounds(2)
    for axis, low, high in ((0, xmin, xmax), (1, ymin, ymax)):
        bounds.setLow(axis, low)
        bounds.setHigh(axis, high)
    return bounds


def _state(space: Any, pose: Pose) -> Any:
    state = space.allocState()
    state.setXY(pose[0], pose[1])
    state.setYaw(math.remainder(pose[2], 2.0 * math.pi))
    return state
