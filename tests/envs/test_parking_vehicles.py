"""A range of vehicles: the same results as one environment a vehicle, in one batch."""

import gymnasium as gym
import numpy as np
import pytest

import hybridrl  # noqa: F401
from hybridrl.envs.parking.env import ParkingEnv
from hybridrl.envs.parking.scenes import fixed_scene, fixed_scenes
from hybridrl.envs.parking.vector_env import ParkingVectorEnv
from hybridrl.envs.parking.vehicles import RANGES, STANDARD, VARIED, VehicleRange, normalised
from hybridrl.planners.errors import ScenarioError, UnknownNameError
from hybridrl.planners.scenario import require_free
from hybridrl.planners.vehicle import VehicleSpec

HOPE = {"action_type": "discrete", "rs": "auto", "ego": True, "max_decisions": 40}


def drawn(count, seed=0):
    rng = np.random.default_rng(seed)
    return [STANDARD.draw(rng) for _ in range(count)]


def test_every_row_drives_its_own_vehicle_to_the_last_bit(rng):
    vehicles = drawn(3)
    scenes = [
        fixed_scene(name, 5, car)
        for name, car in zip(("complex-parallel", "normal-bay", "lot"), vehicles, strict=True)
    ]
    vector = ParkingVectorEnv(3, vehicles="range", **HOPE)
    seen, _ = vector.reset(seed=0, options={"scenarios": scenes})
    singles = [ParkingEnv(vehicle=car, **HOPE) for car in vehicles]
    running = [True] * 3
    for env, scene in zip(singles, scenes, strict=True):
        env.reset(seed=0, options={"scenario": scene})
    for _ in range(25):
        actions = np.array([rng.choice(np.flatnonzero(m)) for m in vector.action_masks()])
        seen, rewards, terminated, truncated, _ = vector.step(actions)
        for i, env in enumerate(singles):
            if not running[i]:
                continue
            alone, reward, *done, _ = env.step(int(actions[i]))
            assert (reward, *done) == (rewards[i], terminated[i], truncated[i])
            running[i] = not any(done)
            if running[i]:
                assert all(np.array_equal(alone[key], seen[key][i]) for key in alone)
    assert sum(running) < 3 or vector.task.rows["decisions"].max() == 25


def test_the_vector_environment_equals_single_ones_with_the_same_seeds(rng):
    options = {"level": "hard", "vehicles": "range", **HOPE, "max_decisions": 5}
    vector = ParkingVectorEnv(2, **options)
    singles = [ParkingEnv(**options) for _ in range(2)]
    seen, _ = vector.reset(seed=3)
    alone = [env.reset(seed=3 + i)[0] for i, env in enumerate(singles)]
    for _ in range(12):
        assert all(np.array_equal(alone[i][k], seen[k][i]) for i in range(2) for k in seen)
        actions = np.array([rng.choice(np.flatnonzero(m)) for m in vector.action_masks()])
        seen, *_ = vector.step(actions)
        for i, env in enumerate(singles):
            alone[i], _, terminated, truncated, _ = env.step(int(actions[i]))
            if terminated or truncated:
                alone[i], _ = env.reset()


def test_the_agent_is_told_who_drives_and_scenes_fit_the_vehicle():
    env = gym.make("hybridrl/Parking-All-v0", vehicles="range").unwrapped
    told = set()
    for seed in range(12):
        seen, _ = env.reset(seed=seed)
        assert env.observation_space.contains(seen)
        car = env.scenario.vehicle
        assert car in STANDARD
        require_free(env.scenario)
        np.testing.assert_array_equal(seen["vehicle"], normalised(car))
        told.add(seen["vehicle"].tobytes())
    assert len(told) == 12


def test_the_bounds_of_the_standard_range_are_minus_one_and_one():
    np.testing.assert_allclose(normalised(STANDARD.low), -1.0, atol=1e-6)
    np.testing.assert_allclose(normalised(STANDARD.high), 1.0, atol=1e-6)
    assert VehicleSpec() in STANDARD
    assert np.abs(normalised(VehicleSpec())).max() < 1.0


def test_own_bounds_keep_the_scale_and_make_a_space_of_their_own():
    low, high = VehicleSpec(width=1.8), VehicleSpec(width=2.2)
    env = ParkingEnv(level="normal", vehicles=(low, high.to_json()))
    box = env.observation_space["vehicle"]
    assert box.high[VARIED.index("width")] == normalised(high)[VARIED.index("width")] > 1.0
    seen, _ = env.reset(seed=1)
    assert env.observation_space.contains(seen)
    assert 1.8 <= env.scenario.vehicle.width <= 2.2
    assert env.scenario.vehicle.wheelbase == 2.8


def test_without_a_range_there_is_no_key_and_no_draw():
    env = ParkingEnv(level="hard")
    seen, _ = env.reset(seed=0)
    assert "vehicle" not in seen
    assert len(env.task.simulator.vehicles) == 1
    ranged = ParkingVectorEnv(3, level="hard", vehicles="range")
    assert len(ranged.task.simulator.vehicles) == 3


def test_fixed_scenes_of_a_range_have_their_own_vehicles():
    scenes = fixed_scenes("hard", 6, vehicle=STANDARD)
    again = fixed_scenes("hard", 3, first_seed=3, vehicle=STANDARD)
    assert [s.vehicle for s in scenes[3:]] == [s.vehicle for s in again]
    assert [s.goal for s in scenes[3:]] == [s.goal for s in again]
    assert len({s.vehicle for s in scenes}) == 6


def test_bad_ranges_say_what_is_wrong():
    with pytest.raises(UnknownNameError, match="range"):
        ParkingEnv(vehicles="rnage")
    with pytest.raises(ScenarioError, match="smallest and the largest"):
        ParkingEnv(vehicles=[VehicleSpec()])
    with pytest.raises(ScenarioError, match="width"):
        VehicleRange(VehicleSpec(width=2.0), VehicleSpec(width=1.9))
    with pytest.raises(ScenarioError, match="max_speed"):
        VehicleRange(VehicleSpec(), VehicleSpec(max_speed=2.0))
    with pytest.raises(ScenarioError, match="lidar"):
        ParkingEnv(vehicles="range", mask_source="lidar")
    wide = VehicleSpec(width=2.4)
    with pytest.raises(ScenarioError, match="within"):
        ParkingEnv(vehicles="range", vehicle=wide)
    with pytest.raises(ScenarioError, match="within"):
        ParkingEnv(vehicles="range").reset(options={"scenario": fixed_scene("normal-bay", 0, wide)})
    assert set(RANGES) == {"range"}
