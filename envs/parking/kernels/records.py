"""Records of the batched simulator: one row an environment, one row a vehicle, one configuration.

Structured arrays, so that compiled code reads fields by name and a whole batch is one argument.
Metres, radians and world frame unless a name says otherwise.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridrl.planners.errors import ScenarioError
from hybridrl.planners.rs_search import RADII
from hybridrl.planners.vehicle import VehicleSpec

RAYS = 120
STEERS = 21
ACTIONS = 2 * STEERS
SUBSTEPS = 10
LANES = 12  # 10 steering magnitudes, and the two wider radii of the hand-over search
MAX_ARCS = 5  # of a Reeds-Shepp word
VEHICLE_NUMBERS = 5  # that the agent is told
MAX_RADII = 3  # tried in a hand-over search
DECISION_SECONDS = 0.5
LIDAR_RANGE = 10.0
_ARC_SAMPLES = 64
MARGIN = 1e-3  # a motion ends at least this far before its first contact, metres

OUTCOMES = ("running", "success", "collision", "out_of_bounds", "timeout")
RUNNING, SUCCESS, COLLISION, OUT_OF_BOUNDS, TIMEOUT = range(5)
REWARD_TERMS = (
    "time",
    "distance",
    "overlap",
    "rs_distance",
    "heading",
    "gear_change",
    "bump",
    "path_length",
    "effort",
    "terminal",
)

_f = np.float64
_i = np.int64


def _record(fields: list[Any]) -> np.dtype[Any]:
    """Aligned fields, read by name in plain Python as well (coverage runs uncompiled)."""
    return np.dtype((np.record, np.dtype(fields, align=True)))


VEHICLE = _record(
    [
        ("rear", _f),
        ("front", _f),
        ("half_width", _f),
        ("center", _f),
        ("wheelbase", _f),
        ("max_steer", _f),
        ("max_speed", _f),
        ("step", _f),  # longest decision
        ("max_curvature", _f),
        ("outline", _f, (RAYS,)),  # axle to body outline along each ray
        ("radius", _f, (LANES,)),  # turning radius of each steering magnitude, smallest steer first
        ("search_radius", _f, (MAX_RADII,)),  # of the hand-over search
        # Boxes (xmin, xmax, ymin, ymax) swept on the left turns of a decision, forward and reverse
        # (mirrored to forward): by the whole body, and by the three corners that can touch first.
        ("reach_radius", _f),  # around the axle
        ("reach", _f, (2, 4)),
        ("corner_reach", _f, (2, 3, 4)),
    ]
)

# One scene of the batch: the problem, the vehicle's state in it, and what is observed of it.
ROW = _record(
    [
        # The problem.
        ("start", _f, (3,)),
        ("goal", _f, (3,)),
        ("bounds", _f, (4,)),
        ("obstacles", _i),  # how many
        ("reversible", np.bool_),  # parking the other way round counts too
        ("leaving", np.bool_),  # out of a slot into the lane: the goal has tolerances of its own
        ("label", _i),  # index into the class names
        # Where the vehicle is, and its books.
        ("x", _f),
        ("y", _f),
        ("heading", _f),
        ("steer", _f),  # last steering and speed, normalised; rate limits start from them
        ("speed", _f),
        ("distance", _f),  # axle to goal axle now
        ("first_distance", _f),
        ("heading_error", _f),  # folded to [0, pi/2]
        ("best_iou", _f),
        ("position_error", _f),  # to the goal, or to the turned goal where that counts
        ("turn_error", _f),
        ("rs_length", _f),
        ("first_rs_length", _f),
        ("path_length", _f),
        ("gear", _f),  # of the last motion: -1, 0, 1
        ("gear_changes", _i),
        ("bumps", _i),
        ("decisions", _i),
        ("rs_decisions", _i),  # of them, driven along a hand-over path
        ("arcs", _i),  # driven so far
        ("noise", np.uint64),  # state of the lidar noise
        ("bump", np.bool_),
        ("outcome", _i),
        ("reward", _f),
        ("terms", _f, (len(REWARD_TERMS),)),
        # The free Reeds-Shepp path found from here, and how far the turns of each search radius
        # leave this pose, the goal and the turned goal freely (-1: not measured yet).
        ("rs_arcs", _i),
        ("rs_curvature", _f, (MAX_ARCS,)),
        ("rs_arc", _f, (MAX_ARCS,)),
        ("start_reach", _f, (MAX_RADII, 4)),
        ("goal_reach", _f, (2, MAX_RADII, 4)),
        # What is observed.
        ("free", _f, (ACTIONS,)),  # metres each motion drives before its first contact
        ("counts", np.int8, (ACTIONS,)),  # the same in sub-steps
        ("lidar", np.float32, (RAYS,)),
        ("target", np.float32, (5,)),
        ("vehicle", np.float32, (VEHICLE_NUMBERS,)),  # normalised, where vehicles differ
        ("mask", np.float32, (ACTIONS,)),
        ("allowed", np.int8, (ACTIONS,)),  # 0 or 1: compiled records hold no boolean arrays
        ("mask_empty", np.bool_),
    ]
)

CONFIG = _record(
    [
        ("horizon", _f),  # of the mask, metres
        ("certified", np.bool_),
        ("hope", np.bool_),  # HOPE's mask post-processing and hand-over rule
        ("shorten", np.bool_),  # a discrete action drives as far as it is free, without a bump
        ("terminate", np.bool_),  # a collision in the first sub-step ends the episode
        ("mask_lidar", np.bool_),
        ("lidar_noise", _f),  # standard deviation, metres
        ("pose_success", np.bool_),
        ("tolerance", _f, (3,)),  # lengthwise, sideways, heading
        ("exit_tolerance", _f, (3,)),  # the same, of a lane pose
        ("rs", _i),
        ("radii", _f, (MAX_RADII,)),  # turning radii of the hand-over search, metres
        ("radii_count", _i),
        ("rs_cap", _f),  # longest path, metres
        ("rs_ratio", _f),  # over the shortest, at which the search ends
        ("rs_gear_cost", _f),  # metres a change of direction
        ("rs_gate", _f),  # axle distance below which a hand-over is looked for
        ("rs_first", _i),  # decision counter from which it is
        ("option_discount", _f),
        ("max_decisions", _i),
        ("weights", _f, (len(REWARD_TERMS),)),
        ("terminal", _f, (len(OUTCOMES),)),
        ("limited", np.bool_),  # steering rate or acceleration is finite
        ("steer_rate", _f),  # rad/s, inf: jumps
        ("acceleration", _f),  # m/s2, inf: jumps
    ]
)

_ANGLES = 2 * math.pi * np.arange(RAYS) / RAYS
RAY_COS = np.cos(_ANGLES)
RAY_SIN = np.sin(_ANGLES)
# The 42 actions in normalised units: steering from left to right, forward then reverse.
ACTION_STEER = np.tile(np.linspace(1.0, -1.0, STEERS), 2)
ACTION_SPEED = np.repeat([1.0, -1.0], STEERS)


def vehicle_record(spec: VehicleSpec) -> NDArray[np.void]:
    """Everything the kernels need of a vehicle, shape ``(1,)`` of dtype ``VEHICLE``.

    Raises:
        ScenarioError: If one decision can turn it by more than a quarter: free lengths are solved
            for the sine of the turn, which grows only so far.
    """
    if spec.max_speed * DECISION_SECONDS > math.pi / 2 * spec.min_radius:
        limit = math.pi / 2 * spec.min_radius / DECISION_SECONDS
        raise ScenarioError(
            "vehicle.max_speed",
            spec.max_speed,
            f"at most {limit:.3g} m/s, a quarter turn a decision with this max_steer",
        )
    record = np.zeros(1, VEHICLE)
    body = spec.body
    for name in ("rear", "front", "half_width"):
        record[name] = getattr(body, name)
    record["center"] = spec.center_offset
    for name in ("wheelbase", "max_steer", "max_speed", "max_curvature"):
        record[name] = getattr(spec, name)
    record["step"] = spec.max_speed * DECISION_SECONDS
    record["outline"] = _outline(body.rear, body.front, body.half_width)
    steers = spec.max_steer * np.arange(1, 11) / 10
    record["radius"][0, :10] = spec.wheelbase / np.tan(steers)
    record["radius"][0, 10:] = spec.min_radius * np.array(RADII[1:])
    record["search_radius"] = spec.min_radius * np.array(RADII)
    record["reach_radius"] = (
        np.hypot(body.front, body.half_width) + spec.max_speed * DECISION_SECONDS
    )
    for gear, (rear, front) in enumerate([(body.rear, body.front), (-body.front, -body.rear)]):
        half = body.half_width
        swept = _swept(np.array([(front, half), (front, -half), (rear, -half), (rear, half)]), spec)
        record["reach"][0, gear] = _box(swept.reshape(-1, 2))
        for corner in range(3):
            record["corner_reach"][0, gear, corner] = _box(swept[:, corner])
    return record


def _outline(rear: float, front: float, half_width: float) -> NDArray[np.float64]:
    """Distance from the axle to the body outline along each ray."""
    with np.errstate(divide="ignore"):
        along = np.where(RAY_COS > 0, front, rear) / np.where(RAY_COS == 0, 1e-300, RAY_COS)
        across = half_width / np.abs(RAY_SIN)
    return np.minimum(np.abs(along), across)


def _swept(corners: NDArray[np.float64], spec: VehicleSpec) -> NDArray[np.float64]:
    """Places of the corners on every left turn of one decision, shape ``(k, corners, 2)``."""
    arcs = np.linspace(0.0, spec.max_speed * DECISION_SECONDS, _ARC_SAMPLES)
    places = []
    for radius in spec.wheelbase / np.tan(spec.max_steer * np.arange(1, 11) / 10):
        turn = arcs / radius
        c, s = np.cos(turn)[:, None], np.sin(turn)[:, None]
        x, y = corners[:, 0], corners[:, 1] - radius
        places.append(np.stack([c * x - s * y, s * x + c * y + radius], axis=-1))
    straight = corners + np.stack([arcs, np.zeros_like(arcs)], axis=-1)[:, None]
    return np.concatenate([*places, straight])


def _box(cloud: NDArray[np.float64]) -> NDArray[np.float64]:
    """Box around sampled arcs; between two samples a corner strays by less than the slack."""
    slack = 2e-3
    low, high = cloud.min(axis=0) - slack, cloud.max(axis=0) + slack
    return np.array([low[0], high[0], low[1], high[1]])
