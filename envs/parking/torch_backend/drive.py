"""One decision in every environment at once: motion, success, outcome and reward (torch)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from hybridrl.envs.parking.kernels.goal import OVERLAP
from hybridrl.envs.parking.kernels.records import (
    COLLISION,
    MARGIN,
    OUT_OF_BOUNDS,
    REWARD_TERMS,
    RUNNING,
    SUBSTEPS,
    SUCCESS,
    TIMEOUT,
)
from hybridrl.envs.parking.torch_backend.contact import advance, free_arc, touches
from hybridrl.envs.parking.torch_backend.model import Model, Rows
from hybridrl.envs.parking.torch_backend.observe import (
    Nearest,
    Scenes,
    certified_count,
    leading_free,
    near_rings,
    turned_goal,
    wrapped,
)


def overlap(x: Tensor, y: Tensor, heading: Tensor, goal: Tensor, model: Model) -> Tensor:
    """Share of the goal rectangle that the body covers (``parking.md`` 9), exact.

    Green's theorem: the area is the integral of x, cut to the rectangle, along the part of the
    body's outline between its lower and upper side.

    Args:
        x: Poses, any shape ``(...)``.
        y: See ``x``.
        heading: Radians.
        goal: Goal poses, shape ``(..., 3)``.
        model: Vehicle.
    """
    long, wide = 0.5 * (model.front - model.rear), model.half_width
    gx, gy, gheading = goal.unbind(-1)
    cos, sin = gheading.cos(), gheading.sin()
    dx = x + model.center * heading.cos() - gx - model.center * cos
    dy = y + model.center * heading.sin() - gy - model.center * sin
    turn = heading - gheading
    ct, st = long * turn.cos(), long * turn.sin()
    cw, sw = wide * turn.cos(), wide * turn.sin()
    u, v = cos * dx + sin * dy, cos * dy - sin * dx
    px = torch.stack([u + ct - sw, u - ct - sw, u - ct + sw, u + ct + sw], dim=-1)
    py = torch.stack([v + st + cw, v - st + cw, v - st - cw, v + st - cw], dim=-1)
    area = _cut_area(px, py, px.roll(-1, -1) - px, py.roll(-1, -1) - py, long, wide)
    return area.sum(-1) / (4.0 * long * wide)


def _span(start: Tensor, change: Tensor, limit: float) -> tuple[Tensor, Tensor]:
    """Part [t0, t1] of [0, 1] in which ``start + t * change`` is within +-``limit``."""
    safe = torch.where(change == 0.0, 1.0, change)
    a = ((-limit - start) / safe).clamp(0.0, 1.0)
    b = ((limit - start) / safe).clamp(0.0, 1.0)
    return torch.minimum(a, b), torch.maximum(a, b)


def _cut_area(x: Tensor, y: Tensor, dx: Tensor, dy: Tensor, long: float, wide: float) -> Tensor:
    """What each edge adds to the area of a polygon within ``|x| <= long``, ``|y| <= wide``."""
    t0, t1 = _span(y, dy, wide)
    x, dx, dy = x + t0 * dx, (t1 - t0) * dx, (t1 - t0) * dy
    # The cut x is linear between 0, t0, t1 and 1, so the trapezoid rule is exact.
    t0, t1 = _span(x, dx, long)
    x0, x1, x2, x3 = (t.clamp(-long, long) for t in (x, x + t0 * dx, x + t1 * dx, x + dx))
    return 0.5 * dy * ((x0 + x1) * t0 + (x1 + x2) * (t1 - t0) + (x2 + x3) * (1.0 - t1))


def _within(x: Tensor, y: Tensor, heading: Tensor, goal: Tensor, model: Model) -> Tensor:
    gx, gy, gheading = goal.unbind(-1)
    dx, dy = x - gx, y - gy
    cos, sin = gheading.cos(), gheading.sin()
    turn = wrapped(heading - gheading)
    along, across, angle = model.tolerance
    return (
        ((cos * dx + sin * dy).abs() <= along)
        & ((cos * dy - sin * dx).abs() <= across)
        & (turn.abs() <= angle)
    )


def parked(
    x: Tensor, y: Tensor, heading: Tensor, goal: Tensor, reversible: Tensor, model: Model
) -> Tensor:
    """The configured success test at poses of any shape ``(...)``; goals ``(..., 3)``."""
    if not model.pose_success:
        return overlap(x, y, heading, goal, model) > OVERLAP
    there = _within(x, y, heading, goal, model)
    return there | (reversible & _within(x, y, heading, turned_goal(goal, model), model))


def _free_substeps(
    rows: Rows, scenes: Scenes, model: Model, nearest: Nearest,
    curvature: Tensor, length: Tensor, actions: Tensor | None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Free sub-steps of each environment's motion, int64, and metres to its first contact."""
    if actions is not None and model.horizon == model.full:
        index = actions[:, None]  # the mask has driven it already
        return rows["counts"].gather(1, index)[:, 0].long(), rows["free"].gather(1, index)[:, 0]
    u, v = near_rings(rows, scenes, nearest.reach)
    free = free_arc(u, v, curvature, length, model)
    if model.certified:
        return certified_count(free, length.abs()).long(), free
    s = model.steps[:, None] / SUBSTEPS * length
    zero = torch.zeros_like(s)
    x, y, turn = (p[..., None, None] for p in advance(zero, zero, zero, curvature, s))
    hit = touches(u, v, x, y, turn, model) & (free <= s.abs() + 1e-9) & (free < length.abs())
    return leading_free(hit).long(), free


