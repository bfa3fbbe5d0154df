"""Records of the traffic simulator: one a lane, one a car, one an environment, one configuration.

Structured arrays, so that compiled code reads fields by name and a whole batch is one argument.
World frame, metres, seconds and radians unless a name says otherwise. A road is named by the
number of its first lane.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hybridrl.envs.driving.names import REWARD_TERMS

MAX_ROUTE = 16  # roads a car still has before it
MAX_LINKED = 8  # lanes that continue a lane, before or behind
MAX_NEXT = 4  # roads that begin where a road ends
MAX_SPEEDS = 5  # set-points of the ego
FEATURES = 7  # columns of an observation row
SIGNALS = 2  # and those of turn signals, where they are shown
STRAIGHT, SINE, CIRCLE = range(3)
ABSENT, EGO, IDM, LINEAR, OBSTACLE = range(5)
CAR_LENGTH, CAR_WIDTH = 5.0, 2.0
BARRIER_SIZE = 2.0  # side of the square at the ramp's end
STOCK_STYLE, AGGRESSIVE_STYLE, DEFENSIVE_STYLE, MIXED_STYLE = range(4)

_f = np.float64
_i = np.int64
_b = np.bool_


def _record(fields: list[Any]) -> np.dtype[Any]:
    """Aligned fields, read by name in plain Python as well (coverage runs uncompiled)."""
    return np.dtype((np.record, np.dtype(fields, align=True)))


LANE = _record(
    [
        ("kind", _i),
        ("x", _f),  # start of a straight or sine lane, centre of a circle
        ("y", _f),
        ("dx", _f),  # direction of a straight or sine lane
        ("dy", _f),
        ("heading", _f),
        ("length", _f),
        ("amplitude", _f),
        ("pulsation", _f),
        ("phase", _f),  # of the sine, or where a circle starts
        ("radius", _f),
        ("turn", _f),  # 1 clockwise in the picture's axes, -1 the other way
        ("width", _f),
        ("limit", _f),  # speed limit
        ("priority", _i),
        ("forbidden", _b),
        ("shared", _b),  # a circle around the same centre as the lane before it in the table
        ("id", _i),  # within its road, 0 is the left-most
        ("road", _i),
        ("count", _i),  # lanes of its road
        ("n_linked", _i),
        ("linked", _i, (MAX_LINKED,)),
        ("offset", _f, (MAX_LINKED,)),  # of a linked lane's coordinate in this lane's
        ("n_joined", _i),  # of the linked lanes and others, those that really meet an end
        ("joined", _i, (MAX_LINKED,)),
        ("joined_offset", _f, (MAX_LINKED,)),
        ("n_next", _i),
        ("next", _i, (MAX_NEXT,)),
        ("base", _f),  # progress at its start, metres along the ego's route; nan off the route
        ("stretch", _f),  # metres of progress for each metre of lane
        ("beside", _i),  # lane shown as the left one though it is not of this road, or -1
        ("goal", _b),  # being here is arriving
        ("goal_from", _f),  # from this coordinate on
    ]
)

CAR = _record(
    [
        ("x", _f),
        ("y", _f),
        ("heading", _f),
        ("speed", _f),
        ("target_speed", _f),
        ("timer", _f),  # since it last thought of changing lane
        ("delta", _f),  # exponent of the Intelligent Driver Model
        ("gain", _f),  # acceleration a lane change must gain
        ("headway", _f),  # wanted time gap
        ("pull", _f, (3,)),  # acceleration weights of a linear driver
        ("steer", _f, (2,)),  # steering weights of a linear driver
        ("cos", _f),
        ("sin", _f),
        ("steering", _f),
        ("acceleration", _f),
        ("impact_x", _f),  # shift out of an overlap, taken in the next step
        ("impact_y", _f),
        ("kind", _i),
        ("lane", _i),
        ("target", _i),
        ("fixed", _i),  # lane number that the first road of its route asks for, or -1
        ("route_at", _i),
        ("route_end", _i),
        ("route", np.int16, (MAX_ROUTE,)),
        ("routed", _b),
        ("crashed", _b),
        ("impacted", _b),
        ("yielding", _b),
    ]
)

ROW = _record(
    [
        ("rng", np.uint64),
        ("n", _i),  # cars, the barrier included
        ("ego", _i),
        ("time", _f),
        ("ticks", _i),  # simulation steps
        ("decisions", _i),
        ("speed_index", _i),
        ("previous", _i),  # canonical action taken last, or -1
        ("lane_change", _b),  # the last action began one
        ("start", _f),  # progress at the start
        ("progress", _f),  # progress made, metres
        ("goal", _f),  # progress from start to goal, metres
        ("speed_sum", _f),
        ("ttc", _f),
        ("min_ttc", _f),
        ("risk", _f),
        ("outcome", _i),
        ("terminated", _b),
        ("truncated", _b),
        ("off_road", _b),
        ("reward", _f),
        ("terms", _f, (len(REWARD_TERMS),)),
        ("mask", np.uint8, (5,)),  # by canonical action
    ]
)

CONFIG = _record(
    [
        ("scenario", _i),
        ("dt", _f),
        ("frames", _i),  # simulation steps a decision
        ("rule_ticks", _i),  # simulation steps between two looks at the right of way
        ("decision", _f),  # seconds a decision
        ("duration", _f),
        ("limit_ends", _b),  # the time limit terminates where there is a goal
        ("n_speeds", _i),
        ("speeds", _f, (MAX_SPEEDS,)),
        ("stock_reward", _b),
        ("crash_cost", _f),
        ("timeout_cost", _f),  # where there is a goal
        ("shaping", _f),  # weight of the risk potential, 0 is off
        ("gamma", _f),
        ("min_mean_speed", _f),
        ("lateral", _b),
        ("style", _i),
        ("jam", _f),  # distance kept in a jam
        ("acc", _f),
        ("dec", _f),  # comfortable deceleration, positive
        ("vehicles", _i),  # highway: others; intersection: spawn attempts
        ("density", _f),  # highway: of the traffic
        ("gap_low", _f),  # merge
        ("gap_high", _f),
        ("spawn", _f),  # intersection: probability a decision
        ("extra", _i),  # roundabout: cars in the ring
        ("highway_lanes", _i),
        ("entry", _f),  # progress at the junction's entry or the ramp's end; nan on a highway
        ("ego_lane", _i),  # where the ego begins
        ("absolute", _b),  # observation in the world frame
        ("rows", _i),  # of an observation
        ("max_cars", _i),
    ]
)
