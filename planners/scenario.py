"""A scenario: one parking problem, and the JSON file it travels in (``parking.md`` 4.6)."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from hybridrl.planners.errors import ScenarioError
from hybridrl.planners.json_text import parse_json
from hybridrl.planners.obstacles import Obstacles, pack
from hybridrl.planners.vehicle import VehicleSpec

Pose = tuple[float, float, float]
FORMAT = "hybridrl-scenarios-1"
UNITS = {"length": "metre", "angle": "radian"}
TASKS = ("in", "out")
# Lengthwise and sideways, metres, and heading, radians, of a lane pose: where in the lane a car
# takes off matters less than where it parks.
EXIT_TOLERANCE = (1.0, 0.5, math.radians(10.0))


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A start, a goal and filled static obstacles around them.

    Args:
        start: Rear axle pose ``(x, y, heading)`` of the vehicle, metres and radians, world frame.
        goal: Rear axle pose to reach.
        obstacles: Simple polygons ``(n, 2)``, metres, first vertex not repeated.
        bounds: ``(xmin, xmax, ymin, ymax)`` that the rear axle must not leave, metres; by default
            10 m around start and goal (HOPE's rule).
        vehicle: Who drives.
        id: A name for tables and pictures.
        level: Generator level, as in ``complex``; ``None`` for a user's own lot.
        scene: Family, as in ``bay``, ``parallel`` or ``lot``.
        seed: The seed that generated it.
        task: ``in`` parks; ``out`` leaves a slot for the goal, a lane pose that counts as reached
            within :data:`EXIT_TOLERANCE`.

    Raises:
        ScenarioError: If a field cannot be used; the message names it and the fix.
    """

    start: Pose
    goal: Pose
    obstacles: Sequence[NDArray[np.float64]] = ()
    bounds: tuple[float, float, float, float] | None = None
    vehicle: VehicleSpec = field(default_factory=VehicleSpec)
    id: str = "scenario"
    level: str | None = None
    scene: str | None = None
    seed: int | None = None
    task: str = "in"

    def __post_init__(self) -> None:
        """Check every field; fill in the bounds."""
        object.__setattr__(self, "start", _pose("start", self.start))
        object.__setattr__(self, "goal", _pose("goal", self.goal))
        rings = tuple(_polygon(f"obstacles[{i}]", ring) for i, ring in enumerate(self.obstacles))
        object.__setattr__(self, "obstacles", rings)
        bounds = default_bounds(self.start, self.goal) if self.bounds is None else self.bounds
        object.__setattr__(self, "bounds", _bounds(bounds))
        self._check_pose_inside("start", self.start)
        self._check_pose_inside("goal", self.goal)
        if self.task not in TASKS:
            raise ScenarioError("task", self.task, f"one of {', '.join(TASKS)}")

    @cached_property
    def packed(self) -> Obstacles:
        """The obstacles as packed convex polygons."""
        return pack(self.obstacles)

    @property
    def limits(self) -> tuple[float, float, float, float]:
        """The bounds, never ``None``."""
        assert self.bounds is not None
        return self.bounds

    def to_json(self) -> dict[str, Any]:
        """One JSON object; floats are written so that reading returns the same bits."""
        return {
            "id": self.id,
            "level": self.level,
            "scene": self.scene,
            "seed": self.seed,
            "start": list(self.start),
            "goal": list(self.goal),
            "bounds": list(self.limits),
            "obstacles": [ring.tolist() for ring in self.obstacles],
            **({} if self.task == "in" else {"task": self.task}),
        }

    @classmethod
    def from_json(cls, data: Any, vehicle: VehicleSpec | None = None) -> Scenario:
        """Read one JSON object.

        Args:
            data: As :meth:`to_json` writes it; ``start`` and ``goal`` are required. A ``vehicle``
                object in it wins over the argument.
            vehicle: The file's vehicle.

        Raises:
            ScenarioError: If a field is missing, unknown or cannot be used.
        """
        if not isinstance(data, dict):
            raise ScenarioError("scenario", data, "an object with start, goal and obstacles")
        unknown = sorted(set(data) - set(cls.__dataclass_fields__))
        if unknown:
            known = ", ".join(cls.__dataclass_fields__)
            raise ScenarioError(unknown[0], data[unknown[0]], f"only these fields: {known}")
        for name in ("start", "goal"):
            if name not in data:
                raise ScenarioError(name, None, "[x, y, heading] in metres and radians")
        values = {k: v for k, v in data.items() if v is not None and k != "vehicle"}
        if "vehicle" in data:
            vehicle = VehicleSpec.from_json(data["vehicle"])
        return cls(**values, vehicle=vehicle or VehicleSpec())

    def _check_pose_inside(self, name: str, pose: Pose) -> None:
        xmin, xmax, ymin, ymax = self.limits
        if not (xmin <= pose[0] <= xmax and ymin <= pose[1] <= ymax):
            raise ScenarioError(name, pose, f"a rear axle inside the bounds {self.limits}")


def body_polygon(pose: Pose | NDArray[np.float64], vehicle: VehicleSpec) -> shapely.Polygon:
    """The vehicle's body at a pose as a shapely polygon (world frame, metres)."""
    body = vehicle.body
    corners = np.array(
        [
            (body.rear, -body.half_width),
            (body.front, -body.half_width),
            (body.front, body.half_width),
            (body.rear, body.half_width),
        ]
    )
    c, s = math.cos(pose[2]), math.sin(pose[2])
    return shapely.Polygon(corners @ np.array([[c, s], [-s, c]]) + np.asarray(pose[:2]))


