"""What each demand of a real car costs: policies and planners on variants of the parking task.

Columns are variants of the headline level and the classes beyond HOPE. A policy is driven in the
environment with the variant's keywords; a search planner, which knows the map, plans the variant's
scenes, and under rate limits its decisions are those of driving each arc from rest to rest with
the wheels turned beforehand, as the environment's own hand-over does. Every path is checked
at 1 cm.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from hybridrl.agents.hope.weights import load_network
from hybridrl.benchmarks.hope_rollouts import drive_all
from hybridrl.benchmarks.parking import Episode, summarise
from hybridrl.benchmarks.parking_feasible import solve
from hybridrl.benchmarks.parking_tables import class_tables
from hybridrl.benchmarks.plots import parking_plots as plots
from hybridrl.benchmarks.results import ResultRow, pooled
from hybridrl.benchmarks.rows_file import write_rows
from hybridrl.benchmarks.runs import RunConfig
from hybridrl.benchmarks.suites import Request
from hybridrl.benchmarks.tables import Table
from hybridrl.envs.parking.config import TOLERANCE, ParkingOptions, make_config
from hybridrl.envs.parking.kernels.dynamics import arc_decisions
from hybridrl.envs.parking.kernels.records import ROW, SUCCESS, vehicle_record
from hybridrl.envs.parking.rollouts import GEAR_COST
from hybridrl.envs.parking.scenes import fixed_scenes
from hybridrl.planners.base import Planner
from hybridrl.planners.path import Path as Drive
from hybridrl.planners.path_check import check_path, within
from hybridrl.planners.registry import make_planner
from hybridrl.planners.scenario import Scenario

__all__ = ["plots", "run_chunk", "summarise", "tables", "trials", "variant"]

CHUNK = 10  # scenes a trial


@dataclass(frozen=True)
class Demand:
    """One column.

    Args:
        level: Whose fixed scenes.
        env: Keywords of the environment.
    """

    level: str = "hard"
    env: dict[str, Any] = field(default_factory=dict)

    @property
    def options(self) -> ParkingOptions:
        """The environment; parked the other way round is not parked, as for every planner."""
        return ParkingOptions(
            action_type="discrete", rs="auto", allow_reversed_goal=False, **self.env
        )

    def scenes(self, first: int, last: int) -> list[Scenario]:
        """Its fixed scenes with these seeds."""
        made = self.options
        vehicle = made.range or made.spec
        return fixed_scenes(self.level, last - first, first, vehicle, made.task)


# HOPE declares these limits and never applies them; 3 cm is a common figure for a vehicle's lidar.
DEMANDS: dict[str, Demand] = {
    "default": Demand(),
    "pose": Demand(env={"success": "pose"}),
    "rate-limits": Demand(env={"steer_rate": 0.5, "acceleration": 1.0}),
    "lidar-noise": Demand(env={"mask_source": "lidar", "lidar_noise": 0.03}),
    "vehicle-range": Demand(env={"vehicles": "range"}),
    "pull-out": Demand(env={"task": "out"}),
    "extreme-bay": Demand(level="extreme-bay"),
    "ultra-parallel": Demand(level="ultra-parallel"),
    "lot": Demand(level="lot"),
}


class _Policy(Protocol):
    def masked_logits(self, rows: NDArray[np.void], max_decisions: int) -> Any: ...


class _Uniform:
    """Every allowed motion with equal chances."""

    def masked_logits(self, rows: NDArray[np.void], max_decisions: int) -> NDArray[np.float64]:
        return np.where(rows["allowed"] > 0, 0.0, -np.inf)


class Rollouts(NamedTuple):
    """A row that is driven: roll-outs a scene, and who drives."""

    rollouts: int
    weights: str


# ``tuned``: weights trained for the variant, in a folder of its name.
DRIVEN = {
    "hope-ppo": Rollouts(1, "weights"),
    "hope-ppo-16": Rollouts(16, "weights"),
    "hope-ppo-tuned": Rollouts(1, "tuned"),
    "hope-ppo-tuned-16": Rollouts(16, "tuned"),
    "random-rs-64": Rollouts(64, ""),
}
LONG = "long-search"


def variant(tier: str, settings: dict[str, Any]) -> str:
    """Tier and budget, as in ``cpu-1s``."""
    return f"{tier}-{settings['budget']:g}s"


def trials(request: Request) -> list[RunConfig]:
    """One trial for each variant, agent, seed and chunk of scenes.

    A tuned policy is left out where its folder has no weights of the variant.
    """
    settings = request.settings
    return [
        request.trial(
            env=env,
            agent=agent,
            work="hybridrl.benchmarks.parking_beyond:run_chunk",
            seed=seed,
            part=f"scenes-{first:04d}-{min(first + CHUNK, settings['scenes']):04d}",
            settings={
                "first": first,
                "last": min(first + CHUNK, settings["scenes"]),
                **{key: settings[key] for key in ("budget", "long", "weights", "tuned")},
            },
        )
        for first in range(0, settings["scenes"], CHUNK)
        for env in request.envs
        for agent in request.agents
        if "tuned" not in agent or tuned_folder(settings["tuned"], env).is_dir()
        for seed in request.seeds
    ]


def tuned_folder(root: str, env: str) -> Path:
    """Where the weights trained for a variant are; a folder that does not exist without a root."""
    return Path(root or "no-tuned-weights") / env


def run_chunk(config: RunConfig, folder: Path) -> dict[str, Any]:
    """Drive or plan the scenes of one trial and write ``episodes.csv``."""
    settings = config.settings
    demand = DEMANDS[config.env]
    scenes = demand.scenes(settings["first"], settings["last"])
    if config.agent in DRIVEN:
        episodes = _driven(config, demand, scenes)
    else:
        episodes = [_planned(config, demand, scene) for scene in scenes]
    write_rows(folder / "episodes.csv", Episode, episodes)
    return {"episodes": len(episodes), "successes": sum(e.clean for e in episodes)}


def _driven(config: RunConfig, demand: Demand, scenes: Sequence[Scenario]) -> list[Episode]:
    """Roll-outs of all scenes at once; of each scene the best."""
    count, kind = DRIVEN[config.agent]
    where = config.settings["weights"]
    if kind == "tuned":
        where = str(tuned_folder(config.settings["tuned"], config.env))
    policy = _policy(where) if kind else _Uniform()
    options = {
        name: getattr(demand.options, name)
        for name in (*demand.env, "allow_reversed_goal", "action_type", "rs")
    }
    began = time.thread_time()
    seed = config.seed + config.settings["first"]
    simulator = drive_all(policy, scenes, count, seed=seed, **options)  # type: ignore[arg-type]
    seconds = (time.thread_time() - began) / len(scenes)
    episodes = []
    for i, scene in enumerate(scenes):
        rows = simulator.batch.rows[i * count : (i + 1) * count]
        cost = rows["path_length"] + GEAR_COST * rows["gear_changes"]
        cost[rows["outcome"] != SUCCESS] = math.inf
        best = int(cost.argmin())
        path = simulator.driven_path(i * count + best) if cost[best] < math.inf else None
        decisions = float(rows["decisions"][best])
        facts = (seconds, int(rows["decisions"].sum()))
        episodes.append(_episode(scene, path, decisions, facts, reached=True))
    return episodes


def _planned(config: RunConfig, demand: Demand, scene: Scenario) -> Episode:
    """A search planner's path, and what the variant makes of it."""
    settings = config.settings
    if config.agent == LONG:
        result, seconds = solve(scene, settings["long"], config.seed)
    else:
        planner = _planner(config.agent)
        result = planner.plan(scene, budget=settings["budget"], seed=config.seed)
        seconds = result.seconds
    path = result.path
    decisions = math.nan if path is None else float(_decisions(path, scene, demand.options))
    reached = path is not None and (
        demand.options.success != "pose" or within(path.end, scene.goal, TOLERANCE)
    )
    return _episode(scene, path, decisions, (seconds, result.expansions), reached=reached)


