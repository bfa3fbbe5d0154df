"""From the parking observation to one row of numbers that a network likes (``parking.md`` 18).

The same few lines serve NumPy (planning) and torch (learning): both libraries share their names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any

from gymnasium import spaces

from hybridrl.planners.errors import ScenarioError

MASK = 42  # the free shares of the 42 motions come first in a row
LIDAR = 120
# In their order; the last two are there when the observation has them.
PARTS = {"action_mask": MASK, "lidar": 2 * LIDAR, "target": 9, "ego": 2, "vehicle": 5}
_OPTIONAL = ((), ("ego",), ("vehicle",), ("ego", "vehicle"))
_CAR = ("ego", "vehicle")  # one token, so that weights without a vehicle can be widened


def feature_count(space: spaces.Space[Any]) -> int:
    """Length of the feature row of an observation space.

    Raises:
        ScenarioError: If it is not the observation of a parking environment.
    """
    shapes = {"action_mask": (MASK,), "lidar": (LIDAR,), "target": (5,)}
    found = {key: part.shape for key, part in getattr(space, "spaces", {}).items()}
    if any(found.get(key) != shape for key, shape in shapes.items()):
        expected = f"a Dict with {shapes}, as the parking environments have it"
        raise ScenarioError("observation_space", space, expected)
    return sum(size for key, size in PARTS.items() if key in found)


def parts_of(inputs: int) -> tuple[str, ...]:
    """Names of the parts of a feature row of this length.

    Raises:
        ScenarioError: If no row is that long.
    """
    rows = [("action_mask", "lidar", "target", *more) for more in _OPTIONAL]
    lengths = {sum(PARTS[name] for name in names): names for names in rows}
    if inputs not in lengths:
        raise ScenarioError("inputs", inputs, f"the length of a feature row: {sorted(lengths)}")
    return lengths[inputs]


def token_sizes(parts: Iterable[str]) -> list[int]:
    """Numbers of each token of a transformer: one a sensor, and one for the car itself.

    Args:
        parts: Names of the parts of a feature row, in their order.
    """
    names = list(parts)
    own = sum(PARTS[name] for name in names if name in _CAR)
    sizes = [PARTS[name] for name in names if name not in _CAR]
    return [*sizes, own] if own else sizes


def feature_parts(seen: Mapping[str, Any], xp: ModuleType) -> dict[str, Any]:
    """The parts of the feature row by name, each of shape ``(N, size)``.

    Args:
        seen: Observations ``action_mask, lidar, target`` and, optionally, ``ego`` and ``vehicle``,
            first axis N.
        xp: ``numpy`` or ``torch``, whichever the arrays are of.
    """
    lidar, target = seen["lidar"], seen["target"]
    # The goal in the vehicle frame, metres: linear for the way there, tanh for the last metre.
    offset = target[:, :1] * target[:, 1:3]
    goal = [target[:, :1] / 10.0, target[:, 1:], offset / 5.0, xp.tanh(offset)]
    parts = {
        "action_mask": seen["action_mask"],
        "lidar": xp.concatenate([lidar / 5.0, xp.exp(-2.0 * lidar)], axis=1),
        "target": xp.concatenate(goal, axis=1),
    }
    if "ego" in seen:
        parts["ego"] = seen["ego"][:, 1:3]  # last direction, remaining time
    if "vehicle" in seen:
        parts["vehicle"] = seen["vehicle"]
    return parts


def feature_rows(seen: Mapping[str, Any], xp: ModuleType) -> Any:
    """The feature rows, shape ``(N, feature_count)``; see :func:`feature_parts`."""
    return xp.concatenate(list(feature_parts(seen, xp).values()), axis=1)
