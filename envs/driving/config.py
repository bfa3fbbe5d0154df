"""Options of the driving environments and the numbers that make each scene what it is."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridrl.envs.driving.kernels.records import CONFIG
from hybridrl.envs.driving.names import HIGHWAY, INTERSECTION, ROUNDABOUT, SCENARIOS
from hybridrl.envs.driving.roads import EGO_START, RoadTable
from hybridrl.planners.errors import ScenarioError, UnknownNameError

DENSITIES = {"sparse": 0.5, "normal": 1.0, "dense": 2.0}
REWARDS = ("aligned", "stock")
BACKENDS = ("fast", "highway-env")
OBSERVATIONS = ("rows", "flat", "dict")
STYLES = ("stock", "aggressive", "defensive", "mixed")
DURATIONS = {"highway": 40.0, "merge": 25.0, "intersection": 25.0, "roundabout": 20.0}
ROWS = {"highway": 10, "merge": 10, "intersection": 15, "roundabout": 15}
SPEEDS: dict[str, tuple[float, ...]] = {
    "highway": (20.0, 25.0, 30.0),
    "merge": (10.0, 15.0, 20.0, 25.0, 30.0),
    "intersection": (0.0, 4.5, 9.0),
    "roundabout": (0.0, 8.0, 16.0),
}
DENSE_SPEEDS = (15.0, 20.0, 25.0, 30.0)  # of the highway from density 1.5
HIGHWAY_VEHICLES = 50
SHAPING_WEIGHT, GAMMA = 0.5, 0.95
# Jam distance, acceleration and comfortable deceleration of the other drivers.
DRIVERS = {name: (10.0, 3.0, 5.0) for name in SCENARIOS} | {"intersection": (7.0, 6.0, 3.0)}
# Numbers at densities 0.5, 1 and 2; in between they are interpolated.
_LEVELS = (0.5, 1.0, 2.0)
_CARS, _SPAWN = (5, 10, 15), (0.3, 0.6, 0.9)  # intersection
_GAP_LOW, _GAP_HIGH = (30.0, 18.0, 14.0), (70.0, 45.0, 28.0)  # merge
_EXTRA = (0, 2, 4)  # roundabout


@dataclass(frozen=True, kw_only=True)
class DrivingOptions:
    """Keywords of the driving environments.

    Args:
        scenario: ``highway``, ``merge``, ``intersection`` or ``roundabout``.
        density: ``sparse`` (0.5), ``normal`` (1), ``dense`` (2) or a number in [0.25, 3].
        policy_frequency: Decisions a second, Hz.
        simulation_frequency: Simulation steps a second, Hz; a multiple of the former.
        duration: Time limit, seconds; ``None`` is the scene's own.
        limit_ends: Where there is a goal, reaching the time limit is ``terminated``, not
            ``truncated``: learners then count it as the failure it is, instead of adding what
            they expect of the time after it.
        reward: ``aligned`` with success, or highway-env's ``stock`` reward.
        crash_cost: What a crash takes off the aligned reward; ``None`` is 5, and 10 on the highway.
        timeout_cost: What the time limit takes off it where there is a goal.
        risk_shaping: Add the potential of the risk to the aligned reward.
        observation: ``rows`` (N, 7), ``flat`` (N*7,), or ``dict`` with mask and advice slot.
        signals: Two more columns, the turn that is left of each car's route, as its turn signals
            would tell.
        clock: Add the share of the time limit that is left to the ``dict`` observation.
        expose_scene: Put the 48 numbers of the scene into ``info["scene"]``.
        driver_style: Other drivers: ``stock``, ``aggressive``, ``defensive``, ``mixed``.
        min_mean_speed: Highway: mean forward speed that success needs, m/s; ``None`` is 23, and
            21 from density 1.5.
        lanes: Of the highway, 2 to 6.
        backend: ``fast`` (compiled) or ``highway-env``.
    """

    scenario: str = "highway"
    density: str | float = "normal"
    policy_frequency: int = 1
    simulation_frequency: int = 15
    duration: float | None = None
    limit_ends: bool = False
    reward: str = "aligned"
    crash_cost: float | None = None
    timeout_cost: float = 1.0
    risk_shaping: bool = False
    observation: str = "rows"
    signals: bool = False
    clock: bool = False
    expose_scene: bool = False
    driver_style: str = "stock"
    min_mean_speed: float | None = None
    lanes: int = 4
    backend: str = "fast"

    def __post_init__(self) -> None:  # noqa: D105
        for name, allowed in (
            ("scenario", SCENARIOS),
            ("reward", REWARDS),
            ("observation", OBSERVATIONS),
            ("driver_style", STYLES),
            ("backend", BACKENDS),
        ):
            if getattr(self, name) not in allowed:
                raise UnknownNameError(name, str(getattr(self, name)), allowed)
        if self.clock and self.observation != "dict":
            raise ScenarioError(
                "clock", True, 'False, or observation="dict", which has room for it'
            )
        if isinstance(self.density, str) and self.density not in DENSITIES:
            raise UnknownNameError("density", self.density, DENSITIES)
        for name, low, high in (
            ("density_number", 0.25, 3.0),
            ("policy_frequency", 1, 5),
            ("simulation_frequency", 1, 60),
            ("time_limit", 1.0, 600.0),
            ("lanes", 2, 6),
            ("mean_speed", 0.0, 40.0),
            ("crash_cost", 0.0, 1000.0),
            ("timeout_cost", 0.0, 1000.0),
        ):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and low <= value <= high):
                raise ScenarioError(name, value, f"a number in [{low}, {high}]")
        if self.simulation_frequency % self.policy_frequency:
            raise ScenarioError(
                "simulation_frequency", self.simulation_frequency, "a multiple of policy_frequency"
            )

    @classmethod
    def from_keywords(cls, keywords: dict[str, Any]) -> DrivingOptions:
        """Options from keyword arguments.

        Raises:
            UnknownNameError: If a keyword or one of its words is unknown.
            ScenarioError: If a number is out of range.
        """
        known = [field.name for field in fields(cls)]
        for name in keywords:
            if name not in known:
                raise UnknownNameError("driving option", name, known)
        return cls(**keywords)

    @property
    def density_number(self) -> float:
        """The density as a number."""
        return DENSITIES[self.density] if isinstance(self.density, str) else float(self.density)

    @property
    def time_limit(self) -> float:
        """Seconds until an episode is truncated."""
        return DURATIONS[self.scenario] if self.duration is None else float(self.duration)

    @property
    def mean_speed(self) -> float:
        """Mean forward speed that success on the highway needs, m/s."""
        if self.min_mean_speed is not None:
            return float(self.min_mean_speed)
        return 21.0 if self.density_number >= 1.5 else 23.0

    @property
    def cost_of_a_crash(self) -> float:
        """What a crash takes off the aligned reward."""
        if self.crash_cost is not None:
            return float(self.crash_cost)
        return 10.0 if self.scenario == "highway" else 5.0

    @property
    def speeds(self) -> tuple[float, ...]:
        """Set-points of the ego, m/s."""
        if self.scenario == "highway" and self.density_number >= 1.5:
            return DENSE_SPEEDS
        return SPEEDS[self.scenario]

    @property
    def lateral(self) -> bool:
        """Whether the ego may change lanes."""
        return self.scenario != "intersection"

    def traffic(self) -> dict[str, float]:
        """Numbers of cars, gaps and probabilities at this density."""
        at = self.density_number

        def level(values: tuple[float, ...]) -> float:
            return float(np.interp(at, _LEVELS, values))

        junction = self.scenario == "intersection"
        return {
            "vehicles": round(level(_CARS)) if junction else HIGHWAY_VEHICLES,
            "density": at,
            "gap_low": level(_GAP_LOW),
            "gap_high": level(_GAP_HIGH),
            "spawn": level(_SPAWN),
            "extra": round(level(_EXTRA)),
        }

    def record(self, table: RoadTable) -> NDArray[np.void]:
        """The configuration of compiled code, shape ``(1,)``."""
        config = np.zeros(1, CONFIG)
        c = config[0]
        number = SCENARIOS.index(self.scenario)
        c["scenario"] = number
        c["dt"] = 1.0 / self.simulation_frequency
        c["frames"] = self.simulation_frequency // self.policy_frequency
        c["rule_ticks"] = max(1, int(self.simulation_frequency / 2))
        c["decision"], c["duration"] = 1.0 / self.policy_frequency, self.time_limit
        c["limit_ends"] = self.limit_ends
        c["n_speeds"] = len(self.speeds)
        c["speeds"][: len(self.speeds)] = self.speeds
        c["stock_reward"] = self.reward == "stock"
        c["crash_cost"], c["timeout_cost"] = self.cost_of_a_crash, self.timeout_cost
        c["shaping"] = SHAPING_WEIGHT if self.risk_shaping else 0.0
        c["gamma"], c["min_mean_speed"], c["lateral"] = GAMMA, self.mean_speed, self.lateral
        c["style"] = STYLES.index(self.driver_style)
        c["jam"], c["acc"], c["dec"] = DRIVERS[self.scenario]
        for name, value in self.traffic().items():
            c[name] = value
        c["ego_lane"] = table.numbers[EGO_START[self.scenario]]
        c["highway_lanes"] = self.lanes
        c["entry"] = table.entry
        c["absolute"] = number in (INTERSECTION, ROUNDABOUT)
        c["rows"] = ROWS[self.scenario]
        c["max_cars"] = HIGHWAY_VEHICLES + 2 if number == HIGHWAY else 48
        return config
