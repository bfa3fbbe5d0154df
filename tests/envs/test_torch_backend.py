"""Both back ends of the parking simulator against NumPy and shapely, and against each other."""

import math

import numpy as np
import pytest
import shapely
import torch

from hybridrl.envs.parking.config import ParkingOptions, make_config
from hybridrl.envs.parking.kernels.records import ACTION_SPEED, ACTION_STEER, OUTCOMES, REWARD_TERMS
from hybridrl.envs.parking.scenes.generate import RawScene, generate
from hybridrl.envs.parking.scenes.levels import CLASSES
from hybridrl.envs.parking.simulator import ParkingSimulator
from hybridrl.envs.parking.torch_backend.backend import (
    TorchParkingSimulator,
    decisions_per_second,
    make_pool,
    random_allowed,
)
from hybridrl.envs.parking.torch_backend.model import make_model
from hybridrl.envs.parking.torch_backend.scenes import count_nearest
from hybridrl.planners.errors import ScenarioError
from hybridrl.planners.path_check import check_path
from hybridrl.planners.scenario import Scenario, body_polygon
from hybridrl.planners.vehicle import VehicleSpec

CAR = VehicleSpec()
BACKENDS = ("numba", "torch")
NAMES = tuple(CLASSES)
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make_simulator(backend, num_envs, options, **settings):
    config = make_config(options)
    if backend == "numba":
        return ParkingSimulator(num_envs, CAR, config)
    return TorchParkingSimulator(num_envs, CAR, config, **settings)


def field(simulator, name):
    """One field of all rows as a NumPy array, whatever the back end."""
    if isinstance(simulator, ParkingSimulator):
        return simulator.batch.rows[name].copy()
    return simulator.rows[name].cpu().numpy()


def poses(simulator):
    return np.stack([field(simulator, name) for name in ("x", "y", "heading")], axis=1)


def draw_scenes(count, seed=0, names=NAMES):
    rng = np.random.default_rng(seed)
    return [(generate(rng, names[i % len(names)]), names[i % len(names)]) for i in range(count)]


def begin(simulator, scenes, options):
    for i, (scene, name) in enumerate(scenes):
        simulator.load_raw(i, scene, NAMES.index(name), options.reversible(CLASSES[name].scene))
    simulator.begin(np.arange(len(scenes)))


def wandering(backend, options, count=8, decisions=4, seed=0, names=NAMES):
    """A simulator a few random decisions into its scenes, and those scenes."""
    simulator = make_simulator(backend, count, options)
    scenes = draw_scenes(count, seed, names)
    begin(simulator, scenes, options)
    rng = np.random.default_rng(seed)
    for _ in range(decisions):
        simulator.step_discrete((rng.random((count, 42)) * field(simulator, "allowed")).argmax(1))
    return simulator, [shapely.union_all([shapely.Polygon(q) for q in s.quads]) for s, _ in scenes]


def empty_scene(start, goal):
    quad = np.array([(90.0, 90.0), (91.0, 90.0), (91.0, 91.0), (90.0, 91.0)])
    bounds = np.array([-50.0, 100.0, -50.0, 100.0])
    return RawScene(np.array(start), np.array(goal), bounds, quad[None])


def run_in_empty_scenes(backend, starts, goals, options, reversible=False):
    simulator = make_simulator(backend, len(starts), options)
    for i, (start, goal) in enumerate(zip(starts, goals, strict=True)):
        simulator.load_raw(i, empty_scene(start, goal), -1, reversible)
    simulator.begin(np.arange(len(starts)))
    return simulator


def integrate(pose, steer, speed, seconds, steps=400):
    """Runge-Kutta 4 of the bicycle model, normalised controls; all poses on the way."""
    curvature, v = math.tan(steer * CAR.max_steer) / CAR.wheelbase, speed * CAR.max_speed

    def rate(q):
        return np.array([v * math.cos(q[2]), v * math.sin(q[2]), v * curvature])

    way, h = [np.array(pose, float)], seconds / steps
    for _ in range(steps):
        q = way[-1]
        a = rate(q)
        b = rate(q + h / 2 * a)
        c = rate(q + h / 2 * b)
        way.append(q + h / 6 * (a + 2 * b + 2 * c + rate(q + h * c)))
    return np.array(way)


