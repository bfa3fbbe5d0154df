"""What guidance adds to the losses of PPO and DQN, as pure functions (``driving.md`` 4.3, 4.4)."""

from __future__ import annotations

import torch
from torch import Tensor

LARGEST_RATIO = 5.0  # samples with a larger ratio of probabilities are dropped, driving.md 4.4


def forward_kl(teacher: Tensor, log_probs: Tensor) -> Tensor:
    """``KL(teacher || student)`` of each row, nats (``driving.md`` 4.3 a).

    Args:
        teacher: Probabilities, shape ``(N, A)``; zero where an action is unavailable.
        log_probs: Of the student, same shape, normalised.

    Returns:
        Shape ``(N,)``; entries where the teacher has no mass add nothing.
    """
    known = teacher > 0
    logs = torch.where(known, teacher, 1.0).log()
    apart = torch.where(known, logs - log_probs, 0.0)
    return (teacher * apart).sum(dim=1)


def distillation_loss(teacher: Tensor, log_probs: Tensor, weight: Tensor) -> Tensor:
    """``mean_s [m_s w_s KL(pi_T || pi_theta)]`` over the states that were asked (4.3 a).

    States without valid advice are left out of the mean, not filled with zeros: the weight of
    guidance then does not depend on how many states were asked.

    Args:
        teacher: Probabilities, shape ``(N, A)``.
        log_probs: Of the student, same shape.
        weight: ``m_s w_s``: validity times confidence, shape ``(N,)``; 0 without advice.

    Returns:
        Shape ``()``; 0 where nothing was asked.
    """
    asked = (weight > 0).sum().clamp(min=1)
    return (weight * forward_kl(teacher, log_probs)).sum() / asked


def agreement(teacher: Tensor, actions: Tensor, weight: Tensor) -> Tensor:
    """Whether each taken action is the teacher's choice; False where nothing was asked.

    Args:
        teacher: Probabilities, shape ``(N, A)``.
        actions: Taken, shape ``(N,)``.
        weight: 0 without advice, shape ``(N,)``.
    """
    return (teacher.argmax(dim=1) == actions) & (weight > 0)


def behaviour_log_prob(student: Tensor, teacher: Tensor, share: Tensor) -> Tensor:
    """``log beta = log((1 - eps) pi_theta + eps pi_T)`` of the taken actions (4.4).

    Args:
        student: Log-probabilities, shape ``(N,)``.
        teacher: Probabilities, shape ``(N,)``.
        share: ``eps`` of each row, 0 where the teacher was not asked.
    """
    return ((1.0 - share) * student.exp() + share * teacher).clamp(min=1e-12).log()


def masked_policy_loss(ratio: Tensor, advantage: Tensor, clip: float) -> Tensor:
    """PPO's clipped surrogate (arXiv:1707.06347, Eq. 7) without samples far off the policy (4.4).

    Args:
        ratio: New over behaviour probability of the taken action, shape ``(N,)``.
        advantage: Shape ``(N,)``.
        clip: Half-width of the trusted band around 1.

    Returns:
        The mean over the samples that are kept, shape ``()``.
    """
    kept = (ratio.detach() <= LARGEST_RATIO).float()
    clipped = ratio.clamp(1.0 - clip, 1.0 + clip)
    surrogate = torch.min(ratio * advantage, clipped * advantage)
    return -(kept * surrogate).sum() / kept.sum().clamp(min=1.0)


def q_distillation_loss(
    q_values: Tensor, teacher: Tensor, weight: Tensor, temperature: float
) -> Tensor:
    """Cross-entropy of the teacher to a softmax over Q, up to its entropy (4.1, ``TellDriveDQN``).

    Args:
        q_values: Shape ``(N, A)``.
        teacher: Probabilities, same shape.
        weight: 0 without advice, shape ``(N,)``.
        temperature: Of the softmax, in units of Q.
    """
    return distillation_loss(teacher, torch.log_softmax(q_values / temperature, dim=1), weight)


def q_margin_loss(q_values: Tensor, teacher: Tensor, weight: Tensor, margin: float) -> Tensor:
    """Large-margin loss of demonstrations (Hester et al. 2018, arXiv:1704.03732, Eq. 1).

    ``max_a [Q(s, a) + margin (a != a_T)] - Q(s, a_T)``, over the states that were asked.

    Args:
        q_values: Shape ``(N, A)``.
        teacher: Probabilities, same shape; the largest is the teacher's choice.
        weight: 0 without advice, shape ``(N,)``.
        margin: In units of Q.
    """
    best = teacher.argmax(dim=1, keepdim=True)
    raised = q_values + margin * (1.0 - torch.zeros_like(q_values).scatter(1, best, 1.0))
    short = raised.max(dim=1).values - q_values.gather(1, best)[:, 0]
    return (weight * short).sum() / (weight > 0).sum().clamp(min=1)
