"""Frames of a parking episode: one cached picture of the scene, one car drawn on it a frame."""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw

from hybridrl.envs.parking.drawing import canvas as d
from hybridrl.envs.parking.drawing.car_shape import corners, draw_car, draw_wheels
from hybridrl.envs.parking.drawing.scenery import draw_scenery, draw_start, focus, view_of
from hybridrl.planners.scenario import Scenario

Array = NDArray[np.float64]
Frame = NDArray[np.uint8]
# SDL falls back to these without a word where there is no screen.
_INVISIBLE = ("dummy", "offscreen", "evdev")


class SceneRenderer:
    """Draws the frames of one scenario without opening a window.

    Args:
        scenario: What to draw.
        size: ``(width, height)`` of a frame, pixels; both at least 64.
        include: Poses ``(k, 3)`` that the frames must show besides start and goal. A pose
            outside the picture widens it from then on.
        margin: Free space around what must be seen, metres.

    Raises:
        ValueError: If the size is too small.
    """

    def __init__(
        self,
        scenario: Scenario,
        size: tuple[int, int] = (640, 640),
        include: ArrayLike | None = None,
        margin: float = 1.5,
    ) -> None:
        if min(size) < 64:
            raise ValueError(f"size is {size}; expected (width, height) of at least 64 pixels each")
        self.scenario = scenario
        self._size, self._margin = (int(size[0]), int(size[1])), margin
        self._seen = focus(scenario, include)
        self._draw_static()

    @property
    def view(self) -> d.View:
        """The part of the plane that frames show now."""
        return self._view

    def frame(
        self,
        pose: ArrayLike,
        trail: ArrayLike | None = None,
        steer: float = 0.0,
        lidar: ArrayLike | None = None,
        info: str = "",
    ) -> Frame:
        """Draw one frame.

        Args:
            pose: Rear axle pose ``(x, y, heading)`` of the car, metres and radians.
            trail: Earlier poses ``(k, 3)``, oldest first. Neighbours are joined by the arc that
                leads from one to the next, coloured by the gear that drives it.
            steer: Angle of the front wheels, radians, left is positive.
            lidar: Points that the rays hit, ``(n, 2)``, world frame, metres (see
                :func:`lidar_hits`); rows that are not finite are skipped.
            info: A short line of text shown in a corner.

        Returns:
            An RGB picture, ``uint8``, shape ``(height, width, 3)``, owned by the caller.
        """
        place = np.asarray(pose, np.float64)
        body = corners(place, self.scenario.vehicle)
        self._widen(body)
        runs = gear_runs(np.concatenate([_table(trail, 3), place[None]]))
        hits = _table(lidar, 2)
        hits = hits[np.isfinite(hits).all(axis=1)]
        picture = self._static.copy()
        canvas, corner = self._dirty(np.concatenate([body, hits, *(run for _, run in runs)]))
        if canvas is not None:
            draw_runs(canvas, runs, 2.6)
            draw_car(canvas, body, d.EGO)
            draw_wheels(canvas, place, self.scenario.vehicle, steer)
            canvas.dots(hits, d.LIDAR, 2.2)
            picture.paste(canvas.finish(), corner)
        if info:
            draw_label(picture, info)
        return np.array(picture)

    def _widen(self, body: Array) -> None:
        """Show more of the plane when the car drives out of the picture."""
        if not self._view.holds(body):
            self._seen = np.concatenate([self._seen, body])
            self._draw_static()

    def _draw_static(self) -> None:
        self._view = view_of(self.scenario, self._seen, self._size, self._margin)
        canvas = d.Canvas(self._view)
        draw_scenery(canvas, self.scenario)
        draw_start(canvas, self.scenario)
        self._large = canvas.image
        self._static = canvas.finish()

    def _dirty(self, points: Array) -> tuple[d.Canvas | None, tuple[int, int]]:
        """A canvas of only that part of the picture where something moves, and its corner."""
        shown, zoom = self._view.pixels(points), 3
        low = np.clip(np.floor(shown.min(axis=0)) - 8, 0, self._size).astype(int)
        high = np.clip(np.ceil(shown.max(axis=0)) + 8, 0, self._size).astype(int)
        corner = (int(low[0]), int(low[1]))
        if np.any(high <= low):
            return None, corner
        part = self._large.crop((*(low * zoom).tolist(), *(high * zoom).tolist()))
        return d.Canvas(self._view, part, (corner[0] * zoom, corner[1] * zoom), zoom), corner


