"""The simulator's configuration: HOPE's profile and ours, as one record."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridrl.envs.parking.kernels.records import CONFIG, DECISION_SECONDS, REWARD_TERMS, SUBSTEPS
from hybridrl.envs.parking.kernels.reward import HOPE_WEIGHTS, TERMINAL, WEIGHTS
from hybridrl.envs.parking.vehicles import VehicleRange, find_range
from hybridrl.planners.errors import ScenarioError, UnknownNameError
from hybridrl.planners.rs_search import default_rule, hope_rule
from hybridrl.planners.scenario import EXIT_TOLERANCE, TASKS
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


@dataclass(frozen=True, kw_only=True)
class ParkingOptions:
    """Every keyword of the parking environments.

    Args:
        level: A level as in ``hard`` or a class as in ``extreme-parallel``, in any case.
        profile: ``default``, or ``hope`` for HOPE's published protocol: sampled contact, a mask of
            0.5 m, its smoothing, its hand-over rule and its reward.
        vehicle: A :class:`VehicleSpec` or the JSON object of one; HOPE's car by default.
        action_type: ``continuous`` (steering and speed in [-1, 1]) or ``discrete`` (42 motions).
        image: Add ``img``, a top view of ``(3, 64, 64)`` binary layers.
        ego: Add ``ego``: last steering and speed, remaining time, bump flag.
        mask_source: ``exact`` (sound), or ``lidar``: from the 120 rays alone, as a sensor would.
        lidar_noise: Standard deviation of the rays, metres.
        contact: ``certified`` (exact between sub-steps) or ``sampled`` (HOPE's ten samples).
        on_collision: ``stop``, ``penalise`` (stop and pay) or ``terminate`` (when nothing moved).
        success: ``overlap95``, or ``pose`` within ``tolerance``.
        tolerance: Lengthwise and sideways, metres, and heading, radians, of ``success="pose"``.
        allow_reversed_goal: Parking the other way round counts; by default in bays and lots only.
        rs: ``off``, ``info`` (a free Reeds-Shepp path is reported) or ``auto`` (it is driven to the
            end within the step, which makes any agent a hybrid one).
        max_decisions: Decisions after which an episode is truncated.
        reward_weights: Changes to the weights of reward terms, as in ``{"gear_change": 0.2}``.
        steer_rate: Largest steering rate, rad/s; by default the wheels jump, as in HOPE.
        acceleration: Largest acceleration, m/s2; by default the speed jumps.
        scenarios: Path of a scenario file to draw from instead of generating.
        vehicles: ``None``: ``vehicle`` drives; ``"range"`` or two vehicles (smallest and largest):
            who drives is drawn for every scene, which is generated for it, and the observation
            has ``vehicle``, its numbers. Without a ``vehicle`` of their own, given scenarios are
            driven by ``vehicle``.
        task: ``in`` parks, ``out`` leaves a slot for a pose in the lane, ``both`` draws one of
            the two with equal chances.
    """

    level: str = "hard"
    profile: str = "default"
    vehicle: VehicleSpec | Mapping[str, float] | None = None
    action_type: str = "continuous"
    image: bool = False
    ego: bool = False
    mask_source: str = "exact"
    lidar_noise: float = 0.0
    contact: str | None = None
    on_collision: str | None = None
    success: str = "overlap95"
    tolerance: tuple[float, float, float] = TOLERANCE
    allow_reversed_goal: bool | None = None
    rs: str = "info"
    max_decisions: int = MAX_DECISIONS
    reward_weights: Mapping[str, float] | None = None
    steer_rate: float | None = None
    acceleration: float | None = None
    scenarios: str | None = None
    vehicles: str | VehicleRange | Sequence[VehicleSpec | Mapping[str, float]] | None = None
    task: str = "in"

    @classmethod
    def from_keywords(cls, keywords: Mapping[str, Any]) -> ParkingOptions:
        """Build from keywords.

        Raises:
            UnknownNameError: If one is not a field; the message gives the nearest ones.
        """
        for name in keywords:
            if name not in cls.__dataclass_fields__:
                raise UnknownNameError(
                    "keyword of the parking environment", name, cls.__dataclass_fields__
                )
        return cls(**keywords)

    @property
    def spec(self) -> VehicleSpec:
        """The vehicle."""
        if self.vehicle is None:
            found = find_range(self.vehicles)
            return VehicleSpec() if found is None or VehicleSpec() in found else found.low
        if isinstance(self.vehicle, VehicleSpec):
            return self.vehicle
        plain = dict(self.vehicle) if isinstance(self.vehicle, Mapping) else self.vehicle
        return VehicleSpec.from_json(plain)

    @property
    def range(self) -> VehicleRange | None:
        """The vehicles that are drawn from, if they are."""
        found = find_range(self.vehicles)
        if found is not None and self.spec not in found:
            raise ScenarioError("vehicle", self.spec.to_json(), f"one within {found.to_json()}")
        return found

    @property
    def tasks(self) -> tuple[str, ...]:
        """``in``, ``out`` or both."""
        task = choose("task", self.task, (*TASKS, "both"))
        return TASKS if task == "both" else (task,)

    @property
    def hope(self) -> bool:
        """Whether the profile is HOPE's."""
        return choose("profile", self.profile, tuple(PROFILES)) == "hope"

    @property
    def discrete(self) -> bool:
        """Whether actions are the 42 motions."""
        return choose("action_type", self.action_type, ("continuous", "discrete")) == "discrete"

    def reversible(self, scene: str | None) -> bool:
        """Whether parking the other way round counts in a scene family."""
        chosen = self.allow_reversed_goal
        if chosen is None:
            chosen = PROFILES[self.profile.lower()]["allow_reversed_goal"]
        return scene in ("bay", "lot") if chosen is None else bool(chosen)


def make_config(options: ParkingOptions) -> NDArray[np.void]:
    """Check every option and write the record, shape ``(1,)`` of dtype ``CONFIG``.

    Raises:
        UnknownNameError: If a word is not one of the allowed ones.
        ScenarioError: If a number is out of range.
    """
    values = PROFILES["hope" if options.hope else "default"]
    spec = options.spec
    record = np.zeros(1, CONFIG)
    _write_contact(record, options, values)
    hope_horizon = HOPE_SUBSTEP * SUBSTEPS
    record["hope"] = options.hope
    record["horizon"] = hope_horizon if options.hope else spec.max_speed * DECISION_SECONDS
    record["mask_lidar"] = choose("mask_source", options.mask_source, ("exact", "lidar")) == "lidar"
    record["lidar_noise"] = _at_least(0.0, "lidar_noise", options.lidar_noise)
    record["pose_success"] = choose("success", options.success, ("overlap95", "pose")) == "pose"
    if np.shape(options.tolerance) != (3,):
        raise ScenarioError(
            "tolerance", options.tolerance, "three numbers: metres, metres, radians"
        )
    record["tolerance"] = [_positive(f"tolerance[{i}]", t) for i, t in enumerate(options.tolerance)]
    record["exit_tolerance"] = EXIT_TOLERANCE
    if options.range is not None and record["mask_lidar"]:
        expected = "'exact': the lidar's table belongs to one vehicle"
        raise ScenarioError("mask_source with vehicles", options.mask_source, expected)
    record["rs"] = RS_MODES.index(choose("rs", options.rs, RS_MODES))
    record["rs_gate"] = values["rs_distance"]
    record["rs_first"] = values["rs_first_decision"]
    _write_rule(record, options.hope, spec)
    record["option_discount"] = OPTION_DISCOUNT
    record["max_decisions"] = _at_least(1, "max_decisions", options.max_decisions)
    if record["max_decisions"][0] != options.max_decisions:
        raise ScenarioError("max_decisions", options.max_decisions, "a whole number")
    record["steer_rate"] = _limit("steer_rate", options.steer_rate)
    record["limited"] = options.steer_rate is not None or options.acceleration is not None
    record["acceleration"] = _limit("acceleration", options.acceleration)
    return record


def _write_contact(
    record: NDArray[np.void], options: ParkingOptions, values: Mapping[str, Any]
) -> None:
    """Contact, what it leads to, and what it costs."""
    contact = choose("contact", options.contact or values["contact"], ("certified", "sampled"))
    allowed = ("stop", "penalise", "terminate")
    reaction = choose("on_collision", options.on_collision or values["on_collision"], allowed)
    record["certified"] = contact == "certified"
    record["shorten"] = options.discrete and not options.hope
    record["terminate"] = reaction == "terminate"
    write_weights(record, options)
    record["terminal"] = TERMINAL


def write_weights(
    record: NDArray[np.void], options: ParkingOptions, changes: Mapping[str, float] | None = None
) -> None:
    """Write the weights of the reward terms: the profile's, the options' changes, then ``changes``.

    Raises:
        UnknownNameError: If a term is none of the known ones.
        ScenarioError: If a weight is not a finite number.
    """
    reaction = options.on_collision or PROFILES[options.profile.lower()]["on_collision"]
    all_changes = {**(options.reward_weights or {}), **(changes or {})}
    weights = _weights(HOPE_WEIGHTS if options.hope else WEIGHTS, all_changes)
    weights["bump"] *= reaction.lower() == "penalise"
    record["weights"] = [weights[name] for name in REWARD_TERMS]


def _write_rule(record: NDArray[np.void], hope: bool, spec: VehicleSpec) -> None:
    """The hand-over search of the profile (``parking.md`` 11.3)."""
    radius = spec.min_radius
    rule = hope_rule(radius) if hope else default_rule(radius, max_length=MAX_RS_LENGTH)
    count = len(rule.radii)
    record["radii"][0, :count] = rule.radii
    record["radii_count"] = count
    record["rs_cap"] = rule.max_length
    record["rs_ratio"] = rule.length_ratio
    record["rs_gear_cost"] = rule.gear_cost


def _at_least(low: float, name: str, value: float) -> float:
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not (number and math.isfinite(value) and value >= low):
        bound = f" of at least {low}" if math.isfinite(low) else ""
        raise ScenarioError(name, value, f"a finite number{bound}")
    return float(value)


def _positive(name: str, value: float) -> float:
    return _at_least(1e-9, name, value)


def _limit(name: str, value: float | None) -> float:
    return math.inf if value is None else _positive(name, value)


def _weights(
    defaults: Mapping[str, float], changes: Mapping[str, float] | None
) -> dict[str, float]:
    weights = dict(defaults)
    for name, value in (changes or {}).items():
        if name not in weights:
            raise UnknownNameError("reward term", name, weights)
        weights[name] = _at_least(-math.inf, f"reward_weights.{name}", value)
    return weights
