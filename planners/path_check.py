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
from hybridrl.planners.scenario import EXIT_TOLERANCE, Pose, Scenario
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
        parked: The end reaches the goal: overlap above 95 %, or within the tolerances of a lane
            pose where the task is to leave a slot.
    """

    free: bool
    clearance: float
    inside: bool
    overlap: float
    position_error: float
    heading_error: float
    parked: bool

    @property
    def clean(self) -> bool:
        """Whether the path may be reported: free, inside and parked."""
        return self.free and self.inside and self.parked


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
    overlap = float(overlap_fraction(*end, *goal, body))
    return PathCheck(
        free=bool(swept and gap > 0.0),
        clearance=gap,
        inside=inside,
        overlap=overlap,
        position_error=math.hypot(end[0] - goal[0], end[1] - goal[1]),
        heading_error=abs(float(wrap_angle(end[2] - goal[2]))),
        parked=overlap > 0.95 if scenario.task == "in" else within(end, goal, EXIT_TOLERANCE),
    )


def within(end: Pose, goal: Pose, tolerance: tuple[float, float, float]) -> bool:
    """Whether a pose is as near to a goal as lengthwise, sideways and heading tolerances ask."""
    dx, dy = end[0] - goal[0], end[1] - goal[1]
    cos, sin = math.cos(goal[2]), math.sin(goal[2])
    errors = (cos * dx + sin * dy, cos * dy - sin * dx, float(wrap_angle(end[2] - goal[2])))
    return all(abs(error) <= most for error, most in zip(errors, tolerance, strict=True))