def require_free(scenario: Scenario, *names: str) -> None:
    """Refuse a scenario whose start or goal body overlaps an obstacle.

    A start must not even touch one: contact from there on could not be told from rounding. A goal
    may, because parking covers only most of it.

    Args:
        scenario: What to check.
        names: Of ``start`` and ``goal``, those that must be free; both when none is given.

    Raises:
        ScenarioError: Naming the pose, the obstacle and the fix.
    """
    for name in names or ("start", "goal"):
        box = body_polygon(getattr(scenario, name), scenario.vehicle)
        for i, ring in enumerate(scenario.obstacles):
            polygon = shapely.Polygon(ring)
            overlaps = box.intersection(polygon).area > 1e-9
            if overlaps or (name == "start" and box.distance(polygon) < 1e-9):
                verb = "overlap" if overlaps else "touch"
                raise ScenarioError(
                    name,
                    getattr(scenario, name),
                    f"a pose whose body does not {verb} obstacles[{i}]; move one of the two",
                )


def default_bounds(start: Pose, goal: Pose, margin: float = 10.0) -> tuple[float, ...]:
    """HOPE's map bounds: whole metres, ``margin`` around start and goal (``parking.md`` 4.4)."""
    bounds: list[float] = []
    for a, b in zip(start[:2], goal[:2], strict=True):
        bounds += [float(math.floor(min(a, b) - margin)), float(math.ceil(max(a, b) + margin))]
    return tuple(bounds)


def load_scenarios(path: str | Path) -> list[Scenario]:
    """Read a scenario file: a bare scenario object or a file with header and ``scenarios``.

    Raises:
        ScenarioError: If the file is no JSON or a field cannot be used; the message names both.
    """
    try:
        data = parse_json(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ScenarioError(str(path), str(error), "a readable JSON scenario file") from error
    if not (isinstance(data, dict) and "scenarios" in data):
        return [Scenario.from_json(data)]
    if data.get("format") != FORMAT or data.get("units", UNITS) != UNITS:
        header = {k: data.get(k) for k in ("format", "units")}
        raise ScenarioError("format", header, f"format {FORMAT!r} with units {UNITS}")
    if not isinstance(data["scenarios"], list):
        raise ScenarioError("scenarios", data["scenarios"], "a list of scenario objects")
    vehicle = VehicleSpec.from_json(data["vehicle"]) if "vehicle" in data else None
    return [Scenario.from_json(item, vehicle) for item in data["scenarios"]]


def save_scenarios(path: str | Path, scenarios: Sequence[Scenario], source: str = "user") -> None:
    """Write scenarios of one vehicle with a header, whole or not at all.

    Args:
        path: File to write.
        scenarios: At least one; all with the same vehicle.
        source: Where they come from, for the header.

    Raises:
        ScenarioError: If there is none, or vehicles differ.
    """
    if not scenarios or any(s.vehicle != scenarios[0].vehicle for s in scenarios):
        raise ScenarioError("scenarios", len(scenarios), "one or more scenarios of one vehicle")
    data = {
        "format": FORMAT,
        "units": UNITS,
        "source": source,
        "vehicle": scenarios[0].vehicle.to_json(),
        "scenarios": [s.to_json() for s in scenarios],
    }
    target = Path(path)
    partial = target.with_name(target.name + ".partial")
    partial.write_text(json.dumps(data, indent=1, allow_nan=False), encoding="utf-8")
    partial.replace(target)


def _numbers(name: str, value: Any, count: int, expected: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(v) for v in value)
    except (TypeError, ValueError):
        raise ScenarioError(name, value, expected) from None
    if len(numbers) != count or not all(math.isfinite(v) and abs(v) < 1e6 for v in numbers):
        raise ScenarioError(name, value, expected)
    return numbers


def _pose(name: str, value: Any) -> tuple[float, ...]:
    return _numbers(name, value, 3, "three finite numbers [x, y, heading] in metres and radians")


def _bounds(value: Any) -> tuple[float, ...]:
    expected = "[xmin, xmax, ymin, ymax] in metres with xmin < xmax and ymin < ymax"
    bounds = _numbers("bounds", value, 4, expected)
    if not (bounds[0] < bounds[1] and bounds[2] < bounds[3]):
        raise ScenarioError("bounds", value, expected)
    return bounds


def _polygon(name: str, value: Any) -> NDArray[np.float64]:
    expected = (
        "three or more finite corners [x, y] in metres of a polygon that does not cross itself"
    )
    try:
        ring = np.array(value, np.float64)
    except (TypeError, ValueError):
        raise ScenarioError(name, value, expected) from None
    if ring.ndim != 2 or ring.shape[1] != 2 or len(ring) < 3:
        raise ScenarioError(name, value, expected)
    if not (np.isfinite(ring).all() and np.abs(ring).max() < 1e6):
        raise ScenarioError(name, value, expected)
    polygon = shapely.Polygon(ring)
    if not polygon.is_valid or polygon.area < 1e-6:
        raise ScenarioError(name, value, f"{expected} ({shapely.is_valid_reason(polygon)})")
    ring.flags.writeable = False
    return ring
