"""HNPG's equations with numbers worked by hand, autograd, and sb3-contrib as oracles."""

import copy

import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st
from sb3_contrib.common.utils import conjugate_gradient_solver
from stable_baselines3.common.buffers import RolloutBuffer

from hybridrl.agents.common.ensemble import EnsembleMLP
from hybridrl.agents.hnpg import losses
from hybridrl.agents.hnpg.critic import fit_member
from hybridrl.agents.hnpg.heads import CategoricalHead, GaussianHead
from hybridrl.agents.hnpg.rows import grouped

tensor = torch.tensor


def test_returns_stop_at_ends_and_go_on_with_the_last_value():
    rewards = tensor([[1.0, 1.0], [2.0, 2.0], [4.0, 4.0]])
    dones = tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    found = losses.monte_carlo_returns(rewards, dones, tensor([10.0, 10.0]), 0.5)
    assert found.tolist() == [[2.0, 3.0], [2.0, 4.0], [9.0, 4.0]]


def test_advantages_are_those_of_stable_baselines():
    rng = np.random.default_rng(0)
    buffer = RolloutBuffer(
        7, spaces.Box(-1, 1, (1,)), spaces.Discrete(2), "cpu", gae_lambda=0.8, gamma=0.9, n_envs=3
    )
    starts = rng.random((8, 3)) < 0.3
    for t in range(7):
        values = torch.tensor(rng.normal(size=3), dtype=torch.float32)
        row = rng.normal(size=(3, 1)), np.zeros((3, 1)), rng.normal(size=3), starts[t]
        buffer.add(*row, values, torch.zeros(3))
    last = torch.tensor(rng.normal(size=3), dtype=torch.float32)
    buffer.compute_returns_and_advantage(last, starts[7])
    found = losses.gae(
        tensor(buffer.rewards), tensor(buffer.values), tensor(starts[1:]).float(), last, 0.9, 0.8
    )
    assert found.numpy() == pytest.approx(buffer.advantages, abs=1e-5)


@given(st.integers(0, 1000), st.floats(0.5, 1.0))
def test_with_lambda_one_an_advantage_is_the_return_minus_the_value(seed, gamma):
    generator = torch.Generator().manual_seed(seed)
    rewards, values = torch.randn(2, 6, 2, generator=generator, dtype=torch.float64)
    dones = (torch.rand(6, 2, generator=generator) < 0.3).double()
    last = torch.randn(2, generator=generator, dtype=torch.float64)
    advantages = losses.gae(rewards, values, dones, last, gamma, 1.0)
    returns = losses.monte_carlo_returns(rewards, dones, last, gamma)
    assert torch.allclose(advantages, returns - values)


def test_the_offline_target_bootstraps_unless_the_task_ended():
    target = losses.offline_targets(tensor([1.0, 1.0]), tensor([0.0, 1.0]), tensor([4.0, 4.0]), 0.5)
    assert target.tolist() == [3.0, 1.0]


def test_the_critic_loss_is_a_weighted_sum_of_two_means():
    online, offline = tensor([[1.0, 1.0]]), tensor([[1.0, 1.0, 1.0, 0.0]])
    weights = losses.row_weights(online, offline, lam=2.0)
    q, y = tensor([[1.0, 2.0, 3.0, 0.0, 0.0, 9.0]]), torch.zeros(1, 6)
    # 2 (1 + 4) / 2 + (9 + 0 + 0) / 3; the padded row does not count
    assert losses.hybrid_critic_loss(q, y, weights).tolist() == [8.0]
    assert losses.row_weights(online, offline[:, :0], 1.0).tolist() == [[0.5, 0.5]]


def test_a_centred_critic_is_q_minus_v_and_the_surrogate_its_weighted_mean():
    advantages = losses.centred(tensor([[3.0, 1.0, 7.0]]), tensor([[1.0, 2.0, 0.0]]))
    ratios = tensor([[1.0, 3.0, 5.0]]).log()
    found = losses.surrogate(ratios, torch.zeros(1, 3), advantages, tensor([[1.0, 1.0, 0.0]]))
    assert found.item() == pytest.approx((2.0 - 3.0) / 2)


