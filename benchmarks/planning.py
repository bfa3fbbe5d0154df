"""Plan the scenarios of a file, and draw the answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hybridrl.benchmarks.runs import write_json
from hybridrl.planners.base import Planner
from hybridrl.planners.errors import ScenarioError
from hybridrl.planners.path import PlanResult
from hybridrl.planners.registry import PLANNERS, make_planner
from hybridrl.planners.scenario import Scenario, load_scenarios, require_free

PICTURES = (".png", ".jpg", ".webp")
FILMS = (".gif", ".mp4")
KEEP_DISTANCE = ("best-of", "hybrid-astar", "rrt-connect", "rrt-star")


def plan_file(
    file: Path,
    planner: str,
    budget: float = 2.0,
    seed: int = 0,
    plot: Path | None = None,
    out: Path | None = None,
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
        One JSON object a scenario: that of ``PlanResult`` and the scenario's ``id``.

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
        answers.append({"scenario": scenario.id, **result.to_json()})
        if plot:
            draw(scenario, result, plot)
    if out:
        write_json(out, answers)
    return answers


def _solver(name: str, clearance: float | None) -> Planner:
    """The planner, keeping a distance where one is asked for."""
    if clearance is None:
        return make_planner(name)
    if name in PLANNERS and name not in KEEP_DISTANCE:
        raise ScenarioError("clearance", clearance, f"one of the planners {KEEP_DISTANCE}")
    return make_planner(name, clearance=clearance)


def draw(scenario: Scenario, result: PlanResult, file: Path) -> None:
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


def require_suffix(option: str, file: Path, suffixes: tuple[str, ...]) -> None:
    """Refuse a file name whose suffix names no form that can be written.

    Raises:
        ScenarioError: Naming the suffixes that can.
    """
    if file.suffix.lower() not in suffixes:
        raise ScenarioError(option, str(file), f"a file that ends with {', '.join(suffixes)}")
