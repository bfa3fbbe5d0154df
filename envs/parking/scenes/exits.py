"""Scenes for pulling out: a slot to leave, and a lane pose that can be reached (compiled).

The street or lot is that of the parking task with start and goal exchanged; the lane pose is the
start that was drawn there, turned to the direction of its lane. A scene is kept only where a way
out was driven: some of the way straight, then turns to and fro at full lock, as far as each is
free, until a free Reeds-Shepp path leads on to the lane pose. So every scene that is kept can be
solved, by construction.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hybridrl.envs.parking.scenes import shapes
from hybridrl.planners.geometry import advance_pose, clearance
from hybridrl.planners.obstacles import Obstacles
from hybridrl.planners.rs_search import Scratch, SearchRule, find_free
from hybridrl.planners.sweep import free_length
from hybridrl.planners.vehicle import Body

Array = NDArray[np.float64]

MOVES = 12  # turns to and fro tried on one side
LEADS = 4  # lengths of the straight before them, none among them
LONGEST_LEAD = 5.0  # metres of it
STOPS = 4  # places on each of them from which a path onward is looked for
LONGEST = 4.0  # metres of one of them
MARGIN = 0.02  # metres that each ends before its first contact
NEAREST = 3.0  # metres between slot and lane pose, axle to axle
LANE_GAP = 0.1  # metres around the body at the lane pose
TURN_PROBABILITY = 0.5  # of a bay car that was parked nose in


@njit(cache=True, error_model="numpy")
def _leads_on(
    x: float, y: float, heading: float, goal: Array, rule: SearchRule, body: Body,
    obstacles: Obstacles, bounds: Array, arcs: Array, scratch: Scratch,
) -> bool:  # fmt: skip
    """Whether a free Reeds-Shepp path leads from a pose to the lane pose."""
    limits = (bounds[0], bounds[1], bounds[2], bounds[3])
    return find_free(
        x, y, heading, goal[0], goal[1], goal[2], rule, body, obstacles, limits, True,
        arcs[0], arcs[1], scratch,
    ) > 0  # fmt: skip


@njit(cache=True, error_model="numpy")
def _turns_lead_on(
    x: float, y: float, heading: float, side: float, gear: float, goal: Array, rule: SearchRule,
    body: Body, obstacles: Obstacles, bounds: Array, arcs: Array, scratch: Scratch,
) -> bool:  # fmt: skip
    """Whether turns to and fro that carry the nose to a side lead to such a path."""
    for _ in range(MOVES):
        # Ahead to the side and astern to the other one both turn the nose to the side.
        curvature = side * gear / rule.radii[0]
        free = free_length(x, y, heading, curvature, gear * LONGEST, body, obstacles)
        length = gear * max(min(free - MARGIN, LONGEST), 0.0)
        gear = -gear
        if length == 0.0:
            continue
        for stop in range(1, STOPS + 1):
            px, py, turn = advance_pose(x, y, heading, curvature, length * stop / STOPS)
            if _leads_on(px, py, turn, goal, rule, body, obstacles, bounds, arcs, scratch):
                return True
        x, y, heading = advance_pose(x, y, heading, curvature, length)
    return False


@njit(cache=True, error_model="numpy")
def exit_exists(
    start: Array, goal: Array, rule: SearchRule, body: Body, obstacles: Obstacles,
    bounds: Array, scratch: Scratch,
) -> bool:  # fmt: skip
    """Drive out of a slot: straight for a while, then turn to the left or to the right.

    Args:
        start: Pose in the slot, free, shape ``(3,)``.
        goal: Lane pose, free, shape ``(3,)``.
        rule: Of the search for a path onward; the turns have its first radius.
        body: Who drives.
        obstacles: What stands around.
        bounds: Of the rear axle.
        scratch: Made for the rule's radii.

    Returns:
        Whether a free way was driven; ``False`` proves nothing.
    """
    arcs = np.empty((2, 5))
    scratch.goal_reach[:] = -1.0
    sx, sy, turn = start[0], start[1], start[2]
    for attempt in range(4 * LEADS):
        gear = 1.0 if attempt % 4 < 2 else -1.0
        way = free_length(sx, sy, turn, 0.0, gear * LONGEST_LEAD, body, obstacles)
        lead = gear * max(way - MARGIN, 0.0) * (attempt // 4) / (LEADS - 1)
        x, y, heading = advance_pose(sx, sy, turn, 0.0, lead)
        if _leads_on(x, y, heading, goal, rule, body, obstacles, bounds, arcs, scratch):
            return True
        side = 1.0 if attempt % 2 == 0 else -1.0
        if _turns_lead_on(
            x, y, heading, side, gear, goal, rule, body, obstacles, bounds, arcs, scratch
        ):
            return True
    return False


@njit(cache=True, error_model="numpy")
def turn_into_exit(
    rng: np.random.Generator, start: Array, goal: Array, bounds: Array, quads: Array,
    nose_in: bool, margin: float, rule: SearchRule, body: Body, scratch: Scratch,
) -> bool:  # fmt: skip
    """Exchange slot and start of a parking scene, in place, and make sure there is a way out.

    Args:
        rng: Source of the one draw.
        start: In: where the car came from. Out: the slot. Shape ``(3,)``.
        goal: In: the slot. Out: the lane pose. Shape ``(3,)``.
        bounds: Written anew, shape ``(4,)``.
        quads: Obstacles, shape ``(M, 4, 2)``.
        nose_in: The car may also stand the other way round in the slot.
        margin: Of the bounds, metres.
        rule: Of the search for a way out.
        body: Who drives.
        scratch: Made for the rule's radii.

    Returns:
        Whether the scene can be used.
    """
    turned = rng.random() < TURN_PROBABILITY
    for i in range(3):
        start[i], goal[i] = goal[i], start[i]
    if nose_in and turned:
        shapes.turn_about_center(start, body)
    goal[2] = 0.5 * math.pi * np.round(2.0 * goal[2] / math.pi)
    if math.hypot(goal[0] - start[0], goal[1] - start[1]) < NEAREST:
        return False
    circles = np.empty((len(quads), 3))
    for m in range(len(quads)):
        shapes.put_circle(quads[m], circles[m])
    obstacles = shapes.as_obstacles(quads, circles, 0, len(quads))
    if clearance(goal[0], goal[1], goal[2], body, obstacles) < LANE_GAP:
        return False
    if shapes.bodies_touch(start, goal, body):
        return False
    shapes.finish(start, goal, margin, bounds)
    return exit_exists(start, goal, rule, body, obstacles, bounds, scratch)
