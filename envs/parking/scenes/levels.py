"""Difficulty classes and the levels that mix them (``parking.md`` 4.1; README decision 4).

A *class* is one scene family at one difficulty, as in ``complex-bay``; a *level* is what an
environment is asked for, as in ``hard``: a mixture of classes. A new level is one entry here.
"""

from __future__ import annotations

from dataclasses import dataclass

from hybridrl.planners.errors import UnknownNameError
from hybridrl.planners.vehicle import VehicleSpec


@dataclass(frozen=True, kw_only=True)
class SceneClass:
    """What all scene classes have.

    Args:
        number: Seeds the published scenes; never reused, never changed.
        level: Word that scenes of this class carry as their ``level``.
        scene: Family: ``bay``, ``parallel`` or ``lot``.
        margin: Map bounds around start and goal, metres (``parking.md`` 4.4).
    """

    number: int
    level: str
    scene: str
    margin: float = 10.0


@dataclass(frozen=True, kw_only=True)
class StreetClass(SceneClass):
    """A bay or a parallel slot along a wall, with an aisle in front (``parking.md`` 4.2, 4.3).

    The slack is the slot's width minus the vehicle's (bay) or its length minus the vehicle's
    (parallel): each end is ``slack[i] + slack_lengths[i] * vehicle.length``.

    Args:
        slack: Smallest and largest slack, metres.
        slack_lengths: The part of both that grows with the vehicle, in vehicle lengths.
        aisle: Depth of the aisle, metres.
        far_obstacles: Random obstacles tried beyond the aisle.
    """

    slack: tuple[float, float]
    slack_lengths: tuple[float, float] = (0.0, 0.0)
    aisle: float
    far_obstacles: int

    def slack_range(self, vehicle: VehicleSpec) -> tuple[float, float]:
        """Smallest and largest slack for a vehicle, metres (in order also for short vehicles)."""
        ends = [a + b * vehicle.length for a, b in zip(self.slack, self.slack_lengths, strict=True)]
        return min(ends), max(ends)


@dataclass(frozen=True, kw_only=True)
class LotClass(SceneClass):
    """A synthetic parking lot: rows of bays along aisles (``parking.md`` 4.5).

    Args:
        stall_slack: Stall width minus vehicle width, smallest and largest, metres.
        stall_depth: Stall depth minus vehicle length, smallest and largest, metres.
        aisle: Aisle width, smallest and largest, metres.
        occupancy: Share of stalls that are taken, smallest and largest.
        clearance: Allowed distance from the goal box to the nearest obstacle, metres.
        distance: Allowed distance from start to goal, metres.
        obstacles: Allowed number of obstacles that reach into the bounds.
        halfway: Probability that the start lies on the way out of the goal stall.
    """

    stall_slack: tuple[float, float] = (0.45, 0.90)
    stall_depth: tuple[float, float] = (0.3, 0.7)
    aisle: tuple[float, float] = (6.0, 7.5)
    occupancy: tuple[float, float] = (0.7, 0.95)
    clearance: tuple[float, float] = (0.1, 0.9)
    distance: tuple[float, float] = (3.0, 30.0)
    obstacles: tuple[int, int] = (60, 120)
    halfway: float = 0.2
    margin: float = 20.0


CLASSES: dict[str, SceneClass] = {
    "normal-bay": StreetClass(
        number=7001, level="normal", scene="bay", slack=(0.85, 1.20), aisle=7.0, far_obstacles=3
    ),
    "normal-parallel": StreetClass(
        number=7002,
        level="normal",
        scene="parallel",
        slack=(0.0, 0.5),
        slack_lengths=(0.25, 0.25),
        aisle=4.5,
        far_obstacles=3,
    ),
    "complex-bay": StreetClass(
        number=7003, level="complex", scene="bay", slack=(0.40, 0.85), aisle=6.0, far_obstacles=5
    ),
    "complex-parallel": StreetClass(
        number=7004,
        level="complex",
        scene="parallel",
        slack=(0.90, 0.0),
        slack_lengths=(0.0, 0.25),
        aisle=4.0,
        far_obstacles=5,
    ),
    "extreme-parallel": StreetClass(
        number=7005,
        level="extreme",
        scene="parallel",
        slack=(0.60, 0.90),
        aisle=3.5,
        far_obstacles=8,
    ),
    "extreme-bay": StreetClass(
        number=7006,
        level="extreme-bay",
        scene="bay",
        slack=(0.25, 0.40),
        aisle=5.5,
        far_obstacles=8,
    ),
    "ultra-parallel": StreetClass(
        number=7007,
        level="ultra",
        scene="parallel",
        slack=(0.30, 0.60),
        aisle=3.2,
        far_obstacles=8,
    ),
    "lot": LotClass(number=7008, level="lot", scene="lot"),
}


@dataclass(frozen=True)
class Level:
    """A mixture of scene classes.

    Args:
        name: Keyword, lower case.
        shares: ``(class name, whole-number share)`` pairs.
    """

    name: str
    shares: tuple[tuple[str, int], ...]

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of its classes."""
        return tuple(name for name, _ in self.shares)

    @property
    def weights(self) -> tuple[float, ...]:
        """Probability of each class; they sum to 1."""
        total = sum(share for _, share in self.shares)
        return tuple(share / total for _, share in self.shares)

    @property
    def cycle(self) -> tuple[str, ...]:
        """Class names in the exact proportions, spread out, for lists of fixed scenes."""
        turns = [(k + 0.5) / share for _, share in self.shares for k in range(share)]
        names = [name for name, share in self.shares for _ in range(share)]
        return tuple(names[i] for i in sorted(range(len(names)), key=lambda i: (turns[i], i)))


def _levels(**shares: dict[str, int]) -> dict[str, Level]:
    names = {key.replace("_", "-"): value for key, value in shares.items()}
    return {name: Level(name, tuple(value.items())) for name, value in names.items()}


LEVELS: dict[str, Level] = _levels(
    normal={"normal-bay": 1, "normal-parallel": 1},
    complex={"complex-bay": 1, "complex-parallel": 1},
    extreme={"extreme-parallel": 1},
    lot={"lot": 1},
    mixed={
        "normal-bay": 1,
        "normal-parallel": 1,
        "complex-bay": 1,
        "complex-parallel": 1,
        "extreme-parallel": 2,
        "lot": 2,
    },
    hard={"complex-bay": 1, "complex-parallel": 1, "extreme-parallel": 1},
    extreme_bay={"extreme-bay": 1},
    ultra={"ultra-parallel": 1},
    all=dict.fromkeys(CLASSES, 1),
)
ALIASES = {"extrem": "extreme", "extremebay": "extreme-bay"}  # HOPE's code spells the first so


def find_class(name: str) -> SceneClass:
    """The class of a name, in any case.

    Raises:
        UnknownNameError: If there is none; the message gives the nearest names.
    """
    key = str(name).lower()
    if key not in CLASSES:
        raise UnknownNameError("scene class", str(name), CLASSES)
    return CLASSES[key]


def find_level(name: str) -> Level:
    """The level of a name, in any case; a class name is a level of that one class.

    Raises:
        UnknownNameError: If there is none; the message gives the nearest names.
    """
    key = str(name).lower()
    key = ALIASES.get(key, key)
    if key in LEVELS:
        return LEVELS[key]
    if key in CLASSES:
        return Level(key, ((key, 1),))
    raise UnknownNameError("level", str(name), {*LEVELS, *CLASSES})
