import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridrl.agents.h2o.discriminators import Discriminators
from hybridrl.agents.h2o.estimator import GapOptions, gap_terms, jitter_spread
from hybridrl.agents.h2o.losses import (
    bounded,
    critic_loss,
    discriminator_loss,
    gap,
    log_gap_share,
    log_ratio,
    penalty,
    sim_weight,
    soft_maximum,
    uniform_share,
    weighted_mean,
)


def discriminators(**kwargs):
    torch.manual_seed(1)
    made = Discriminators(3, 2, (16,), **kwargs)
    for network in (made.sa, made.sas):
        network.head.weight.data *= 20  # so that ratios fill their range
    return made


def rows(count=200, problems=1):
    torch.manual_seed(2)
    return (
        torch.randn(problems, count, 3),
        torch.rand(problems, count, 2),
        torch.randn(problems, count, 3),
    )


def test_the_four_probability_log_ratio_equals_the_one_of_the_head_alone():
    made = discriminators()
    short, full = made.log_ratio(*rows()), made.full_log_ratio(*rows())
    assert short.abs().max() > 2.0
    assert torch.allclose(short.double(), full, atol=1e-5)
    assert short.abs().max() <= 4.0


def numeric_gradient(function, at, step=1e-6):
    gradient = torch.zeros_like(at)
    for index in np.ndindex(*at.shape):
        up, down = at.clone(), at.clone()
        up[index] += step
        down[index] -= step
        gradient[index] = (function(up) - function(down)) / (2 * step)
    return gradient


@given(st.integers(0, 10_000), st.sampled_from([0.3, 1.0, 4.0]))
@settings(max_examples=10, derandomize=True, deadline=None)
def test_the_gradient_of_the_penalty_agrees_with_finite_differences(seed, temperature):
    generator = torch.Generator().manual_seed(seed)
    q = torch.randn(2, 9, generator=generator, dtype=torch.double) * 3
    omega = torch.rand(5, generator=generator, dtype=torch.double)
    log_omega = (omega / omega.sum()).log()

    def value(x):
        return penalty(soft_maximum(x[:, 4:], log_omega, temperature), x[:, :4]).sum()

    leaf = q.clone().requires_grad_()
    value(leaf).backward()
    assert torch.allclose(leaf.grad, numeric_gradient(value, q), atol=1e-5)
    softmax = torch.softmax((q[:, 4:] + log_omega) / temperature, dim=1)
    assert torch.allclose(leaf.grad[:, 4:], softmax, atol=1e-9)
    assert torch.allclose(leaf.grad[:, :4], torch.full((2, 4), -0.25, dtype=torch.double))


def test_the_critic_loss_is_its_three_terms_and_its_gradient_theirs():
    torch.manual_seed(0)
    q, target = torch.randn(2, 7).double(), torch.randn(7).double()
    weight, omega = torch.rand(4).double(), torch.rand(4).double()
    log_omega = log_gap_share(omega)

    def by_hand(values):
        total = 0.0
        for row in values:
            total += sum((row[i] - target[i]) ** 2 for i in range(3)) / 3
            total += sum(weight[i] * (row[3 + i] - target[3 + i]) ** 2 for i in range(4)) / 4
            lse = math.log(sum(math.exp(row[3 + i]) * omega[i] / omega.sum() for i in range(4)))
            total += 0.5 * (lse - row[:3].mean())
        return total

    ours = critic_loss(q, target, 3, weight, log_omega, beta=0.5)
    assert ours.item() == pytest.approx(float(by_hand(q)), abs=1e-9)
    leaf = q.clone().requires_grad_()
    critic_loss(leaf, target, 3, weight, log_omega, beta=0.5).backward()
    assert torch.allclose(leaf.grad, numeric_gradient(by_hand, q), atol=1e-5)


def test_without_its_parts_the_loss_is_the_naive_mixture():
    q, target = torch.randn(2, 6), torch.randn(6)
    plain = critic_loss(q, target, 2, torch.ones(4), None)
    error = (q - target) ** 2
    assert plain.item() == pytest.approx(
        float((error[:, :2].mean(1) + error[:, 2:].mean(1)).sum()), rel=1e-5
    )
    share = uniform_share(torch.zeros(4))
    assert torch.allclose(share.exp(), torch.full((4,), 0.25))
    assert torch.allclose(weighted_mean(q[:, 2:], share), q[:, 2:].mean(1))


def test_problems_side_by_side_have_the_losses_of_each_alone():
    torch.manual_seed(0)
    q, target = torch.randn(3, 2, 7), torch.randn(3, 7)
    weight, u = torch.rand(3, 4), torch.rand(3, 4)
    beta = torch.tensor([[0.0], [0.5], [2.0]])
    together = critic_loss(q, target, 3, weight, log_gap_share(u), beta)
    alone = sum(
        critic_loss(q[k], target[k], 3, weight[k], log_gap_share(u[k]), float(beta[k]))
        for k in range(3)
    )
    assert together.item() == pytest.approx(float(alone), rel=1e-5)


