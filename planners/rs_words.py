"""The 48 Reeds-Shepp words in closed form (Reeds & Shepp 1990, section 8), compiled.

Everything is in units of the turning radius, with the start at the origin and heading along +x.
A word is driven on circles of radius 1, ``L`` with curvature +1 and ``R`` with -1, and straights
``S``; its lengths are signed, negative in reverse. Each formula below is written for one
*canonical* word that begins on a left circle, driving forward. Two symmetries give the other
three words of the same family:

* time flip: the goal ``(-x, y, -heading)``, all lengths negated;
* reflection: the goal ``(x, -y, -heading)``, left and right exchanged.

Every family depends on the goal only through the vector from the start's left circle to the
circle that the word ends on, in polar form ``(rho, theta)``, and the heading. A time flip keeps
``rho`` and turns ``theta`` into ``pi - theta``, and words that the paper obtains by driving
another one backwards are solved directly, so four vectors serve all 48 words.

With ``e(a) = (cos a, sin a)`` the vector that a word produces follows by walking from centre to
centre; each function states it. An angle that has to be driven in the stated direction lies in
[0, pi]; anything else is no word.
"""

from __future__ import annotations

import math

from numba import njit

PI = math.pi
TWO_PI = 2.0 * math.pi
HALF_PI = 0.5 * math.pi
TOLERANCE = 1e-12  # in radii and radians: what rounding may add to an angle or length
LONGEST_TURN = PI + TOLERANCE

Word = tuple[bool, float, float, float]


@njit(cache=True, error_model="numpy")
def forward_angle(angle: float) -> float:
    """The angle modulo 2 pi in [0, 2 pi), with rounding errors below zero read as zero."""
    return max(0.0, angle - TWO_PI * math.floor((angle + TOLERANCE) / TWO_PI))


@njit(cache=True, error_model="numpy")
def same_side_vector(x: float, y: float, sine: float, cosine: float) -> tuple[float, float]:
    """From the start's left circle to the goal's left circle, polar ``(rho, theta)``."""
    return _polar(x - sine, y + cosine - 1.0)


@njit(cache=True, error_model="numpy")
def other_side_vector(x: float, y: float, sine: float, cosine: float) -> tuple[float, float]:
    """From the start's left circle to the goal's right circle, polar ``(rho, theta)``."""
    return _polar(x + sine, y - cosine - 1.0)


@njit(cache=True, error_model="numpy")
def _polar(x: float, y: float) -> tuple[float, float]:
    rho = math.sqrt(x * x + y * y)
    # Equal centres: the angle is free, and rounding must not choose it.
    if rho < TOLERANCE:
        return 0.0, 0.0
    return rho, math.atan2(y, x)


@njit(cache=True, error_model="numpy")
def tangent(rho: float) -> tuple[float, float]:
    """Inner tangent of two unit circles ``rho`` apart.

    Returns:
        Its length ``r = sqrt(rho^2 - 4)`` (-1 where the circles overlap) and ``atan(r / 2)``.
    """
    square = rho * rho - 4.0
    if square < -TOLERANCE:
        return -1.0, 0.0
    r = math.sqrt(max(0.0, square))
    return r, math.atan(0.5 * r)


@njit(cache=True, error_model="numpy")
def outer_turns(rho: float) -> tuple[float, float]:
    """The middle turns ``u`` of ``L+ R- L- R+`` and ``atan2(sin u, 2 - cos u)``, rho in [2, 6]."""
    cosine = min(1.0, max(-1.0, (20.0 - rho * rho) / 16.0))
    return math.acos(cosine), math.atan2(math.sqrt(1.0 - cosine * cosine), 2.0 - cosine)


@njit(cache=True, error_model="numpy")
def _word(t: float, u: float, v: float) -> Word:
    """Accept the word where both free turns can be driven as stated."""
    t = forward_angle(t)
    v = forward_angle(v)
    return t <= LONGEST_TURN and v <= LONGEST_TURN, t, u, v


@njit(cache=True, error_model="numpy")
def lsl(rho: float, theta: float, heading: float) -> Word:
    """``L+ S+ L+`` (8.1): the vector is ``u e(t)``."""
    return _word(theta, rho, heading - theta)