def shares(starts, goals):
    """Share of each goal rectangle that the body covers, by shapely."""
    bodies = zip(starts, goals, strict=True)
    pairs = [(body_polygon(a, CAR), body_polygon(b, CAR)) for a, b in bodies]
    return np.array([a.intersection(b).area / b.area for a, b in pairs])


@pytest.mark.parametrize("backend", BACKENDS)
def test_lidar_is_what_shapely_measures_along_each_ray(backend):
    simulator, walls = wandering(backend, ParkingOptions(action_type="discrete", rs="off"))
    for pose, wall, seen in zip(poses(simulator), walls, field(simulator, "lidar"), strict=True):
        body = body_polygon(pose, CAR).exterior
        axle = shapely.Point(pose[:2])
        for ray in range(0, 120, 7):
            angle = pose[2] + 2 * math.pi * ray / 120
            tip = pose[:2] + 10 * np.array([math.cos(angle), math.sin(angle)])
            line = shapely.LineString([pose[:2], tip])
            hit = line.intersection(wall)
            far = 10.0 if hit.is_empty else axle.distance(hit)
            assert seen[ray] == pytest.approx(
                far - axle.distance(line.intersection(body)), abs=2e-6
            )


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_motion_is_free_exactly_until_the_body_meets_an_obstacle(backend):
    names = ("ultra-parallel", "extreme-parallel", "lot")
    options = ParkingOptions(action_type="discrete", rs="off")
    simulator, walls = wandering(backend, options, count=6, decisions=3, names=names)
    contacts = 0
    for pose, wall, free in zip(poses(simulator), walls, field(simulator, "free"), strict=True):
        for action in range(0, 42, 3):
            way = integrate(pose, ACTION_STEER[action], ACTION_SPEED[action], 0.5, steps=250)
            gaps = shapely.distance(np.array([body_polygon(q, CAR) for q in way]), wall)
            before = np.arange(251) * 0.005 < free[action] - 1e-9
            assert (gaps[before] > 0.0).all()
            if free[action] < 1.25:
                contacts += 1
                touch = integrate(pose, *_controls(action), 0.5 * free[action] / 1.25)[-1]
                assert body_polygon(touch, CAR).distance(wall) < 1e-7
    assert contacts > 10


def _controls(action):
    return ACTION_STEER[action], ACTION_SPEED[action]


