"""The mask of the lidar against shapely, against the exact mask, and what driving by it means."""

import math

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from hybridrl.envs.parking.config import ParkingOptions, make_config
from hybridrl.envs.parking.env import ParkingEnv
from hybridrl.envs.parking.kernels.lidar_mask import (
    QUANTUM,
    SECTOR,
    gap_needed,
    needed_gaps,
    sector_table,
)
from hybridrl.envs.parking.kernels.records import (
    ACTION_SPEED,
    ACTION_STEER,
    ACTIONS,
    RAYS,
    SUBSTEPS,
    vehicle_record,
)
from hybridrl.envs.parking.scenes.generate import RawScene
from hybridrl.envs.parking.simulator import ParkingSimulator
from hybridrl.envs.parking.vector_env import ParkingVectorEnv
from hybridrl.planners.path import advance
from hybridrl.planners.scenario import Scenario, body_polygon
from hybridrl.planners.vehicle import VehicleSpec

CAR = VehicleSpec()
HORIZON = 1.25
ORIGIN = np.zeros(3)
GOAL = np.array([30.0, 0.0, 0.0])
BOUNDS = np.array([-50.0, 50.0, -50.0, 50.0])
OUTLINE = vehicle_record(CAR)["outline"][0]  # axle to body outline along each ray
BODY = body_polygon(ORIGIN, CAR)
MIRROR = np.concatenate([np.arange(20, -1, -1), np.arange(41, 20, -1)])
# A post 2 cm wide, 0.4 m before the bumper, halfway between the first two rays.
POST = np.array([[4.16, 0.1], [4.18, 0.1], [4.18, 0.12], [4.16, 0.12]])


def look(scenes, **options):
    """Rows of the scenes, each an array of quads ``(M, 4, 2)`` around a car at the origin."""
    options = {"rs": "off", "mask_source": "lidar"} | options
    simulator = ParkingSimulator(len(scenes), CAR, make_config(ParkingOptions(**options)))
    for i, quads in enumerate(scenes):
        quads = np.asarray(quads, float).reshape(-1, 4, 2)
        simulator.load_raw(i, RawScene(ORIGIN, GOAL, BOUNDS, quads))
    simulator.begin(np.arange(len(scenes)))
    return simulator.batch.rows


def told(rows):
    """Free sub-steps in the mask; an empty mask's 0.01 counts as none."""
    return np.rint(rows["mask"] * SUBSTEPS).astype(int)


def quad(x, y, heading, length, width):
    c, s = math.cos(heading), math.sin(heading)
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * [length / 2, width / 2]
    return corners @ np.array([[c, s], [-s, c]]) + [x, y]


def free_quads(rng, count):
    """Random quads that do not touch the car."""
    quads = []
    while len(quads) < count:
        angle, distance = rng.uniform(0, 2 * math.pi), rng.uniform(1, 7)
        x, y = 1.4 + distance * math.cos(angle), distance * math.sin(angle)
        ring = quad(x, y, rng.uniform(0, math.pi), rng.uniform(0.3, 5), rng.uniform(0.3, 2))
        if shapely.distance(shapely.Polygon(ring), BODY) > 0.02:
            quads.append(ring)
    return np.array(quads)


def slips_between_rays(quads, gaps):
    """Whether a corner of an obstacle is nearer than the chords that these gaps leave free."""
    corners = quads.reshape(-1, 2)
    angle = np.arctan2(corners[:, 1], corners[:, 0]) % (2 * math.pi)
    sector = (angle / SECTOR).astype(int) % RAYS
    along = angle - sector * SECTOR
    a, b = OUTLINE[sector] + gaps[sector], OUTLINE[(sector + 1) % RAYS] + gaps[sector]
    chord = a * b * math.sin(SECTOR) / (a * np.sin(along) + b * np.sin(SECTOR - along))
    return bool((np.hypot(*corners.T) < chord + 1e-4).any())


def test_an_empty_world_allows_every_motion_in_full():
    rows = look([[]])
    assert (rows["mask"] == 1.0).all()
    assert rows["allowed"].all()


@given(st.floats(1, 6), st.floats(1, 6), st.floats(0, SECTOR), st.floats(1, 12))
def test_the_needed_gap_puts_the_chord_exactly_through_the_point(first, second, along, radius):
    gap = gap_needed(radius, along, first, second)
    a, b = first + gap, second + gap
    chord = a * b * math.sin(SECTOR) / (a * math.sin(along) + b * math.sin(SECTOR - along))
    assert gap >= 0.0
    assert chord == pytest.approx(radius) if gap > 0.0 else chord >= radius - 1e-9


@pytest.mark.parametrize("action", [0, 4, 10, 13, 20, 21, 27, 31, 41])
def test_a_chord_at_the_needed_gap_clears_the_swept_body_and_a_nearer_one_does_not(action):
    gaps = needed_gaps(CAR, HORIZON)[:, action, SUBSTEPS - 1]
    curvature = math.tan(ACTION_STEER[action] * CAR.max_steer) / CAR.wheelbase
    arcs = np.linspace(0.0, HORIZON, 600) * ACTION_SPEED[action]
    poses = advance(ORIGIN, curvature, arcs)
    swept = shapely.union_all([body_polygon(pose, CAR) for pose in poses]) - BODY
    rays = np.array([(math.cos(i * SECTOR), math.sin(i * SECTOR)) for i in range(RAYS + 1)])
    for sector in np.flatnonzero(gaps > 0.03):
        a, b = OUTLINE[sector], OUTLINE[(sector + 1) % RAYS]
        chord = [
            shapely.LineString([(a + e) * rays[sector], (b + e) * rays[sector + 1]])
            for e in (gaps[sector], gaps[sector] - 0.01)
        ]
        assert not chord[0].intersects(swept)
        assert chord[1].intersects(swept)
    assert gaps.max() > 0.5


