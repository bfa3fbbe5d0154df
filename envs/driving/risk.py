"""Risk metrics: pure functions of gaps, speeds and times, each a NumPy ufunc (3.1).

Every result is finite: times are capped at 20 s, so an empty road is 20 s away.
The names with an underscore are the same functions for compiled callers.
"""

from __future__ import annotations

import math
from typing import Any

from numba import vectorize

from hybridrl.envs.driving.kernels.compiled import inner

CAP = 20.0  # s
RESPONSE, FRONT_BRAKE, REAR_BRAKE, REAR_ACC = 0.6, 6.0, 4.0, 3.0
CONFLICT_HORIZON = 5.0  # s: a conflict that is farther away does not count


@inner
def _clip(x: float) -> float:
    return min(max(x, 0.0), 1.0)


@inner
def _headway(gap: float, speed: float) -> float:
    return min(max(gap, 0.0) / max(speed, 0.1), CAP)


@inner
def _ttc(gap: float, closing: float) -> float:
    if closing <= 0.1:
        return CAP
    return min(max(gap, 0.0) / closing, CAP)


@inner
def _drac(gap: float, closing: float) -> float:
    if closing <= 0.0:
        return 0.0
    return closing * closing / (2.0 * max(gap, 0.1))


@inner
def _safe_distance(rear_speed: float, front_speed: float) -> float:
    later = rear_speed + RESPONSE * REAR_ACC
    reach = rear_speed * RESPONSE + 0.5 * REAR_ACC * RESPONSE**2 + later**2 / (2.0 * REAR_BRAKE)
    return max(reach - front_speed**2 / (2.0 * FRONT_BRAKE), 0.0)


@inner
def _closest_time(px: float, py: float, vx: float, vy: float) -> float:
    square = vx * vx + vy * vy
    if square < 1e-9:
        return 0.0
    return min(max(-(px * vx + py * vy) / square, 0.0), CAP)


@inner
def _closest_distance(px: float, py: float, vx: float, vy: float) -> float:
    t = _closest_time(px, py, vx, vy)
    return math.hypot(px + vx * t, py + vy * t)


@inner
def _ttc_score(ttc: float) -> float:
    value: float = _clip((4.0 - ttc) / 3.0)
    return value


@inner
def _headway_score(headway: float) -> float:
    value: float = 0.6 * _clip((1.5 - headway) / 1.2)
    return value


@inner
def _conflict_score(own: float, other: float) -> float:
    soon = min(own, other)
    if soon >= CONFLICT_HORIZON:
        return 0.0
    value: float = _clip((2.5 - abs(own - other)) / 2.0) * _clip((5.0 - soon) / 3.0)
    return value


@inner
def _approach_score(distance: float, time: float) -> float:
    value: float = _clip((6.0 - distance) / 4.0) * _clip((4.0 - time) / 3.0)
    return value


_ufunc: Any = vectorize(cache=True)  # type: ignore[no-untyped-call]
headway = _ufunc(_headway.py_func)
"""Time headway: bumper gap (m) over speed (m/s), s."""
ttc = _ufunc(_ttc.py_func)
"""Time to collision: bumper gap (m) over closing speed (m/s), s; 20 when not closing."""
drac = _ufunc(_drac.py_func)
"""Deceleration that just avoids contact: of bumper gap (m) and closing speed (m/s), m/s2."""
safe_distance = _ufunc(_safe_distance.py_func)
"""Distance the rear car needs if the front one brakes at its hardest: of both speeds, m."""
closest_time = _ufunc(_closest_time.py_func)
"""Until two straight movers are closest: of relative position (m) and velocity (m/s), s."""
closest_distance = _ufunc(_closest_distance.py_func)
"""How close they come: of relative position (m) and velocity (m/s), m."""
ttc_score = _ufunc(_ttc_score.py_func)
"""Risk of a time to collision, 0 to 1."""
headway_score = _ufunc(_headway_score.py_func)
"""Risk of a time headway, 0 to 0.6."""
conflict_score = _ufunc(_conflict_score.py_func)
"""Risk of two arrival times at one point, 0 to 1."""
approach_score = _ufunc(_approach_score.py_func)
"""Risk of a closest approach in distance (m) and time (s), 0 to 1."""

LEVELS = ("low", "medium", "high", "critical")


def level(risk: float) -> str:
    """The word for a risk: low < 0.25 <= medium < 0.5 <= high < 0.8 <= critical."""
    return LEVELS[(risk >= 0.25) + (risk >= 0.5) + (risk >= 0.8)]
