"""Is this path free? The exact check that every returned path passes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hybridrl.planners.geometry import clearance, overlap_fraction, pose_free, wrap_angle
from hybridrl.planners.obstacles import Obstacles
from hybridrl.planners.path import Path
from hybridrl.planners.scenario import Scenario
from hybridrl.planners.sweep import arcs_free
from hybridrl.planners.vehicle import Body


@dataclass(frozen=True)
class PathCheck:
    """What an exact replay of a path shows.

    Args:
        free: Touches nothing, at every sample and on every arc between them.
        clearance: Smallest distance from body to obstacle at the samples, metres.
        inside: The rear axle stays inside the scenario's bounds.
        overlap: Share of the goal rectangle covered at the end, in [0, 1].
        position_error: Distance of the last pose from the goal, metres.
        heading_error: Heading difference at the end, radians in [0, pi].
    """

    free: bool
    clearance: float
    inside: bool
    overlap: float
    position_error: float
    heading_error: float

    @property
    def clean(self) -> bool:
        """Whether the path may be reported: free, inside and parked (overlap above 95 %)."""
        return self.free and self.inside and self.overlap > 0.95


@njit(cache=True)
def _smallest_clearance(poses: NDArray[np.float64], body: Body, obstacles: Obstacles) -> float:
    best = np.inf
    for i in range(len(poses)):
        best = min(best, clearance(poses[i, 0], poses[i, 1], poses[i, 2], body, obstacles))
    return best


def check_path(path: Path, scenario: Scenario, spacing: float = 0.01) -> PathCheck:
    """Replay a path through a scenario with exact geometry.

    Args:
        path: What a planner found.
        scenario: The problem it was found for.
        spacing: Distance between the samples that are tested one by one, metres. The arcs between
            them are swept exactly as well.
    """
    poses = path.sample(spacing)
    body, obstacles = scenario.vehicle.body, scenario.packed
    gap = float(_smallest_clearance(poses, body, obstacles))
    n = len(path.lengths)
    swept = pose_free(*path.start, body, obstacles) and arcs_free(
        *path.start, path.curvatures, path.lengths, n, body, obstacles
    )
    xmin, xmax, ymin, ymax = scenario.limits
    x, y = poses[:, 0], poses[:, 1]
    inside = bool(((x >= xmin) & (x <= xmax) & (y >= ymin) & (y <= ymax)).all())
    end, goal = path.end, scenario.goal
    return PathCheck(
        free=bool(swept and gap > 0.0),
        clearance=gap,
        inside=inside,
        overlap=float(overlap_fraction(*end, *goal, body)),
        position_error=math.hypot(end[0] - goal[0], end[1] - goal[1]),
        heading_error=abs(float(wrap_angle(end[2] - goal[2]))),
    )
