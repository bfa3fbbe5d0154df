"""The parking suite: every planner on the fixed scenes of every class (``parking.md`` 14.3-14.5).

A trial is one planner on a chunk of one class's scenes. Each path it returns is checked again at
1 cm: one that touches anything counts as a failure and stands in a column of its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from hybridrl.benchmarks.parking_tables import tables
from hybridrl.benchmarks.plots import parking_plots as plots
from hybridrl.benchmarks.results import ResultRow, row_of
from hybridrl.benchmarks.rows_file import read_rows, write_rows
from hybridrl.benchmarks.runs import RunConfig, RunResult
from hybridrl.benchmarks.suites import Request
from hybridrl.envs.parking.scenes import fixed_scenes
from hybridrl.planners.base import Planner
from hybridrl.planners.path_check import check_path
from hybridrl.planners.registry import make_planner
from hybridrl.planners.scenario import Scenario

__all__ = ["plots", "run_chunk", "summarise", "tables", "trials", "variant"]

CHUNK = 20  # scenes a trial: what an interrupted run loses at most
# Their paths are near the shortest: a ratio of lengths needs one of them beside it.
SEARCHES = ("hybrid-astar", "best-of")
DECISIONS = (5, 10, 15, 20, 25, 30, 40, 60, 80, 120, 200)  # of the budget curve


@dataclass(frozen=True)
class Episode:
    """One planner on one scene; a column of ``episodes.csv`` each.

    Args:
        scene: Identifier of the scene.
        found: Whether a path was returned.
        clean: Whether it touches nothing when checked at 1 cm, stays inside and ends parked.
        seconds: CPU seconds of planning.
        length: Driven metres.
        gear_changes: Changes of direction.
        clearance: Smallest distance to an obstacle, metres.
        decisions: Decisions of at most 1.25 m that drive the path.
        expansions: The planner's own unit of work.
    """

    scene: str
    found: bool
    clean: bool
    seconds: float
    length: float
    gear_changes: float
    clearance: float
    decisions: float
    expansions: int


def variant(tier: str, settings: dict[str, Any]) -> str:
    """Tier and budget, as in ``cpu-2s``."""
    return f"{tier}-{settings['budget']:g}s"


def trials(request: Request) -> list[RunConfig]:
    """One trial for each class, planner, seed and chunk of scenes."""
    scenes, budget = request.settings["scenes"], request.settings["budget"]
    return [
        request.trial(
            env=env,
            agent=agent,
            work="hybridrl.benchmarks.parking:run_chunk",
            seed=seed,
            part=f"scenes-{first:04d}-{min(first + CHUNK, scenes):04d}",
            settings={"first": first, "last": min(first + CHUNK, scenes), "budget": budget},
        )
        for first in range(0, scenes, CHUNK)
        for env in request.envs
        for agent in request.agents
        for seed in request.seeds
    ]


def run_chunk(config: RunConfig, folder: Path) -> dict[str, Any]:
    """Plan the scenes of one trial and write ``episodes.csv``."""
    first, last, budget = (config.settings[k] for k in ("first", "last", "budget"))
    planner = _warm_planner(config.agent, budget)
    scenes = fixed_scenes(config.env, last - first, first_seed=first)
    episodes = [plan_episode(planner, scene, budget, config.seed) for scene in scenes]
    write_rows(folder / "episodes.csv", Episode, episodes)
    return {"episodes": len(episodes), "successes": sum(e.clean for e in episodes)}


def plan_episode(planner: Planner, scene: Scenario, budget: float, seed: int) -> Episode:
    """Plan one scene and check the answer at 1 cm."""
    result = planner.plan(scene, budget=budget, seed=seed)
    check = check_path(result.path, scene, spacing=0.01) if result.path else None
    return Episode(
        scene=scene.id,
        found=result.success,
        clean=check is not None and check.clean,
        seconds=result.seconds,
        length=result.length,
        gear_changes=result.gear_changes,
        clearance=check.clearance if check else math.nan,
        decisions=float(result.path.decisions()) if result.path else math.nan,
        expansions=result.expansions,
    )


@lru_cache(maxsize=16)
def _warm_planner(name: str, budget: float) -> Planner:
    """A planner whose code is compiled, so that no timing holds the compiler's time."""
    planner = make_planner(name)
    for scene in fixed_scenes("normal-parallel", 2):
        plan_episode(planner, scene, budget, seed=0)
    return planner


