"""Shorter paths with fewer changes of direction, by random Reeds-Shepp shortcuts."""

from __future__ import annotations

import math
import time

import numpy as np

from hybridrl.planners.path import Path
from hybridrl.planners.path_check import check_path
from hybridrl.planners.results import safe_body
from hybridrl.planners.rs_search import default_rule, make_scratch
from hybridrl.planners.scenario import Scenario
from hybridrl.planners.shortcut_kernel import (
    ArcTable,
    Course,
    append,
    improve,
    make_table,
)

RADII = (1.0, 1.25, 1.5, 2.0, 3.0)  # minimum radii
BATCH = 16  # tries between two looks at the clock
SPARE = 128  # arcs that a path may grow by


def cost_of(path: Path, gear_cost: float = 1.0, reverse_cost: float = 0.0) -> float:
    """What planners here rank paths by, metres.

    Args:
        path: Any path.
        gear_cost: Metres that a change of direction counts for.
        reverse_cost: Metres that a metre in reverse counts for beside its length.
    """
    return path.length + gear_cost * path.gear_changes + reverse_cost * path.reverse_length


def shortcut(
    path: Path,
    scenario: Scenario,
    seconds: float = 0.5,
    seed: int = 0,
    *,
    gear_cost: float = 1.0,
    reverse_cost: float = 0.0,
    radii: tuple[float, ...] = RADII,
    patience: int = 300,
    clearance: float = 0.001,
) -> Path:
    """Replace random parts of a path by cheaper free Reeds-Shepp words.

    The cost is ``length + gear_cost * gear changes + reverse_cost * reverse length``.

    Args:
        path: A clean path through the scenario.
        scenario: Obstacles, bounds and vehicle.
        seconds: CPU time of this thread to spend at most.
        seed: Of the random draws.
        gear_cost: Metres that a change of direction counts for.
        reverse_cost: Metres that a metre in reverse counts for beside its length.
        radii: Turning radii to try, in minimum radii.
        patience: Tries without any gain after which it ends early.
        clearance: Distance that new parts keep from the obstacles where start and goal allow it,
            metres.

    Returns:
        A path between the same poses that costs no more and is as clean; ``path`` itself where
        nothing was gained.
    """
    deadline = time.thread_time() + seconds
    table, other = _tables(path)
    rule = default_rule(
        scenario.vehicle.min_radius,
        radii=radii,
        max_length=math.inf,
        gear_cost=gear_cost,
        reverse_cost=reverse_cost,
    )
    body = safe_body(scenario, clearance)
    course = Course(body, scenario.packed, scenario.limits, rule)
    scratch = make_scratch(len(radii))
    rng = np.random.default_rng(seed)
    idle = 0
    while idle < patience and time.thread_time() < deadline:
        kept, since = improve(table, other, course, scratch, rng.random((BATCH, 3)))
        idle = since if kept else idle + since
    return _better(path, _path(path, table), scenario, gear_cost, reverse_cost)


def _tables(path: Path) -> tuple[ArcTable, ArcTable]:
    """The path with room to grow, and memory of the same size."""
    capacity = len(path.lengths) + SPARE
    table, other = make_table(capacity), make_table(capacity)
    table.knot[0] = path.start
    for curvature, length in zip(path.curvatures.tolist(), path.lengths.tolist(), strict=True):
        append(table, curvature, length)
    return table, other


def _path(path: Path, table: ArcTable) -> Path:
    n = table.size[0]
    return Path(path.start, table.curvature[:n].copy(), table.length[:n].copy())


def _better(
    old: Path, new: Path, scenario: Scenario, gear_cost: float, reverse_cost: float
) -> Path:
    """The new path if it is cheaper and the exact check agrees."""
    cheaper = cost_of(new, gear_cost, reverse_cost) < cost_of(old, gear_cost, reverse_cost)
    return new if cheaper and check_path(new, scenario).clean else old