@given(st.lists(st.floats(-4, 4), min_size=2, max_size=30))
@settings(max_examples=30, derandomize=True, deadline=None)
def test_weights_gaps_and_shares_stay_in_their_ranges(values):
    g = torch.tensor(values)
    weight = sim_weight(g)
    assert ((weight > 0.018) & (weight <= 1.0)).all()
    assert torch.allclose(weight[g < 0], torch.ones(int((g < 0).sum())))
    share = log_gap_share(gap(g[None]))
    assert torch.isfinite(share).all()
    assert share.exp().sum().item() == pytest.approx(1.0, abs=1e-5)


def test_a_batch_in_which_every_gap_is_clipped_counts_equally():
    share = log_gap_share(gap(-torch.rand(10, 6) - 0.1))
    assert torch.allclose(share.exp(), torch.full((6,), 1 / 6))
    soft = gap(torch.tensor([[-3.0, 0.0]]), soft=True)
    assert soft.tolist() == pytest.approx([math.log1p(math.exp(-3)), math.log(2)], rel=1e-5)


def test_the_discriminator_loss_is_the_cross_entropy_of_both_sides():
    torch.manual_seed(0)
    real, sim = bounded(torch.randn(8, 2)), bounded(torch.randn(5, 2))
    entropy = torch.nn.functional.cross_entropy
    expected = entropy(real, torch.zeros(8, dtype=torch.long)) + entropy(
        sim, torch.ones(5, dtype=torch.long)
    )
    assert discriminator_loss(real, sim).item() == pytest.approx(expected.item(), rel=1e-6)
    assert log_ratio(torch.tensor([[1.0, -0.5]])).item() == -1.5


def test_both_losses_train_the_short_discriminator_and_one_the_long():
    made = discriminators(noise=0.0)
    made.loss(made.inputs(*rows(20)), 10).backward()
    both = made.sa.head.weight.grad.clone()
    made.zero_grad()
    inputs = made.inputs(*rows(20))
    short = bounded(made.sa(inputs[..., :5]))
    discriminator_loss(short[:, :10], short[:, 10:]).backward()
    assert not torch.allclose(both, made.sa.head.weight.grad)
    assert made.sas.head.weight.grad is None


@pytest.mark.parametrize("kind", ["state", "delta"])
def test_inputs_are_standardised(kind):
    made = discriminators(next_input=kind)
    obs, actions, later = rows(2000)
    made.set_scale(5 * obs + 3, actions, 5 * obs + 3 + 0.01 * later)
    inputs = made.inputs(5 * obs + 3, actions, 5 * obs + 3 + 0.01 * later)
    assert inputs.mean(dim=1).abs().max() < 1e-3
    assert (inputs.std(dim=1) - 1.0).abs().max() < 1e-3
    constant = torch.ones(1, 10, 3)
    made.set_scale(constant, torch.ones(1, 10, 2), constant)
    assert torch.isfinite(made.inputs(constant, torch.ones(1, 10, 2), constant)).all()


def test_the_jitter_is_that_of_its_mode():
    states = torch.randn(1, 5000, 2) * torch.tensor([1.0, 4.0]) + 2.0
    own = jitter_spread(states, 0.1)
    assert torch.allclose(own.ravel(), torch.tensor([0.1, 0.4]), rtol=0.05)
    padded = torch.cat([states, torch.zeros(1, 50_000, 2)], dim=1)
    public = jitter_spread(states, 1.0, "public")
    assert torch.allclose(public, padded.std(dim=1, keepdim=True), rtol=1e-3)


def test_gap_terms_are_the_average_over_the_jitter_and_have_no_gradient():
    made = discriminators()
    obs, actions, later = rows(6, problems=1)
    spread = torch.full((1, 1, 3), 1e-9)
    terms = gap_terms(made, obs, actions, later, spread, GapOptions(samples=4))
    g = made.log_ratio(obs, actions, later)
    assert torch.allclose(terms.g, g, atol=1e-6)
    assert torch.allclose(terms.u, g.clamp(1e-45, 10), atol=1e-4)
    assert torch.allclose(terms.weight, torch.exp(-g).clamp(max=1.0), atol=1e-5)
    assert not terms.log_omega.requires_grad
    off = gap_terms(made, obs, actions, later, spread, GapOptions(use_ratio=False, use_gap=False))
    assert (off.weight == 1).all() and torch.allclose(
        off.log_omega.exp(), torch.full((1, 6), 1 / 6)
    )
