"""What ``hybridrl speed`` times: our environments and planners, and their peers."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
from numba import njit
from numpy.typing import NDArray

from hybridrl.benchmarks.speed import Subject
from hybridrl.benchmarks.speed_comblock import comblock_subjects, hnpg_subjects
from hybridrl.benchmarks.speed_driving import driving_subjects
from hybridrl.benchmarks.speed_gap import gap_subjects
from hybridrl.benchmarks.speed_hope import hope_subjects
from hybridrl.benchmarks.speed_storage import storage_subjects
from hybridrl.benchmarks.speed_storage_agents import storage_agent_subjects
from hybridrl.envs.parking.kernels.action_mask import free_lengths
from hybridrl.envs.parking.kernels.lidar import cast_rays
from hybridrl.envs.parking.kernels.records import ACTIONS, LANES, RAYS
from hybridrl.planners import reeds_shepp, rsplan_backend
from hybridrl.planners.geometry import to_vehicle_frame
from hybridrl.planners.path_check import check_path
from hybridrl.planners.vehicle import VehicleSpec

Array = NDArray[np.float64]
PEER_ENV = "highway-env parking-v0"
PEER_CURVES = "rsplan, all words"
LEVEL = "hard"


def parking_subjects(seed: int) -> list[Subject]:
    """Decisions through every door of the environment: lidar, target, mask and Reeds-Shepp on."""
    return [
        Subject("gym.make", "decisions", _single(seed), PEER_ENV),
        Subject("kernel, one scene", "decisions", _kernel(seed), PEER_ENV),
        Subject("vector of 64, sampled contact", "decisions", _vector(seed, "sampled"), PEER_ENV),
        Subject("vector of 64, certified", "decisions", _vector(seed, "certified"), PEER_ENV),
        Subject(PEER_ENV, "decisions", _highway(seed)),
    ]


def planner_subjects(seed: int) -> list[Subject]:
    """Geometry and curves that every planner spends its time in."""
    rng = np.random.default_rng(seed)
    radius = VehicleSpec().min_radius
    start = np.zeros(3)
    goals = rng.uniform((-15, -15, -np.pi), (15, 15, np.pi), (256, 3))
    few = [tuple(goal) for goal in goals[:5].tolist()]
    origin = (0.0, 0.0, 0.0)

    def all_words() -> int:
        reeds_shepp.solve_batch(start, goals, radius)
        return len(goals)

    def lengths() -> int:
        reeds_shepp.shortest_lengths(start, goals, radius)
        return len(goals)

    def peer_words() -> int:
        for goal in few:
            rsplan_backend.all_arcs(origin, goal, radius)
        return len(few)

    def peer_length() -> int:
        for goal in few:
            rsplan_backend.shortest_arcs(origin, goal, radius)
        return len(few)

    return [
        Subject("Reeds-Shepp, all words", "queries", all_words, PEER_CURVES),
        Subject("Reeds-Shepp, shortest length", "queries", lengths, "rsplan, shortest"),
        Subject(PEER_CURVES, "queries", peer_words),
        Subject("rsplan, shortest", "queries", peer_length),
        Subject("exact check of a path at 1 cm", "metres", _checks(seed)),
        *_sensors(seed),
    ]


def _checks(seed: int) -> Callable[[], int]:
    from hybridrl.envs.parking.scenes import fixed_scenes

    pairs = []
    for scene in fixed_scenes("normal-bay", 10, first_seed=seed):
        path = reeds_shepp.shortest_path(scene.start, scene.goal, scene.vehicle.min_radius)
        pairs.append((scene, path))

    def work() -> int:
        for scene, path in pairs:
            check_path(path, scene)
        return round(sum(path.length for _, path in pairs))

    return work


def _sensors(seed: int) -> list[Subject]:
    """Lidar and mask alone, at the starts of fixed scenes."""
    from hybridrl.envs.parking.kernels.records import vehicle_record
    from hybridrl.envs.parking.scenes import fixed_scenes

    vehicle = vehicle_record(VehicleSpec())
    rows = []
    for scene in fixed_scenes(LEVEL, 12, first_seed=seed):
        packed = scene.packed
        rings = np.empty_like(packed.vertices)
        x, y, heading = scene.start
        to_vehicle_frame(packed.vertices, x, y, np.cos(heading), np.sin(heading), rings)
        rows.append((rings, packed.offsets))

    def lidar() -> int:
        return sum(_repeat_lidar(100, rings, offsets) for rings, offsets in rows)

    def mask() -> int:
        return sum(_repeat_mask(100, rings, offsets, vehicle) for rings, offsets in rows)

    return [
        Subject("lidar, 120 rays", "scans", lidar),
        Subject("action mask, 42 motions exactly", "masks", mask),
    ]


@njit(cache=True)
def _repeat_lidar(times: int, rings: Array, offsets: NDArray[np.int64]) -> int:
    hits = np.empty(RAYS)
    near = np.arange(len(offsets) - 1)
    for _ in range(times):
        cast_rays(rings, offsets, near, len(near), hits)
    return times


@njit(cache=True)
def _repeat_mask(
    times: int, rings: Array, offsets: NDArray[np.int64], vehicles: NDArray[np.void]
) -> int:
    vehicle = vehicles[0]
    sine, out, reach = np.empty(LANES), np.empty(ACTIONS), np.empty((3, 4))
    near = np.arange(len(offsets) - 1)
    for _ in range(times):
        free_lengths(rings, offsets, near, len(near), vehicle, 1.25, sine, out, reach)
    return times


def _single(seed: int) -> Callable[[], int]:
    env = gym.make("hybridrl/Parking-Hard-v0", action_type="discrete", rs="info")
    masks = env.get_wrapper_attr("action_masks")
    rng = np.random.default_rng(seed)
    env.reset(seed=seed)

    def work(count: int = 200) -> int:
        for draw in rng.random(count):
            ended = env.step(_allowed(masks(), draw))[2:4]
            if any(ended):
                env.reset()
        return count

    return work


def _kernel(seed: int) -> Callable[[], int]:
    """The simulator without Gymnasium and without drawing scenes: 100 of them again and again."""
    from hybridrl.envs.parking.config import ParkingOptions
    from hybridrl.envs.parking.scenes import fixed_scenes
    from hybridrl.envs.parking.task import ParkingTask

    task = ParkingTask(1, ParkingOptions(level=LEVEL, action_type="discrete", rs="info"))
    simulator = task.simulator
    scenes = itertools.cycle(fixed_scenes(LEVEL, 100, first_seed=seed))
    rng = np.random.default_rng(seed)
    only = np.zeros(1, np.int64)

    def begin() -> None:
        simulator.load(0, next(scenes))
        simulator.begin(only)

    def work(count: int = 500) -> int:
        for draws in rng.random((count, 1)):
            simulator.step_discrete(_allowed_rows(simulator.batch.rows["allowed"], draws))
            if simulator.batch.rows["outcome"][0]:
                begin()
        return count

    begin()
    return work


def _vector(seed: int, contact: str, count: int = 64) -> Callable[[], int]:
    env: Any = gym.make_vec(
        "hybridrl/Parking-Hard-v0",
        count,
        vectorization_mode="vector_entry_point",
        action_type="discrete",
        rs="info",
        contact=contact,
    )
    rng = np.random.default_rng(seed)
    env.reset(seed=seed)

    def work(steps: int = 20) -> int:
        for draws in rng.random((steps, count)):
            env.step(_allowed_rows(env.action_masks(), draws))
        return steps * count

    return work


def _highway(seed: int) -> Callable[[], int]:
    import highway_env

    gym.register_envs(highway_env)
    env = gym.make("parking-v0")
    env.reset(seed=seed)
    env.action_space.seed(seed)

    def work(count: int = 10) -> int:
        for _ in range(count):
            ended = env.step(env.action_space.sample())[2:4]
            if any(ended):
                env.reset()
        return count

    return work


@njit(cache=True)
def _allowed(mask: NDArray[np.bool_], draw: float) -> int:
    """One of the allowed actions, chosen by a number in [0, 1)."""
    left = int(draw * mask.sum())
    for action in range(len(mask)):
        if mask[action]:
            if left == 0:
                return action
            left -= 1
    return 0


@njit(cache=True)
def _allowed_rows(masks: NDArray[np.bool_], draws: NDArray[np.float64]) -> NDArray[np.int64]:
    actions = np.empty(len(masks), np.int64)
    for i in range(len(masks)):
        actions[i] = _allowed(masks[i], draws[i])
    return actions


def _agents(seed: int) -> list[Subject]:
    from hybridrl.benchmarks.speed_agents import agent_subjects  # loads torch

    return agent_subjects(seed)


def _hybrid(seed: int) -> list[Subject]:
    from hybridrl.benchmarks.speed_hybrid import hybrid_subjects  # loads torch

    return hybrid_subjects(seed)


def _optimism(seed: int) -> list[Subject]:
    from hybridrl.benchmarks.speed_optimism import optimism_subjects  # loads torch

    return optimism_subjects(seed)


FAMILIES: dict[str, Callable[[int], list[Subject]]] = {
    "parking": parking_subjects,
    "planners": planner_subjects,
    "agents": _agents,
    "comblock": comblock_subjects,
    "gap": gap_subjects,
    "hnpg": hnpg_subjects,
    "hope": hope_subjects,
    "hybrid": _hybrid,
    "optimism": _optimism,
    "storage": storage_subjects,
    "storage-agents": storage_agent_subjects,
    "driving": driving_subjects,
}
