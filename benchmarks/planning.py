"""Plan the scenarios of a file, and draw the answer."""

from __future__ import annotations

import math
from pathlib import Path as FilePath
from typing import Any

from hybridrl.benchmarks.runs import write_json
from hybridrl.envs.parking.kernels.records import DECISION_SECONDS
from hybridrl.planners.base import Planner
from hybridrl.planners.errors import ScenarioError
from hybridrl.planners.path import Path, PlanResult
from hybridrl.planners.path_check import check_path
from hybridrl.planners.registry import PLANNERS, make_planner
from hybridrl.planners.scenario import Scenario, load_scenarios, require_free

PICTURES = (".png", ".jpg", ".webp")
FILMS = (".gif", ".mp4")
KEEP_DISTANCE = ("auto", "best-of", "hybrid-astar", "rrt-connect", "rrt-star")


def plan_file(
    file: FilePath,
    planner: str,
    budget: float = 2.0,
    seed: int = 0,
    plot: FilePath | None = None,
    out: FilePath | None = None,
    clearance: float | None = None,
) -> list[dict[str, Any]]:
    """Plan every scenario of a JSON file.

    Args:
        file: Scenario file.
        planner: Registered name.
        budget: CPU seconds a scenario.
        seed: Of the planner's random draws.
        plot: Picture or film of the (only) scenario and its path.
        out: JSON file for the answers.
        clearance: Distance to keep from all obstacles, metres, where start and goal allow it.

    Returns:
        One JSON object a scenario: that of ``PlanResult``, the scenario's ``id`` and the path's
        ``segments``.

    Raises:
        ScenarioError: If the file or a scenario in it cannot be used, or the plot cannot be made.
        UnknownNameError: If there is no such planner.
    """
    scenarios = load_scenarios(file)
    for scenario in scenarios:
        require_free(scenario)
    if plot:
        require_suffix("plot", plot, PICTURES + FILMS)
        if len(scenarios) != 1:
            expected = f"a file with one scenario, not {len(scenarios)}"
            raise ScenarioError("plot", str(plot), expected)
    solver = _solver(planner, clearance)
    answers = []
    for scenario in scenarios:
        result = solver.plan(scenario, budget=budget, seed=seed)
        parts = segments(result.path, scenario) if result.path else []
        answers.append({"scenario": scenario.id, **result.to_json(), "segments": parts})
        if plot:
            draw(scenario, result, plot)
    if out:
        write_json(out, answers)
    return answers


def segments(path: Path, scenario: Scenario) -> list[dict[str, Any]]:
    """The arcs of a path, one JSON object each, in the order in which they are driven.

    Args:
        path: From the scenario's start.
        scenario: Whose vehicle drives among whose obstacles.

    Returns:
        ``gear`` (``forward`` or ``reverse``), ``curvature`` (1/m, left positive), ``length``
        (metres), ``clearance`` (smallest distance to an obstacle along it, metres; ``null`` without
        any) and ``seconds`` (half a second for each decision that drives it).
    """
    step = scenario.vehicle.max_speed * DECISION_SECONDS
    parts = []
    arcs = zip(path.knots.tolist(), path.curvatures.tolist(), path.lengths.tolist(), strict=False)
    for (x, y, heading), curvature, length in arcs:
        arc = Path.from_arcs((x, y, heading), [(curvature, length)])
        gap = check_path(arc, scenario).clearance
        parts.append(
            {
                "gear": "forward" if length > 0 else "reverse",
                "curvature": curvature,
                "length": abs(length),
                "clearance": gap if math.isfinite(gap) else None,
                "seconds": arc.decisions(step) * DECISION_SECONDS,
            }
        )
    return parts


def _solver(name: str, clearance: float | None) -> Planner:
    """The planner, keeping a distance where one is asked for."""
    if clearance is None:
        return make_planner(name)
    if name in PLANNERS and name not in KEEP_DISTANCE:
        raise ScenarioError("clearance", clearance, f"one of the planners {KEEP_DISTANCE}")
    return make_planner(name, clearance=clearance)


def draw(scenario: Scenario, result: PlanResult, file: FilePath) -> None:
    """A picture of the whole manoeuvre, or with a film's suffix the drive itself.

    Without a path there is nothing to film: the picture then shows the scene alone.
    """
    from hybridrl.benchmarks.animation import animate_path
    from hybridrl.envs.parking.drawing.stills import save_plan

    if file.suffix.lower() in FILMS and result.path is not None:
        animate_path(scenario, result.path, file)
    elif file.suffix.lower() in FILMS:
        save_plan(file.with_suffix(".png"), scenario, result)
    else:
        save_plan(file, scenario, result)


def require_suffix(option: str, file: FilePath, suffixes: tuple[str, ...]) -> None:
    """Refuse a file name whose suffix names no form that can be written.

    Raises:
        ScenarioError: Naming the suffixes that can.
    """
    if file.suffix.lower() not in suffixes:
        raise ScenarioError(option, str(file), f"a file that ends with {', '.join(suffixes)}")
