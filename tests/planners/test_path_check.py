"""The exact check that every returned path passes, against shapely at fine samples."""

import math

import numpy as np
import pytest
import shapely

from hybridrl.planners.path import Path
from hybridrl.planners.path_check import check_path
from hybridrl.planners.scenario import Scenario, body_polygon

POST = [(8.0, 0.5), (8.2, 0.5), (8.2, 0.7), (8.0, 0.7)]


def scene(*obstacles, goal=(10.0, 0.0, 0.0), bounds=None):
    return Scenario(start=(0, 0, 0), goal=goal, obstacles=obstacles, bounds=bounds)


def straight(length):
    return Path.from_arcs((0, 0, 0), [(0.0, length)])


def test_a_free_path_to_the_goal_is_clean():
    check = check_path(straight(10.0), scene())
    assert check.clean
    assert check.clearance == math.inf
    assert check.overlap == pytest.approx(1.0)
    assert check.position_error == pytest.approx(0.0, abs=1e-9)
    assert check.heading_error == pytest.approx(0.0, abs=1e-9)


def test_a_path_through_an_obstacle_is_not_free():
    check = check_path(straight(10.0), scene(POST))
    assert not check.free
    assert not check.clean
    assert check.clearance == 0.0


def test_a_corner_clipped_between_samples_is_seen():
    # The turning nose reaches farther out between two samples than at either of them.
    path = Path.from_arcs((0, 0, 0), [(1 / 3.0056, 4.0)])
    reach = max(
        shapely.get_coordinates(body_polygon(p, scene().vehicle))[:, 0].max()
        for p in path.sample(0.001)
    )
    coarse = max(
        shapely.get_coordinates(body_polygon(p, scene().vehicle))[:, 0].max()
        for p in path.sample(1.0)
    )
    edge = (reach + coarse) / 2
    wall = [(edge, -1.0), (edge + 1, -1.0), (edge + 1, 9.0), (edge, 9.0)]
    assert not check_path(path, scene(wall, goal=(-3, 8, 0)), spacing=1.0).free


def test_leaving_the_bounds_is_seen_even_where_the_path_returns():
    path = Path.from_arcs((0, 0, 0), [(0.0, 12.0), (0.0, -2.0)])
    assert check_path(path, scene(bounds=(-1, 13, -5, 5))).clean
    assert not check_path(path, scene(bounds=(-1, 11, -5, 5))).inside


@pytest.mark.parametrize(
    ("end", "clean"), [(10.2, True), (9.8, True), (10.25, False), (9.7, False)]
)
def test_parked_means_an_overlap_above_95_percent(end, clean):
    assert check_path(straight(end), scene()).clean == clean


def test_clearance_is_the_smallest_distance_along_the_path(rng):
    for _ in range(20):
        pairs = list(zip(rng.uniform(-0.33, 0.33, 3), rng.uniform(-3, 3, 3), strict=True))
        path = Path.from_arcs((0, 0, 0), pairs)
        ring = np.array(POST) + rng.uniform(-3, 3, 2)
        problem = scene(ring)
        box = shapely.Polygon(ring)
        gaps = [body_polygon(p, problem.vehicle).distance(box) for p in path.sample(0.05)]
        check = check_path(path, problem, spacing=0.05)
        assert check.clearance == pytest.approx(min(gaps), abs=1e-9)
        assert check.free == (min(gaps) > 0)
