"""The action mask against an independent simulation with shapely, and its symmetries."""

import math

import numpy as np
import pytest
import shapely

from hybridrl.envs.parking.config import ParkingOptions, make_config
from hybridrl.envs.parking.scenes.generate import RawScene, generate
from hybridrl.envs.parking.scenes.levels import CLASSES
from hybridrl.envs.parking.simulator import ParkingSimulator
from hybridrl.planners.vehicle import VehicleSpec

CAR = VehicleSpec()
STEER = np.tile(np.linspace(0.75, -0.75, 21), 2)  # the 42 motions of parking.md 7.1
GEAR = np.repeat([1.0, -1.0], 21)
SAMPLES = 50  # every 2.5 cm of a full decision


def simulator(count=1, **options):
    chosen = ParkingOptions(rs="off", **options)
    return ParkingSimulator(count, chosen.spec, make_config(chosen))


def bodies(poses, vehicle=CAR):
    """Body rectangles of poses ``(..., 3)`` as an array of shapely polygons."""
    rear, front, half = vehicle.body
    corners = np.array([(rear, -half), (front, -half), (front, half), (rear, half)])
    c, s = np.cos(poses[..., 2, None]), np.sin(poses[..., 2, None])
    x = poses[..., 0, None] + c * corners[:, 0] - s * corners[:, 1]
    y = poses[..., 1, None] + s * corners[:, 0] + c * corners[:, 1]
    return shapely.polygons(np.stack([x, y], axis=-1))


def driven(pose, distances):
    """Poses of all 42 motions at distances ``(k,)``, shape ``(42, k, 3)``; midpoint rule."""
    curvature = np.tan(STEER)[:, None, None] / CAR.wheelbase
    fine = 40
    share = (np.arange(fine) + 0.5) / fine
    s = (GEAR[:, None] * distances)[..., None]
    headings = pose[2] + curvature * s * share
    x = pose[0] + (np.cos(headings) * s / fine).sum(axis=-1)
    y = pose[1] + (np.sin(headings) * s / fine).sum(axis=-1)
    return np.stack([x, y, pose[2] + (curvature * s)[..., 0]], axis=-1)


def free_poses(rng, raw, count):
    """Random collision-free poses of a scene, most of them in tight places."""
    world = shapely.union_all(shapely.polygons(raw.quads))
    poses = []
    while len(poses) < count:
        base = raw.goal if rng.random() < 0.7 else raw.start
        pose = base + rng.normal(0.0, (0.8, 0.8, 0.3))
        if bodies(pose).disjoint(world):
            poses.append(pose)
    return poses, world


def random_places(rng, per_class):
    """``(raw scene started at a random pose, world)`` in generated scenes of every class."""
    for name in CLASSES:
        for _ in range(0, per_class, 4):
            raw = generate(rng, name)
            poses, world = free_poses(rng, raw, 4)
            for pose in poses:
                yield raw._replace(start=pose), world


def look(sim, raw):
    sim.load_raw(0, raw)
    sim.begin(np.zeros(1, np.int64))
    return sim.batch.rows[0]