def drive(
    rows: Rows, scenes: Scenes, model: Model, nearest: Nearest,
    steer: Tensor, speed: Tensor, actions: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """How far each environment drives on its arc (``parking.md`` 3, 19).

    Returns:
        Curvature (1/m), signed travel (m), whether it parked, whether it could not move at all,
        and whether it bumped; shape ``(N,)`` each.
    """
    curvature = (steer * model.max_steer).tan() / model.wheelbase
    length = speed * model.full
    idle = length.abs() < 1e-9
    count, free = _free_substeps(rows, scenes, model, nearest, curvature, length, actions)
    count = torch.where(idle, 0, count)
    step = length / SUBSTEPS
    # Column 0 is the present pose, which only counts when the vehicle is told to stay.
    s = torch.cat([torch.zeros_like(step)[:, None], step[:, None] * model.steps], dim=1)
    poses = advance(
        rows["x"][:, None], rows["y"][:, None], rows["heading"][:, None], curvature[:, None], s
    )
    there = parked(*poses, rows["goal"][:, None], rows["reversible"][:, None], model)
    there[:, 1:] &= model.steps <= count[:, None]
    there[:, 0] &= idle
    done = there.any(-1)
    reached = torch.where(done, there.to(torch.int8).argmax(-1), count)
    travel = reached * step
    if model.certified:
        # Nothing is free for a whole sub-step: creep, or a tight start would be a trap.
        creep = (count == 0) & ~idle & rows["mask_empty"] & (free > 2.0 * MARGIN)
        travel = torch.where(creep, torch.copysign(free - MARGIN, length), travel)
    moving = ~idle & ~done
    bump = moving & (count < SUBSTEPS)
    if model.shorten:
        bump = bump & (count == 0)
    return curvature, travel, done, moving & (travel == 0.0), bump


def move(rows: Rows, curvature: Tensor, travel: Tensor) -> Rows:
    """Pose, length and gear books after driving arcs of shape ``(N,)``."""
    x, y, heading = advance(rows["x"], rows["y"], rows["heading"], curvature, travel)
    gear = travel.sign()
    changed = rows["gear"] * gear < 0.0
    return {
        "x": x,
        "y": y,
        "heading": heading,
        "path_length": rows["path_length"] + travel.abs(),
        "gear": torch.where(travel == 0.0, rows["gear"], gear),
        "gear_changes": rows["gear_changes"] + changed,
        "arcs": rows["arcs"] + (travel != 0.0),
    }


def folded(angle: Tensor) -> Tensor:
    """Difference of two undirected headings, radians in [0, pi/2]."""
    rest = angle.abs() % math.pi
    return torch.minimum(rest, math.pi - rest)


def measures(rows: Rows, model: Model) -> Rows:
    """``distance``, ``heading_error`` and the intersection over union (``iou``) of the pose."""
    goal = rows["goal"]
    share = overlap(rows["x"], rows["y"], rows["heading"], goal, model)
    return {
        "distance": torch.hypot(goal[:, 0] - rows["x"], goal[:, 1] - rows["y"]),
        "heading_error": folded(goal[:, 2] - rows["heading"]),
        "iou": share / (2.0 - share),
    }


def outcomes(rows: Rows, model: Model, done: Tensor, blocked: Tensor) -> Tensor:
    """The first that holds of parked, collided, out of bounds, timed out, running; ``(N,)``."""
    xmin, xmax, ymin, ymax = rows["bounds"].unbind(1)
    x, y = rows["x"], rows["y"]
    inside = (xmin <= x) & (x <= xmax) & (ymin <= y) & (y <= ymax)
    outcome = torch.where(rows["decisions"] >= model.max_decisions, TIMEOUT, RUNNING)
    outcome = torch.where(inside, outcome, OUT_OF_BOUNDS)
    if model.terminate:
        outcome = torch.where(blocked, COLLISION, outcome)
    return torch.where(done, SUCCESS, outcome)


def decide(
    rows: Rows, scenes: Scenes, model: Model, nearest: Nearest,
    steer: Tensor, speed: Tensor, actions: Tensor | None,
) -> tuple[Rows, Tensor, Tensor]:  # fmt: skip
    """One decision, scored (``parking.md`` 3, 10), without the Reeds-Shepp term.

    Args:
        rows: States; not changed.
        scenes: Obstacles.
        model: Vehicle and configuration.
        nearest: How many obstacles can matter.
        steer: Normalised steering in [-1, 1], shape ``(N,)``.
        speed: Normalised speed in [-1, 1], shape ``(N,)``.
        actions: Numbers of the discrete motions, or ``None``.

    Returns:
        The fields that change, and curvature and signed length of the arcs driven.
    """
    curvature, travel, done, blocked, bump = drive(
        rows, scenes, model, nearest, steer, speed, actions
    )
    new = rows | move(rows, curvature, travel)
    new["steer"], new["speed"] = steer, speed
    new["decisions"] = rows["decisions"] + 1
    new["bump"] = bump
    new["bumps"] = rows["bumps"] + bump
    new["outcome"] = outcomes(new, model, done, blocked)
    now = measures(new, model)
    new["terms"] = _terms(rows, new, now, model)
    new["reward"] = new["terms"].sum(-1)
    running = new["outcome"] == RUNNING
    new["distance"] = now["distance"]
    best = torch.maximum(rows["best_iou"], now["iou"])
    new["best_iou"] = torch.where(running, best, rows["best_iou"])
    new["heading_error"] = torch.where(running, now["heading_error"], rows["heading_error"])
    return {k: v for k, v in new.items() if v is not rows[k]}, curvature, travel


def _terms(rows: Rows, new: Rows, now: Rows, model: Model) -> Tensor:
    """Weighted reward terms, shape ``(N, 10)``: the shaping ones give way to a terminal reward."""
    running = (new["outcome"] == RUNNING).to(rows["x"].dtype)
    change = (new["steer"] - rows["steer"]).abs() + (new["speed"] - rows["speed"]).abs()
    values = {
        "time": -running * (new["decisions"].to(running.dtype) / 2000.0).tanh(),
        "distance": running
        * (rows["distance"] - now["distance"])
        / rows["first_distance"].clamp(min=10.0),
        "overlap": running * (now["iou"] - rows["best_iou"]).clamp(min=0.0),
        "rs_distance": torch.zeros_like(running),
        "heading": running * (rows["heading_error"] - now["heading_error"]) / math.pi,
        "gear_change": (rows["gear_changes"] - new["gear_changes"]).to(running.dtype),
        "bump": -new["bump"].to(running.dtype),
        "path_length": rows["path_length"] - new["path_length"],
        "effort": -0.5 * change,
        "terminal": (1.0 - running) * model.terminal[new["outcome"]],
    }
    return torch.stack(
        [model.weights[i] * values[name].to(running.dtype) for i, name in enumerate(REWARD_TERMS)],
        dim=-1,
    )
