"""Exact first contact along arcs against shapely and fine sampling."""

import math

import numpy as np
import pytest
import shapely

from hybridrl.planners.geometry import advance_pose, clearance, pose_free
from hybridrl.planners.obstacles import pack
from hybridrl.planners.scenario import body_polygon
from hybridrl.planners.sweep import arcs_free, free_length
from hybridrl.planners.vehicle import VehicleSpec

CAR = VehicleSpec()
VAN = VehicleSpec(wheelbase=3.4, front_overhang=1.1, rear_overhang=0.2, width=2.2, max_steer=0.6)


def random_ring(rng, convex):
    turns = np.sort(rng.uniform(0, 2 * math.pi, rng.integers(4, 8)))
    radii = rng.uniform(0.2, 2.5, len(turns))
    ring = np.stack([np.cos(turns), np.sin(turns)], 1) * radii[:, None] + rng.uniform(-8, 8, 2)
    polygon = shapely.Polygon(ring)
    polygon = polygon.convex_hull if convex or not polygon.is_valid else polygon
    return np.asarray(polygon.exterior.coords)[:-1]


def random_motions(count, vehicle, convex, seed=0):
    """Scenes with a free start at the origin, and an arc in them."""
    rng = np.random.default_rng(seed)
    while count:
        rings = [random_ring(rng, convex) for _ in range(3)]
        packed = pack(rings)
        pose = (0.0, 0.0, rng.uniform(-4, 4))
        if pose_free(*pose, vehicle.body, packed):
            count -= 1
            curvature = rng.choice([0.0, 1.0, rng.uniform(-1, 1)]) * vehicle.max_curvature
            yield rings, packed, pose, float(curvature), float(rng.uniform(-9, 9))


@pytest.mark.parametrize("vehicle", [CAR, VAN], ids=["car", "van"])
@pytest.mark.parametrize("convex", [True, False], ids=["convex", "concave"])
def test_the_body_touches_at_the_returned_length_and_never_before(vehicle, convex):
    hits = 0
    for rings, packed, pose, curvature, length in random_motions(
        150 if convex else 50, vehicle, convex
    ):
        free = free_length(*pose, curvature, length, vehicle.body, packed)
        assert 0.0 <= free <= abs(length)
        sign = math.copysign(1.0, length)
        for s in np.linspace(0.0, max(free - 1e-6, 0.0), 40):
            there = advance_pose(*pose, curvature, sign * s)
            assert pose_free(*there, vehicle.body, packed)
        if free < abs(length):
            hits += 1
            box = body_polygon(advance_pose(*pose, curvature, sign * free), vehicle)
            assert min(box.distance(shapely.Polygon(r)) for r in rings) < 1e-9
    assert hits > 5


def test_the_first_contact_is_the_same_in_mirrored_turned_and_reversed_scenes():
    for rings, packed, pose, curvature, length in random_motions(150, CAR, True, seed=3):
        free = free_length(*pose, curvature, length, CAR.body, packed)
        mirrored = pack([r * (1, -1) for r in rings])
        other = free_length(0.0, 0.0, -pose[2], -curvature, length, CAR.body, mirrored)
        assert other == pytest.approx(free, abs=1e-9)
        c, s = math.cos(2.0), math.sin(2.0)
        turned = pack([r @ np.array([[c, s], [-s, c]]) + (5, 9) for r in rings])
        other = free_length(5.0, 9.0, pose[2] + 2.0, curvature, length, CAR.body, turned)
        assert other == pytest.approx(free, abs=1e-8)
        # The same body described from behind: front and rear change places.
        flipped = CAR.body._replace(rear=-CAR.body.front, front=-CAR.body.rear)
        back = free_length(0.0, 0.0, pose[2] + math.pi, -curvature, -length, flipped, packed)
        assert back == pytest.approx(free, abs=1e-8)


def test_an_obstacle_more_never_lengthens_a_motion():
    for rings, packed, pose, curvature, length in random_motions(40, CAR, False, seed=4):
        fewer = free_length(*pose, curvature, length, CAR.body, pack(rings[:-1]))
        assert free_length(*pose, curvature, length, CAR.body, packed) <= fewer


def test_straight_contact_is_the_gap_ahead():
    wall = pack([np.array([(6.0, -9.0), (7.0, -9.0), (7.0, 9.0), (6.0, 9.0)])])
    assert free_length(0.0, 0.0, 0.0, 0.0, 5.0, CAR.body, wall) == pytest.approx(6.0 - 3.76)
    assert free_length(0.0, 0.0, 0.0, 0.0, 2.0, CAR.body, wall) == 2.0
    assert free_length(0.0, 0.0, 0.0, 0.0, -5.0, CAR.body, wall) == 5.0


def test_more_than_a_full_circle_is_free_in_an_empty_world_and_stops_at_a_post():
    assert free_length(0, 0, 0, CAR.max_curvature, 40.0, CAR.body, pack([])) == 40.0
    post = np.array([(0.0, 5.9), (0.1, 5.9), (0.1, 6.0), (0.0, 6.0)])
    free = free_length(0.0, 0.0, 0.0, CAR.max_curvature, 40.0, CAR.body, pack([post]))
    end = advance_pose(0.0, 0.0, 0.0, CAR.max_curvature, free)
    assert 0.0 < free < 2 * math.pi * CAR.min_radius
    assert clearance(*end, CAR.body, pack([post])) == pytest.approx(0.0, abs=1e-9)


def test_arcs_are_free_exactly_when_every_one_of_them_is():
    rng = np.random.default_rng(5)
    answers = []
    for _, packed, pose, _, _ in random_motions(100, CAR, True, seed=5):
        curvatures = rng.uniform(-1, 1, 3) * CAR.max_curvature
        lengths = rng.uniform(-3, 3, 3)
        expected, at = True, pose
        for k, s in zip(curvatures, lengths, strict=True):
            samples = [advance_pose(*at, k, t) for t in np.linspace(0, s, 120)]
            expected = expected and all(pose_free(*p, CAR.body, packed) for p in samples)
            at = samples[-1]
        answer = arcs_free(*pose, curvatures, lengths, 3, CAR.body, packed)
        # A corner clipped between two samples is seen by the exact test only.
        assert expected or not answer
        answers.append((answer, expected))
    assert np.mean([a == e for a, e in answers]) > 0.99
    assert 10 < sum(a for a, _ in answers) < 90
