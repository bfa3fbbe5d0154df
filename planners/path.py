"""Paths made of circular arcs, and what a planner answers with."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridrl.planners.scenario import Pose

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Path:
    """A rear axle path: arcs of constant curvature, one after another.

    Every planner here drives such arcs, so a path is exact: nothing is lost between samples.

    Args:
        start: Pose ``(x, y, heading)`` where it begins, world frame, metres and radians.
        curvatures: Of each arc, 1/m, positive to the left, shape ``(n,)``.
        lengths: Signed arc lengths, metres, negative in reverse, shape ``(n,)``.
    """

    start: Pose
    curvatures: Array
    lengths: Array

    @classmethod
    def from_arcs(cls, start: Pose, arcs: Iterable[tuple[float, float]]) -> Path:
        """Build from ``(curvature, signed length)`` pairs; equal neighbours are joined."""
        joined: list[list[float]] = []
        for curvature, length in arcs:
            same = joined and joined[-1][0] == curvature and joined[-1][1] * length > 0
            if same:
                joined[-1][1] += length
            elif abs(length) > 1e-9:
                joined.append([curvature, length])
        table = np.array(joined, np.float64).reshape(-1, 2)
        x, y, heading = (float(v) for v in start)
        return cls((x, y, heading), table[:, 0].copy(), table[:, 1].copy())

    @property
    def length(self) -> float:
        """Driven distance, metres."""
        return float(np.abs(self.lengths).sum())

    @property
    def reverse_length(self) -> float:
        """Distance driven backwards, metres."""
        return float(-self.lengths[self.lengths < 0].sum())

    @property
    def gear_changes(self) -> int:
        """How often the direction of travel changes."""
        return int(np.count_nonzero(np.diff(np.sign(self.lengths))))

    @property
    def knots(self) -> Array:
        """Poses at the ends of the arcs, start included, shape ``(n + 1, 3)``."""
        poses = [np.asarray(self.start, np.float64)]
        for curvature, length in zip(self.curvatures, self.lengths, strict=True):
            poses.append(advance(poses[-1], float(curvature), float(length)))
        return np.array(poses)

    @property
    def end(self) -> Pose:
        """The last pose."""
        x, y, heading = self.knots[-1]
        return float(x), float(y), float(heading)

    def sample(self, spacing: float = 0.1) -> Array:
        """Poses along the path, never more than ``spacing`` metres apart, shape ``(m, 3)``.

        The ends of all arcs are among them.
        """
        rows = [np.asarray(self.start, np.float64)[None]]
        for knot, k, s in zip(self.knots, self.curvatures, self.lengths, strict=False):
            steps = np.linspace(0.0, s, max(2, math.ceil(abs(s) / spacing) + 1))[1:]
            rows.append(advance(knot, float(k), steps))
        return np.concatenate(rows)

    def decisions(self, step: float = 1.25) -> int:
        """How many decisions of at most ``step`` metres drive it (``parking.md`` 11.5)."""
        return int(np.ceil(np.abs(self.lengths) / step - 1e-9).sum())

    def to_json(self) -> dict[str, Any]:
        """Start, arcs and their gears as a JSON object."""
        arcs = zip(self.curvatures.tolist(), self.lengths.tolist(), strict=True)
        return {
            "start": list(self.start),
            "arcs": [
                {"curvature": k, "length": abs(s), "gear": "forward" if s > 0 else "reverse"}
                for k, s in arcs
            ],
        }


def advance(pose: Array, curvature: float, distance: float | Array) -> Array:
    """Closed-form motion along an arc (``parking.md`` 3).

    Args:
        pose: ``(x, y, heading)``, shape ``(3,)``.
        curvature: 1/m.
        distance: Signed arc length, metres: a number or shape ``(m,)``.

    Returns:
        Shape ``(3,)`` or ``(m, 3)``.
    """
    s = np.asarray(distance, np.float64)
    turn = curvature * s
    half = turn / 2
    # The chord has length s * sin(half) / half and leaves at half the turn.
    chord = s * np.sinc(half / np.pi)
    x = pose[0] + chord * np.cos(pose[2] + half)
    y = pose[1] + chord * np.sin(pose[2] + half)
    return np.stack([x, y, pose[2] + turn], axis=-1)


@dataclass(frozen=True, kw_only=True)
class PlanResult:
    """What every planner returns.

    Args:
        path: A path that was re-checked exactly, or ``None`` where none was found in the budget.
        seconds: CPU time of the calling thread spent planning.
        expansions: Nodes, samples or roll-outs looked at: the planner's own unit of work.
        clearance: Smallest distance from body to obstacle along the path, metres; ``nan`` without.
        planner: Its registered name.
        info: Anything else worth logging, JSON-able.
    """

    path: Path | None
    seconds: float
    expansions: int = 0
    clearance: float = math.nan
    planner: str = ""
    info: dict[str, Any] = field(default_factory=dict)

    @property
    def success(self) -> bool:
        """Whether there is a path."""
        return self.path is not None

    @property
    def length(self) -> float:
        """Driven distance, metres; ``nan`` without a path."""
        return math.nan if self.path is None else self.path.length

    @property
    def gear_changes(self) -> float:
        """Changes of direction; ``nan`` without a path."""
        return math.nan if self.path is None else float(self.path.gear_changes)

    def to_json(self) -> dict[str, Any]:
        """The result as a JSON object (numbers that do not exist are ``null``)."""
        found = self.path is not None
        return {
            "planner": self.planner,
            "success": found,
            "seconds": self.seconds,
            "expansions": self.expansions,
            "length": self.length if found else None,
            "gear_changes": int(self.gear_changes) if found else None,
            "clearance": self.clearance if math.isfinite(self.clearance) else None,
            "path": self.path.to_json() if self.path else None,
            "info": self.info,
        }
