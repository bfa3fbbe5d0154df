"""Separating axes, clearance and overlap against shapely."""

import math

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from hybridrl.planners.geometry import (
    advance_pose,
    clearance,
    overlap_fraction,
    pose_free,
    wrap_angle,
)
from hybridrl.planners.obstacles import pack
from hybridrl.planners.scenario import body_polygon
from hybridrl.planners.vehicle import VehicleSpec

CAR = VehicleSpec()
coordinate = st.floats(-8.0, 8.0)
angle = st.floats(-4.0, 4.0)


def random_ring(rng, convex):
    """A polygon around a random point: star-shaped, so concave unless its hull is taken."""
    turns = np.sort(rng.uniform(0, 2 * math.pi, rng.integers(5, 9)))
    radii = rng.uniform(0.3, 3.0, len(turns))
    ring = np.stack([np.cos(turns), np.sin(turns)], 1) * radii[:, None] + rng.uniform(-6, 6, 2)
    polygon = shapely.Polygon(ring)
    if convex:
        polygon = polygon.convex_hull
    return np.asarray(polygon.exterior.coords)[:-1] if polygon.is_valid else None


def random_cases(count, convex, seed=0):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        rings = [r for r in (random_ring(rng, convex) for _ in range(2)) if r is not None]
        yield rings, (*rng.uniform(-6, 6, 2), rng.uniform(-4, 4))


def distance_by_shapely(pose, rings):
    box = body_polygon(pose, CAR)
    return min((box.distance(shapely.Polygon(r)) for r in rings), default=math.inf)


@pytest.mark.parametrize(("convex", "count"), [(True, 1500), (False, 250)])
def test_contact_and_clearance_equal_shapely_on_random_scenes(convex, count):
    contacts = 0
    for rings, pose in random_cases(count, convex):
        packed, expected = pack(rings), distance_by_shapely(pose, rings)
        assert clearance(*pose, CAR.body, packed) == pytest.approx(expected, abs=1e-9)
        assert pose_free(*pose, CAR.body, packed) == (expected > 0)
        contacts += expected == 0
    assert 0.1 * count < contacts < 0.9 * count  # both answers were tested


def test_touching_counts_as_contact():
    wall = np.array([(3.76, -1.0), (5.0, -1.0), (5.0, 1.0), (3.76, 1.0)])
    assert not pose_free(0.0, 0.0, 0.0, CAR.body, pack([wall]))
    assert pose_free(-1e-9, 0.0, 0.0, CAR.body, pack([wall]))


def test_a_vehicle_inside_a_large_obstacle_is_in_contact():
    block = np.array([(-50.0, -50.0), (50.0, -50.0), (50.0, 50.0), (-50.0, 50.0)])
    assert not pose_free(1.0, 2.0, 0.3, CAR.body, pack([block]))
    assert clearance(1.0, 2.0, 0.3, CAR.body, pack([block])) == 0.0


def test_without_obstacles_everything_is_free_and_infinitely_far():
    assert pose_free(0.0, 0.0, 1.0, CAR.body, pack([]))
    assert clearance(0.0, 0.0, 1.0, CAR.body, pack([])) == math.inf


def test_clearance_does_not_change_when_the_scene_is_mirrored_turned_and_moved():
    for rings, (x, y, h) in random_cases(60, False, seed=1):
        plain = clearance(x, y, h, CAR.body, pack(rings))
        mirrored = pack([r * (1, -1) for r in rings])
        assert clearance(x, -y, -h, CAR.body, mirrored) == pytest.approx(plain, abs=1e-9)
        c, s = math.cos(1.1), math.sin(1.1)
        turn = np.array([[c, s], [-s, c]])
        moved = pack([r @ turn + (30, -7) for r in rings])
        u, v = np.array([x, y]) @ turn + (30, -7)
        assert clearance(u, v, h + 1.1, CAR.body, moved) == pytest.approx(plain, abs=1e-9)


def test_overlap_of_two_bodies_equals_shapely(rng):
    for _ in range(800):
        a = (*rng.normal(0, 1.5, 2), rng.uniform(-4, 4))
        b = (*rng.normal(0, 1.5, 2), rng.uniform(-4, 4))
        one, other = body_polygon(a, CAR), body_polygon(b, CAR)
        expected = one.intersection(other).area / other.area
        assert overlap_fraction(*a, *b, CAR.body) == pytest.approx(expected, abs=1e-9)


@given(coordinate, coordinate, angle)
def test_a_body_covers_itself_and_its_half_turn_about_its_centre(x, y, h):
    assert overlap_fraction(x, y, h, x, y, h, CAR.body) == pytest.approx(1.0)
    c = 2 * CAR.center_offset
    turned = (x + c * math.cos(h), y + c * math.sin(h), h + math.pi)
    assert overlap_fraction(*turned, x, y, h, CAR.body) == pytest.approx(1.0)


@given(coordinate, coordinate, angle, st.floats(-0.34, 0.34), st.floats(-5.0, 5.0))
def test_closed_form_motion_equals_fine_euler_steps(x, y, h, curvature, length):
    steps = 4000
    headings = h + curvature * length * (np.arange(steps) + 0.5) / steps  # midpoint rule
    ex = x + np.cos(headings).sum() * length / steps
    ey = y + np.sin(headings).sum() * length / steps
    assert advance_pose(x, y, h, curvature, length) == pytest.approx(
        (ex, ey, h + curvature * length), abs=1e-6
    )


@given(st.floats(-0.34, 0.34), st.floats(-5.0, 5.0), st.floats(0.0, 1.0))
def test_driving_in_two_pieces_ends_where_one_piece_does(curvature, length, share):
    whole = advance_pose(1.0, -2.0, 0.5, curvature, length)
    middle = advance_pose(1.0, -2.0, 0.5, curvature, share * length)
    assert advance_pose(*middle, curvature, (1 - share) * length) == pytest.approx(whole, abs=1e-9)


@given(st.floats(-0.34, 0.34), st.floats(-5.0, 5.0))
def test_driving_back_returns_to_the_start(curvature, length):
    there = advance_pose(1.0, -2.0, 0.5, curvature, length)
    assert advance_pose(*there, curvature, -length) == pytest.approx((1.0, -2.0, 0.5), abs=1e-9)


@given(st.floats(-50.0, 50.0))
def test_wrapped_angles_point_the_same_way(value):
    wrapped = wrap_angle(value)
    assert -math.pi <= wrapped <= math.pi
    assert math.cos(wrapped) == pytest.approx(math.cos(value), abs=1e-9)
    assert math.sin(wrapped) == pytest.approx(math.sin(value), abs=1e-9)
