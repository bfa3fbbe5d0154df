"""Weights travel without pickle, NumPy acts like torch, and roll-outs are checked plans."""

import json

import numpy as np
import pytest
import torch

from hybridrl.agents.common.vec_env import make_vec
from hybridrl.agents.hope import HopePlanner, HopePPO, HybridDriver
from hybridrl.agents.hope.hybrid import decisions_of
from hybridrl.agents.hope.weights import DESCRIPTION, TENSORS, load_network, network_of
from hybridrl.envs.parking.env import ParkingEnv
from hybridrl.envs.parking.scenes import fixed_scenes
from hybridrl.planners.errors import ScenarioError
from hybridrl.planners.path import Path
from hybridrl.planners.path_check import check_path
from hybridrl.planners.vehicle import VehicleSpec

POLICIES = ("MultiInputPolicy", "TokenPolicy")


def make(policy=POLICIES[0], **options):
    keywords = {"action_type": "discrete", "rs": "auto", "ego": True, **options}
    env = make_vec("hybridrl/Parking-Hard-v0", 2, 0, **keywords)
    return HopePPO(policy, env, n_steps=8, batch_size=16, seed=0, device="cpu")


@pytest.fixture(scope="module")
def model():
    return make().learn(64)


@pytest.fixture(scope="module")
def scene():
    return fixed_scenes("normal-bay", 1, 5000)[0]


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("ego", [True, False])
def test_numpy_computes_what_torch_computes(policy, ego, rng):
    model = make(policy, ego=ego).learn(16)
    rows = rng.random((7, model.policy.features_extractor.inputs)).astype(np.float32)
    logits = network_of(model).logits(rows)
    allowed = rows[:, :42] > 0
    found = torch.log_softmax(torch.from_numpy(logits), dim=1)
    with torch.no_grad():
        expected = model.policy.log_probs(torch.from_numpy(rows))
    assert allowed.all() and logits.dtype == np.float32
    assert torch.allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("deterministic", [True, False])
def test_the_planner_chooses_what_predict_chooses(model, deterministic):
    env = ParkingEnv(level="hard", action_type="discrete", rs="auto", ego=True)
    planner = HopePlanner(weights=network_of(model), deterministic=True)
    allowed = HopePlanner(weights=network_of(model))
    seen, _ = env.reset(seed=3)
    for step in range(20):
        rows = env.task.rows
        if deterministic:
            (action,) = planner.choose(rows, np.random.default_rng(0))
            assert action == model.predict(seen, deterministic=True)[0]
        else:
            (action,) = allowed.choose(rows, np.random.default_rng(step))
            assert env.action_masks()[action]
        seen, _, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
            seen, _ = env.reset(seed=step)


@pytest.mark.parametrize("policy", POLICIES)
def test_weights_come_back_bit_by_bit(tmp_path, policy):
    one, other = make(policy), make(policy)
    for parameter in one.policy.parameters():
        parameter.data += 0.1
    one.save_weights(tmp_path)
    other.load_weights(tmp_path)
    for a, b in zip(one.policy.parameters(), other.policy.parameters(), strict=True):
        assert torch.equal(a, b)
    assert {file.name for file in tmp_path.iterdir()} == {TENSORS, DESCRIPTION}
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 5_000_000
    rows = np.ones((1, 293), np.float32)
    assert np.array_equal(load_network(tmp_path).logits(rows), network_of(one).logits(rows))


def test_loading_weights_runs_no_pickle(tmp_path, model, monkeypatch):
    model.save_weights(tmp_path)

    def refuse(*args, **kwargs):
        raise AssertionError("something was unpickled")

    for name in ("pickle.load", "pickle.loads", "torch.load"):
        monkeypatch.setattr(name, refuse)
    load_network(tmp_path)
    make().load_weights(tmp_path)


def flip_a_byte(folder):
    data = bytearray((folder / TENSORS).read_bytes())
    data[-5] ^= 1
    (folder / TENSORS).write_bytes(data)


def cut_short(folder):
    (folder / TENSORS).write_bytes((folder / TENSORS).read_bytes()[:-100])


def describe(**changes):
    def change(folder):
        text = json.loads((folder / DESCRIPTION).read_text())
        (folder / DESCRIPTION).write_text(json.dumps({**text, **changes}))

    return change


