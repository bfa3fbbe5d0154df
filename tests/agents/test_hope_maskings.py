"""Policies to compare with: a mask that forbids nothing, no mask, and a weighted Gaussian."""

import numpy as np
import pytest
import torch

from hybridrl.agents.common.vec_env import make_vec
from hybridrl.agents.hope import HopePPO
from hybridrl.agents.hope.export import random_observations
from hybridrl.agents.hope.features import MASK, feature_rows
from hybridrl.agents.hope.weights import network_of
from hybridrl.envs.parking.kernels.records import ACTION_SPEED, ACTION_STEER
from hybridrl.planners.errors import ScenarioError, UnknownNameError


def model_of(policy="MultiInputPolicy", **kwargs):
    env = make_vec("hybridrl/Parking-Hard-v0", 2, 0, action_type="discrete", rs="auto", ego=True)
    settings = {"n_steps": 8, "batch_size": 16, "seed": 0, "device": "cpu"}
    return HopePPO(policy, env, policy_kwargs={"net_arch": [16], **kwargs}, **settings)


def rows_for(model, count=30):
    return torch.from_numpy(feature_rows(random_observations(model.observation_space, count), np))


def without_mask(rows):
    changed = rows.clone()
    changed[:, :MASK] = torch.rand(len(rows), MASK).round()
    return changed


def test_a_mask_as_input_forbids_nothing_but_is_seen():
    model = model_of(masking="input")
    rows = rows_for(model)
    with torch.no_grad():
        log_probs, others = (model.policy.log_probs(r) for r in (rows, without_mask(rows)))
    assert (log_probs > -20).all()
    assert torch.allclose(log_probs.exp().sum(dim=1), torch.ones(30), atol=1e-5)
    assert not torch.allclose(log_probs, others)


def test_without_a_mask_it_changes_nothing():
    model = model_of(masking="none")
    rows = rows_for(model)
    with torch.no_grad():
        log_probs, others = (model.policy.log_probs(r) for r in (rows, without_mask(rows)))
        values = [model.policy.values(r) for r in (rows, without_mask(rows))]
    assert torch.equal(log_probs, others) and torch.equal(*values)


def test_the_gaussian_is_weighted_by_the_free_shares():
    model = model_of("GaussianPolicy").learn(32)
    rows = rows_for(model)
    policy = model.policy
    with torch.no_grad():
        found = policy.log_probs(rows).exp().numpy()
        encoded = policy.features_extractor.encode(rows)
        mean = torch.tanh(policy.action_net(policy.mlp_extractor.forward_actor(encoded))).numpy()
        std = policy.log_std.exp().numpy()
    for i in range(30):
        density = np.ones(42)
        for axis, grid in enumerate((ACTION_STEER, ACTION_SPEED)):
            z = (grid - mean[i, axis]) / std[axis]
            log = -0.5 * z**2 - np.log(std[axis]) - 0.5 * np.log(2 * np.pi)
            density *= np.exp(np.clip(log, -10, 10))
        weighted = density * rows[i, :MASK].numpy()
        assert np.allclose(found[i], weighted / weighted.sum(), atol=1e-5)
    assert not torch.equal(policy.log_std.detach(), torch.zeros(2))


@pytest.mark.parametrize("kwargs", [{"masking": "input"}, {"masking": "none"}])
def test_they_learn_and_are_no_planners(kwargs):
    model = model_of(**kwargs).learn(32)
    with pytest.raises(ScenarioError, match="masking"):
        network_of(model)


def test_unknown_maskings_are_refused():
    with pytest.raises(UnknownNameError, match="input"):
        model_of(masking="inputs")