def test_conjugate_gradients_solve_every_system_as_the_library_does():
    torch.manual_seed(0)
    root = torch.randn(3, 8, 8, dtype=torch.float64)
    matrices = root @ root.transpose(1, 2) + torch.eye(8, dtype=torch.float64)
    targets = torch.randn(3, 8, dtype=torch.float64)
    targets[2] = 0.0

    def product(vectors):
        return torch.einsum("eij,ej->ei", matrices, vectors)

    found = losses.conjugate_gradient(product, targets, 30)
    assert torch.allclose(product(found), targets, atol=1e-4)
    assert not found[2].any()
    for e in range(2):
        library = conjugate_gradient_solver(lambda v, e=e: matrices[e] @ v, targets[e], 30)
        assert torch.allclose(found[e], library, atol=1e-4)


def test_an_indefinite_matrix_gives_a_finite_answer():
    found = losses.conjugate_gradient(lambda v: -v, torch.ones(1, 3), 5)
    assert torch.isfinite(found).all() and not found.any()


@pytest.mark.parametrize("activation", [torch.nn.Tanh, torch.nn.ReLU])
@pytest.mark.parametrize("discrete", [False, True])
def test_the_critic_fit_is_adam_on_the_loss_of_its_member_alone(activation, discrete):
    torch.manual_seed(1)
    network = EnsembleMLP(3, 4, 5 if discrete else 1, [6, 7], activation)
    inputs, targets, weights = torch.randn(9, 4), torch.randn(9), torch.rand(9)
    actions = torch.randint(0, 5, (9,)) if discrete else None
    other = copy.deepcopy(network)
    adam = torch.optim.Adam(other.parameters(), lr=0.01)
    for _ in range(8):
        out = other(inputs)[1]
        q = out[:, 0] if actions is None else out.gather(1, actions[:, None])[:, 0]
        penalty = sum(p[1].square().sum() for p in other.parameters())
        loss = losses.hybrid_critic_loss(q, targets, weights) + 0.1 * penalty
        adam.zero_grad()
        loss.backward()
        adam.step()
    before = copy.deepcopy(network.state_dict())
    fit_member(network, 1, inputs, actions, targets, weights, 8, 0.01, l2=0.1)
    expected = other.state_dict()
    for name, after in network.state_dict().items():
        assert torch.allclose(after[1], expected[name][1], atol=1e-5)
        assert torch.equal(after[[0, 2]], before[name][[0, 2]])


def test_the_gaussian_head_is_torchs_normal():
    torch.manual_seed(0)
    head, mean, log_std = GaussianHead(), torch.randn(4, 3), torch.randn(1, 3)
    library = torch.distributions.Normal(mean, log_std.exp())
    actions = head.sample(mean, log_std)
    assert torch.allclose(
        head.log_prob(actions, mean, log_std), library.log_prob(actions).sum(-1), atol=1e-5
    )
    shifted = torch.distributions.Normal(mean + 0.3, log_std.exp() * 1.2)
    moved = (mean + 0.3, log_std + np.log(1.2))
    expected = torch.distributions.kl_divergence(library, shifted).sum(-1)
    assert torch.allclose(head.kl((mean, log_std), moved), expected, atol=1e-5)
    many = head.sample(mean[:1].expand(20_000, -1), log_std)
    assert torch.allclose(many.mean(0), mean[0], atol=0.1)
    assert torch.equal(head.mode(mean), mean)


def test_the_categorical_head_is_torchs():
    torch.manual_seed(0)
    head, logits, none = CategoricalHead(), torch.randn(4, 3), torch.zeros(0)
    library = torch.distributions.Categorical(logits=logits)
    actions = head.sample(logits, none)
    assert torch.allclose(head.log_prob(actions, logits, none), library.log_prob(actions))
    other = torch.randn(4, 3)
    expected = torch.distributions.kl_divergence(
        library, torch.distributions.Categorical(logits=other)
    )
    assert torch.allclose(head.kl((logits, none), (other, none)), expected, atol=1e-6)
    drawn = torch.bincount(head.sample(logits[:1].expand(20_000, -1), none)) / 20_000
    assert torch.allclose(drawn, library.probs[0], atol=0.02)
    assert torch.equal(head.mode(logits), logits.argmax(-1))


@given(st.lists(st.integers(0, 4), min_size=1, max_size=30))
def test_rows_are_grouped_once_each(members):
    index, mask = grouped(tensor(members), 5)
    seen = [(e, int(i)) for e in range(5) for i, m in zip(index[e], mask[e], strict=True) if m]
    assert sorted(i for _, i in seen) == list(range(len(members)))
    assert all(members[i] == e for e, i in seen)
