"""EVERY planner name, one table."""

from __future__ import annotations

import importlib
from typing import Any

from hybridrl.planners.base import Planner
from hybridrl.planners.errors import UnknownNameError

# name -> "module:Class", resolved on first use: listing names imports nothing.
PLANNERS: dict[str, str] = {
    "auto": "hybridrl.agents.hope.auto:AutoPlanner",
    "rs-shortest": "hybridrl.planners.reeds_shepp_shots:ShortestReedsShepp",
    "rs-any": "hybridrl.planners.reeds_shepp_shots:AnyReedsShepp",
    "hybrid-astar": "hybridrl.planners.hybrid_astar:HybridAStar",
    "rrt-connect": "hybridrl.planners.sampling:RRTConnect",
    "rrt-star": "hybridrl.planners.sampling:RRTStar",
    "best-of": "hybridrl.planners.anytime:BestOf",
    "hope-ppo": "hybridrl.agents.hope.planner:HopePlanner",
    "hope-ppo-16": "hybridrl.agents.hope.planner:HopePlanner16",
    "hope-ppo-16-smooth": "hybridrl.agents.hope.planner:HopePlanner16Smooth",
    "random-rs": "hybridrl.envs.parking.rollouts:RandomRollouts",
    "random-rs-64": "hybridrl.envs.parking.rollouts:RandomRollouts64",
}


def make_planner(name: str, **options: Any) -> Planner:
    """Construct a planner by its registered name.

    Raises:
        UnknownNameError: If no planner has that name; the message gives the nearest ones.
    """
    if name not in PLANNERS:
        raise UnknownNameError("planner", name, PLANNERS)
    module, _, attribute = PLANNERS[name].partition(":")
    planner: Planner = getattr(importlib.import_module(module), attribute)(**options)
    return planner