class Window:
    """Shows frames on the screen; pygame is imported when the first one is made.

    Args:
        size: ``(width, height)``, pixels.
        fps: Most frames a second; showing one waits as long as that takes.
        title: Of the window.

    Raises:
        RuntimeError: If this machine has no display.
    """

    def __init__(self, size: tuple[int, int], fps: float = 10, title: str = "hybridrl") -> None:
        import pygame

        try:
            pygame.display.init()
            driver = pygame.display.get_driver()
            if driver in _INVISIBLE and "SDL_VIDEODRIVER" not in os.environ:
                pygame.display.quit()
                raise pygame.error(f"only the invisible driver {driver!r} was found")
            self._screen = pygame.display.set_mode(size)
        except pygame.error as error:
            raise RuntimeError(
                f"render_mode='human' needs a display ({error}); "
                "use render_mode='rgb_array', or set SDL_VIDEODRIVER=dummy to test without one"
            ) from error
        pygame.display.set_caption(title)
        self._pygame: Any = pygame
        self._clock, self._fps = pygame.time.Clock(), fps

    def show(self, frame: Frame) -> None:
        """Show one frame, ``uint8`` of shape ``(height, width, 3)``, and keep the pace."""
        self._pygame.event.pump()
        self._pygame.surfarray.blit_array(self._screen, frame.swapaxes(0, 1))
        self._pygame.display.flip()
        self._clock.tick(self._fps)

    def close(self) -> None:
        """Close the window; a second call does nothing."""
        self._pygame.display.quit()


def lidar_hits(pose: ArrayLike, ranges: ArrayLike, max_range: float = 10.0) -> Array:
    """End points of lidar rays.

    Args:
        pose: Rear axle pose ``(x, y, heading)`` the rays leave from.
        ranges: Distances from the rear axle, ray ``i`` at vehicle-frame angle ``2 pi i / n``
            (``parking.md`` 6), shape ``(n,)``, metres.
        max_range: Rays at least this long hit nothing.

    Returns:
        World points ``(n, 2)``, metres; ``nan`` where nothing was hit.
    """
    distance = np.asarray(ranges, np.float64)
    angle = 2 * math.pi * np.arange(len(distance)) / max(len(distance), 1)
    points = d.place(np.stack([np.cos(angle), np.sin(angle)], 1) * distance[:, None], pose)
    points[distance >= max_range] = np.nan
    return points


def gear_runs(poses: ArrayLike) -> list[tuple[int, Array]]:
    """Split poses ``(k, 3)`` where the gear changes, filling in the arcs between them.

    Returns:
        ``(gear, points)`` for every run: gear ``1`` or ``-1``, points ``(n, 2)``, metres, finely
        enough spaced to look round.
    """
    gears, arcs = _arcs(_table(poses, 3))
    cuts = np.flatnonzero(np.diff(gears)) + 1
    runs = zip(np.split(gears, cuts), np.split(arcs, cuts), strict=True)
    return [(int(gear[0]), arc.reshape(-1, 2)) for gear, arc in runs if len(gear)]


def draw_runs(canvas: d.Canvas, runs: list[tuple[int, Array]], width: float) -> None:
    """Draw the runs of :func:`gear_runs` as lines of ``width`` pixels with round ends."""
    for gear, points in runs:
        color = d.FORWARD if gear > 0 else d.REVERSE
        canvas.line(points, color, width)
        canvas.dots(points[[0, -1]], color, width / 2)


def draw_label(picture: Image.Image, text: str) -> None:
    """Write a line of text on a dark plate in the lower left corner, whole at any width."""
    draw = ImageDraw.Draw(picture, "RGBA")
    width, height = picture.size
    size = max(11.0, min(width, height) / 34)
    size = min(size, size * (width - 40) / max(draw.textlength(text, font=d.font(size)), 1.0))
    face = d.font(size)
    left, top, right, bottom = draw.textbbox((22, height - 20), text, font=face, anchor="ls")
    plate = (left - 10, top - 8, right + 10, bottom + 8)
    draw.rounded_rectangle(plate, radius=7, fill=(*d.PANEL, 215))
    draw.text((22, height - 20), text, font=face, anchor="ls", fill=d.PAPER)


def _arcs(poses: Array) -> tuple[NDArray[np.int64], Array]:
    """Arcs between neighbouring poses ``(k, 3)``: gears ``(m,)`` and points ``(m, n, 2)``.

    Neighbours at one place have no arc, so ``m`` may be less than ``k - 1``.
    """
    chord = np.diff(poses[:, :2], axis=0)
    moved = np.hypot(*chord.T) > 1e-6
    chord, first = chord[moved], poses[:-1][moved]
    turn = (poses[1:][moved, 2] - first[:, 2] + math.pi) % math.tau - math.pi
    middle = first[:, 2] + turn / 2
    gear = np.where((chord * np.stack([np.cos(middle), np.sin(middle)], 1)).sum(1) < 0, -1, 1)
    # The part t of an arc has a chord t sinc(t turn / 2) / sinc(turn / 2) times the whole one.
    count = max(2, math.ceil(np.abs(turn).max(initial=0.0) / 0.06) + 1)
    t = np.linspace(0.0, 1.0, count)
    size = t * np.sinc(turn[:, None] * t / math.tau) / np.sinc(turn / math.tau)[:, None]
    swing = turn[:, None] * (t - 1) / 2
    c, s = np.cos(swing), np.sin(swing)
    x = size * (c * chord[:, :1] - s * chord[:, 1:]) + first[:, :1]
    y = size * (s * chord[:, :1] + c * chord[:, 1:]) + first[:, 1:2]
    return gear, np.stack([x, y], axis=-1)


def _table(rows: ArrayLike | None, columns: int) -> Array:
    """Rows as ``(n, columns)`` floats; none where there are none."""
    return np.zeros((0, columns)) if rows is None else np.reshape(rows, (-1, columns)).astype(float)
