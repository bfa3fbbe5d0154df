"""Scenarios of a level: random ones, and the published fixed ones (``parking.md`` 4, 14.3)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hybridrl.envs.parking.scenes.generate import (
    DEFAULT_VEHICLE,
    RawScene,
    generate,
    generate_exit,
)
from hybridrl.envs.parking.scenes.levels import Level, find_class, find_level
from hybridrl.envs.parking.vehicles import VehicleRange
from hybridrl.planners.errors import ScenarioError
from hybridrl.planners.obstacles import pack
from hybridrl.planners.scenario import Scenario
from hybridrl.planners.vehicle import VehicleSpec

_VEHICLE_STREAM = 1  # third number of the seed that draws a scene's vehicle


def to_scenario(
    raw: RawScene,
    class_name: str,
    vehicle: VehicleSpec = DEFAULT_VEHICLE,
    *,
    id: str | None = None,
    seed: int | None = None,
    task: str = "in",
) -> Scenario:
    """A raw scene as a :class:`Scenario`, with the same bits in every number.

    Args:
        raw: What :func:`~hybridrl.envs.parking.generate.generate` returned.
        class_name: The class it was drawn from.
        vehicle: The vehicle it was drawn for.
        id: Its name; the class name by default.
        seed: The seed that generated it.
        task: ``in`` or ``out``.
    """
    spec = find_class(class_name)
    return Scenario(
        start=tuple(raw.start.tolist()),
        goal=tuple(raw.goal.tolist()),
        obstacles=list(raw.quads),
        bounds=tuple(raw.bounds.tolist()),
        vehicle=vehicle,
        id=id or class_name.lower(),
        level=spec.level,
        scene=spec.scene,
        seed=seed,
        task=task,
    )


def to_raw(scenario: Scenario) -> RawScene:
    """Any scenario as the raw arrays that simulators take; polygons are split into quads."""
    return RawScene(
        np.array(scenario.start),
        np.array(scenario.goal),
        np.array(scenario.limits),
        quads_of(scenario.obstacles),
    )


def quads_of(polygons: Sequence[ArrayLike]) -> NDArray[np.float64]:
    """Cover simple polygons exactly by convex counter-clockwise quads.

    A quad stays what it is; a triangle gets the middle of an edge as a fourth corner.

    Args:
        polygons: Rings ``(n, 2)`` of any orientation, concave ones included, metres.

    Returns:
        Shape ``(M, 4, 2)``.
    """
    quads = []
    for part in pack(polygons).polygons():
        last = len(part) - 1
        for i in range(1, last, 2):
            end = part[min(i + 2, last)]
            middle = part[i + 1] if i + 1 < last else (part[i] + end) / 2
            quads.append((part[0], part[i], middle, end))
    return np.array(quads, np.float64).reshape(-1, 4, 2)


def draw_class(rng: np.random.Generator, level: Level) -> str:
    """Draw one class of a level by its weights (no draw where there is only one)."""
    if len(level.shares) == 1:
        return level.classes[0]
    point = rng.random() * sum(share for _, share in level.shares)
    for name, share in level.shares:
        point -= share
        if point < 0.0:
            return name
    return level.classes[-1]


def sample_scenario(
    level: str,
    rng: np.random.Generator | int,
    vehicle: VehicleSpec = DEFAULT_VEHICLE,
) -> Scenario:
    """Draw a scenario of a level (or of one class).

    Args:
        level: A key of ``LEVELS`` or ``CLASSES``, in any case.
        rng: A generator, or a seed that makes a new one and stands in the scenario.
        vehicle: Who parks.

    Raises:
        UnknownNameError: If there is no such level.
        ScenarioError: If the vehicle does not fit the class.
    """
    mixture = find_level(level)
    seed = None if isinstance(rng, np.random.Generator) else int(rng)
    source = np.random.default_rng(seed) if seed is not None else rng
    assert isinstance(source, np.random.Generator)
    name = draw_class(source, mixture)
    return to_scenario(generate(source, name, vehicle), name, vehicle, seed=seed)


def fixed_scenes(
    class_or_level: str,
    count: int,
    first_seed: int = 0,
    vehicle: VehicleSpec | VehicleRange = DEFAULT_VEHICLE,
    task: str = "in",
) -> list[Scenario]:
    """The published scenes with seeds ``first_seed`` to ``first_seed + count - 1``.

    Each depends on its class and its seed only, so a longer list begins with the shorter one. A
    level deals its classes out in their exact proportions: seed ``i`` has class ``cycle[i % n]``.

    Args:
        class_or_level: A key of ``CLASSES`` or ``LEVELS``, in any case.
        count: How many, at least 0.
        first_seed: Seed of the first, at least 0.
        vehicle: Who parks; of a range, one that the scene's seed chooses.
        task: ``in`` parks, ``out`` leaves a slot.

    Raises:
        UnknownNameError: If there is no such class or level.
        ScenarioError: If ``count`` or ``first_seed`` is negative.
    """
    for field, value in (("count", count), ("first_seed", first_seed)):
        if value < 0:
            raise ScenarioError(field, value, "a whole number, 0 or more")
    cycle = find_level(class_or_level).cycle
    seeds = range(first_seed, first_seed + count)
    return [fixed_scene(cycle[seed % len(cycle)], seed, vehicle, task) for seed in seeds]


def fixed_scene(
    class_name: str,
    seed: int,
    vehicle: VehicleSpec | VehicleRange = DEFAULT_VEHICLE,
    task: str = "in",
) -> Scenario:
    """The published scene of a class and a seed, with an id as in ``extreme-parallel-00017``.

    Raises:
        UnknownNameError: If there is no such class.
        ScenarioError: If the vehicle does not fit the class.
    """
    name = class_name.lower()
    number = find_class(name).number
    if isinstance(vehicle, VehicleRange):
        vehicle = vehicle.draw(np.random.default_rng([number, seed, _VEHICLE_STREAM]))
    rng = np.random.default_rng([number, seed])
    raw = (generate_exit if task == "out" else generate)(rng, name, vehicle)
    suffix = "-out" if task == "out" else ""
    return to_scenario(raw, name, vehicle, id=f"{name}{suffix}-{seed:05d}", seed=seed, task=task)
