"""What the agent sees in every environment at once: lidar, action mask and target (torch)."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from hybridrl.envs.parking.kernels.records import ACTIONS, LIDAR_RANGE, MARGIN, STEERS, SUBSTEPS
from hybridrl.envs.parking.torch_backend.contact import free_motions, touches
from hybridrl.envs.parking.torch_backend.model import Model, Rows

MAX_DISTANCE = 50.0  # of the goal, as observed


class Scenes(NamedTuple):
    """The obstacles of N scenes, padded with ones that are far away.

    Args:
        vertices: Counter-clockwise corners, the last one repeated, shape ``(N, M, V, 2)``, metres.
        circles: Bounding circles ``(x, y, radius)``, shape ``(N, M, 3)``.
    """

    vertices: Tensor
    circles: Tensor


class Nearest(NamedTuple):
    """How many of the nearest obstacles can matter anywhere in the bounds of any scene.

    Args:
        reach: For a motion of one decision.
        seen: For the lidar.
    """

    reach: int
    seen: int


def near_rings(rows: Rows, scenes: Scenes, count: int) -> tuple[Tensor, Tensor]:
    """Corners of the ``count`` nearest obstacles in the vehicle frame, nearest first.

    Returns:
        ``u`` and ``v``, shape ``(N, count, V)`` each.
    """
    x, y, heading = rows["x"], rows["y"], rows["heading"]
    circles = scenes.circles
    gap = torch.hypot(circles[..., 0] - x[:, None], circles[..., 1] - y[:, None]) - circles[..., 2]
    nearest = gap.topk(min(count, gap.shape[1]), largest=False).indices
    shape = (*nearest.shape, *scenes.vertices.shape[2:])
    rings = scenes.vertices.gather(1, nearest[..., None, None].expand(shape))
    dx = rings[..., 0] - x[:, None, None]
    dy = rings[..., 1] - y[:, None, None]
    cos, sin = heading.cos()[:, None, None], heading.sin()[:, None, None]
    return cos * dx + sin * dy, cos * dy - sin * dx


def lidar(u: Tensor, v: Tensor, model: Model) -> Tensor:
    """Distance from the body outline along each ray, shape ``(N, 120)``, metres.

    ``u`` and ``v`` are ring corners in the vehicle frame, shape ``(N, K, V)``.
    """
    across = model.ray_cos[:, None, None] * v[:, None] - model.ray_sin[:, None, None] * u[:, None]
    before = across.roll(1, -1)
    # Edges whose outer side faces the axle run clockwise; the ray passes between their ends.
    cross = (u.roll(1, -1) * v - v.roll(1, -1) * u)[:, None]
    met = (before >= 0.0) & (across <= 0.0) & (cross < 0.0)
    hits = torch.where(met, cross / (across - before), LIDAR_RANGE).flatten(2).amin(-1)
    return (hits.clamp(max=LIDAR_RANGE) - model.outline).clamp(min=0.0)


def certified_count(free: Tensor, wanted: Tensor | float) -> Tensor:
    """Leading sub-steps that end a margin before the first contact, int8."""
    steps = ((free - MARGIN) / (wanted / SUBSTEPS)).clamp(min=0.0, max=SUBSTEPS)
    return torch.where(free >= wanted, SUBSTEPS, steps).to(torch.int8)


def leading_free(hit: Tensor) -> Tensor:
    """Sub-steps before the first that touches, int8; ``hit`` has shape ``(10, ...)``."""
    return (~hit).to(torch.int8).cumprod(0).sum(0).to(torch.int8)


def count_free(u: Tensor, v: Tensor, free: Tensor, model: Model) -> Tensor:
    """Free sub-steps of the 42 motions, shape ``(N, 42)``, int8."""
    if model.certified:
        return certified_count(free, model.horizon)
    step = model.horizon / SUBSTEPS
    hits = []
    for k in range(SUBSTEPS):
        x, y, turn = model.poses[k, :, :, None, None].unbind(1)
        touched = touches(u[:, None], v[:, None], x, y, turn, model)
        # No sample before the first contact touches anything.
        hits.append(touched & (free <= step * (k + 1) + 1e-9))
    return leading_free(torch.stack(hits))


def action_mask(counts: Tensor, free: Tensor, model: Model) -> Rows:
    """``mask``, ``allowed`` and ``mask_empty`` from the counts; never all false (decision 16)."""
    smooth = counts
    if model.hope:
        gears = (counts - model.edge).view(-1, 2, STEERS)
        smooth = gears[:, :, model.smooth].amin(-1).clamp(min=0).view(-1, ACTIONS)
    allowed = smooth > 0
    empty = ~allowed.any(-1)
    best = torch.nn.functional.one_hot(free.argmax(-1), ACTIONS).bool()
    mask = smooth.to(torch.float32) / SUBSTEPS
    return {
        "mask": torch.where(empty[:, None], 0.01, mask),
        "allowed": torch.where(empty[:, None], best, allowed).to(torch.int8),
        "mask_empty": empty,
    }


def target(rows: Rows) -> Tensor:
    """``(d, cos a, sin a, cos h, sin h)`` of the goal in the vehicle frame, shape ``(N, 5)``."""
    gx, gy, gheading = rows["goal"].unbind(1)
    dx, dy = gx - rows["x"], gy - rows["y"]
    bearing = torch.atan2(dy, dx) - rows["heading"]
    turn = gheading - rows["heading"]
    distance = torch.hypot(dx, dy).clamp(max=MAX_DISTANCE)
    return torch.stack([distance, bearing.cos(), bearing.sin(), turn.cos(), turn.sin()], dim=-1)


def wrapped(angle: Tensor) -> Tensor:
    """The same angle in [-pi, pi)."""
    return torch.remainder(angle + math.pi, 2.0 * math.pi) - math.pi


def turned_goal(goal: Tensor, model: Model) -> Tensor:
    """Goals ``(..., 3)`` turned by 180 degrees about the centres of their boxes."""
    x, y, heading = goal.unbind(-1)
    reach = 2.0 * model.center
    return torch.stack(
        [x + reach * heading.cos(), y + reach * heading.sin(), heading + math.pi], dim=-1
    )


def errors(rows: Rows, model: Model) -> Rows:
    """``position_error`` (m) and ``turn_error`` (rad), to the turned goal where that is meant."""
    goal, heading = rows["goal"], rows["heading"]
    back = rows["reversible"] & (wrapped(heading - goal[:, 2]).abs() > 0.5 * math.pi)
    goal = torch.where(back[:, None], turned_goal(goal, model), goal)
    return {
        "position_error": torch.hypot(rows["x"] - goal[:, 0], rows["y"] - goal[:, 1]),
        "turn_error": wrapped(heading - goal[:, 2]).abs(),
    }


def observe(rows: Rows, scenes: Scenes, model: Model, nearest: Nearest) -> Rows:
    """Every observation at the present poses, by name."""
    u, v = near_rings(rows, scenes, nearest.seen)
    close_u, close_v = u[:, : nearest.reach], v[:, : nearest.reach]
    free = free_motions(close_u, close_v, model)
    counts = count_free(close_u, close_v, free, model)
    return {
        "lidar": lidar(u, v, model).to(torch.float32),
        "free": free,
        "counts": counts,
        "target": target(rows).to(torch.float32),
        **action_mask(counts, free, model),
        **errors(rows, model),
    }
