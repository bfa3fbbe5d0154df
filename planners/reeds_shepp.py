"""Reeds-Shepp curves: all words or the shortest length, one query or many (``parking.md`` 11).

The compiled functions take numbers and fill the caller's arrays, for use inside other kernels.
:func:`all_paths` and :func:`shortest_path` are for everybody else.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from hybridrl.planners.errors import ScenarioError, UnknownNameError
from hybridrl.planners.path import Path
from hybridrl.planners.rs_candidates import (
    COLUMNS,
    SEGMENTS,
    WORDS,
    candidates,
    expand,
    is_new,
)
from hybridrl.planners.scenario import Pose

Array = NDArray[np.float64]
BACKENDS = ("numba", "rsplan")


@njit(cache=True, error_model="numpy")
def words(x: float, y: float, heading: float, curvature: Array, length: Array, total: Array) -> int:
    """Every valid Reeds-Shepp word to a goal, in units of the turning radius, unsorted.

    Args:
        x: Goal in the start's frame, radii.
        y: Goal in the start's frame, radii, positive to the left.
        heading: Goal heading minus start heading, radians.
        curvature: Filled with -1, 0 or +1 of each segment, shape ``(48, 5)``, zero padded.
        length: Filled with signed lengths in radii, shape ``(48, 5)``, zero padded.
        total: Filled with the sum of the absolute lengths, shape ``(48,)``.

    Returns:
        How many rows were filled.
    """
    return _words(x, y, heading, np.empty((WORDS + 1, COLUMNS)), curvature, length, total)


@njit(cache=True, error_model="numpy")
def _words(
    x: float,
    y: float,
    heading: float,
    table: Array,
    curvature: Array,
    length: Array,
    total: Array,
) -> int:
    n = 0
    for i in range(candidates(x, y, heading, table)):
        expand(table[i], curvature[n], length[n])
        total[n] = table[i, 4]
        n += int(is_new(curvature, length, total, n))
    return n


@njit(cache=True, error_model="numpy")
def to_start_frame(
    start_x: float,
    start_y: float,
    start_heading: float,
    goal_x: float,
    goal_y: float,
    goal_heading: float,
    radius: float,
) -> tuple[float, float, float]:
    """The goal seen from the start, in units of the turning radius."""
    dx = (goal_x - start_x) / radius
    dy = (goal_y - start_y) / radius
    c = math.cos(start_heading)
    s = math.sin(start_heading)
    return c * dx + s * dy, c * dy - s * dx, goal_heading - start_heading


@njit(cache=True, error_model="numpy")
def solve(
    start_x: float,
    start_y: float,
    start_heading: float,
    goal_x: float,
    goal_y: float,
    goal_heading: float,
    radius: float,
    curvature: Array,
    length: Array,
    total: Array,
) -> int:
    """Every valid word between two poses, in metres, unsorted.

    Args:
        start_x: Rear axle, world frame, metres.
        start_y: See ``start_x``.
        start_heading: Radians.
        goal_x: See ``start_x``.
        goal_y: See ``start_x``.
        goal_heading: Radians.
        radius: Turning radius, metres.
        curvature: Filled with 1/m, shape ``(48, 5)``, zero padded.
        length: Filled with signed metres, shape ``(48, 5)``, zero padded.
        total: Filled with the driven distance, metres, shape ``(48,)``.

    Returns:
        How many rows were filled.
    """
    x, y, heading = to_start_frame(
        start_x, start_y, start_heading, goal_x, goal_y, goal_heading, radius
    )
    n = words(x, y, heading, curvature, length, total)
    _scale(radius, n, curvature, length, total)
    return n


@njit(cache=True, error_model="numpy")
def _scale(radius: float, n: int, curvature: Array, length: Array, total: Array) -> None:
    """From radii to metres."""
    for i in range(n):
        total[i] *= radius
        for j in range(SEGMENTS):
            curvature[i, j] /= radius
            length[i, j] *= radius


@njit(cache=True, error_model="numpy")
def shortest_length(
    start_x: float,
    start_y: float,
    start_heading: float,
    goal_x: float,
    goal_y: float,
    goal_heading: float,
    radius: float,
) -> float:
    """Length of the shortest Reeds-Shepp path between two poses, metres."""
    x, y, heading = to_start_frame(
        start_x, start_y, start_heading, goal_x, goal_y, goal_heading, radius
    )
    return radius * _smallest(x, y, heading, np.empty((WORDS + 1, COLUMNS)))


@njit(cache=True, error_model="numpy")
def _smallest(x: float, y: float, heading: float, table: Array) -> float:
    best = np.inf
    for i in range(candidates(x, y, heading, table)):
        best = min(best, table[i, 4])
    return best


class WordTable(NamedTuple):
    """All words of many queries, unsorted, in metres.

    Args:
        curvature: 1/m, shape ``(N, 48, 5)``, zero padded.
        length: Signed metres, shape ``(N, 48, 5)``, zero padded.
        total: Driven distance, metres, shape ``(N, 48)``; infinite where there is no word.
        n_words: Words of each query, shape ``(N,)``.
    """

    curvature: Array
    length: Array
    total: Array
    n_words: NDArray[np.int64]


def solve_batch(
    starts: ArrayLike, goals: ArrayLike, radius: float, *, out: WordTable | None = None
) -> WordTable:
    """Every valid word of many queries.

    Args:
        starts: Poses, shape ``(N, 3)`` or ``(3,)`` for one start of all.
        goals: Poses, shape ``(N, 3)`` or ``(3,)`` for one goal of all.
        radius: Turning radius, metres.
        out: Answer of an earlier call with as many queries, to be overwritten: fresh memory costs
            about half as much time as the words themselves.

    Raises:
        ScenarioError: If a pose or the radius is not finite, or shapes do not fit.
    """
    a, b = _pose_rows(starts, goals, radius)
    table = _empty_table(len(a)) if out is None else out
    if len(table.n_words) != len(a):
        raise ScenarioError("out", len(table.n_words), f"a table of {len(a)} queries")
    _solve_rows(a, b, float(radius), *table)
    return table


def _empty_table(n: int) -> WordTable:
    return WordTable(
        np.zeros((n, WORDS, SEGMENTS)),
        np.zeros((n, WORDS, SEGMENTS)),
        np.full((n, WORDS), np.inf),
        np.zeros(n, np.int64),
    )


@njit(cache=True, error_model="numpy")
def _solve_rows(
    starts: Array,
    goals: Array,
    radius: float,
    curvature: Array,
    length: Array,
    total: Array,
    n_words: NDArray[np.int64],
) -> None:
    table = np.empty((WORDS + 1, COLUMNS))
    for i in range(len(starts)):
        x, y, heading = to_start_frame(
            starts[i, 0], starts[i, 1], starts[i, 2], goals[i, 0], goals[i, 1], goals[i, 2], radius
        )
        n = _words(x, y, heading, table, curvature[i], length[i], total[i])
        _scale(radius, n, curvature[i], length[i], total[i])
        # What follows may hold a duplicate that was refused, or an earlier answer.
        last = max(n + 1, n_words[i])
        curvature[i, n:last] = 0.0
        length[i, n:last] = 0.0
        total[i, n:last] = np.inf
        n_words[i] = n


def shortest_lengths(starts: ArrayLike, goals: ArrayLike, radius: float) -> Array:
    """Shortest Reeds-Shepp length of many queries, metres, shape ``(N,)``.

    Args:
        starts: Poses, shape ``(N, 3)`` or ``(3,)`` for one start of all.
        goals: Poses, shape ``(N, 3)`` or ``(3,)`` for one goal of all.
        radius: Turning radius, metres.

    Raises:
        ScenarioError: If a pose or the radius is not finite, or shapes do not fit.
    """
    a, b = _pose_rows(starts, goals, radius)
    out = np.empty(len(a))
    _shortest_rows(a, b, float(radius), out)
    return out


@njit(cache=True, error_model="numpy")
def _shortest_rows(starts: Array, goals: Array, radius: float, out: Array) -> None:
    table = np.empty((WORDS + 1, COLUMNS))
    for i in range(len(starts)):
        x, y, heading = to_start_frame(
            starts[i, 0], starts[i, 1], starts[i, 2], goals[i, 0], goals[i, 1], goals[i, 2], radius
        )
        out[i] = radius * _smallest(x, y, heading, table)


def all_paths(start: Pose, goal: Pose, radius: float, *, backend: str = "numba") -> list[Path]:
    """Every valid Reeds-Shepp path between two poses, shortest first.

    Args:
        start: ``(x, y, heading)`` of the rear axle, metres and radians.
        goal: Pose to reach.
        radius: Turning radius, metres.
        backend: ``"numba"`` (all words) or ``"rsplan"``.

    Returns:
        Distinct paths; segments of length zero are left out.

    Raises:
        ScenarioError: If a pose or the radius is not finite.
        UnknownNameError: If there is no such back end.
    """
    a, b = _pose_rows(start, goal, radius)
    _check_backend(backend)
    if backend == "rsplan":
        from hybridrl.planners import rsplan_backend

        arcs = rsplan_backend.all_arcs(_pose(a[0]), _pose(b[0]), float(radius))
    else:
        table = solve_batch(a, b, radius)
        rows = zip(table.curvature[0], table.length[0], strict=True)
        arcs = [
            list(zip(k.tolist(), s.tolist(), strict=True))
            for k, s in list(rows)[: table.n_words[0]]
        ]
    paths = sorted((Path.from_arcs(_pose(a[0]), row) for row in arcs), key=lambda p: p.length)
    return _distinct(paths)


def shortest_path(start: Pose, goal: Pose, radius: float, *, backend: str = "numba") -> Path:
    """The shortest Reeds-Shepp path between two poses.

    Args:
        start: ``(x, y, heading)`` of the rear axle, metres and radians.
        goal: Pose to reach.
        radius: Turning radius, metres.
        backend: ``"numba"`` or ``"rsplan"``.

    Raises:
        ScenarioError: If a pose or the radius is not finite.
        UnknownNameError: If there is no such back end.
    """
    if backend == "rsplan":
        from hybridrl.planners import rsplan_backend

        a, b = _pose_rows(start, goal, radius)
        arcs = rsplan_backend.shortest_arcs(_pose(a[0]), _pose(b[0]), float(radius))
        return Path.from_arcs(_pose(a[0]), arcs)
    return all_paths(start, goal, radius, backend=backend)[0]


def _distinct(paths: list[Path]) -> list[Path]:
    """Without paths that became equal when segments of length zero were left out."""
    kept: list[Path] = []
    for path in paths:
        if not any(_equal(path, other) for other in kept):
            kept.append(path)
    return kept


def _equal(a: Path, b: Path) -> bool:
    return (
        len(a.lengths) == len(b.lengths)
        and np.array_equal(a.curvatures, b.curvatures)
        and bool(np.all(np.abs(a.lengths - b.lengths) <= 1e-8))
    )


def _pose(row: Array) -> Pose:
    return float(row[0]), float(row[1]), float(row[2])


def _check_backend(backend: str) -> None:
    if backend not in BACKENDS:
        raise UnknownNameError("Reeds-Shepp backend", backend, BACKENDS)


def _pose_rows(starts: ArrayLike, goals: ArrayLike, radius: float) -> tuple[Array, Array]:
    """Both as contiguous ``(N, 3)`` arrays of finite numbers."""
    if not (isinstance(radius, int | float | np.floating) and 0.0 < radius < math.inf):
        raise ScenarioError("radius", radius, "a finite turning radius above 0, in metres")
    rows = []
    for name, value in (("start", starts), ("goal", goals)):
        try:
            row = np.atleast_2d(np.asarray(value, np.float64))
        except (TypeError, ValueError):
            row = np.full((1, 3), np.nan)
        if row.ndim != 2 or row.shape[1] != 3 or not np.isfinite(row).all():
            raise ScenarioError(name, value, "finite poses [x, y, heading], shape (3,) or (N, 3)")
        rows.append(row)
    if len({1, len(rows[0]), len(rows[1])}) > 2:
        raise ScenarioError("goal", rows[1].shape, f"one pose or as many as starts, {len(rows[0])}")
    a, b = np.broadcast_arrays(*rows)
    return np.ascontiguousarray(a), np.ascontiguousarray(b)
