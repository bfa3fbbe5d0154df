"""Step scaling: a continuous action whose step is a share of what is free (sb3_integration 3.4).

``u1 = tanh(z1)`` is the steering, ``v = tanh(z2)`` the wanted share of the free step with its
direction, and ``u2 = v M(u1, sign v)`` the step; ``M`` is the mask, interpolated over steering.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import softplus

from hybridrl.agents.hope.features import MASK

STEERS = MASK // 2
FLOOR = 1e-3  # of M, so that every step has an inverse
_INSIDE = 1.0 - 1e-6  # of an action, likewise


def free_share(masks: Tensor, steer: Tensor, forward: Tensor) -> Tensor:
    """How much of a full step is free at a steering angle, in [1e-3, 1], shape ``(N,)``.

    Args:
        masks: Free shares of the 42 motions, shape ``(N, 42)``.
        steer: In [-1, 1], left positive, shape ``(N,)``.
        forward: Whether the vehicle drives forward, shape ``(N,)``.
    """
    place = (1.0 - steer) * 0.5 * (STEERS - 1)  # the motions go from left to right
    left = place.detach().floor().clamp(0, STEERS - 2)
    first = left.long() + torch.where(forward, 0, STEERS)
    ends = masks.gather(1, torch.stack([first, first + 1], dim=1))
    return torch.lerp(ends[:, 0], ends[:, 1], place - left).clamp(FLOOR, 1.0)


def scale_step(z: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Unbounded numbers to actions.

    Args:
        z: Shape ``(N, 2)``.
        masks: Free shares, shape ``(N, 42)``.

    Returns:
        Actions ``(steering, step)`` in [-1, 1], shape ``(N, 2)``, and the logarithm of the
        determinant of their derivative, shape ``(N,)``: triangular, so a product of three.
    """
    u = torch.tanh(z)
    share = free_share(masks, u[:, 0], u[:, 1] >= 0.0)
    actions = torch.stack([u[:, 0], u[:, 1] * share], dim=1)
    # log(1 - tanh(z)^2) without cancellation.
    squash = (2.0 * (math.log(2.0) - z - softplus(-2.0 * z))).sum(dim=1)
    return actions, squash + share.log()


def unscale_step(actions: Tensor, masks: Tensor) -> Tensor:
    """The inverse of :func:`scale_step`; actions out of its range are moved just inside.

    Args:
        actions: Shape ``(N, 2)``.
        masks: Free shares, shape ``(N, 42)``.
    """
    share = free_share(masks, actions[:, 0], actions[:, 1] >= 0.0)
    u = torch.stack([actions[:, 0], actions[:, 1] / share], dim=1)
    return torch.atanh(u.clamp(-_INSIDE, _INSIDE))
