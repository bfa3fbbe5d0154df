"""The scene a teacher is shown: 48 numbers, and the same as fields, as a key and as text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridrl.envs.driving.names import ACTIONS, SCENARIOS
from hybridrl.planners.errors import ScenarioError

N_CONFLICTS = 4
SCENE_SIZE = 48
TIME_CAP = 20.0  # s: arrival times, TTC and time gaps are never larger
GAP_CAP = 150.0  # m: bumper gaps are never larger
LANE_FIELDS = ("free", "front_gap", "front_speed", "rear_gap", "rear_speed")
CONFLICT_FIELDS = ("arrival_s", "gap_s", "speed", "priority")
# First column of each block.
LANES_AT, CONFLICTS_AT, RISK_AT, ACTION_RISK_AT, TTC_AT, AVAILABLE_AT, PREVIOUS_AT = (
    8,
    23,
    39,
    40,
    45,
    46,
    47,
)
# Name and scale of each of the 48 columns: column = physical value / scale.
COLUMNS: tuple[tuple[str, float], ...] = (
    ("scenario", 1.0),
    ("time_s", 40.0),
    ("speed", 30.0),
    ("set_point", 30.0),
    ("lane_rank", 4.0),
    ("lanes", 4.0),
    ("distance", 100.0),
    ("arrival_s", TIME_CAP),
    *(
        (f"{side}.{name}", scale)
        for side in ("left", "own", "right")
        for name, scale in zip(LANE_FIELDS, (1.0, 100.0, 30.0, 100.0, 30.0), strict=True)
    ),
    *(
        (f"conflict{i}.{name}", scale)
        for i in range(N_CONFLICTS)
        for name, scale in zip(CONFLICT_FIELDS, (TIME_CAP, TIME_CAP, 30.0, 1.0), strict=True)
    ),
    ("risk", 1.0),
    *((f"risk.{name}", 1.0) for name in ACTIONS),
    ("min_ttc", TIME_CAP),
    ("available", 31.0),
    ("previous", 4.0),
)
SCALES = np.array([scale for _, scale in COLUMNS], np.float64)
# Bins of the key: seconds and gaps are finer where they matter.
SECOND_BINS = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 7.0, 10.0, 15.0)
GAP_BINS = (2.0, 5.0, 8.0, 12.0, 16.0, 20.0, 25.0, 30.0, 40.0, 60.0, 100.0)
SPEED_BIN = 2.0
DISTANCE_BIN = 5.0
RISK_BINS = (0.25, 0.5, 0.8)


@dataclass(frozen=True)
class LaneView:
    """What drives in one lane, seen from the ego.

    Args:
        free: 1 a car could be there, 0 blocked, -1 there is no such lane.
        front_gap: Bumper gap to the next car ahead, metres, at most 150.
        front_speed: Its speed, m/s (the ego's where there is none).
        rear_gap: Bumper gap to the next car behind, metres, at most 150.
        rear_speed: Its speed, m/s (the ego's where there is none).
    """

    free: int
    front_gap: float
    front_speed: float
    rear_gap: float
    rear_speed: float


@dataclass(frozen=True)
class ConflictCar:
    """A car whose route meets the ego's.

    Args:
        arrival_s: Until it is at the meeting point, seconds, at most 20.
        gap_s: Between its arrival and the ego's, seconds, at most 20.
        speed: m/s.
        priority: 1 it goes first, 0 equal, -1 it yields.
    """

    arrival_s: float
    gap_s: float
    speed: float
    priority: int


@dataclass(frozen=True)
class Scene:
    """One decision of the ego, complete for any teacher; all of it comes from 48 numbers.

    Args:
        scenario: One of :data:`~hybridrl.envs.driving.names.SCENARIOS`.
        time_s: Since the episode began, seconds.
        speed: Of the ego, m/s.
        set_point: Speed it holds, m/s.
        lane_rank: Its lane, 0 is the left-most.
        lanes: Number of lanes of its road.
        distance: To the junction's entry (negative: past it) or the ramp's end, metres; 150 on a
            highway and on the main road.
        arrival_s: Until the ego is at its first meeting point, seconds, at most 20.
        left: Lane to the left; on the ramp the main lane it must enter.
        own: Own lane.
        right: Lane to the right.
        conflicts: Up to 4 cars whose routes meet the ego's, the most pressing first.
        risk: Now, 0 to 1.
        action_risk: Forecast 3 s ahead, one for each canonical action; 1 for unavailable ones.
        min_ttc: Time to collision in the own lane now, seconds, at most 20.
        available: Canonical names of the actions that can be taken.
        previous: Canonical name of the last action, or ``None`` at the start.
    """

    scenario: str
    time_s: float
    speed: float
    set_point: float
    lane_rank: int
    lanes: int
    distance: float
    arrival_s: float
    left: LaneView
    own: LaneView
    right: LaneView
    conflicts: tuple[ConflictCar, ...]
    risk: float
    action_risk: tuple[float, ...]
    min_ttc: float
    available: tuple[str, ...]
    previous: str | None

    @classmethod
    def from_vector(cls, vector: NDArray[Any]) -> Scene:
        """Read the 48 scaled numbers of ``info["scene"]``.

        Raises:
            ScenarioError: If there are not 48 finite numbers.
        """
        values = np.asarray(vector, np.float64)
        if values.shape != (SCENE_SIZE,) or not np.isfinite(values).all():
            raise ScenarioError("scene", vector, f"{SCENE_SIZE} finite numbers")
        v = values * SCALES
        sides = [_lane(v[LANES_AT + 5 * i : LANES_AT + 5 * i + 5]) for i in range(3)]
        cars = [_conflict(v[CONFLICTS_AT + 4 * i :][:4]) for i in range(N_CONFLICTS)]
        bits, previous = round(v[AVAILABLE_AT]), round(v[PREVIOUS_AT])
        return cls(
            scenario=SCENARIOS[round(v[0])],
            time_s=float(v[1]),
            speed=float(v[2]),
            set_point=float(v[3]),
            lane_rank=round(v[4]),
            lanes=round(v[5]),
            distance=float(v[6]),
            arrival_s=float(v[7]),
            left=sides[0],
            own=sides[1],
            right=sides[2],
            conflicts=tuple(car for car in cars if car.arrival_s < TIME_CAP - 1e-4),
            risk=float(v[RISK_AT]),
            action_risk=tuple(float(x) for x in v[ACTION_RISK_AT : ACTION_RISK_AT + 5]),
            min_ttc=float(v[TTC_AT]),
            available=tuple(name for i, name in enumerate(ACTIONS) if bits >> i & 1),
            previous=ACTIONS[previous] if previous >= 0 else None,
        )

    def vector(self) -> NDArray[np.float32]:
        """The 48 numbers in fixed physical scaling, shape ``(48,)``."""
        v = np.zeros(SCENE_SIZE)
        v[:8] = (
            SCENARIOS.index(self.scenario),
            self.time_s,
            self.speed,
            self.set_point,
            self.lane_rank,
            self.lanes,
            self.distance,
            self.arrival_s,
        )
        for i, lane in enumerate((self.left, self.own, self.right)):
            v[LANES_AT + 5 * i :][:5] = [getattr(lane, name) for name in LANE_FIELDS]
        empty = ConflictCar(TIME_CAP, TIME_CAP, 0.0, 0)
        for i in range(N_CONFLICTS):
            car = self.conflicts[i] if i < len(self.conflicts) else empty
            v[CONFLICTS_AT + 4 * i :][:4] = [getattr(car, name) for name in CONFLICT_FIELDS]
        v[RISK_AT] = self.risk
        v[ACTION_RISK_AT : ACTION_RISK_AT + 5] = self.action_risk
        v[TTC_AT] = self.min_ttc
        v[AVAILABLE_AT] = sum(1 << ACTIONS.index(name) for name in self.available)
        v[PREVIOUS_AT] = ACTIONS.index(self.previous) if self.previous else -1
        return (v / SCALES).astype(np.float32)

    def key(self) -> tuple[int, ...]:
        """Bin numbers of every column but the time: equal keys are equal prompts."""
        v = self.vector().astype(np.float64) * SCALES
        return tuple(_bin(name, v[i]) for i, (name, _) in enumerate(COLUMNS) if name != "time_s")

    def binned(self) -> Scene:
        """The scene with every number at the middle of its bin; what text is made from."""
        v = self.vector().astype(np.float64) * SCALES
        v[1] = 0.0
        for i, (name, _) in enumerate(COLUMNS):
            if name != "time_s":
                v[i] = _middle(name, _bin(name, v[i]))
        return Scene.from_vector(v / SCALES)

    def text(self, precision: int = 1) -> str:
        """A table of the binned scene in words and numbers.

        Args:
            precision: Decimals of every number.
        """
        s, p = self.binned(), precision
        lines = [
            f"scenario {s.scenario}; ego speed {s.speed:.{p}f} m/s, set point {s.set_point:.{p}f}"
            f" m/s, lane {s.lane_rank + 1} of {s.lanes}, distance {s.distance:.{p}f} m,"
            f" arrival {s.arrival_s:.{p}f} s"
        ]
        for name, lane in (("left", s.left), ("own", s.own), ("right", s.right)):
            if lane.free < 0:
                lines.append(f"lane {name}: none")
                continue
            lines.append(
                f"lane {name}: {'free' if lane.free else 'blocked'}, front {lane.front_gap:.{p}f} m"
                f" at {lane.front_speed:.{p}f} m/s, rear {lane.rear_gap:.{p}f} m"
                f" at {lane.rear_speed:.{p}f} m/s"
            )
        who = {1: "has priority", 0: "equal", -1: "yields"}
        for car in s.conflicts:
            lines.append(
                f"conflict: arrives {car.arrival_s:.{p}f} s, {car.gap_s:.{p}f} s from ego,"
                f" {car.speed:.{p}f} m/s, {who[car.priority]}"
            )
        pairs = (f"{a} {r:.2f}" for a, r in zip(ACTIONS, s.action_risk, strict=True))
        lines.append(f"risk {s.risk:.2f}, TTC {s.min_ttc:.{p}f} s; risk if " + ", ".join(pairs))
        lines.append(f"available {' '.join(s.available)}; previous {s.previous or 'none'}")
        return "\n".join(lines)


def _lane(v: NDArray[np.float64]) -> LaneView:
    return LaneView(round(v[0]), float(v[1]), float(v[2]), float(v[3]), float(v[4]))


def _conflict(v: NDArray[np.float64]) -> ConflictCar:
    return ConflictCar(float(v[0]), float(v[1]), float(v[2]), round(v[3]))


def _edges(name: str) -> tuple[float, ...] | None:
    last = name.rsplit(".", 1)[-1]
    if name in ("arrival_s", "min_ttc") or last in ("arrival_s", "gap_s"):
        return SECOND_BINS
    if last in ("front_gap", "rear_gap"):
        return GAP_BINS
    return RISK_BINS if name.startswith("risk") else None


def _width(name: str) -> float:
    if name == "distance":
        return DISTANCE_BIN
    return SPEED_BIN if name.endswith("speed") or name == "set_point" else 1.0


def _bin(name: str, value: float) -> int:
    edges = _edges(name)
    if edges is not None:
        return int(np.searchsorted(edges, value + 1e-4, side="right"))
    return round(float(value) / _width(name))


def _middle(name: str, number: int) -> float:
    edges = _edges(name)
    if edges is None:
        return number * _width(name)
    if name.startswith("risk"):
        return (0.1, 0.375, 0.65, 0.9)[number]
    if number == len(edges):
        return TIME_CAP if edges is SECOND_BINS else GAP_CAP
    return (0.0 if number == 0 else edges[number - 1]) / 2 + edges[number] / 2