def _episode(
    scene: Scenario, path: Drive | None, decisions: float, facts: tuple[float, int], reached: bool
) -> Episode:
    check = check_path(path, scene, spacing=0.01) if path is not None else None
    # A pose within the tolerances may cover less than 95 % of the goal.
    clean = check is not None and check.free and check.inside and reached
    return Episode(
        scene=scene.id,
        found=path is not None,
        clean=clean,
        seconds=facts[0],
        length=path.length if path is not None else math.nan,
        gear_changes=float(path.gear_changes) if path is not None else math.nan,
        clearance=check.clearance if check is not None else math.nan,
        decisions=decisions if path is not None else math.nan,
        expansions=facts[1],
    )


def _decisions(path: Drive, scene: Scenario, options: ParkingOptions) -> int:
    """Decisions that drive a path; under rate limits every arc is driven from rest to rest."""
    if options.steer_rate is None and options.acceleration is None:
        return path.decisions()
    config, vehicle = make_config(options)[0], vehicle_record(scene.vehicle)[0]
    row = np.zeros(1, ROW)[0]
    total = 0
    for curvature, length in zip(path.curvatures.tolist(), path.lengths.tolist(), strict=True):
        total += arc_decisions(row, vehicle, config, curvature, length)
        row["steer"] = math.atan(curvature * scene.vehicle.wheelbase) / scene.vehicle.max_steer
    return total


@lru_cache(maxsize=4)
def _policy(weights: str) -> _Policy:
    return load_network(None if weights == "shipped" else weights)


@lru_cache(maxsize=8)
def _planner(name: str) -> Planner:
    """A planner whose code is compiled, so that no timing holds the compiler's time."""
    planner = make_planner(name)
    for scene in fixed_scenes("normal-parallel", 1):
        planner.plan(scene, budget=0.2)
    return planner


def tables(rows: Sequence[ResultRow]) -> list[Table]:
    """One table a variant, then decisions and gear changes, and last the success rates."""
    if not rows:
        return []
    *details, headline = class_tables(rows)
    return [*details, _costs(rows), headline]


def _costs(rows: Sequence[ResultRow]) -> Table:
    """Decisions and gear changes of the successes: the price where success hides it."""
    envs = list(dict.fromkeys(row.env for row in rows))
    agents = list(dict.fromkeys(row.agent for row in rows))
    lines = tuple((agent, *(_cost(rows, env, agent) for env in envs)) for agent in agents)
    return Table(
        "Decisions (median) / gear changes (mean) of the successes",
        ("planner", *(env.replace("-", " ") for env in envs)),
        lines,
        (
            "Under rate limits planners stop and turn the wheels between arcs; policies do not.",
            f"{LONG}: the policy's best of 16, then the search; its success is the share of "
            "scenes known to be feasible.",
        ),
    )


def _cost(rows: Sequence[ResultRow], env: str, agent: str) -> str:
    decisions = pooled(rows, env, agent, "decisions_p50")[0]
    gears = pooled(rows, env, agent, "gear_changes_mean")[0]
    return f"{decisions:.0f} / {gears:.1f}" if math.isfinite(decisions) else "-"
