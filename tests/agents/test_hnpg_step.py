"""HNPG's policy step: against sb3-contrib's TRPO, one by one, and within its trust region."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from sb3_contrib import TRPO

import hybridrl  # noqa: F401
from hybridrl.agents import HNPG
from hybridrl.agents.common.vec_env import make_vec
from hybridrl.agents.hnpg.step import PolicyRows, TrustRegion, flat_members, natural_step


class Line(gym.Env):
    """Spaces of one number each."""

    observation_space = gym.spaces.Box(-np.inf, np.inf, (1,), np.float32)
    action_space = gym.spaces.Box(-2.0, 2.0, (1,))


def policy_of(kind, per_step=True, seed=0):
    env = make_vec("hybridrl/CombLock-v0", 4, horizon=3, lock_seed=1, action_kind=kind)
    options = {"n_steps": 6, "seed": seed, "device": "cpu", "per_step": per_step}
    return HNPG("MlpPolicy", env, **options).policy


def test_one_step_without_data_is_the_direction_of_trpo():
    """With one network: our Fisher products and gradients against sb3-contrib's own."""
    torch.manual_seed(0)
    arch = {"net_arch": [8], "activation_fn": torch.nn.Tanh}
    trpo = TRPO("MlpPolicy", Line(), n_steps=16, batch_size=16, policy_kwargs=arch, device="cpu")
    ours = HNPG("MlpPolicy", Line(), n_steps=16, policy_kwargs=arch, device="cpu", kl_check=False)
    actor = [layer for layer in ours.policy.actor.layers if hasattr(layer, "weight")]
    theirs = [trpo.policy.mlp_extractor.policy_net[0], trpo.policy.action_net]
    with torch.no_grad():
        for mine, other in zip(actor, theirs, strict=True):
            mine.weight[0], mine.bias[0, 0] = other.weight.t(), other.bias
    seen, actions = torch.randn(16, 1), torch.randn(16, 1)
    advantages = torch.randn(16)

    distribution = trpo.policy.get_distribution(seen)
    log_prob = distribution.log_prob(actions)
    objective = (advantages * torch.exp(log_prob - log_prob.detach())).mean()
    found = distribution.distribution
    old = torch.distributions.Normal(found.loc.detach(), found.scale.detach())
    kl = torch.distributions.kl_divergence(distribution.distribution, old).sum(-1).mean()
    params, slope, grad_kl, _ = trpo._compute_actor_grad(kl, objective)
    vector = torch.randn(len(slope))
    product = trpo.hessian_vector_product(params, grad_kl, vector)

    policy = ours.policy
    outputs = policy.outputs(seen[None])
    mine = policy.head.log_prob(actions[None], *outputs)
    assert torch.allclose(mine[0], log_prob, atol=1e-5)
    before = tuple(t.detach().clone() for t in outputs)
    kl = policy.head.kl(before, outputs).mean()
    names = [name for name, _ in trpo.policy.named_parameters() if "value" not in name]
    assert names[0] == "log_std"  # theirs first, ours last
    gradients = torch.autograd.grad(kl, policy.actor_parameters, create_graph=True)
    theirs_of = {name: g for name, g in zip(names, _split(vector, params), strict=True)}
    order = [theirs_of[n] for n in names[1:]] + [theirs_of[names[0]]]
    shaped = [v.t() if v.dim() == 2 else v for v in order]
    inner = sum((g.reshape(v.shape) * v).sum() for g, v in zip(gradients, shaped, strict=True))
    found = torch.autograd.grad(inner, policy.actor_parameters)
    expected = dict(zip(names, _split(product, params), strict=True))
    for mine, name, v in zip(found, [*names[1:], names[0]], shaped, strict=True):
        other = expected[name]
        other = other.t() if other.dim() == 2 else other
        assert torch.allclose(mine.reshape(v.shape) + 0.1 * v, other, atol=1e-4)


def _split(flat, params):
    return [
        p.view(q.shape)
        for p, q in zip(flat.split([q.numel() for q in params]), params, strict=True)
    ]


def rows_for(policy, count=40, seed=0):
    generator = torch.Generator().manual_seed(seed)
    width = policy.features_extractor.features_dim
    features = torch.randn(policy.n_members, count, width, generator=generator)
    with torch.no_grad():
        outputs = policy.outputs(features)
        actions = policy.head.sample(*outputs)
        log_prob = policy.head.log_prob(actions, *outputs)
    advantages = torch.randn(policy.n_members, count, generator=generator)
    return PolicyRows(
        features=features, actions=actions, log_prob=log_prob, advantages=advantages,
        mask=torch.ones(policy.n_members, count),
    )  # fmt: skip


REGION = TrustRegion(
    max_kl=0.01, damping=0.1, iterations=10, shrink=0.5, tries=10, accept=0.1, kl_check=True
)


@pytest.mark.parametrize("kind", ["discrete", "continuous"])
def test_stacked_policies_step_as_each_would_alone(kind):
    policy = policy_of(kind)
    rows = rows_for(policy)
    alone = []
    for member in range(3):
        single = policy_of(kind, per_step=False)
        for mine, stacked in zip(single.actor_parameters, policy.actor_parameters, strict=True):
            mine.data.copy_(stacked.data[member : member + 1])
        own = {name: getattr(rows, name)[member : member + 1] for name in vars(rows)}
        natural_step(single, PolicyRows(**own), REGION)
        alone.append(flat_members([p.detach() for p in single.actor_parameters]))
    facts = natural_step(policy, rows, REGION)
    together = flat_members([p.detach() for p in policy.actor_parameters])
    assert torch.allclose(together, torch.cat(alone), atol=2e-4)
    assert (facts["kl"] <= 0.01).all() and facts["linesearch_accept"].any()


def test_c2_a_step_stays_within_its_kl_unless_only_improvement_is_asked_for():
    """With few rows the quadratic model is poor: only the check keeps the KL."""
    largest = {}
    for check in (True, False):
        kls = []
        for seed in range(6):
            policy = policy_of("continuous", seed=seed)
            region = TrustRegion(
                **{**vars(REGION), "max_kl": 1.0, "damping": 1e-3, "kl_check": check}
            )
            kls.append(natural_step(policy, rows_for(policy, 6, seed), region)["kl"])
        largest[check] = float(torch.cat(kls).max())
    assert largest[True] <= 1.0 < largest[False]
