"""Packing: concave polygons are covered exactly by convex, counter-clockwise parts."""

import math

import numpy as np
import pytest
import shapely

from hybridrl.planners.obstacles import convex_parts, is_convex, pack

L_SHAPE = np.array([(0, 0), (4, 0), (4, 1), (1, 1), (1, 3), (0, 3)], np.float64)


def star_shaped(rng):
    turns = np.sort(rng.uniform(0, 2 * math.pi, rng.integers(4, 14)))
    radii = rng.uniform(0.2, 3.0, len(turns))
    ring = np.stack([np.cos(turns), np.sin(turns)], 1) * radii[:, None] + rng.uniform(-9, 9, 2)
    return ring if rng.random() < 0.5 else ring[::-1]


def comb(teeth):
    """A polygon with deep gaps between its teeth."""
    top = [(x, 5.0 if x % 2 else 1.0) for x in range(2 * teeth)]
    return np.array([(0.0, 0.0), *top, (2 * teeth - 1.0, 0.0)])[::-1]


def assert_exact_cover(ring, parts):
    polygon, polygons = shapely.Polygon(ring), [shapely.Polygon(p) for p in parts]
    assert sum(p.area for p in polygons) == pytest.approx(polygon.area, rel=1e-9)
    assert shapely.union_all(polygons).symmetric_difference(polygon).area < 1e-9
    for part in parts:
        assert is_convex(part)
        assert shapely.LinearRing(part).is_ccw


def test_random_concave_polygons_are_covered_without_gap_or_overlap(rng):
    concave = 0
    for _ in range(150):
        ring = star_shaped(rng)
        if shapely.Polygon(ring).is_valid and shapely.Polygon(ring).area > 1e-3:
            parts = convex_parts(ring)
            assert_exact_cover(ring, parts)
            concave += len(parts) > 1
    assert concave > 50


@pytest.mark.parametrize("ring", [L_SHAPE, L_SHAPE[::-1], comb(4)], ids=["L", "L-cw", "comb"])
def test_known_concave_shapes_are_covered(ring):
    assert_exact_cover(ring, convex_parts(ring))


def test_few_parts_are_made():
    assert len(convex_parts(L_SHAPE)) == 2


def test_a_convex_polygon_stays_one_and_turns_counter_clockwise():
    square = np.array([(0, 0), (0, 2), (2, 2), (2, 0)], np.float64)
    (part,) = convex_parts(square)
    assert np.array_equal(part, square[::-1])


def test_packed_rows_hold_the_polygons_and_their_circles(rng):
    rings = [L_SHAPE, star_shaped(rng), np.array([(9, 9), (11, 9), (10, 12)], np.float64)]
    packed = pack(rings)
    polygons = packed.polygons()
    assert len(polygons) == len(packed.circles) == len(packed.offsets) - 1
    assert packed.offsets[0] == 0
    assert packed.offsets[-1] == len(packed.vertices)
    for ring, (x, y, radius) in zip(polygons, packed.circles, strict=True):
        assert np.hypot(*(ring - (x, y)).T).max() == pytest.approx(radius)
    assert np.array_equal(polygons[-1], rings[-1])


def test_nothing_packs_to_empty_arrays():
    packed = pack([])
    assert packed.vertices.shape == (0, 2)
    assert packed.circles.shape == (0, 3)
    assert packed.offsets.tolist() == [0]
