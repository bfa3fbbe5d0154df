"""One update of masked PPO: passes of minibatch gradient steps over a rollout buffer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from hybridrl.agents.hope.losses import approximate_kl, clipped_policy_loss, normalised

if TYPE_CHECKING:
    from hybridrl.agents.hope.policy import HopePolicy

Average = Callable[[list[Tensor]], None]


class UpdateRule(NamedTuple):
    """The numbers of an update.

    Args:
        epochs: Passes over the rows.
        batch_size: Rows of a gradient step.
        clip: Half-width of the trusted band of probability ratios.
        vf_coef: Weight of the value loss.
        ent_coef: Weight of the entropy bonus.
        max_grad_norm: Gradients are scaled down to this length.
        target_kl: The update ends when the estimated KL exceeds 1.5 times this; ``None``: never.
    """

    epochs: int
    batch_size: int
    clip: float
    vf_coef: float
    ent_coef: float
    max_grad_norm: float
    target_kl: float | None


def gradient_steps(
    policy: HopePolicy, buffer: Any, rule: UpdateRule, average: Average | None = None
) -> Iterator[tuple[float, list[float]]]:
    """One step a batch, until the epochs are over or the policy has moved too far.

    Args:
        policy: Is changed.
        buffer: Of feature rows, filled.
        rule: The numbers.
        average: Replaces tensors by their means over all learners, where there are several; all
            of them then take the same steps.

    Yields:
        After each step: the estimated KL and the policy, value and entropy losses.
    """
    limit = 1.5 * rule.target_kl if rule.target_kl else np.inf
    for _ in range(rule.epochs):
        for batch in buffer.get(rule.batch_size):
            log_ratio, terms = _losses(policy, batch, rule.clip)
            kl = approximate_kl(log_ratio.detach())
            if average is None and float(kl) > limit:
                return
            loss = terms[0] + rule.vf_coef * terms[1] + rule.ent_coef * terms[2]
            policy.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            if average is not None:
                average([kl, *(p.grad for p in policy.parameters() if p.grad is not None)])
                if float(kl) > limit:
                    return
            nn.utils.clip_grad_norm_(policy.parameters(), rule.max_grad_norm)
            policy.optimizer.step()
            yield float(kl), [float(term.detach()) for term in terms]


def _losses(policy: HopePolicy, batch: Any, clip: float) -> tuple[Tensor, tuple[Tensor, ...]]:
    actions = batch.actions.long()[:, 0]
    values, log_probs, entropies = policy.evaluate_rows(batch.observations, actions)
    log_ratio = log_probs - batch.old_log_prob
    return log_ratio, (
        clipped_policy_loss(log_ratio.exp(), normalised(batch.advantages), clip),
        torch.nn.functional.mse_loss(values, batch.returns),
        -entropies.mean(),
    )