def test_the_table_counts_the_sub_steps_that_a_gap_leaves_free():
    gaps, table = needed_gaps(CAR, HORIZON), sector_table(CAR, HORIZON)
    assert (np.diff(gaps, axis=2) >= 0.0).all()
    assert (np.diff(table.astype(int), axis=1) >= 0).all()
    assert (table[:, -1, :ACTIONS] == SUBSTEPS).all()
    for sector, b, action in [(0, 3, 10), (5, 20, 0), (60, 11, 31), (113, 40, 20)]:
        expected = (gaps[sector, action] <= b * QUANTUM + 1e-9).sum()
        assert table[sector, b, action] == expected
    assert sector_table(CAR, HORIZON) is table


def test_a_wall_is_never_told_freer_than_it_is_and_hardly_less_free(rng):
    scenes = []
    while len(scenes) < 400:
        angle = rng.uniform(0, 2 * math.pi)
        normal = np.array([math.cos(angle), math.sin(angle)])
        nearest = (shapely.get_coordinates(BODY) @ normal).max() + rng.uniform(0.005, 1.5)
        scenes.append([quad(*(normal * (nearest + 20.0)), angle, 40.0, 200.0)])
    rows = look(scenes)
    assert (told(rows) <= rows["counts"]).all()
    assert np.mean(rows["counts"] - told(rows)) < 0.6


def test_only_a_corner_between_two_rays_makes_the_mask_tell_too_much(rng):
    scenes = [free_quads(rng, 2) for _ in range(1500)]
    rows, gaps = look(scenes), needed_gaps(CAR, HORIZON)
    wrong = np.argwhere(told(rows) > rows["counts"])
    assert 20 < len(wrong) < 0.02 * rows["counts"].size
    for i, action in wrong:
        last = told(rows)[i, action] - 1
        assert slips_between_rays(scenes[i], gaps[:, action, last])


def test_in_generated_scenes_few_entries_tell_too_much_and_most_are_equal():
    env = ParkingVectorEnv(64, level="hard", action_type="discrete", rs="off", mask_source="lidar")
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    surplus = []
    for _ in range(60):
        rows = env.task.rows
        surplus.append(told(rows) - rows["counts"])
        env.step(np.array([rng.choice(np.flatnonzero(m)) for m in env.action_masks()]))
    surplus = np.concatenate(surplus)
    assert (surplus > 0).mean() < 0.015
    assert (surplus > 1).mean() < 0.006
    assert (surplus == 0).mean() > 0.8


def test_one_obstacle_more_never_frees_a_motion(rng):
    scenes = [free_quads(rng, 4) for _ in range(300)]
    fewer = told(look([quads[:3] for quads in scenes]))
    more = told(look(scenes))
    assert (more <= fewer).all()
    assert (more < fewer).any()


def test_a_mirrored_scene_mirrors_the_mask(rng):
    scenes = [free_quads(rng, 3) for _ in range(300)]
    mirrored = [quads[:, ::-1] * [1.0, -1.0] for quads in scenes]
    # A distance that is a whole number of bins but for rounding may fall to either side.
    different = told(look(scenes))[:, MIRROR] != told(look(mirrored))
    assert different.mean() < 1e-3


@pytest.mark.parametrize("profile", ["default", "hope"])
def test_what_the_rays_miss_stops_the_car_and_is_called_a_bump(profile):
    scene = Scenario(start=(0.0, 0.0, 0.0), goal=(30.0, 0.0, 0.0), obstacles=[POST])
    options = {"profile": profile, "action_type": "discrete", "rs": "off"}
    for source, promised in (("exact", 3), ("lidar", SUBSTEPS)):
        env = ParkingEnv(mask_source=source, **options)
        env.reset(options={"scenario": scene})
        if profile == "default":
            assert told(env.task.rows)[0, 10] == promised
        _, _, _, _, info = env.step(10)
        assert info["path_length"] == pytest.approx(3 * 0.125)
        assert info["bump"] == (source == "lidar" or profile == "hope")


def test_motions_do_not_depend_on_where_the_mask_comes_from():
    envs = [
        ParkingVectorEnv(8, level="hard", rs="off", mask_source=source)
        for source in ("exact", "lidar")
    ]
    rng = np.random.default_rng(3)
    for env in envs:
        env.reset(seed=3)
    for _ in range(40):
        actions = rng.uniform(-1, 1, (8, 2)).astype(np.float32)
        results = [env.step(actions) for env in envs]
        for exact, lidar in zip(results[0][1:4], results[1][1:4], strict=True):
            np.testing.assert_array_equal(exact, lidar)
        for name in ("x", "y", "heading", "bump", "free", "counts"):
            np.testing.assert_array_equal(*(env.task.rows[name] for env in envs))


def test_a_car_longer_than_the_lidar_sees_is_never_held_by_what_no_ray_can_tell():
    bus = VehicleSpec(wheelbase=7.0, front_overhang=4.5, rear_overhang=2.0, max_steer=0.6)
    table = sector_table(bus, HORIZON)
    assert (table[0, 0, :ACTIONS] == SUBSTEPS).all()
