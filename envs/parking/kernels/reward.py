"""Reward terms of one decision, before their weights (``parking.md`` 10; compiled)."""

from __future__ import annotations

import math

from numba import njit

WEIGHTS = {
    "time": 0.1,
    "distance": 0.5,
    "overlap": 1.0,
    "rs_distance": 0.0,
    "heading": 0.0,
    "gear_change": 0.05,
    "bump": 0.1,
    "path_length": 0.01,
    "effort": 0.0,
    "terminal": 1.0,
}
HOPE_WEIGHTS = WEIGHTS | {"gear_change": 0.0, "bump": 0.0, "path_length": 0.0}
# By outcome: running, success, collision, out_of_bounds, timeout.
TERMINAL = (0.0, 5.0, -5.0, -5.0, -0.1)


@njit(cache=True)
def time_term(decisions: int) -> float:
    """``-tanh(t / 2000)``, t = decision counter."""
    return -math.tanh(decisions / 2000.0)


@njit(cache=True)
def distance_term(before: float, now: float, first: float) -> float:
    """Progress towards the goal axle over ``max(d_start, 10)``; distances in metres."""
    return (before - now) / max(first, 10.0)


@njit(cache=True)
def overlap_term(best: float, iou: float) -> float:
    """Increase of the best intersection over union so far, never negative."""
    return max(iou - best, 0.0)


@njit(cache=True)
def rs_distance_term(before: float, now: float, first: float) -> float:
    """``exp(-l_now / l_start) - exp(-l_before / l_start)``; Reeds-Shepp lengths in metres."""
    scale = max(first, 1e-6)
    return math.exp(-now / scale) - math.exp(-before / scale)


@njit(cache=True)
def heading_term(before: float, now: float) -> float:
    """Decrease of the heading error, folded to [0, pi/2], over pi."""
    return (before - now) / math.pi


@njit(cache=True)
def effort_term(steer_change: float, speed_change: float) -> float:
    """Minus the change of normalised steering and speed, each over its full range of 2."""
    return -0.5 * (abs(steer_change) + abs(speed_change))


@njit(cache=True)
def iou_of(fraction: float) -> float:
    """Intersection over union of two equal rectangles that share ``fraction`` of one's area."""
    return fraction / (2.0 - fraction)


@njit(cache=True)
def folded(angle: float) -> float:
    """Difference of two undirected headings, radians in [0, pi/2]."""
    rest = abs(angle) % math.pi
    return min(rest, math.pi - rest)