def soundness(per_class, seed):
    """Worst and mean of (free sub-steps by sampling) - (free sub-steps of the mask)."""
    rng = np.random.default_rng(seed)
    sim = simulator(level="mixed")
    distances = np.linspace(0.0, 1.25, SAMPLES + 1)[1:]
    spare = []
    for raw, world in random_places(rng, per_class):
        row = look(sim, raw)
        near = world.intersection(shapely.Point(raw.start[:2]).buffer(6.0))
        shapely.prepare(near)
        hit = shapely.intersects(near, bodies(driven(raw.start, distances)))
        first = np.where(hit.any(axis=1), hit.argmax(axis=1), SAMPLES)
        spare.append(first // 5 - row["counts"])
    return np.concatenate(spare)


def test_allowed_motions_never_collide_and_hardly_any_is_withheld():
    spare = soundness(per_class=32, seed=0)
    assert len(spare) > 10_000
    assert spare.min() >= 0
    assert spare.mean() <= 1.0
    assert (spare <= 1).mean() > 0.99


@pytest.mark.slow
def test_allowed_motions_never_collide_in_a_hundred_thousand_pairs():
    spare = soundness(per_class=300, seed=1)
    assert len(spare) >= 100_000
    assert spare.min() >= 0
    assert spare.mean() <= 1.0


def test_an_obstacle_more_never_raises_an_entry(rng):
    sim = simulator()
    for raw, _ in random_places(rng, 4):
        full = look(sim, raw)["counts"].copy()
        fewer = look(sim, raw._replace(quads=np.delete(raw.quads, rng.integers(4), axis=0)))
        assert (full <= fewer["counts"]).all()


def test_mirroring_the_scene_mirrors_the_steering_axis(rng):
    sim = simulator()
    for raw, _ in random_places(rng, 4):
        plain = look(sim, raw)["free"].reshape(2, 21).copy()
        flip = np.array([1.0, -1.0, -1.0])
        mirrored = raw._replace(
            start=raw.start * flip,
            goal=raw.goal * flip,
            quads=np.ascontiguousarray(raw.quads[:, ::-1] * (1.0, -1.0)),
        )
        other = look(sim, mirrored)["free"].reshape(2, 21)
        assert other[:, ::-1] == pytest.approx(plain, abs=1e-9)


def test_turning_and_moving_the_scene_changes_no_observation(rng):
    sim = simulator()
    turn = np.array([[math.cos(1.3), math.sin(1.3)], [-math.sin(1.3), math.cos(1.3)]])

    def moved(pose):
        return np.array([*(pose[:2] @ turn + (40, -9)), pose[2] + 1.3])

    for raw, _ in random_places(rng, 4):
        row = look(sim, raw)
        plain = [row[name].copy() for name in ("free", "lidar", "target")]
        other = look(
            sim,
            raw._replace(
                start=moved(raw.start), goal=moved(raw.goal), quads=raw.quads @ turn + (40, -9)
            ),
        )
        assert other["free"] == pytest.approx(plain[0], abs=1e-8)
        assert other["lidar"] == pytest.approx(plain[1], abs=1e-3)
        assert other["target"] == pytest.approx(plain[2], abs=1e-5)


def empty_scene():
    pose = np.array([0.0, 0.0, 0.3])
    return RawScene(pose, pose + 8.0, np.array([-20.0, 20, -20, 20]), np.zeros((0, 4, 2)))


def test_an_empty_world_allows_everything():
    row = look(simulator(), empty_scene())
    assert (row["mask"] == 1.0).all()
    assert (row["allowed"] == 1).all()
    assert not row["mask_empty"]


def test_hope_shows_nine_tenths_at_the_outer_steering_values_of_an_empty_world():
    mask = look(simulator(profile="hope"), empty_scene())["mask"].reshape(2, 21)
    expected = np.ones(21)
    expected[[0, 1, 2, 18, 19, 20]] = 0.9
    assert mask == pytest.approx(np.stack([expected, expected]))


def smoothed(counts):
    """HOPE's post-processing (7.2) in plain NumPy."""
    table = counts.reshape(2, 21).astype(int)
    table[:, [0, -1]] -= 1
    padded = np.pad(table, ((0, 0), (2, 2)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 5, axis=1)
    return np.clip(windows.min(axis=-1), 0, 10).ravel() / 10


def test_hope_smooths_its_counts_over_half_a_metre_of_sampled_contact(rng):
    sim = simulator(profile="hope")
    places = 0
    for raw, world in random_places(rng, 4):
        row = look(sim, raw)
        hit = shapely.intersects(world, bodies(driven(raw.start, np.linspace(0.05, 0.5, 10))))
        counts = np.where(hit.any(axis=1), hit.argmax(axis=1), 10)
        assert (row["counts"] == counts).mean() > 0.99  # contact within rounding may differ
        expected = smoothed(row["counts"])
        if expected.any():
            assert row["mask"] == pytest.approx(expected)
            assert (row["allowed"] == (expected > 0)).all()
            places += 1
    assert places > 10


@pytest.mark.parametrize("profile", ["default", "hope"])
def test_the_mask_is_never_all_false(profile):
    walls = [(-0.9301, 3.7601, 0.9702, 1.5), (-0.9301, 3.7601, -1.5, -0.9702)]
    walls += [(3.7604, 4.0, -3, 3), (-2.0, -0.9303, -3, 3)]
    quads = np.array([[(a, c), (b, c), (b, d), (a, d)] for a, b, c, d in walls])
    raw = empty_scene()._replace(start=np.zeros(3), quads=quads)
    row = look(simulator(profile=profile), raw)
    assert row["mask_empty"]
    assert row["mask"] == pytest.approx(0.01)
    assert row["allowed"].sum() == 1
    assert row["free"][np.argmax(row["allowed"])] == row["free"].max()


def test_a_batch_sees_what_single_scenes_see(rng):
    places = [raw for raw, _ in random_places(rng, 4)]
    batch, single = simulator(len(places)), simulator()
    for i, raw in enumerate(places):
        batch.load_raw(i, raw)
    batch.begin(np.arange(len(places)))
    for i, raw in enumerate(places):
        row = look(single, raw)
        for name in ("free", "counts", "lidar", "target", "mask", "allowed", "mask_empty"):
            assert np.array_equal(batch.batch.rows[i][name], row[name]), name


@pytest.mark.parametrize(
    "vehicle",
    [
        VehicleSpec(wheelbase=3.6, front_overhang=0.5, rear_overhang=1.6, width=2.3, max_steer=0.6),
        VehicleSpec(wheelbase=1.6, front_overhang=0.3, rear_overhang=0.0, width=1.4, max_speed=5.0),
    ],
    ids=["van", "pod"],
)
def test_the_mask_follows_the_vehicle(vehicle):
    sim = simulator(vehicle=vehicle, level="normal")
    distance = vehicle.max_speed / 2
    for seed in range(12):
        raw = generate(np.random.default_rng(seed), "normal-bay", vehicle)
        row = look(sim, raw._replace(start=raw.goal))
        world = shapely.union_all(shapely.polygons(raw.quads))
        for j in range(42):
            k = math.tan(vehicle.max_steer * (1 - (j % 21) / 10)) / vehicle.wheelbase
            s = np.linspace(0.0, row["counts"][j] * distance / 10, 30) * (1 if j < 21 else -1)
            x, y, h = raw.goal
            half = k * s / 2
            chord = s * np.sinc(half / math.pi)
            poses = np.stack(
                [x + chord * np.cos(h + half), y + chord * np.sin(h + half), h + k * s], 1
            )
            assert shapely.disjoint(world, bodies(poses, vehicle)).all()
