"""The meta-update as pure functions, and what it has to remember (``moorl.md`` 3.2, 3.3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hybridrl.agents.common.sac_core import (
    SACRules,
    action_log_prob,
    critic_values,
    entropy_coefficient,
    policy_values,
    target_values,
    trained_parameters,
)
from hybridrl.agents.common.sac_losses import actor_loss, bellman_loss


class SlowWeights(nn.Module):
    """A copy of parameters: the meta parameters, while the networks themselves are adapted.

    Args:
        fast: The parameters that are adapted, in a fixed order.
    """

    def __init__(self, fast: Sequence[Tensor]) -> None:
        super().__init__()
        for i, tensor in enumerate(fast):
            self.register_buffer(f"w{i}", tensor.detach().clone())
        self._count = len(fast)

    @property
    def tensors(self) -> list[Tensor]:
        """The copies, in the order of the parameters."""
        return [getattr(self, f"w{i}") for i in range(self._count)]


@torch.no_grad()
def reptile_step(slow: list[Tensor], fast: list[Tensor], step: float) -> None:
    """``slow <- slow + step (fast - slow)``, then ``fast <- slow``, in place (3.2).

    Args:
        slow: Meta parameters.
        fast: Adapted ones.
        step: In (0, 1]; 1 changes nothing of ``fast``, to the last bit.
    """
    if step == 1.0:
        torch._foreach_copy_(slow, fast)
        return
    torch._foreach_lerp_(slow, fast, step)
    torch._foreach_copy_(fast, slow)


def outer_tau(tau: float, inner_steps: int) -> float:
    """Share of one Polyak step that does what ``inner_steps`` steps of share ``tau`` do."""
    return float(1.0 - (1.0 - tau) ** inner_steps)


def annealed(value: float, end: float | None, progress_remaining: float) -> float:
    """Linear from ``value`` (progress 1) to ``end`` (progress 0); constant without an end."""
    if end is None:
        return value
    return float(end + (value - end) * min(1.0, max(0.0, progress_remaining)))


def chooses_offline(seed: int, meta_iteration: int, probability: float) -> bool:
    """Whether a meta-iteration adapts on the dataset: ``Bernoulli(p)`` (3, step 1).

    The draw depends on seed and number alone, so a resumed training repeats it without any state.
    """
    return bool(np.random.default_rng((seed, meta_iteration)).random() < probability)


def sac_gradients(model: Any, batch: Any, rules: SACRules) -> tuple[list[Tensor], list[Tensor]]:
    """Gradients of the losses of actor and critic on a batch at the current weights (3.1).

    Args:
        model: An agent of the shared core.
        batch: As the replay buffer samples it.
        rules: Of the agent.

    Returns:
        One tensor for each trained parameter of the actor, and of the critic.
    """
    ent_coef = entropy_coefficient(model)
    target = target_values(model, batch, rules, ent_coef)
    q = critic_values(model.critic, batch.observations, batch.actions)
    critic = torch.autograd.grad(
        bellman_loss(q, target), trained_parameters(model.critic.optimizer)
    )
    actions, log_prob = action_log_prob(model, batch.observations)
    q_pi = policy_values(model.critic, batch.observations, actions)
    loss = actor_loss(log_prob, q_pi, ent_coef, rules.mean_of_critics)
    actor = torch.autograd.grad(loss, trained_parameters(model.actor.optimizer))
    return list(actor), list(critic)


def forget_moments(optimizers: Sequence[torch.optim.Optimizer]) -> None:
    """Set the moments and step counts of Adam back to zero, in place."""
    for optimizer in optimizers:
        for state in optimizer.state.values():
            for tensor in state.values():
                tensor.zero_()
