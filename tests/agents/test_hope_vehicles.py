"""The numbers of the vehicle in the feature row: torch, NumPy and the simulator agree."""

import numpy as np
import pytest
import torch

from hybridrl.agents.common.vec_env import make_vec
from hybridrl.agents.hope import HopePPO
from hybridrl.agents.hope.features import PARTS, feature_count, feature_rows, parts_of
from hybridrl.agents.hope.network import HopeNetwork
from hybridrl.agents.hope.weights import load_network, network_of, read_weights
from hybridrl.agents.hope.widen import widened
from hybridrl.envs.parking.vector_env import ParkingVectorEnv
from hybridrl.planners.errors import ScenarioError

OPTIONS = {"action_type": "discrete", "rs": "auto", "vehicles": "range"}


@pytest.mark.parametrize("policy", ["MultiInputPolicy", "TokenPolicy"])
@pytest.mark.parametrize("ego", [True, False])
def test_numpy_computes_what_torch_computes_of_simulator_rows(policy, ego):
    env = make_vec("hybridrl/Parking-Hard-v0", 2, 0, ego=ego, **OPTIONS)
    model = HopePPO(policy, env, n_steps=8, seed=0, device="cpu")
    network = network_of(model)
    vector = ParkingVectorEnv(5, level="hard", ego=ego, **OPTIONS)
    seen, _ = vector.reset(seed=1)
    masked = seen | {"action_mask": seen["action_mask"] * vector.action_masks()}
    with torch.inference_mode():
        expected = model.policy.log_probs(torch.from_numpy(feature_rows(masked, np))).numpy()
    logits = network.masked_logits(vector.task.rows, 200)
    allowed = vector.action_masks()
    found = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(found[allowed], expected[allowed], atol=1e-4)


def test_the_vehicle_stands_last_in_the_row_and_changes_what_the_policy_does():
    vector = ParkingVectorEnv(3, level="hard", ego=True, **OPTIONS)
    seen, _ = vector.reset(seed=2)
    rows = feature_rows(seen, np)
    assert rows.shape[1] == feature_count(vector.single_observation_space) == sum(PARTS.values())
    np.testing.assert_array_equal(rows[:, -PARTS["vehicle"] :], seen["vehicle"])
    env = make_vec("hybridrl/Parking-Hard-v0", 1, 0, ego=True, **OPTIONS)
    network = network_of(HopePPO(env=env, n_steps=8, seed=0, device="cpu"))
    before = network.logits(rows)
    rows[:, -PARTS["vehicle"] :] += 1.0
    assert np.abs(network.logits(rows) - before).max() > 1e-6


@pytest.mark.parametrize(
    ("inputs", "parts"),
    [(291, ()), (293, ("ego",)), (296, ("vehicle",)), (298, ("ego", "vehicle"))],
)
def test_the_length_of_a_row_tells_its_parts(inputs, parts):
    assert parts_of(inputs) == ("action_mask", "lidar", "target", *parts)


def test_a_length_that_no_row_has_is_refused():
    with pytest.raises(ScenarioError, match="294"):
        parts_of(294)


@pytest.mark.slow
def test_learning_over_a_range_of_vehicles_counts_its_episodes_by_class():
    env = make_vec("hybridrl/Parking-All-v0", 8, 0, max_decisions=6, **{**OPTIONS, "task": "both"})
    model = HopePPO(env=env, n_steps=16, batch_size=64, seed=0, device="cpu")
    model.learn(256)
    assert (model.curriculum_record >= 0).sum() >= 30
    assert ((model.curriculum_record >= 0).sum(dim=1) > 0).sum() >= 5


@pytest.mark.parametrize("policy", ["MultiInputPolicy", "TokenPolicy"])
def test_widened_weights_act_as_before_and_a_longer_policy_loads_the_shorter_ones(tmp_path, policy):
    narrow = make_vec("hybridrl/Parking-Hard-v0", 1, 0, ego=True, action_type="discrete")
    HopePPO(policy, narrow, n_steps=8, seed=1, device="cpu").save_weights(tmp_path)
    old, new = load_network(tmp_path), HopeNetwork(*widened(read_weights(tmp_path), 298))
    rows = np.random.default_rng(0).normal(size=(4, 298)).astype(np.float32)
    np.testing.assert_allclose(new.logits(rows), old.logits(rows[:, :293]), atol=1e-5)
    env = make_vec("hybridrl/Parking-Hard-v0", 1, 0, ego=True, **OPTIONS)
    model = HopePPO(policy, env, n_steps=8, seed=0, device="cpu", start_from=tmp_path)
    np.testing.assert_allclose(network_of(model).logits(rows), new.logits(rows), atol=1e-5)
    with pytest.raises(ScenarioError, match="begins with"):
        widened(read_weights(tmp_path), 296)


def test_a_transformer_is_not_widened_by_a_whole_token(tmp_path):
    narrow = make_vec("hybridrl/Parking-Hard-v0", 1, 0, action_type="discrete")
    HopePPO("TokenPolicy", narrow, n_steps=8, seed=1, device="cpu").save_weights(tmp_path)
    with pytest.raises(ScenarioError, match="3 tokens"):
        widened(read_weights(tmp_path), 293)
