"""Lidar and target against shapely and plain trigonometry."""

import math

import numpy as np
import pytest
import shapely

from hybridrl.envs.parking.config import ParkingOptions, make_config
from hybridrl.envs.parking.scenes.generate import generate
from hybridrl.envs.parking.scenes.levels import CLASSES
from hybridrl.envs.parking.simulator import ParkingSimulator
from hybridrl.planners.scenario import Scenario, body_polygon
from hybridrl.planners.vehicle import VehicleSpec

CAR = VehicleSpec()
ANGLES = 2 * math.pi * np.arange(120) / 120


@pytest.fixture(scope="module")
def sim():
    options = ParkingOptions(rs="off")
    return ParkingSimulator(1, options.spec, make_config(options))


def look(sim, scene):
    sim.load(0, scene)
    sim.begin(np.zeros(1, np.int64))
    return sim.batch.rows[0]


def rays_by_shapely(pose, world):
    """Distance from body outline to obstacle along each ray, up to 10 m from the axle."""
    x, y, h = pose
    outline = body_polygon(pose, CAR).exterior
    values = []
    for angle in ANGLES + h:
        tip = (x + 10.0 * math.cos(angle), y + 10.0 * math.sin(angle))
        ray = shapely.LineString([(x, y), tip])
        origin = shapely.Point(x, y)
        hit = ray.intersection(world)
        reach = 10.0 if hit.is_empty else min(10.0, origin.distance(hit))
        values.append(reach - origin.distance(ray.intersection(outline)))
    return np.array(values)


def test_rays_equal_shapely_in_scenes_of_every_class(sim):
    for number, name in enumerate(CLASSES):
        for seed in range(2):
            raw = generate(np.random.default_rng([number, seed]), name)
            sim.load_raw(0, raw)
            sim.begin(np.zeros(1, np.int64))
            world = shapely.union_all(shapely.polygons(raw.quads))
            expected = rays_by_shapely(raw.start, world)
            seen = sim.batch.rows["lidar"][0]
            # A ray along an edge may or may not touch it.
            assert (np.abs(seen - expected) < 1e-5).sum() >= 119


def test_rays_see_concave_obstacles_from_outside_only(sim):
    ring = [(6, -3), (9, -3), (9, 3), (6, 3), (6, 2), (8, 2), (8, -2), (6, -2)]
    scene = Scenario(start=(0, 0, 0), goal=(-8, 0, 0), obstacles=[ring])
    lidar = look(sim, scene)["lidar"]
    assert lidar == pytest.approx(rays_by_shapely(scene.start, shapely.Polygon(ring)), abs=1e-5)
    assert lidar[0] == pytest.approx(8 - 3.76, abs=1e-6)


def test_nothing_in_range_reads_ten_metres_less_the_body(sim):
    lidar = look(sim, Scenario(start=(0, 0, 1), goal=(5, 0, 1)))["lidar"]
    assert lidar[0] == pytest.approx(10 - 3.76)
    assert lidar[60] == pytest.approx(10 - 0.93)
    assert lidar[30] == pytest.approx(10 - 0.97)
    corner = math.hypot(3.76, 0.97)
    assert lidar.min() == pytest.approx(10 - corner, abs=0.1)


def test_an_edge_seen_end_on_hides_nothing(sim, rng):
    """Edges that point at the axle: rounding decides which end comes first."""
    for _ in range(400):
        heading, bearing = rng.uniform(-3, 3, 2)
        along = np.array([math.cos(bearing), math.sin(bearing)])
        across = np.array([-along[1], along[0]])
        at = rng.uniform(-5, 5, 2)
        ring = [
            at + 5 * along,
            at + 8 * along,
            at + 8 * along + 2 * across,
            at + 5 * along + 2 * across,
        ]
        scene = Scenario(start=(*at, heading), goal=(*(at - 8 * along), heading), obstacles=[ring])
        assert look(sim, scene)["lidar"].min() > 0.5


def test_the_target_tells_distance_bearing_and_signed_heading(sim, rng):
    for _ in range(50):
        start = (*rng.uniform(-9, 9, 2), rng.uniform(-7, 7))
        goal = (*rng.uniform(-9, 9, 2), rng.uniform(-7, 7))
        target = look(sim, Scenario(start=start, goal=goal))["target"]
        dx, dy = goal[0] - start[0], goal[1] - start[1]
        u = (math.cos(start[2]) * dx + math.sin(start[2]) * dy) / math.hypot(dx, dy)
        v = (math.cos(start[2]) * dy - math.sin(start[2]) * dx) / math.hypot(dx, dy)
        turn = goal[2] - start[2]
        expected = (math.hypot(dx, dy), u, v, math.cos(turn), math.sin(turn))
        assert target == pytest.approx(expected, abs=1e-5)


def test_left_and_right_heading_errors_differ_in_the_last_entry(sim):
    left = look(sim, Scenario(start=(0, 0, 0), goal=(5, 0, 0.4)))["target"].copy()
    right = look(sim, Scenario(start=(0, 0, 0), goal=(5, 0, -0.4)))["target"]
    assert left[:4] == pytest.approx(right[:4])
    assert left[4] == pytest.approx(-right[4])
    assert left[4] > 0.3
