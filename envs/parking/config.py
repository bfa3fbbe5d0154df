"""The simulator's configuration: HOPE's profile and ours, as one record."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridrl.envs.parking.records import CONFIG, DECISION_SECONDS, REWARD_TERMS, SUBSTEPS
from hybridrl.envs.parking.reward import HOPE_WEIGHTS, TERMINAL, WEIGHTS
from hybridrl.planners.errors import ScenarioError, UnknownNameError
from hybridrl.planners.rs_search import SearchRule, default_rule, hope_rule
from hybridrl.planners.vehicle import VehicleSpec

RS_MODES = ("off", "info", "auto")
# What a profile means; every one of these is also a keyword of the environment.
PROFILES: dict[str, dict[str, Any]] = {
    "default": {
        "contact": "certified",
        "on_collision": "penalise",
        "allow_reversed_goal": None,
        "rs_distance": math.inf,
        "rs_first_decision": 0,
    },
    "hope": {
        "contact": "sampled",
        "on_collision": "stop",
        "allow_reversed_goal": False,
        "rs_distance": 10.0,
        "rs_first_decision": 1,
    },
}
HOPE_SUBSTEP = 0.05  # metres of HOPE's mask (parking.md 7.2)
MAX_RS_LENGTH = 40.0
MAX_DECISIONS = 200
TOLERANCE = (0.10, 0.10, math.radians(2.0))
OPTION_DISCOUNT = 0.98


def choose(name: str, value: str, allowed: tuple[str, ...]) -> str:
    """A keyword's value, in lower case.

    Raises:
        UnknownNameError: If it is none of the allowed ones.
    """
    key = str(value).lower()
    if key not in allowed:
        raise UnknownNameError(name, str(value), allowed)
    return key


def make_config(
    *,
    profile: str = "default",
    discrete: bool = False,
    contact: str | None = None,
    on_collision: str | None = None,
    mask_source: str = "exact",
    success: str = "overlap95",
    tolerance: tuple[float, float, float] = TOLERANCE,
    rs: str = "info",
    max_decisions: int = MAX_DECISIONS,
    reward_weights: Mapping[str, float] | None = None,
    steer_rate: float | None = None,
    acceleration: float | None = None,
    vehicle: VehicleSpec | None = None,
) -> NDArray[np.void]:
    """Check every keyword and write the record, shape ``(1,)`` of dtype ``CONFIG``.

    The keywords are those of :class:`~hybridrl.envs.parking.env.ParkingEnv`.

    Raises:
        UnknownNameError: If a word is not one of the allowed ones.
        ScenarioError: If a number is out of range.
    """
    values = PROFILES[choose("profile", profile, tuple(PROFILES))]
    hope = values is PROFILES["hope"]
    spec = vehicle or VehicleSpec()
    record = np.zeros(1, CONFIG)
    touch = choose("contact", contact or values["contact"], ("certified", "sampled"))
    reaction = choose(
        "on_collision", on_collision or values["on_collision"], ("stop", "penalise", "terminate")
    )
    record["certified"] = touch == "certified"
    record["hope"] = hope
    record["horizon"] = HOPE_SUBSTEP * SUBSTEPS if hope else spec.max_speed * DECISION_SECONDS
    record["shorten"] = discrete and not hope
    record["terminate"] = reaction == "terminate"
    record["mask_lidar"] = choose("mask_source", mask_source, ("exact", "lidar")) == "lidar"
    record["pose_success"] = choose("success", success, ("overlap95", "pose")) == "pose"
    record["tolerance"] = [_positive(f"tolerance[{i}]", t) for i, t in enumerate(tolerance)]
    record["rs"] = RS_MODES.index(choose("rs", rs, RS_MODES))
    record["rs_gate"] = values["rs_distance"]
    record["rs_first"] = values["rs_first_decision"]
    radius = spec.min_radius
    longest = MAX_RS_LENGTH
    rule = hope_rule(radius) if hope else default_rule(radius, max_length=longest)
    _write_rule(record, rule)
    record["option_discount"] = OPTION_DISCOUNT
    record["max_decisions"] = _positive("max_decisions", max_decisions)
    weights = _weights(HOPE_WEIGHTS if hope else WEIGHTS, reward_weights)
    weights["bump"] *= reaction == "penalise"
    record["weights"] = [weights[name] for name in REWARD_TERMS]
    record["terminal"] = TERMINAL
    record["steer_rate"] = math.inf if steer_rate is None else _positive("steer_rate", steer_rate)
    limit = math.inf if acceleration is None else _positive("acceleration", acceleration)
    record["acceleration"] = limit
    return record


def _write_rule(record: NDArray[np.void], rule: SearchRule) -> None:
    count = len(rule.radii)
    record["radii"][0, :count] = rule.radii
    record["radii_count"] = count
    record["rs_cap"] = rule.max_length
    record["rs_ratio"] = rule.length_ratio
    record["rs_gear_cost"] = rule.gear_cost


def _positive(name: str, value: float) -> float:
    if not (isinstance(value, int | float) and math.isfinite(value) and value > 0):
        raise ScenarioError(name, value, "a finite number above 0")
    return value


def _weights(defaults: Mapping[str, float], changes: Mapping[str, float] | None) -> dict[str, float]:
    weights = dict(defaults)
    for name, value in (changes or {}).items():
        if name not in weights:
            raise UnknownNameError("reward term", name, weights)
        if not math.isfinite(value):
            raise ScenarioError(f"reward_weights.{name}", value, "a finite number")
        weights[name] = float(value)
    return weights
