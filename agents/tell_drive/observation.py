"""Where things stand in an observation of the driving environments."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from hybridrl.envs.driving.names import ACTIONS, NATIVE_ACTIONS
from hybridrl.planners.errors import ScenarioError

MASK, ADVICE, CLOCK = "action_mask", "advice", "clock"
CONFIDENCE, AGE, VALID = 5, 6, 7  # slots of the advice after five probabilities
_EXPECTED = "a driving environment, with rows of cars: shape (N, 7), alone or in a Dict"


class Layout(NamedTuple):
    """Keys of an observation space.

    Args:
        entities: Key of the rows of cars, ``""`` where the observation is these rows alone.
        cars: Rows.
        features: Columns.
        mask: Whether there is an action mask.
        advice: Whether there is a slot for advice.
        clock: Whether the time that is left is shown.
    """

    entities: str
    cars: int
    features: int
    mask: bool
    advice: bool
    clock: bool = False


def layout_of(space: spaces.Space[Any]) -> Layout:
    """What an observation space holds.

    Raises:
        ScenarioError: If there are no rows of cars in it.
    """
    if isinstance(space, spaces.Dict):
        keys = [k for k, part in space.spaces.items() if len(part.shape or ()) == 2]
        if len(keys) != 1:
            raise ScenarioError("observation_space", space, _EXPECTED)
        rows = space.spaces[keys[0]].shape or (0, 0)
        has = (name in space.spaces for name in (MASK, ADVICE, CLOCK))
        return Layout(keys[0], rows[0], rows[1], *has)
    shape = space.shape or ()
    if len(shape) != 2:
        raise ScenarioError("observation_space", space, _EXPECTED)
    return Layout("", shape[0], shape[1], False, False)


def canonical_places(n_actions: int) -> NDArray[np.int64]:
    """Canonical number of each native action; a space of three is the intersection's.

    Raises:
        ScenarioError: If no scene has so many actions.
    """
    for names in NATIVE_ACTIONS.values():
        if len(names) == n_actions:
            return np.array([ACTIONS.index(name) for name in names], np.int64)
    raise ScenarioError("action_space", n_actions, "3 or 5 actions, as the driving scenes have")
