"""Running statistics are those of all rows, travel with the policy, and fold into NumPy's layer."""

import numpy as np
import pytest
import torch

from hybridrl.agents.common.vec_env import make_vec
from hybridrl.agents.hope import HopePPO
from hybridrl.agents.hope.features import MASK
from hybridrl.agents.hope.scaling import RunningScale
from hybridrl.agents.hope.weights import load_network, network_of
from hybridrl.planners.errors import ScenarioError

POLICIES = ("MultiInputPolicy", "TokenPolicy")
EGO = 2


def make(policy=POLICIES[0], normalize=True, **options):
    keywords = {"action_type": "discrete", "rs": "auto", "ego": True, **options}
    env = make_vec("hybridrl/Parking-Hard-v0", 2, 0, **keywords)
    settings = {"n_steps": 8, "batch_size": 16, "seed": 0, "device": "cpu"}
    return HopePPO(policy, env, normalize=normalize, **settings)


def scale_of(model):
    return model.policy.features_extractor.scale


def test_batches_of_any_size_add_up_to_the_statistics_of_all_rows(rng):
    rows = torch.from_numpy(rng.normal(3.0, 2.0, (500, 293)).astype(np.float32))
    scale = RunningScale(293)
    for part in torch.split(rows, [1, 99, 0, 250, 150]):
        scale.update(part)
    chosen = slice(MASK, 293 - EGO)
    assert torch.allclose(scale.mean[chosen], rows.mean(dim=0)[chosen], atol=1e-5)
    assert torch.allclose(scale.variance[chosen], rows.var(dim=0, correction=0)[chosen], rtol=1e-4)
    assert float(scale.count) == 500
    out = scale(rows)[:, chosen]
    assert torch.allclose(out.mean(dim=0), torch.zeros(out.shape[1]), atol=1e-4)
    assert torch.allclose(out.std(dim=0, correction=0), torch.ones(out.shape[1]), atol=1e-3)


def test_mask_and_ego_pass_unchanged(rng):
    rows = torch.from_numpy(rng.random((20, 293)).astype(np.float32))
    scale = RunningScale(293)
    scale.update(rows)
    for part in (slice(0, MASK), slice(293 - EGO, None)):
        assert torch.allclose(scale(rows)[:, part], rows[:, part], atol=1e-4)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("ego", [True, False])
def test_numpy_folds_the_statistics_into_its_first_layer(policy, ego, rng):
    model = make(policy, ego=ego).learn(64)
    rows = rng.random((7, model.policy.features_extractor.inputs)).astype(np.float32)
    logits = network_of(model).logits(rows)
    with torch.no_grad():
        expected = model.policy.log_probs(torch.from_numpy(rows))
    assert logits.dtype == np.float32
    assert float(scale_of(model).count) == 64
    found = torch.log_softmax(torch.from_numpy(logits), dim=1)
    assert torch.allclose(found, expected, atol=1e-4)


def test_statistics_stand_still_while_their_rows_are_learned_from():
    model = make().learn(32)
    buffer = model.rollout_buffer
    model.collect_rollouts(model.env, model._init_callback(None), buffer, 8)
    rows = torch.from_numpy(buffer.observations.reshape(16, -1))
    actions = torch.from_numpy(buffer.actions.reshape(16)).long()
    with torch.no_grad():
        _, log_probs, _ = model.policy.evaluate_rows(rows, actions)
    assert np.allclose(log_probs.numpy(), buffer.log_probs.reshape(16), atol=1e-5)
    before = float(scale_of(model).count)
    model.train()
    assert float(scale_of(model).count) == before + 16


def test_model_and_weights_carry_the_statistics(tmp_path, rng):
    model = make().learn(64)
    model.save(tmp_path / "model.zip")
    model.save_weights(tmp_path)
    loaded = HopePPO.load(tmp_path / "model.zip", device="cpu")
    other = make()
    other.load_weights(tmp_path)
    rows = rng.random((5, 293)).astype(np.float32)
    for again in (loaded, other):
        for name, tensor in scale_of(model).state_dict().items():
            assert torch.equal(tensor, scale_of(again).state_dict()[name]), name
    assert np.array_equal(load_network(tmp_path).logits(rows), network_of(model).logits(rows))
    with pytest.raises(ScenarioError, match="normalize"):
        make(normalize=False).load_weights(tmp_path)


def test_without_it_nothing_is_normalised():
    model = make(normalize=False)
    assert scale_of(model) is None
    assert not [name for name in model.policy.state_dict() if "scale" in name]