@njit(cache=True, error_model="numpy")
def lsr(r: float, b: float, theta: float, heading: float) -> Word:
    """``L+ S+ R+`` (8.2): the vector is ``2 e(t - pi/2) + u e(t)``; ``r, b`` of the tangent."""
    t = theta + HALF_PI - b
    return _word(t, r, t - heading)


@njit(cache=True, error_model="numpy")
def lrl_two_cusps(h: float, theta: float, heading: float) -> Word:
    """``L+ R- L+`` (8.3): the vector is ``-4 sin(h) e(t + h)``, ``u = 2 h``."""
    t = theta - h - PI
    return _word(t, 2.0 * h, heading - t - 2.0 * h)


@njit(cache=True, error_model="numpy")
def lrl_first_cusp(h: float, theta: float, heading: float) -> Word:
    """``L+ R- L-`` (8.4): as :func:`lrl_two_cusps` with the last turn in reverse."""
    t = theta - h - PI
    return _word(t, 2.0 * h, t + 2.0 * h - heading)


@njit(cache=True, error_model="numpy")
def lrl_last_cusp(h: float, theta: float, heading: float) -> Word:
    """``L+ R+ L-`` (8.4 backwards): the vector is ``4 sin(h) e(t - h)``, ``u = 2 h``."""
    t = theta + h
    return _word(t, 2.0 * h, t - 2.0 * h - heading)


@njit(cache=True, error_model="numpy")
def lrlr_one_cusp(u: float, side: float, theta: float, heading: float) -> Word:
    """``L+ R+ L- R-`` (8.7): the vector is ``(4 cos u - 2) e(t - u - pi/2)``.

    Args:
        u: Both middle turns.
        side: 0 where ``4 cos u > 2``, pi where it is less.
        theta: Polar angle of the vector.
        heading: Of the goal.
    """
    t = theta + u + HALF_PI + side
    return _word(t, u, heading - t + 2.0 * u)


@njit(cache=True, error_model="numpy")
def lrlr_two_cusps(u: float, lean: float, theta: float, heading: float) -> Word:
    """``L+ R- L- R+`` (8.8): the vector is ``4 e(t - pi/2) - 2 e(t + u - pi/2)``.

    Args:
        u: Both middle turns.
        lean: How far the vector turns back from ``t - pi/2``, see :func:`outer_turns`.
        theta: Polar angle of the vector.
        heading: Of the goal.
    """
    t = theta + HALF_PI + lean
    return _word(t, u, t - heading)


@njit(cache=True, error_model="numpy")
def lrsl(r: float, b: float, theta: float, heading: float) -> Word:
    """``L+ R-(pi/2) S- L-`` (8.9): the vector is ``(2 + u) e(t - pi/2) - 2 e(t)``."""
    t = theta + PI - b
    return _word(t, max(0.0, r - 2.0), t + HALF_PI - heading)


@njit(cache=True, error_model="numpy")
def lsrl(r: float, b: float, theta: float, heading: float) -> Word:
    """``L+ S+ R+(pi/2) L-`` (8.9 backwards): ``2 e(t - pi/2) + (2 + u) e(t)``."""
    t = theta + HALF_PI - b
    return _word(t, max(0.0, r - 2.0), t - HALF_PI - heading)


@njit(cache=True, error_model="numpy")
def lrsr(rho: float, theta: float, heading: float) -> Word:
    """``L+ R-(pi/2) S- R-`` (8.10): the vector is ``(2 + u) e(t - pi/2)``."""
    t = theta + HALF_PI
    return _word(t, max(0.0, rho - 2.0), heading - t - HALF_PI)


@njit(cache=True, error_model="numpy")
def lslr(rho: float, theta: float, heading: float) -> Word:
    """``L+ S+ L+(pi/2) R-`` (8.10 backwards): the vector is ``(2 + u) e(t)``."""
    return _word(theta, max(0.0, rho - 2.0), heading - theta - HALF_PI)


@njit(cache=True, error_model="numpy")
def lrslr(r: float, b: float, theta: float, heading: float) -> Word:
    """``L+ R-(pi/2) S- L-(pi/2) R+`` (8.11): ``(4 + u) e(t - pi/2) - 2 e(t)``."""
    t = theta + PI - b
    return _word(t, max(0.0, r - 4.0), t - heading)
