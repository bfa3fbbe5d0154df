"""One guided update of PPO: passes of minibatch gradient steps with the distillation loss."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hybridrl.agents.hope.losses import approximate_kl, entropy, normalised
from hybridrl.agents.tell_drive.losses import agreement, distillation_loss, masked_policy_loss
from hybridrl.agents.tell_drive.observation import ADVICE, VALID
from hybridrl.agents.tell_drive.policy import EgoAttentionPolicy
from hybridrl.agents.tell_drive.store import AdviceStore


class GuidedRule(NamedTuple):
    """The numbers of an update.

    Args:
        epochs: Passes over the rows.
        batch_size: Rows of a gradient step.
        clip: Half-width of the trusted band of probability ratios.
        vf_coef: Weight of the value loss.
        ent_coef: Weight of the entropy bonus.
        max_grad_norm: Gradients are scaled down to this length.
        target_kl: The update ends when the estimated KL exceeds 1.5 times this; ``None``: never.
        guidance: lambda_t times trust: weight of the distillation loss.
        replay: States drawn from the store for each gradient step.
    """

    epochs: int
    batch_size: int
    clip: float
    vf_coef: float
    ent_coef: float
    max_grad_norm: float
    target_kl: float | None
    guidance: float
    replay: int = 512


def guided_steps(
    policy: EgoAttentionPolicy, buffer: Any, rule: GuidedRule, store: AdviceStore | None = None
) -> dict[str, float]:
    """Gradient steps until the epochs are over or the policy has moved too far.

    Args:
        policy: Is changed.
        buffer: A filled rollout buffer whose observations hold the advice.
        rule: The numbers.
        store: Where the distillation's states come from; the batches themselves when ``None``.

    Returns:
        Mean of each term, by the name under which it is logged.
    """
    names = ("policy_gradient_loss", "value_loss", "entropy_loss")
    limit = 1.5 * rule.target_kl if rule.target_kl else np.inf
    sums, steps = torch.zeros(5), 0
    for _ in range(rule.epochs):
        for batch in buffer.get(rule.batch_size):
            drawn = store.draw(rule.replay, policy.device) if store is not None else None
            log_ratio, terms = guided_losses(policy, batch, rule.clip, drawn)
            kl = approximate_kl(log_ratio.detach())
            if float(kl) > limit:
                return _named(names, sums, steps)
            loss = terms[0] + rule.vf_coef * terms[1] + rule.ent_coef * terms[2]
            loss = loss + rule.guidance * terms[3]
            policy.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(policy.parameters(), rule.max_grad_norm)
            policy.optimizer.step()
            sums += torch.stack([kl, *(term.detach() for term in terms)]).cpu()
            steps += 1
    return _named(names, sums, steps)


def guided_losses(
    policy: EgoAttentionPolicy, batch: Any, clip: float, advised: dict[str, Tensor] | None = None
) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Log-ratios of the taken actions, and the losses of policy, value, entropy and teacher.

    Args:
        policy: The student.
        batch: Of a rollout buffer.
        clip: Half-width of the trusted band.
        advised: Observations whose advice is distilled; those of the batch when none.
    """
    log_probs, values = policy.log_probs_and_values(batch.observations)
    taken = log_probs.gather(1, batch.actions.long())[:, 0]
    log_ratio = taken - batch.old_log_prob
    told = policy.log_probs_and_values(advised)[0] if advised else log_probs
    teacher, weight = policy.teacher_probs(advised or batch.observations)
    return log_ratio, (
        masked_policy_loss(log_ratio.exp(), normalised(batch.advantages), clip),
        nn.functional.mse_loss(values, batch.returns),
        -entropy(log_probs).mean(),
        distillation_loss(teacher, told, weight),
    )


def advantages_by_agreement(
    policy: EgoAttentionPolicy, buffer: Any
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Advantages of the steps with advice, and where the student did what was advised.

    Args:
        policy: Knows the order of the actions.
        buffer: A filled rollout buffer that was not yet drawn from.
    """
    advice = buffer.observations[ADVICE].reshape(-1, buffer.observations[ADVICE].shape[-1])
    asked = advice[:, VALID] > 0
    probs, weight = policy.teacher_probs({ADVICE: torch.from_numpy(advice[asked])})
    actions = torch.from_numpy(buffer.actions.reshape(-1)[asked]).long()
    alike: NDArray[np.bool_] = agreement(probs, actions, weight).numpy()
    advantages: NDArray[np.float32] = buffer.advantages.reshape(-1)[asked]
    return advantages, alike


def _named(names: tuple[str, ...], sums: Tensor, steps: int) -> dict[str, float]:
    means = (sums / max(steps, 1)).tolist()
    named = {f"train/{name}": means[i + 1] for i, name in enumerate(names)}
    return {"train/approx_kl": means[0], **named, "guidance/kl": means[4]}
