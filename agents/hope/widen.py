"""Begin with weights that know fewer parts of the feature row; the new inputs weigh nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridrl.agents.hope.features import PARTS, parts_of
from hybridrl.planners.errors import ScenarioError

Weights = tuple[dict[str, NDArray[np.float32]], dict[str, Any]]


def widened(weights: Weights, inputs: int) -> Weights:
    """Weights for a longer feature row that act exactly as the given ones.

    Args:
        weights: Tensors and description of networks without transformer.
        inputs: Length of the longer row.

    Raises:
        ScenarioError: If the longer row does not begin with the shorter one, or the weights are
            not of such networks.
    """
    tensors, description = weights
    old = int(description["inputs"])
    names, more = parts_of(old), parts_of(inputs)
    if more[: len(names)] != names:
        raise ScenarioError("inputs", inputs, f"a row that begins with {names} ({old})")
    if description["heads"] is not None or description.get("normalize"):
        raise ScenarioError("weights", description, "those without transformer or running scale")
    extra = sum(PARTS[name] for name in more[len(names) :])
    wide = {
        name: np.pad(array, ((0, 0), (0, extra)))
        if array.ndim == 2 and array.shape[1] == old
        else array
        for name, array in tensors.items()
    }
    return wide, {**description, "inputs": inputs}
