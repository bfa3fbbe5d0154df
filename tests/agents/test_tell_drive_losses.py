"""Losses, schedules and trust of the guidance, by numbers worked by hand."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hybridrl.agents.hope.losses import clipped_policy_loss
from hybridrl.agents.tell_drive.guidance import GuidanceConfig, Strength, Trust
from hybridrl.agents.tell_drive.losses import (
    agreement,
    behaviour_log_prob,
    distillation_loss,
    forward_kl,
    masked_policy_loss,
    q_distillation_loss,
    q_margin_loss,
)
from hybridrl.planners.errors import ScenarioError, UnknownNameError

HALF = torch.tensor([[0.5, 0.5, 0.0]])
QUARTERS = torch.log(torch.tensor([[0.25, 0.75, 1e-9]]))


def test_the_divergence_is_that_of_the_formula_and_zero_for_equals():
    expected = 0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75)
    assert forward_kl(HALF, QUARTERS).item() == pytest.approx(expected, rel=1e-5)
    same = torch.tensor([[0.2, 0.3, 0.5]])
    assert forward_kl(same, same.log()).item() == pytest.approx(0.0, abs=1e-7)


@given(st.lists(st.floats(-5, 5), min_size=6, max_size=6))
def test_the_divergence_agrees_with_torch(logits):
    teacher = torch.softmax(torch.tensor([logits[:3]]), dim=1)
    student = torch.log_softmax(torch.tensor([logits[3:]]), dim=1)
    expected = torch.nn.functional.kl_div(student, teacher, reduction="sum")
    assert forward_kl(teacher, student).item() == pytest.approx(expected.item(), abs=1e-5)


def test_states_that_were_not_asked_are_left_out_of_the_mean():
    teacher, student = HALF.repeat(4, 1), QUARTERS.repeat(4, 1)
    one = distillation_loss(teacher, student, torch.tensor([1.0, 0, 0, 0]))
    two = distillation_loss(teacher, student, torch.tensor([1.0, 1.0, 0, 0]))
    assert one.item() == pytest.approx(two.item())
    assert distillation_loss(teacher, student, torch.zeros(4)).item() == 0.0
    half = distillation_loss(teacher, student, torch.tensor([0.5, 0, 0, 0]))
    assert half.item() == pytest.approx(one.item() / 2)


def test_the_gradient_of_the_divergence_is_student_minus_teacher():
    logits = torch.tensor([[0.3, -0.2, 0.1]], requires_grad=True)
    teacher = torch.tensor([[0.7, 0.2, 0.1]])
    distillation_loss(teacher, torch.log_softmax(logits, dim=1), torch.ones(1)).backward()
    expected = torch.softmax(logits.detach(), dim=1) - teacher
    assert torch.allclose(logits.grad, expected, atol=1e-6)


def test_agreement_needs_advice():
    actions = torch.tensor([0, 1, 0])
    teacher = torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.9, 0.1]])
    assert agreement(teacher, actions, torch.tensor([1.0, 1.0, 0.0])).tolist() == [
        True,
        False,
        False,
    ]


def test_the_behaviour_probability_is_that_of_the_mixture():
    made = behaviour_log_prob(torch.tensor([0.5]).log(), torch.tensor([0.9]), torch.tensor([0.2]))
    assert made.exp().item() == pytest.approx(0.8 * 0.5 + 0.2 * 0.9)
    alone = behaviour_log_prob(torch.tensor([0.5]).log(), torch.tensor([0.9]), torch.zeros(1))
    assert alone.exp().item() == pytest.approx(0.5)


def test_the_surrogate_is_that_of_ppo_without_samples_far_off():
    ratio, advantage = torch.tensor([0.5, 1.0, 1.5]), torch.tensor([1.0, -1.0, 2.0])
    assert masked_policy_loss(ratio, advantage, 0.2).item() == pytest.approx(
        clipped_policy_loss(ratio, advantage, 0.2).item()
    )
    far = masked_policy_loss(torch.tensor([1.0, 6.0]), torch.tensor([1.0, -9.0]), 0.2)
    assert far.item() == pytest.approx(-1.0)


def test_losses_on_q_values_by_hand():
    q = torch.tensor([[1.0, 2.0]])
    teacher = torch.tensor([[1.0, 0.0]])
    soft = q_distillation_loss(q, teacher, torch.ones(1), 0.5)
    assert soft.item() == pytest.approx(math.log(1 + math.exp(2.0)), rel=1e-5)
    assert q_margin_loss(q, teacher, torch.ones(1), 0.8).item() == pytest.approx(1.8)
    assert q_margin_loss(q.flip(1), teacher, torch.ones(1), 0.8).item() == pytest.approx(0.0)


def test_schedules_fall_as_they_should():
    linear = Strength(GuidanceConfig(weight=2.0, until=0.4))
    assert [linear.at(x) for x in (0.0, 0.2, 0.4, 0.9)] == pytest.approx([2.0, 1.0, 0.0, 0.0])
    falling = Strength(GuidanceConfig(schedule="exp", until=0.5))
    assert falling.at(0.25) == pytest.approx(0.1) and falling.at(0.5) == 0.0
    constant = Strength(GuidanceConfig(schedule="constant", until=0.5))
    assert constant.at(0.49) == 1.0 and constant.at(0.5) == 0.0
    held = Strength(GuidanceConfig(schedule="kl-target", target_kl=0.1))
    held.saw(0.3)
    assert held.at(0.1) == pytest.approx(1.5)
    held.saw(0.1)
    held.saw(0.01)
    assert held.at(0.1) == pytest.approx(1.0)


def test_settings_out_of_range_and_unknown_ones_are_refused():
    for bad in ({"weight": -1.0}, {"until": 0.0}, {"teacher_share": 0.3}, {"warm_start": 11}):
        with pytest.raises(ScenarioError, match=next(iter(bad))):
            GuidanceConfig.make(bad)
    with pytest.raises(UnknownNameError, match="did you mean weight"):
        GuidanceConfig.make({"wieght": 1.0})
    with pytest.raises(UnknownNameError, match="schedule"):
        GuidanceConfig(schedule="cosine")
    assert GuidanceConfig.make(None) == GuidanceConfig()


def test_invalid_advice_ends_the_guidance():
    trust = Trust()
    rounds = 0
    while not trust.off:
        trust.saw_validity(0, 100)
        rounds += 1
    assert 5 < rounds < 10
    kept = Trust()
    for _ in range(50):
        kept.saw_validity(90, 100)
        kept.saw_validity(0, 0)
    assert kept.value == 1.0


def test_advice_that_costs_return_loses_trust_and_helpful_advice_regains_it(rng):
    trust = Trust()
    alike = np.arange(200) < 100
    bad = rng.normal(size=200) - 2.0 * alike
    for _ in range(2):
        trust.saw_advantages(bad, alike)
    assert trust.value == 1.0
    trust.saw_advantages(bad, alike)
    assert trust.value == 0.5 and trust.agreement == 0.5
    trust.saw_advantages(-bad, alike)
    assert trust.value == pytest.approx(0.625)


def test_few_samples_decide_nothing(rng):
    trust = Trust()
    alike = np.arange(200) < 49
    for _ in range(10):
        trust.saw_advantages(rng.normal(size=200) - 5.0 * alike, alike)
    assert trust.value == 1.0
