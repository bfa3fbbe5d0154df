"""Obstacles as packed convex polygons, the one form that compiled kernels read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


class Obstacles(NamedTuple):
    """Convex polygons, filled, packed one after another.

    Args:
        vertices: Corners in counter-clockwise order, shape ``(P, 2)``, world frame, metres.
        offsets: Polygon ``m`` owns the rows ``offsets[m]:offsets[m + 1]``, shape ``(M + 1,)``.
        circles: Bounding circle of each polygon ``(x, y, radius)``, shape ``(M, 3)``, metres.
    """

    vertices: Array
    offsets: NDArray[np.int64]
    circles: Array

    def polygons(self) -> list[Array]:
        """The polygons one by one, each ``(n, 2)``."""
        return [
            self.vertices[a:b] for a, b in zip(self.offsets[:-1], self.offsets[1:], strict=True)
        ]


def pack(polygons: Sequence[ArrayLike]) -> Obstacles:
    """Pack simple polygons, splitting the concave ones into convex parts.

    Args:
        polygons: Rings ``(n, 2)`` without a repeated first vertex, any orientation.
    """
    parts = [part for ring in polygons for part in convex_parts(np.asarray(ring, np.float64))]
    offsets = np.zeros(len(parts) + 1, np.int64)
    offsets[1:] = np.cumsum([len(part) for part in parts])
    vertices = np.concatenate(parts) if parts else np.zeros((0, 2))
    circles = np.array([_bounding_circle(part) for part in parts]).reshape(-1, 3)
    return Obstacles(np.ascontiguousarray(vertices), offsets, circles)


def convex_parts(ring: Array) -> list[Array]:
    """Split a simple polygon into convex, counter-clockwise parts that cover it exactly."""
    ring = ring if _signed_area(ring) > 0 else ring[::-1]
    if is_convex(ring):
        return [ring]
    triangles = shapely.constrained_delaunay_triangles(shapely.Polygon(ring))
    return _merge([_ring_of(t) for t in triangles.geoms])


def is_convex(ring: Array) -> bool:
    """Whether a counter-clockwise ring turns left (or goes straight) at every corner."""
    edges = np.roll(ring, -1, axis=0) - ring
    following = np.roll(edges, -1, axis=0)
    return bool(np.all(edges[:, 0] * following[:, 1] - edges[:, 1] * following[:, 0] >= 0.0))


def _merge(parts: list[Array]) -> list[Array]:
    """Greedily join parts while their union stays convex (fewer polygons, faster tests)."""
    merged = True
    while merged:
        merged = False
        for i in range(len(parts)):
            for j in range(i + 1, len(parts)):
                joined = _convex_union(parts[i], parts[j])
                if joined is not None:
                    parts = [p for k, p in enumerate(parts) if k not in (i, j)] + [joined]
                    merged = True
                    break
            if merged:
                break
    return parts


def _convex_union(a: Array, b: Array) -> Array | None:
    """The union of two convex polygons where it is one convex polygon, else ``None``."""
    union = shapely.union(shapely.Polygon(a), shapely.Polygon(b))
    if union.geom_type != "Polygon" or union.interiors:
        return None
    ring = _ring_of(union)
    return ring if is_convex(ring) else None


def _ring_of(polygon: shapely.Polygon) -> Array:
    ring = np.asarray(polygon.exterior.coords, np.float64)[:-1]
    return ring if _signed_area(ring) > 0 else ring[::-1]


def _signed_area(ring: Array) -> float:
    x, y = ring.T
    return float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2


def _bounding_circle(ring: Array) -> tuple[float, float, float]:
    center = (ring.min(axis=0) + ring.max(axis=0)) / 2
    return center[0], center[1], float(np.hypot(*(ring - center).T).max())
