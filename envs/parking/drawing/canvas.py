"""Anti-aliased drawing in metres: a view of the plane, a supersampled canvas, a palette."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFont

Array = NDArray[np.float64]
Color = tuple[int, int, int]

# One palette for frames and stills: quiet ground, quiet cars, three loud colours that mean one
# thing each (blue drives forward, orange reverses, green is the goal).
ASPHALT: Color = (50, 55, 64)
OUTSIDE: Color = (38, 42, 49)
GRID: Color = (57, 62, 72)
BLOCK: Color = (98, 106, 119)
BLOCK_EDGE: Color = (141, 150, 164)
FOOTPRINT: Color = (34, 38, 45)
PANEL: Color = (24, 27, 32)
PAPER: Color = (244, 246, 248)
MUTED: Color = (165, 174, 188)
EGO: Color = (244, 247, 250)
GOAL: Color = (74, 217, 139)
FORWARD: Color = (77, 184, 255)
REVERSE: Color = (255, 160, 67)
LIDAR: Color = (255, 111, 145)
CARS: tuple[Color, ...] = (
    (150, 159, 172),
    (126, 137, 153),
    (172, 178, 186),
    (113, 126, 146),
    (139, 141, 151),
)


def shade(color: Color, factor: float) -> Color:
    """The color made darker (``factor < 1``) or lighter, each channel clipped to 0..255."""
    r, g, b = (max(0, min(255, round(channel * factor))) for channel in color)
    return r, g, b


@lru_cache
def font(size: float) -> Any:
    """Pillow's own scalable typeface at a height in pixels (no file of this system is read)."""
    return ImageFont.load_default(size=size)


@dataclass(frozen=True)
class View:
    """Which part of the plane a picture shows, y up and both axes at one scale.

    Args:
        center: Point of the plane in the middle of the picture, metres.
        scale: Pixels a metre.
        size: ``(width, height)`` of the picture, pixels.
    """

    center: tuple[float, float]
    scale: float
    size: tuple[int, int]

    @classmethod
    def fit(
        cls,
        points: ArrayLike,
        size: tuple[int, int],
        margin: float = 2.0,
        around: ArrayLike | None = None,
    ) -> View:
        """The largest view that holds all points.

        Args:
            points: What must be seen, shape ``(n, 2)``, metres.
            size: ``(width, height)``, pixels.
            margin: Free space around them, metres.
            around: What is worth seeing besides, shape ``(m, 2)``: where the picture is longer
                than the points need, the spare room goes there.
        """
        table, shape = np.asarray(points, np.float64), np.asarray(size)
        low, high = table.min(axis=0) - margin, table.max(axis=0) + margin
        scale = float(min(shape / (high - low)))
        half = shape / (2 * scale)
        middle = (low + high) / 2
        if around is not None and len(rest := np.asarray(around, np.float64)):
            first = np.minimum(low, rest.min(axis=0) - margin) + half
            last = np.maximum(high, rest.max(axis=0) + margin) - half
            wanted = np.where(first <= last, np.clip(middle, first, last), (first + last) / 2)
            middle = np.clip(wanted, high - half, low + half)
        return cls((float(middle[0]), float(middle[1])), scale, size)

    def pixels(self, points: ArrayLike, zoom: float = 1.0) -> Array:
        """Plane to picture: shape ``(n, 2)`` metres to ``(n, 2)`` pixels, times ``zoom``."""
        offset = np.asarray(points, np.float64).reshape(-1, 2) - self.center
        shown = offset * (self.scale, -self.scale) + np.asarray(self.size) / 2
        return shown * zoom

    def holds(self, points: ArrayLike) -> bool:
        """Whether every point lies inside the picture."""
        shown = self.pixels(points)
        return bool(np.all((shown >= 0) & (shown <= self.size)))

    def enlarged(self, zoom: int) -> View:
        """The same part of the plane in a picture ``zoom`` times as large."""
        return View(self.center, self.scale * zoom, (self.size[0] * zoom, self.size[1] * zoom))

    @property
    def rectangle(self) -> tuple[float, float, float, float]:
        """``(xmin, xmax, ymin, ymax)`` that the picture shows, metres."""
        half = np.asarray(self.size) / (2 * self.scale)
        x, y = self.center
        return x - half[0], x + half[0], y - half[1], y + half[1]


