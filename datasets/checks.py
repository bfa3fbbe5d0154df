"""Is this a dataset? Every check raises its own error, which names the field."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from hybridrl.datasets.arrays import Array, Observations, named, whole_rows
from hybridrl.datasets.errors import DatasetError

_TOLERANCE = 1e-5  # of action bounds, as a share of their range: float32 rounding


def check_lengths(columns: dict[str, Observations]) -> int:
    """All columns have the same number of rows, at least one; returns it."""
    sizes = {
        name: len(array) if array.ndim else -1
        for column, data in columns.items()
        for name, array in named(column, data)
    }
    rows = sizes.get("rewards", 0)
    for name, size in sizes.items():
        if size != rows or size < 1:
            raise DatasetError(name, f"{size} rows", f"{max(rows, 1)} rows, as many as rewards")
    return rows


def check_column(name: str, array: Array) -> None:
    """One number a row."""
    if array.ndim != 1:
        raise DatasetError(name, f"shape {array.shape}", "one number a row")


def check_finite(name: str, data: Observations) -> None:
    """No NaN and no infinity (which is also what numbers beyond float32 have become)."""
    for field, array in named(name, data):
        if array.dtype.kind == "f":
            finite = whole_rows(np.isfinite(array))
            if not finite.all():
                row = int(np.argmin(finite))
                raise DatasetError(f"{field}[{row}]", array[row].tolist(), "finite float32 numbers")


def check_same_shape(observations: Observations, next_observations: Observations) -> None:
    """Observations before and after a step have the same keys, shapes and types."""
    before = {n: (a.shape, a.dtype) for n, a in named("observations", observations)}
    after = {
        n.removeprefix("next_"): (a.shape, a.dtype)
        for n, a in named("next_observations", next_observations)
    }
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            raise DatasetError(f"next_{name}", after.get(name), f"{before.get(name)}, as {name}")


def check_ends(ends: Array, rows: int, done: Array) -> None:
    """Episode ends rise, the last is the number of rows, and no flagged end is missing."""
    if ends.dtype.kind not in "iu" or ends.ndim != 1 or not len(ends):
        raise DatasetError("ends", ends, "a list of whole numbers")
    if ends[0] < 1 or (np.diff(ends) < 1).any():
        raise DatasetError("ends", ends.tolist(), "rising positive numbers")
    if ends[-1] != rows:
        raise DatasetError("ends[-1]", int(ends[-1]), f"the number of rows, {rows}")
    missing = np.setdiff1d(np.flatnonzero(done) + 1, ends)
    if len(missing):
        raise DatasetError("ends", f"no {missing[0]}", "every row that terminates or truncates")


def check_spaces(
    observations: Observations, actions: Array, observation_space: Any, action_space: Any
) -> None:
    """Shapes, kinds of number and action bounds are those of the spaces (``None``: unknown)."""
    if observation_space is not None:
        spaces = dict(flat_spaces("observations", observation_space))
        for name, array in named("observations", observations):
            if name not in spaces:
                raise DatasetError(name, array.shape[1:], f"one of {sorted(spaces)}")
            _check_space(name, array, spaces.pop(name))
        if spaces:
            raise DatasetError("observations", "missing", f"also {sorted(spaces)}")
    if action_space is not None:
        _check_space("actions", actions, action_space)
        check_bounds(actions, action_space)


def check_bounds(actions: Array, space: Any) -> None:
    """Actions lie in the action space."""
    if isinstance(space, gym.spaces.Discrete):
        low, high = np.array(space.start), np.array(space.start + space.n - 1)
        slack = np.zeros(())
    elif isinstance(space, gym.spaces.Box):
        low, high = space.low, space.high
        slack = _TOLERANCE * np.where(np.isfinite(high - low), high - low, 0.0)
    else:
        return
    inside = whole_rows((actions >= low - slack) & (actions <= high + slack))
    if not inside.all():
        row = int(np.argmin(inside))
        raise DatasetError(f"actions[{row}]", actions[row].tolist(), f"inside {space}")


def flat_spaces(name: str, space: Any) -> list[tuple[str, Any]]:
    """Pairs of dotted name and space."""
    if isinstance(space, gym.spaces.Dict):
        return [pair for k, v in space.spaces.items() for pair in flat_spaces(f"{name}.{k}", v)]
    return [(name, space)]


def _check_space(name: str, array: Array, space: Any) -> None:
    if array.shape[1:] != tuple(space.shape or ()):
        raise DatasetError(name, f"shape {array.shape[1:]} a row", f"{space.shape}, as in {space}")
    if isinstance(space, gym.spaces.Discrete) and array.dtype.kind not in "iu":
        raise DatasetError(name, array.dtype.str, f"whole numbers for {space}")
