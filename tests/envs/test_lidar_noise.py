"""The noise of the lidar: size, independence, repeatability, and what it leaves alone."""

import numpy as np
import pytest

from hybridrl.envs.parking.config import ParkingOptions, make_config
from hybridrl.envs.parking.kernels.records import LIDAR_RANGE, RAYS
from hybridrl.envs.parking.simulator import ParkingSimulator
from hybridrl.envs.parking.vector_env import ParkingVectorEnv
from hybridrl.planners.errors import ScenarioError
from hybridrl.planners.scenario import Scenario

STD = 0.05
# Walls six metres away on all four sides: every ray measures something well within range.
WALLS = [
    [(7, -8), (8, -8), (8, 8), (7, 8)],
    [(-8, -8), (-7, -8), (-7, 8), (-8, 8)],
    [(-8, 6), (8, 6), (8, 7), (-8, 7)],
    [(-8, -7), (8, -7), (8, -6), (-8, -6)],
]
COURT = Scenario(start=(0.0, 0.0, 0.1), goal=(1.0, 0.0, 0.0), obstacles=WALLS)


def looks(count, noise, scenario=COURT, first=1, **options):
    """Rows of as many scenes, begun with noise states that count up from ``first``."""
    options = ParkingOptions(rs="off", lidar_noise=noise, **options)
    simulator = ParkingSimulator(count, scenario.vehicle, make_config(options))
    for i in range(count):
        simulator.load(i, scenario)
    simulator.batch.rows["noise"] = np.arange(first, first + count)
    simulator.begin(np.arange(count))
    return simulator.batch.rows


@pytest.fixture(scope="module")
def errors():
    """Measured minus true distances of 400 looks, shape ``(400, 120)``."""
    return looks(400, STD)["lidar"] - looks(1, 0.0)["lidar"]


def test_noise_has_the_asked_mean_and_deviation_on_every_ray(errors):
    assert abs(errors.mean()) < 4 * STD / np.sqrt(errors.size)
    assert errors.std() == pytest.approx(STD, rel=0.02)
    assert np.abs(errors.mean(axis=0)).max() < 5 * STD / np.sqrt(len(errors))
    np.testing.assert_allclose(errors.std(axis=0), STD, rtol=0.25)


def test_noise_is_normal_and_independent_between_rays_and_rows(errors):
    shares = [(np.abs(errors) < k * STD).mean() for k in (1, 2, 3)]
    np.testing.assert_allclose(shares, [0.6827, 0.9545, 0.9973], atol=0.006)
    between_rays = np.corrcoef(errors.T)[np.triu_indices(RAYS, 1)]
    between_rows = np.corrcoef(errors)[np.triu_indices(len(errors), 1)]
    assert np.abs(between_rays).max() < 5.5 / np.sqrt(len(errors))
    assert np.abs(between_rows).max() < 5.5 / np.sqrt(RAYS)


def test_without_noise_the_state_stays_and_looks_are_equal_bit_by_bit():
    rows = looks(2, 0.0)
    assert rows["noise"].tolist() == [1, 2]
    np.testing.assert_array_equal(rows["lidar"][0], rows["lidar"][1])


def test_noise_never_disturbs_the_exact_mask_nor_the_motion():
    clean, noisy = looks(1, 0.0), looks(1, 0.5)
    assert (clean["lidar"] != noisy["lidar"]).any()
    for name in ("mask", "allowed", "counts", "free", "target"):
        np.testing.assert_array_equal(clean[name], noisy[name])


def test_noise_disturbs_the_mask_of_the_lidar():
    near = Scenario(start=(2.5, 0.0, 0.0), goal=(0.0, 0.0, 0.0), obstacles=WALLS)
    clean = looks(1, 0.0, near, mask_source="lidar")
    noisy = looks(20, 0.1, near, mask_source="lidar")
    assert (noisy["mask"] != clean["mask"]).any()
    np.testing.assert_array_equal(noisy["counts"], np.repeat(clean["counts"], 20, axis=0))


def test_noisy_distances_stay_within_the_range_of_the_lidar():
    rows = looks(50, 30.0)
    assert rows["lidar"].min() >= 0.0
    assert (rows["lidar"] <= LIDAR_RANGE - 0.9).all()


def test_two_environments_with_one_seed_see_the_same_noise_and_each_step_sees_new_noise():
    options = {"level": "hard", "rs": "off", "lidar_noise": 0.1, "action_type": "discrete"}
    first, second = (ParkingVectorEnv(3, **options) for _ in range(2))
    seen = [env.reset(seed=4)[0]["lidar"] for env in (first, second)]
    np.testing.assert_array_equal(*seen)
    state = first.task.rows["noise"].copy()
    for action in (10, 31, 3):
        seen = [env.step(np.full(3, action))[0]["lidar"] for env in (first, second)]
        np.testing.assert_array_equal(*seen)
    assert (first.task.rows["noise"] != state).all()
    assert (first.reset(seed=5)[0]["lidar"] != second.reset(seed=4)[0]["lidar"]).any()


def test_a_negative_deviation_is_refused_with_its_name():
    with pytest.raises(ScenarioError, match="lidar_noise"):
        ParkingVectorEnv(1, lidar_noise=-0.1)
