"""First contact of a turning or straight body with convex rings, as tensor expressions.

The argument is that of ``action_mask.py``: only the front, the inner side ahead of the axle and the
outer side behind it, and the three corners between them, can meet anything first; each of them has
one root. Here every equation is divided by the turning radius, so that curvature 0 is no special
case and single precision loses nothing on wide turns. A contact is measured by
``sin(turn) / curvature``: metres, increasing with the arc up to a quarter turn.
"""

from __future__ import annotations

import torch
from torch import Tensor

from hybridrl.envs.parking.torch_backend.model import Model

NONE = 1e6  # metres: nothing is met


def advance(
    x: Tensor, y: Tensor, heading: Tensor, curvature: Tensor, s: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Poses ``(x, y, heading)`` after signed arc lengths ``s`` (closed form; all broadcast)."""
    half = 0.5 * curvature * s
    chord = s * torch.sinc(half / torch.pi)
    middle = heading + half
    return x + chord * middle.cos(), y + chord * middle.sin(), heading + 2.0 * half


def first_contact(
    u: Tensor, v: Tensor, curvature: Tensor, rear: Tensor, front: Tensor, half: float,
    inward: Tensor,
) -> Tensor:  # fmt: skip
    """Arc length until a body driving forward on a left turn first touches one of its rings.

    All arguments broadcast; two trailing dimensions are rings and their corners.

    Args:
        u: Ring corners in the (mirrored) vehicle frame, shape ``(..., K, V)``, metres.
        v: See ``u``.
        curvature: Not negative, 1/m, shape ``(..., 1, 1)``.
        rear: Back end of the (mirrored) body, metres.
        front: Front end.
        half: Half width.
        inward: +1 where rings run counter-clockwise, -1 where a mirroring turned them.

    Returns:
        Metres, ``NONE`` or more when nothing is met within a quarter turn, shape ``(...)``.
    """
    best = torch.minimum(
        _obstacle_corners(u, v, curvature, rear, front, half),
        _body_corners(u, v, curvature, rear, front, half, inward),
    )
    sine = best.flatten(-2).amin(-1)
    z = (curvature[..., 0, 0] * sine).clamp(max=1.0)
    return sine * torch.where(z > 1e-4, z.asin() / z, 1.0 + z * z / 6.0)


def _turn(
    cx: Tensor | float, cy: Tensor | float, u: Tensor, v: Tensor, k: Tensor, scale: Tensor
) -> Tensor:
    """``sin(turn) / k`` that brings the body point ``c`` to ``(u, v)``; ``NONE`` if backwards.

    ``scale`` is the squared distance of either point from the turning centre, times ``k`` squared.
    """
    sine = (u - cx + k * (cx * v - cy * u)) / scale
    ahead = k * k * (cx * u) + (1.0 - k * v) * (1.0 - k * cy) > 0.0
    return torch.where(ahead & (sine >= 0.0), sine, NONE)


def _obstacle_corners(
    u: Tensor, v: Tensor, k: Tensor, rear: Tensor, front: Tensor, half: float
) -> Tensor:
    """Contacts of each ring corner with the three sides that move outwards."""
    flat = 1.0 - k * v
    scale = (k * u) ** 2 + flat * flat
    q = u * u + v * v - front * front
    at = (2.0 * v - k * q) / (1.0 + (1.0 - 2.0 * k * v + k * k * q).sqrt())
    best = torch.where(at.abs() <= half, _turn(front, at, u, v, k, scale), NONE)
    diameter = 2.0 / k
    at = (u * u + (half - v) * (diameter - half - v)).sqrt()
    inner = torch.where(at <= front, _turn(at, half, u, v, k, scale), NONE)
    at = -(u * u + (v + half) * (v - half - diameter)).sqrt()
    outer = torch.where(at >= rear, _turn(at, -half, u, v, k, scale), NONE)
    return torch.minimum(best, torch.minimum(inner, outer))


def _body_corners(
    u: Tensor, v: Tensor, k: Tensor, rear: Tensor, front: Tensor, half: float, inward: Tensor
) -> Tensor:
    """Contacts of the three outward corners with the edge that ends at each ring corner."""
    au, av = u.roll(1, -1), v.roll(1, -1)
    ex, ey = u - au, v - av
    length = torch.hypot(ex, ey)
    safe = torch.where(length > 0.0, length, 1.0)
    ex, ey = ex / safe, ey / safe
    along = au * ex + av * ey
    off = au * ey - av * ex
    best: Tensor | None = None
    for cx, cy in ((front, half), (front, -half), (rear, -half)):
        b = 2.0 * (cy + ex * off)
        q = cx * cx + cy * cy - off * off
        root = inward * (ey * ey - k * b + k * k * q).sqrt()
        # The same root of a quadratic in two forms: each is exact where the other cancels.
        t = torch.where(inward * ey <= 0.0, (b - k * q) / (ey - root), (ey + root) / k) - along
        scale = (k * cx) ** 2 + (1.0 - k * cy) ** 2
        turn = _turn(cx, cy, au + t * ex, av + t * ey, k, scale)
        turn = torch.where((t >= 0.0) & (t <= length) & (length > 0.0), turn, NONE)
        best = turn if best is None else torch.minimum(best, turn)
    assert best is not None
    return best


def _ends(gear: Tensor, model: Model) -> tuple[Tensor, Tensor]:
    """Rear and front end of the body, mirrored where the gear is -1."""
    shift, length = model.front + model.rear, model.front - model.rear
    return 0.5 * (gear * shift - length), 0.5 * (gear * shift + length)


def free_motions(u: Tensor, v: Tensor, model: Model) -> Tensor:
    """Metres each of the 42 motions drives before its first contact, at most the horizon.

    Args:
        u: Ring corners in the vehicle frame, shape ``(N, K, V)``.
        v: See ``u``.
        model: Vehicle and mask.

    Returns:
        Shape ``(N, 42)``; equal to the horizon where free.
    """
    gears = model.gears[..., None, None]
    sides = model.sides[:, None, None]
    free = first_contact(
        u[:, None, None] * gears, v[:, None, None] * sides, model.bends[:, None, None],
        *_ends(gears, model), model.half_width, gears * sides,
    )  # fmt: skip
    return free.flatten(1).clamp(max=model.horizon)


def free_arc(u: Tensor, v: Tensor, curvature: Tensor, length: Tensor, model: Model) -> Tensor:
    """Metres one arc in each environment is free, at most its own length.

    Args:
        u: Ring corners in the vehicle frame, shape ``(N, K, V)``.
        v: See ``u``.
        curvature: Signed, 1/m, shape ``(N,)``.
        length: Signed, metres, shape ``(N,)``.
        model: Vehicle.
    """
    gear = torch.where(length < 0.0, -1.0, 1.0).to(u.dtype)[:, None, None]
    side = torch.where(curvature < 0.0, -1.0, 1.0).to(u.dtype)[:, None, None]
    free = first_contact(
        u * gear, v * side, curvature.abs()[:, None, None], *_ends(gear, model),
        model.half_width, gear * side,
    )  # fmt: skip
    return torch.minimum(free, length.abs())


def touches(u: Tensor, v: Tensor, x: Tensor, y: Tensor, turn: Tensor, model: Model) -> Tensor:
    """Whether the body at poses in the vehicle frame touches a ring (separating axes).

    Args:
        u: Ring corners in the vehicle frame, shape ``(..., K, V)``.
        v: See ``u``.
        x: Poses, shape ``(..., 1, 1)``.
        y: See ``x``.
        turn: Radians.
        model: Vehicle.

    Returns:
        Shape ``(...)``; touching counts.
    """
    cos, sin = turn.cos(), turn.sin()
    a = cos * (u - x) + sin * (v - y)
    b = cos * (v - y) - sin * (u - x)
    half = model.half_width
    beside = (a.amin(-1) > model.front) | (a.amax(-1) < model.rear)
    beside = beside | (b.amin(-1) > half) | (b.amax(-1) < -half)
    ex, ey = a - a.roll(1, -1), b - b.roll(1, -1)
    middle, reach = 0.5 * (model.front + model.rear), 0.5 * (model.front - model.rear)
    beyond = ey * (middle - a) + ex * b > ey.abs() * reach + ex.abs() * half
    return ~(beside | beyond.any(-1)).all(-1)