@pytest.mark.parametrize("contact", ["certified", "sampled"])
@pytest.mark.parametrize("profile", ["default", "hope"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_mask_counts_are_those_of_stepping_the_body(backend, profile, contact):
    options = ParkingOptions(profile=profile, contact=contact, action_type="discrete", rs="off")
    simulator, walls = wandering(backend, options, count=3, names=("extreme-parallel", "lot"))
    horizon = 0.5 if profile == "hope" else 1.25
    for i, (pose, wall) in enumerate(zip(poses(simulator), walls, strict=True)):
        counts = field(simulator, "counts")[i]
        for action in range(0, 42, 2):
            if contact == "certified":
                free = field(simulator, "free")[i, action]
                steps = 10 if free == horizon else math.floor(max(free - 1e-3, 0) / horizon * 10)
            else:
                way = integrate(pose, *_controls(action), horizon / CAR.max_speed, steps=40)[4::4]
                hit = shapely.intersects(np.array([body_polygon(q, CAR) for q in way]), wall)
                steps = int(np.append(hit, True).argmax())
            assert counts[action] == steps


@pytest.mark.parametrize("backend", BACKENDS)
def test_motion_is_that_of_a_fine_integration(backend, rng):
    starts = np.column_stack([rng.uniform(-5, 5, (16, 2)), rng.uniform(-9, 9, 16)])
    options = ParkingOptions(rs="off")
    simulator = run_in_empty_scenes(backend, starts, np.full((16, 3), 20.0), options)
    actions = rng.uniform(-1, 1, (16, 2))
    actions[0], actions[1] = (0.0, 1.0), (1e-7, -1.0)
    simulator.step_continuous(actions)
    expected = [integrate(s, *a, 0.5)[-1] for s, a in zip(starts, actions, strict=True)]
    assert np.abs(poses(simulator) - expected).max() < 1e-9
    assert field(simulator, "path_length") == pytest.approx(1.25 * np.abs(actions[:, 1]), abs=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_overlap_reward_is_the_increase_of_shapelys_intersection_over_union(backend, rng):
    goals = np.column_stack([rng.uniform(-9, 9, (40, 2)), rng.uniform(-4, 4, 40)])
    starts = goals + rng.normal(size=(40, 3)) * [1.5, 1.5, 1.0]
    options = ParkingOptions(rs="off", reward_weights={"overlap": 1.0})
    simulator = run_in_empty_scenes(backend, starts, goals, options)
    first = shares(starts, goals)
    assert field(simulator, "best_iou") == pytest.approx(first / (2 - first), abs=1e-12)
    simulator.step_continuous(np.tile([0.4, 0.5], (40, 1)))
    then = shares(poses(simulator), goals)
    gain = np.maximum(then / (2 - then) - first / (2 - first), 0.0)
    going = field(simulator, "outcome") == OUTCOMES.index("running")
    measured = field(simulator, "terms")[:, REWARD_TERMS.index("overlap")]
    assert going.sum() > 30
    assert measured[going] == pytest.approx(gain[going], abs=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
def test_parking_needs_95_percent_of_the_goal_covered(backend, rng):
    goals = np.column_stack([rng.uniform(-9, 9, (200, 2)), rng.uniform(-4, 4, 200)])
    starts = goals + rng.normal(size=(200, 3)) * [0.1, 0.06, 0.03]
    simulator = run_in_empty_scenes(backend, starts, goals, ParkingOptions(rs="off"))
    simulator.step_continuous(np.zeros((200, 2)))
    done = field(simulator, "outcome") == OUTCOMES.index("success")
    assert 20 < done.sum() < 180
    assert np.array_equal(done, shares(starts, goals) > 0.95)


@pytest.mark.parametrize("reversible", [False, True])
@pytest.mark.parametrize("backend", BACKENDS)
def test_pose_success_counts_the_turned_goal_only_when_allowed(backend, reversible):
    far = 2 * CAR.center_offset
    starts = [(0.05, 0.05, 0.02), (0.2, 0.0, 0.0), (far - 0.05, 0.05, math.pi), (0.0, 0.0, 0.05)]
    options = ParkingOptions(rs="off", success="pose")
    simulator = run_in_empty_scenes(backend, starts, np.zeros((4, 3)), options, reversible)
    simulator.step_continuous(np.zeros((4, 2)))
    done = field(simulator, "outcome") == OUTCOMES.index("success")
    assert done.tolist() == [True, False, reversible, False]


@pytest.mark.parametrize("backend", BACKENDS)
def test_any_polygon_is_an_obstacle_after_loading_a_scenario(backend):
    concave = np.array([(3, 4), (9, 4), (9, 9), (8, 9), (8, 5), (3, 5)], float)
    triangle = np.array([(-6, -3), (-3, -6), (-3, -3)], float)
    scenario = Scenario(start=(0, 0, 0.3), goal=(6, 7, 0), obstacles=[concave, triangle])
    simulator = make_simulator(backend, 1, ParkingOptions(action_type="discrete", rs="off"))
    simulator.load(0, scenario)
    simulator.begin(np.array([0]))
    wall = shapely.union_all([shapely.Polygon(concave), shapely.Polygon(triangle)])
    for ray in range(120):
        angle = 0.3 + 2 * math.pi * ray / 120
        line = shapely.LineString([(0, 0), (10 * math.cos(angle), 10 * math.sin(angle))])
        hit = line.intersection(wall)
        far = 10.0 if hit.is_empty else shapely.Point(0, 0).distance(hit)
        body = line.intersection(body_polygon((0, 0, 0.3), CAR).exterior)
        expected = far - shapely.Point(0, 0).distance(body)
        assert field(simulator, "lidar")[0, ray] == pytest.approx(expected, abs=2e-6)


SETTINGS = {
    "default": {},
    "hope": {"profile": "hope"},
    "sampled-pose": {"contact": "sampled", "success": "pose", "max_decisions": 9},
    "terminate": {"on_collision": "terminate", "reward_weights": {"heading": 0.3}},
    "info": {"rs": "info"},
    "auto": {"rs": "auto", "reward_weights": {"rs_distance": 0.2}},
    "effort": {"reward_weights": {"effort": 0.3}},
    "auto-hope": {"rs": "auto", "profile": "hope"},
}
LOOSE = {"lidar": 1e-6, "target": 1e-5}


def assert_same(one, other):
    for name in other.rows:
        a, b = field(one, name), field(other, name)
        if name in ("rs_curvature", "rs_arc"):
            there = np.arange(5) < field(one, "rs_arcs")[:, None]
            a, b = np.where(there, a, 0.0), np.where(there, b, 0.0)
        if name == "target":  # on the goal itself its bearing means nothing
            a, b = (t * np.where(field(one, "distance") < 1e-6, 0.0, 1.0)[:, None] for t in (a, b))
        gap = np.abs(a.astype(float) - b.astype(float)).max()
        assert gap <= LOOSE.get(name, 1e-9), f"{name} differs by {gap}"


@pytest.mark.parametrize("action_type", ["discrete", "continuous"])
@pytest.mark.parametrize("settings", SETTINGS)
def test_the_back_ends_take_the_same_decisions_in_the_same_way(settings, action_type):
    options = ParkingOptions(**({"rs": "off"} | SETTINGS[settings]), action_type=action_type)
    both = [make_simulator(backend, 32, options) for backend in BACKENDS]
    scenes = draw_scenes(32)
    for simulator in both:
        begin(simulator, scenes, options)
    rng = np.random.default_rng(5)
    assert_same(*both)
    for _ in range(7):
        if action_type == "discrete":
            wish = field(both[0], "allowed") + 0.1  # sometimes a motion that is not allowed
            actions = (rng.random((32, 42)) * wish).argmax(1)
        else:
            actions = np.clip(rng.normal(size=(32, 2)) * 1.2, -1.5, 1.5)
            actions[rng.random(32) < 0.1, 1] = 0.0
        for simulator in both:
            getattr(simulator, f"step_{action_type}")(actions)
        over = np.flatnonzero(field(both[0], "outcome"))
        assert_same(*both)
        for simulator in both:
            simulator.begin(over)


def test_driven_paths_are_the_same_and_touch_nothing():
    options = ParkingOptions(action_type="discrete", rs="off")
    both = [make_simulator(backend, 8, options) for backend in BACKENDS]
    scenes = draw_scenes(8, seed=2)
    rng = np.random.default_rng(2)
    for simulator in both:
        begin(simulator, scenes, options)
    for _ in range(12):
        actions = (rng.random((8, 42)) * field(both[0], "allowed")).argmax(1)
        for simulator in both:
            simulator.step_discrete(actions)
    for i, (scene, _) in enumerate(scenes):
        one, other = (simulator.driven_path(i) for simulator in both)
        assert other.length == pytest.approx(one.length, abs=1e-9)
        quads = list(scene.quads)
        scenario = Scenario(start=scene.start, goal=scene.goal, obstacles=quads)
        assert check_path(other, scenario).free


def test_no_pose_in_the_bounds_has_more_obstacles_near_than_were_counted(rng):
    options = ParkingOptions(action_type="discrete", rs="off")
    simulator = make_simulator("numba", 4, options)
    scenes = draw_scenes(4, names=("lot", "extreme-parallel"))
    begin(simulator, scenes, options)
    model = make_model(CAR, make_config(options), torch.device("cpu"), torch.float64)
    for i, (scene, _) in enumerate(scenes):
        nearest = count_nearest(simulator.batch, np.array([i]), model)
        low, high = scene.bounds[::2] - 1.25, scene.bounds[1::2] + 1.25
        places = rng.uniform(low, high, (5000, 2))
        circles = simulator.batch.circles[i, : len(scene.quads)]
        gaps = np.linalg.norm(places[:, None] - circles[:, :2], axis=2) - circles[:, 2]
        assert (gaps < model.reach_radius).sum(axis=1).max() <= nearest.reach
        assert (gaps < 10.0).sum(axis=1).max() <= nearest.seen
        assert nearest.reach < len(scene.quads) or len(scene.quads) < 15


def test_single_precision_stays_within_a_tenth_of_the_margin():
    options = ParkingOptions(action_type="discrete", rs="off")
    both = [make_simulator("torch", 32, options, dtype=d) for d in (torch.float64, torch.float32)]
    for simulator in both:
        begin(simulator, draw_scenes(32, seed=3), options)
    for name, bound in (("free", 1e-4), ("lidar", 1e-4), ("target", 1e-5)):
        gap = np.abs(field(both[0], name) - field(both[1], name))
        # Where a motion or a ray grazes a corner, either answer is right to rounding.
        assert (gap > bound).mean() < 2e-3


def test_rows_restarted_from_a_pool_equal_fresh_ones():
    config = make_config(ParkingOptions(action_type="discrete", rs="off"))
    pool = make_pool(12, "mixed", config, "cpu", torch.float64)
    simulator = TorchParkingSimulator(6, CAR, config)
    picks = torch.tensor([3, 1, 4, 1, 5, 9])
    simulator.reset_from(pool, torch.ones(6, dtype=torch.bool), picks)
    generator = torch.Generator().manual_seed(0)
    simulator.step_discrete(random_allowed(simulator, generator))
    again = torch.tensor([True, False, True, False, False, False])
    moved = simulator.rows["x"].clone()
    simulator.reset_from(pool, again, torch.full((6,), 7))
    for name, values in simulator.rows.items():
        assert torch.equal(values[again], pool.rows[name][[7, 7]])
    assert torch.equal(simulator.rows["x"][~again], moved[~again])
    simulator.step_discrete(random_allowed(simulator, generator))
    assert (simulator.rows["decisions"] == torch.tensor([1, 2, 1, 2, 2, 2])).all()


@pytest.mark.parametrize(
    ("keyword", "value"),
    [("steer_rate", 0.5), ("acceleration", 1.0), ("mask_source", "lidar"), ("lidar_noise", 0.1)],
)
def test_what_the_torch_back_end_does_not_do_is_refused_by_name(keyword, value):
    config = make_config(ParkingOptions(**{keyword: value}))
    with pytest.raises(ScenarioError, match=rf"{keyword}.*numba"):
        TorchParkingSimulator(1, CAR, config)


def test_the_speed_of_decisions_is_measured():
    assert decisions_per_second(4, 2, dtype=torch.float64) > 1.0


@needs_gpu
def test_a_gpu_decides_like_the_cpu_and_never_waits_for_the_host():
    config = make_config(ParkingOptions(action_type="discrete", rs="off"))
    both = [make_pool(32, "mixed", config, device, torch.float64) for device in ("cpu", "cuda")]
    generator = torch.Generator().manual_seed(0)
    for _ in range(10):
        actions = random_allowed(both[0], generator)
        moved = actions.to("cuda")
        both[0].step_discrete(actions)
        torch.cuda.set_sync_debug_mode("error")
        both[1].step_discrete(moved)
        torch.cuda.set_sync_debug_mode("default")
        for name in ("x", "y", "heading", "reward", "outcome", "counts"):
            assert np.allclose(field(both[0], name), field(both[1], name), atol=1e-9), name
