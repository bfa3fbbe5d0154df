"""The losses against numbers worked out by hand."""

import math

import pytest
import torch

from hybridrl.agents.hope.losses import (
    approximate_kl,
    clipped_policy_loss,
    entropy,
    masked_log_probs,
    normalised,
)


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


def test_masked_log_probs_are_a_softmax_over_the_allowed_entries():
    logits = tensor([0.0, math.log(3.0), 5.0, math.log(4.0)])
    allowed = torch.tensor([[True, True, False, True]])
    probabilities = masked_log_probs(logits, allowed).exp()
    assert torch.allclose(probabilities, tensor([1 / 8, 3 / 8, 0.0, 4 / 8]), atol=1e-12)
    assert probabilities[0, 2] == 0.0


def test_masking_ignores_the_logits_of_what_is_forbidden():
    allowed = torch.tensor([[True, False, True]])
    one = masked_log_probs(tensor([1.0, 2.0, 3.0]), allowed)
    other = masked_log_probs(tensor([1.0, 99.0, 3.0]), allowed)
    assert torch.equal(one[:, [0, 2]], other[:, [0, 2]])


def test_a_row_that_allows_nothing_is_a_plain_softmax():
    logits = tensor([1.0, 2.0], [1.0, 2.0])
    allowed = torch.tensor([[False, False], [True, False]])
    rows = masked_log_probs(logits, allowed)
    assert torch.allclose(rows[0], torch.log_softmax(logits[0], 0))
    assert rows[1, 0] == 0.0


def test_entropy_of_a_masked_row_counts_the_allowed_entries_only():
    allowed = torch.tensor([[True] * 4 + [False] * 6])
    log_probs = masked_log_probs(torch.zeros(1, 10), allowed)
    assert float(entropy(log_probs)) == pytest.approx(math.log(4.0), abs=1e-6)


def test_gradients_through_a_masked_row_are_finite_and_spare_the_forbidden():
    logits = torch.randn(3, 5, requires_grad=True)
    allowed = torch.tensor([[True, False, True, False, False]] * 3)
    log_probs = masked_log_probs(logits, allowed)
    (log_probs[:, 0].sum() + entropy(log_probs).sum()).backward()
    assert torch.isfinite(logits.grad).all()
    assert (logits.grad[:, [1, 3, 4]] == 0).all()
    assert (logits.grad[:, [0, 2]] != 0).any()


def test_clipped_loss_by_hand():
    ratio = tensor(1.5, 1.5, 0.5, 0.5, 1.1)
    advantage = tensor(1.0, -1.0, 1.0, -1.0, 2.0)
    # min(r A, clip(r) A) with a band of 0.2: 1.2, -1.5, 0.5, -0.8, 2.2.
    assert float(clipped_policy_loss(ratio, advantage, 0.2)) == pytest.approx(-1.6 / 5)


def test_no_gradient_beyond_the_band_in_the_direction_of_the_advantage():
    ratio = tensor(1.5, 0.5, 1.5).requires_grad_()
    clipped_policy_loss(ratio, tensor(1.0, -1.0, -1.0), 0.2).backward()
    assert ratio.grad[:2].tolist() == [0.0, 0.0]
    assert float(ratio.grad[2]) == pytest.approx(1 / 3)


def test_approximate_kl_is_zero_for_equal_policies_and_exact_for_a_known_pair():
    assert float(approximate_kl(torch.zeros(5))) == 0.0
    # In expectation over the old policy it is KL(old, new).
    old, new = tensor(0.2, 0.8), tensor(0.6, 0.4)
    log_ratio = (new / old).log()
    expected = float((old * (old / new).log()).sum())
    weighted = float((old * (log_ratio.exp() - 1 - log_ratio)).sum())
    assert weighted == pytest.approx(expected)
    assert float(approximate_kl(log_ratio)) == pytest.approx(
        (3 - 1 - math.log(3) + 0.5 - 1 - math.log(0.5)) / 2
    )


def test_normalised_advantages():
    assert normalised(tensor(1.0, 3.0)).tolist() == pytest.approx([-(0.5**0.5), 0.5**0.5])
    assert normalised(tensor(7.0)).tolist() == [7.0]
    assert normalised(tensor(2.0, 2.0)).tolist() == [0.0, 0.0]
