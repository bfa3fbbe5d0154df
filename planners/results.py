"""From a path that a planner found to the result it may report."""

from __future__ import annotations

import time
from typing import Any

from hybridrl.planners.geometry import clearance
from hybridrl.planners.path import Path, PlanResult
from hybridrl.planners.path_check import check_path
from hybridrl.planners.scenario import Scenario
from hybridrl.planners.vehicle import Body

CHECK_SPACING = 0.01  # metres between the poses that are tested one by one


def checked_result(
    planner: str,
    scenario: Scenario,
    path: Path | None,
    began: float,
    *,
    expansions: int = 0,
    info: dict[str, Any] | None = None,
) -> PlanResult:
    """The result of a search; a path that the exact check refuses counts as not found.

    Args:
        planner: Registered name.
        scenario: The problem.
        path: What was found, if anything.
        began: ``time.thread_time()`` at the start of planning, seconds.
        expansions: The planner's own unit of work.
        info: Anything else worth logging.
    """
    check = check_path(path, scenario, CHECK_SPACING) if path is not None else None
    clean = check is not None and check.clean
    return PlanResult(
        path=path if clean else None,
        seconds=time.thread_time() - began,
        expansions=expansions,
        clearance=check.clearance if check is not None and clean else float("nan"),
        planner=planner,
        info={} if info is None else info,
    )


def safe_body(scenario: Scenario, distance: float) -> Body:
    """The body grown on all sides, as far as start and goal leave room.

    Args:
        scenario: The problem.
        distance: Wanted, metres; at most half of the gap at start and goal is taken.
    """
    body, obstacles = scenario.vehicle.body, scenario.packed
    gap = min(float(clearance(*pose, body, obstacles)) for pose in (scenario.start, scenario.goal))
    skin = min(distance, 0.5 * gap)
    return Body(body.rear - skin, body.front + skin, body.half_width + skin)
