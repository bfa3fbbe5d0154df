"""What a car looks like from above, fitted into any four corners."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hybridrl.envs.parking.drawing.canvas import FOOTPRINT, Canvas, Color, place, shade
from hybridrl.planners.vehicle import VehicleSpec

Array = NDArray[np.float64]
GLASS: Color = (41, 50, 63)
TYRE: Color = (24, 27, 32)
HEADLIGHT: Color = (255, 244, 200)
TAILLIGHT: Color = (226, 70, 70)

# Shapes in car coordinates: u from 0 (rear) to 1 (front), v from -1 (right) to 1 (left).
_CABIN = np.array([(0.13, 0.60), (0.27, 0.76), (0.55, 0.76), (0.71, 0.68)])
_ROOF = np.array([(0.22, 0.52), (0.28, 0.62), (0.53, 0.62), (0.57, 0.56)])
_HEADLIGHT = np.array([(0.93, 0.52), (0.985, 0.45), (0.945, 0.80), (0.90, 0.84)])
_TAILLIGHT = np.array([(0.015, 0.42), (0.045, 0.46), (0.05, 0.84), (0.03, 0.80)])


def corners(pose: ArrayLike, vehicle: VehicleSpec) -> Array:
    """Body corners at a pose, shape ``(4, 2)``: rear right, front right, front left, rear left."""
    rear, front, half = vehicle.body
    return place([(rear, -half), (front, -half), (front, half), (rear, half)], pose)


def car_corners(ring: Array, vehicle: VehicleSpec) -> Array | None:
    """Order an obstacle's corners as :func:`corners` does, if it has the size of a car.

    Args:
        ring: Polygon ``(n, 2)``, metres.
        vehicle: Whose size is taken as that of a car.

    Returns:
        Corners ``(4, 2)``, or ``None`` where the polygon is no quadrilateral near that size.
    """
    if len(ring) != 4:
        return None
    edges = np.roll(ring, -1, axis=0) - ring
    turns = edges[:, 0] * np.roll(edges, -1, axis=0)[:, 1]
    turns -= edges[:, 1] * np.roll(edges, -1, axis=0)[:, 0]
    if not (np.all(turns > 0) or np.all(turns < 0)):
        return None
    ordered = ring if turns[0] > 0 else ring[::-1]
    sides = np.linalg.norm(np.roll(ordered, -1, axis=0) - ordered, axis=1)
    pair = (sides[0] + sides[2]) / 2, (sides[1] + sides[3]) / 2
    if not 0.75 <= max(pair) / vehicle.length <= 1.3:
        return None
    if not 0.7 <= min(pair) / vehicle.width <= 1.45:
        return None
    return ordered if pair[0] >= pair[1] else np.roll(ordered, -1, axis=0)


def draw_car(canvas: Canvas, quad: Array, color: Color) -> None:
    """Draw a car whose body fills ``quad``, shape ``(4, 2)`` as from :func:`corners`.

    Nothing is drawn outside of the quad: what looks like contact is contact.
    """
    # The exact footprint stays visible around the rounded body: planners see that one.
    canvas.fill(quad, FOOTPRINT)
    canvas.fill(fit(_body(), quad), shade(color, 0.62))
    canvas.fill(fit(_body(0.955), quad), color)
    canvas.fill(fit(_mirrored(_CABIN), quad), GLASS)
    canvas.fill(fit(_mirrored(_ROOF), quad), shade(color, 1.06))
    for side in (1.0, -1.0):
        canvas.fill(fit(_HEADLIGHT * (1.0, side), quad), HEADLIGHT)
        canvas.fill(fit(_TAILLIGHT * (1.0, side), quad), TAILLIGHT)


def draw_wheels(canvas: Canvas, pose: ArrayLike, vehicle: VehicleSpec, steer: float) -> None:
    """Draw the four wheels, the front ones turned by ``steer`` radians (left is positive)."""
    tyre = _tyre(vehicle.wheelbase)
    half = vehicle.width / 2
    # Turned wheels stand further in, so that they stay inside the body.
    for x, y, angle in ((0.0, 0.87 * half, 0.0), (vehicle.wheelbase, 0.77 * half, steer)):
        for side in (-y, y):
            canvas.fill(place(place(tyre, (x, side, angle)), pose), TYRE)


def fit(shape: Array, quad: Array) -> Array:
    """Map car coordinates ``(n, 2)`` bilinearly into four corners; returns ``(n, 2)`` metres."""
    u, w = shape[:, :1], (shape[:, 1:] + 1) / 2
    right = quad[0] * (1 - u) + quad[1] * u
    left = quad[3] * (1 - u) + quad[2] * u
    mapped: Array = right * (1 - w) + left * w
    return mapped


def _mirrored(half: Array) -> Array:
    """Close the left half of an outline with its mirror image."""
    return np.concatenate([half, half[::-1] * (1.0, -1.0)])


@lru_cache
def _body(size: float = 1.0) -> Array:
    """Rounded body outline: blunt tail, rounder nose."""
    turn = np.linspace(0.0, math.pi / 2, 7)
    tail = np.stack([0.06 - 0.06 * np.cos(turn), 0.76 + 0.24 * np.sin(turn)], axis=1)
    nose = np.stack([0.90 + 0.10 * np.sin(turn), 0.66 + 0.34 * np.cos(turn)], axis=1)
    outline = _mirrored(np.concatenate([tail, nose]))
    # The rim is equally wide in metres: a car is about 2.4 times longer than wide.
    middle = np.array([0.5, 0.0])
    shrunk: Array = (outline - middle) * (1 - (1 - size) / 2.4, size) + middle
    return shrunk


@lru_cache
def _tyre(wheelbase: float) -> Array:
    """Tyre from above around its own centre, metres."""
    length, width = 0.115 * wheelbase, 0.042 * wheelbase
    chamfer = 0.7
    half = np.array([(-length, chamfer * width), (-0.8 * length, width), (0.8 * length, width)])
    return _mirrored(np.concatenate([half, [(length, chamfer * width)]]))