def summarise(results: Sequence[RunResult], root: Path) -> list[ResultRow]:
    """Long rows of every (class, planner, seed) whose trials are all done."""

    def run_of(result: RunResult) -> tuple[str, str, int]:
        return result.config.env, result.config.agent, result.config.seed

    order = {run_of(result): i for i, result in reversed(list(enumerate(results)))}
    groups = groupby(sorted(results, key=lambda r: order[run_of(r)]), key=run_of)
    runs = [list(group) for _, group in groups]
    done = [run for run in runs if all(part.status != "failed" for part in run)]
    episodes = [[e for part in run for e in _episodes_of(part, root)] for run in done]
    searched = any(run[0].config.agent in SEARCHES for run in done)
    best = _best_lengths([e for run in episodes for e in run]) if searched else None
    return [
        row for run, own in zip(done, episodes, strict=True) for row in _rows_of_run(run, own, best)
    ]


def _episodes_of(part: RunResult, root: Path) -> list[Episode]:
    return read_rows(part.config.folder(root) / "episodes.csv", Episode)


def _best_lengths(episodes: Sequence[Episode]) -> dict[str, float]:
    """The shortest clean path of each scene that any run has found, metres."""
    best: dict[str, float] = {}
    for e in episodes:
        if e.clean:
            best[e.scene] = min(e.length, best.get(e.scene, math.inf))
    return best


def _rows_of_run(
    parts: Sequence[RunResult], episodes: Sequence[Episode], best: Mapping[str, float] | None
) -> list[ResultRow]:
    whole: dict[str, Any] = {
        "wall_s": sum(part.wall_s for part in parts),
        "version": "+".join(sorted({part.version for part in parts})),
        "commit": "+".join(sorted({part.commit for part in parts})),
    }
    return [
        row_of(parts[0], metric, value, n, **whole)
        for metric, (value, n) in metrics(episodes, best).items()
    ]


def metrics(
    episodes: Sequence[Episode], best: Mapping[str, float] | None = None
) -> dict[str, tuple[float, int]]:
    """Every number of a run and how many episodes are behind it.

    Lengths, gear changes, clearances and decisions are of clean paths; seconds of all scenes.

    Args:
        episodes: Of one run.
        best: Length of the shortest known path of each scene, metres; ``length_ratio`` is over it.
    """
    n = len(episodes)
    good = [e for e in episodes if e.clean]
    numbers = {
        "success": (len(good) / n, n),
        "not_clean": (sum(e.found and not e.clean for e in episodes) / n, n),
    }
    for limit in DECISIONS:
        numbers[f"success_within_{limit}"] = (sum(e.decisions <= limit for e in good) / n, n)
    for name in ("length_m", "gear_changes", "clearance_m", "decisions"):
        values = np.array([getattr(e, name.removesuffix("_m")) for e in good])
        numbers |= _distribution(name, values)
    if best is not None:
        numbers |= _distribution("length_ratio", np.array([e.length / best[e.scene] for e in good]))
    numbers |= _distribution("seconds", np.array([e.seconds for e in episodes]))
    return numbers


def _distribution(name: str, values: np.ndarray[Any, Any]) -> dict[str, tuple[float, int]]:
    if not values.size:
        return {}
    numbers = {f"{name}_mean": (float(values.mean()), values.size)}
    for p in (5, 25, 50, 75, 95):
        numbers[f"{name}_p{p}"] = (float(np.percentile(values, p)), values.size)
    return numbers
