"""Reeds-Shepp paths of the ``rsplan`` package, as arcs: the alternative back end and test oracle.

``rsplan`` answers by default with a path of fewer segments up to 2 m longer than the shortest;
here the tolerance is 0, which makes it exact. It is plain Python, some 300 times slower.
"""

from __future__ import annotations

import math
from typing import Any

from rsplan import curves, planner

from hybridrl.planners.scenario import Pose

Arcs = list[tuple[float, float]]

_TURNS = {"left": 1.0, "right": -1.0, "straight": 0.0}
_FAMILIES = (curves.csc, curves.cscc, curves.ccsc, curves.ccscc, curves.ccc, curves.cccc)


def all_arcs(start: Pose, goal: Pose, radius: float) -> list[Arcs]:
    """Every word that ``rsplan`` knows, each as ``(curvature, signed length)`` arcs.

    Args:
        start: ``(x, y, heading)``, metres and radians.
        goal: Pose to reach.
        radius: Turning radius, metres.
    """
    dx, dy = goal[0] - start[0], goal[1] - start[1]
    c, s = math.cos(start[2]), math.sin(start[2])
    local = (c * dx + s * dy, c * dy - s * dx, goal[2] - start[2])
    paths = [p for family in _FAMILIES for p in family(start, goal, radius, *local, radius)]
    return [_arcs(path) for path in paths]


def shortest_arcs(start: Pose, goal: Pose, radius: float) -> Arcs:
    """The shortest path of ``rsplan`` as ``(curvature, signed length)`` arcs."""
    # Its way-points are computed on demand only, so their spacing does not matter.
    return _arcs(planner.path(start, goal, radius, 0.0, radius, length_tolerance=0.0))


def _arcs(path: Any) -> Arcs:
    """``rsplan`` gives the gear as ``direction``; the sign of its length means nothing."""
    return [
        (_TURNS[s.type] / path.turn_radius, s.direction * abs(float(s.length)))
        for s in path.segments
    ]
