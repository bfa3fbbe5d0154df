"""The parts of a parking scene that stand still."""

from __future__ import annotations

import math

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from hybridrl.envs.parking.drawing import canvas as d
from hybridrl.envs.parking.drawing.car_shape import car_corners, corners, draw_car, fit
from hybridrl.planners.scenario import Scenario

Array = NDArray[np.float64]
GRID_STEP = 5.0
_CHEVRON = np.array(
    [(0.62, 0.0), (0.50, 0.52), (0.58, 0.52), (0.70, 0.0), (0.58, -0.52), (0.50, -0.52)]
)


def focus(scenario: Scenario, poses: ArrayLike | None = None) -> Array:
    """Points that a picture of the scene must show, shape ``(n, 2)``, metres.

    They are the bodies at start, goal and ``poses`` ``(k, 3)``, and the street next to the goal
    (1.25 car lengths to both sides), where the neighbours stand.
    """
    vehicle = scenario.vehicle
    goal = corners(scenario.goal, vehicle)
    middle = goal.mean(axis=0)
    reach = 1.25 * vehicle.length
    around = middle + np.array([(-reach, 0.0), (reach, 0.0)])
    points = [corners(scenario.start, vehicle), goal, around]
    if poses is not None:
        points += [corners(pose, vehicle) for pose in np.asarray(poses, np.float64).reshape(-1, 3)]
    return np.concatenate(points)


def view_of(
    scenario: Scenario, points: Array, size: tuple[int, int], margin: float = 1.5
) -> d.View:
    """The view of ``size`` pixels that holds ``points`` ``(n, 2)`` and then most obstacles."""
    rings = [np.zeros((0, 2)), *scenario.obstacles]
    return d.View.fit(points, size, margin, np.concatenate(rings))


def draw_scenery(canvas: d.Canvas, scenario: Scenario) -> None:
    """Draw ground, bounds, obstacles, goal slot and start outline."""
    _draw_ground(canvas, scenario)
    cars, blocks = split_obstacles(scenario)
    _draw_blocks(canvas, blocks)
    draw_goal(canvas, scenario)
    for i, quad in enumerate(cars):
        draw_car(canvas, quad, d.CARS[i % len(d.CARS)])


def split_obstacles(scenario: Scenario) -> tuple[list[Array], list[Array]]:
    """Obstacles as (corners of cars, rings of everything else)."""
    cars: list[Array] = []
    blocks: list[Array] = []
    for ring in scenario.obstacles:
        quad = car_corners(ring, scenario.vehicle)
        if quad is None:
            blocks.append(ring)
        else:
            cars.append(quad)
    return cars, blocks


def draw_goal(canvas: d.Canvas, scenario: Scenario) -> None:
    """Draw the goal slot: tinted, outlined, with an arrow where the nose will point."""
    quad = corners(scenario.goal, scenario.vehicle)
    canvas.fill(quad, d.GOAL, 56)
    canvas.line(quad, d.GOAL, 2.0, closed=True)
    for shift in (-0.12, 0.06):
        canvas.fill(fit(_CHEVRON + np.array([shift, 0.0]), quad), d.GOAL, 215)


def draw_start(canvas: d.Canvas, scenario: Scenario) -> None:
    """Outline the start pose with dashes and an arrow where its nose points."""
    quad = corners(scenario.start, scenario.vehicle)
    canvas.dashes(np.concatenate([quad, quad[:1]]), d.MUTED, 1.6)
    canvas.fill(fit(_CHEVRON + np.array([0.06, 0.0]), quad), d.MUTED, 170)


def _draw_ground(canvas: d.Canvas, scenario: Scenario) -> None:
    """Asphalt with a faint grid of 5 m inside the bounds, darker ground outside."""
    xmin, xmax, ymin, ymax = scenario.limits
    left, right, bottom, top = canvas.view.rectangle
    canvas.fill([(left, bottom), (right, bottom), (right, top), (left, top)], d.OUTSIDE)
    limits = np.array([(xmin, ymin), (xmax, ymin), (xmax, ymax), (xmin, ymax)])
    canvas.fill(limits, d.ASPHALT)
    for x in _ticks(max(left, xmin), min(right, xmax)):
        canvas.line([(x, max(bottom, ymin)), (x, min(top, ymax))], d.GRID, 1.0)
    for y in _ticks(max(bottom, ymin), min(top, ymax)):
        canvas.line([(max(left, xmin), y), (min(right, xmax), y)], d.GRID, 1.0)
    canvas.dashes(np.concatenate([limits, limits[:1]]), d.BLOCK, 1.5)


def _ticks(low: float, high: float) -> list[float]:
    first, last = math.floor(low / GRID_STEP) + 1, math.ceil(high / GRID_STEP)
    return [i * GRID_STEP for i in range(first, last)]


def _draw_blocks(canvas: d.Canvas, blocks: list[Array]) -> None:
    """Fill walls and kerbs, and outline what they make together (no seams between them)."""
    for ring in blocks:
        canvas.fill(ring, d.BLOCK)
    union = shapely.union_all([shapely.Polygon(ring) for ring in blocks])
    for polygon in shapely.get_parts(union):
        for ring in (polygon.exterior, *polygon.interiors):
            canvas.line(np.asarray(ring.coords)[:-1], d.BLOCK_EDGE, 1.5, closed=True)