@pytest.mark.parametrize(
    "damage",
    [
        flip_a_byte,
        cut_short,
        lambda folder: (folder / TENSORS).unlink(),
        lambda folder: (folder / DESCRIPTION).unlink(),
        lambda folder: (folder / DESCRIPTION).write_text("{"),
        lambda folder: (folder / DESCRIPTION).write_text("[]"),
        lambda folder: (folder / DESCRIPTION).write_text("{}"),
        describe(format=99),
    ],
)
def test_damaged_weights_are_refused(tmp_path, model, damage):
    model.save_weights(tmp_path)
    damage(tmp_path)
    with pytest.raises(ScenarioError, match=str(tmp_path)):
        load_network(tmp_path)
    with pytest.raises(ScenarioError, match=str(tmp_path)):
        model.load_weights(tmp_path)


def test_weights_of_another_network_are_refused(tmp_path, model):
    make("TokenPolicy").save_weights(tmp_path)
    with pytest.raises(ScenarioError, match="net_arch"):
        model.load_weights(tmp_path)
    tensors = {"action_net.weight": np.zeros((42, 7)), "action_net.bias": np.zeros(42)}
    from hybridrl.agents.hope.network import HopeNetwork

    with pytest.raises(ScenarioError, match="weights"):
        HopeNetwork(tensors, {"inputs": 293, "activation": "Tanh", "heads": None})
    with pytest.raises(ScenarioError, match="weights"):
        HopeNetwork({}, {"inputs": 293, "activation": "Tanh", "heads": None})


def test_a_plan_is_clean_and_equal_seeds_repeat_it(model, scene):
    planner = HopePlanner(rollouts=8, weights=network_of(model))
    results = [planner.plan(scene, budget=20.0, seed=4) for _ in range(2)]
    assert results[0].success and results[0].planner == "hope-ppo"
    assert check_path(results[0].path, scene).clean
    assert results[0].path.to_json() == results[1].path.to_json()
    info = results[0].info
    assert info["successes"] >= 1 and info["rl"] + info["rs"] <= results[0].expansions


def test_more_rollouts_never_cost_more(model, scene):
    costs = []
    for rollouts in (4, 16):
        path = model.plan(scene, budget=20.0, seed=1, rollouts=rollouts).path
        costs.append(path.length + path.gear_changes)
    # Not a subset of draws, but the best of many is hardly worse than the best of few.
    assert costs[1] < costs[0] + 1.0


def test_smoothing_keeps_the_ends_and_costs_no_more(model, scene):
    rough = model.plan(scene, budget=20.0, seed=2, rollouts=4)
    smooth = model.plan(scene, budget=20.0, seed=2, rollouts=4, smooth=0.2)
    assert check_path(smooth.path, scene).clean
    cost = [r.path.length + r.path.gear_changes for r in (rough, smooth)]
    assert cost[1] <= cost[0] + 1e-9


def test_without_time_there_is_no_plan(model, scene):
    result = HopePlanner(weights=network_of(model)).plan(scene, budget=0.0)
    assert not result.success and result.info == {"successes": 0}


def test_the_driver_follows_the_policy_and_then_the_free_path(model):
    env = ParkingEnv(level="normal-bay", rs="info", ego=True)
    driver = HybridDriver(model)
    sources, successes = set(), 0
    for seed in range(8):
        seen, info = env.reset(seed=seed)
        driver.reset()
        ended = False
        while not ended:
            action, source = driver.decide(seen, info)
            assert env.action_space.contains(action)
            seen, _, terminated, truncated, info = env.step(action)
            assert not info["bump"], source
            sources.add(source)
            ended = terminated or truncated
        successes += info["is_success"]
    assert sources == {"rl", "rs"}
    assert successes >= 4


def test_a_path_becomes_decisions_that_drive_it():
    vehicle = VehicleSpec()
    path = Path.from_arcs((0.0, 0.0, 0.0), [(vehicle.max_curvature, 1.25), (0.0, -3.0)])
    actions = decisions_of(path, vehicle)
    assert np.allclose(actions, [(1.0, 1.0), (0.0, -0.8), (0.0, -0.8), (0.0, -0.8)], atol=1e-6)