class Canvas:
    """A picture drawn ``zoom`` times too large and then reduced, which smooths every edge.

    Args:
        view: What it shows.
        image: Enlarged RGB picture to draw on; a new one of ``ASPHALT`` without it.
        origin: Enlarged pixel of the view that is the image's first one.
        zoom: Enlargement, both ways.

    Widths and radii are pixels of a picture of up to 640 pixels, and grow with larger ones.
    """

    def __init__(
        self,
        view: View,
        image: Image.Image | None = None,
        origin: tuple[int, int] = (0, 0),
        zoom: int = 3,
    ) -> None:
        self.view, self.zoom, self.origin = view, zoom, origin
        size = (view.size[0] * zoom, view.size[1] * zoom)
        self.image = image if image is not None else Image.new("RGB", size, ASPHALT)
        self._solid = ImageDraw.Draw(self.image)
        # Mode RGBA on an RGB image blends a color that has a fourth channel, three times slower.
        self._glass = ImageDraw.Draw(self.image, "RGBA")
        # Lines keep their share of larger pictures; in small ones they stay visible.
        self._pixel = zoom * max(1.0, min(view.size) / 640)

    def _place(self, points: ArrayLike) -> list[tuple[float, float]]:
        placed = self.view.pixels(points, self.zoom) - self.origin
        return [(x, y) for x, y in placed.tolist()]

    def fill(self, points: ArrayLike, color: Color, alpha: int = 255) -> None:
        """Fill a polygon ``(n, 2)``, metres; ``alpha`` 0 (nothing) to 255 (opaque)."""
        draw, ink = self._pen(color, alpha)
        draw.polygon(self._place(points), fill=ink)

    def line(self, points: ArrayLike, color: Color, width: float, closed: bool = False) -> None:
        """Draw an opaque polyline ``(n, 2)``, metres, ``width`` pixels."""
        placed = self._place(points)
        if closed:
            placed = [*placed, placed[0], placed[1]]
        self._solid.line(placed, fill=color, width=max(1, round(width * self._pixel)))

    def dots(self, points: ArrayLike, color: Color, radius: float, alpha: int = 255) -> None:
        """Draw discs at ``(n, 2)``, metres, of a radius in pixels."""
        r = radius * self._pixel
        draw, ink = self._pen(color, alpha)
        for x, y in self._place(points):
            draw.ellipse((x - r, y - r, x + r, y + r), fill=ink)

    def dashes(
        self, points: ArrayLike, color: Color, width: float, dash: float = 0.4, gap: float = 0.3
    ) -> None:
        """Draw a broken polyline ``(n, 2)`` with dashes and gaps of these metres."""
        for piece in broken(np.asarray(points, np.float64), dash, gap):
            self.line(piece, color, width)

    def ghost(self, rings: Sequence[Array], color: Color, width: float, alpha: int) -> None:
        """Outline rings ``(n, 2)`` translucently, crossings no denser than the lines."""
        mask = Image.new("L", self.image.size, 0)
        draw = ImageDraw.Draw(mask)
        for ring in rings:
            placed = self._place(ring)
            draw.line([*placed, *placed[:2]], fill=alpha, width=max(1, round(width * self._pixel)))
        self.image.paste(color, mask=mask)

    def tint(self, rings: Sequence[Array], color: Color, alpha: int) -> None:
        """Fill what rings ``(n, 2)`` cover together, overlaps no denser than the rest."""
        mask = Image.new("L", self.image.size, 0)
        draw = ImageDraw.Draw(mask)
        for ring in rings:
            draw.polygon(self._place(ring), fill=alpha)
        self.image.paste(color, mask=mask)

    def _pen(self, color: Color, alpha: int) -> tuple[Any, tuple[int, ...]]:
        return (self._solid, color) if alpha >= 255 else (self._glass, (*color, alpha))

    def finish(self) -> Image.Image:
        """The picture at its final size."""
        return self.image.reduce(self.zoom)


def broken(points: Array, dash: float, gap: float) -> list[Array]:
    """Cut a polyline ``(n, 2)`` into dashes, each ``(2, 2)``; they do not bend round corners."""
    pieces = []
    for a, b in itertools.pairwise(points):
        length = math.dist(a, b)
        # The side begins and ends with a dash, so corners are always drawn.
        count = max(1, round((length + gap) / (dash + gap)))
        stretch = length / max(count * (dash + gap) - gap, 1e-9)
        for i in range(count):
            begin = i * (dash + gap) * stretch / max(length, 1e-9)
            end = begin + dash * stretch / max(length, 1e-9)
            pieces.append(np.array([a + (b - a) * begin, a + (b - a) * min(end, 1.0)]))
    return pieces


def place(points: ArrayLike, pose: ArrayLike) -> Array:
    """Move points ``(n, 2)`` from the vehicle frame at ``pose`` to the world, metres."""
    x, y, heading = np.asarray(pose, np.float64)[:3]
    c, s = math.cos(heading), math.sin(heading)
    moved: Array = np.asarray(points, np.float64) @ np.array([[c, s], [-s, c]]) + (x, y)
    return moved
