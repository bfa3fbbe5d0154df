"""Begin with weights that know fewer parts of the feature row; the new inputs weigh nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridrl.agents.hope.features import PARTS, parts_of, token_sizes
from hybridrl.planners.errors import ScenarioError

Weights = tuple[dict[str, NDArray[np.float32]], dict[str, Any]]


def widened(weights: Weights, inputs: int) -> Weights:
    """Weights for a longer feature row that act exactly as the given ones.

    Args:
        weights: Tensors and description of networks without running scale.
        inputs: Length of the longer row.

    Raises:
        ScenarioError: If the longer row does not begin with the shorter one, if it has one more
            token for a transformer, or if the weights have a running scale.
    """
    tensors, description = weights
    old = int(description["inputs"])
    names, more = parts_of(old), parts_of(inputs)
    if more[: len(names)] != names:
        raise ScenarioError("inputs", inputs, f"a row that begins with {names} ({old})")
    if description.get("normalize"):
        raise ScenarioError("weights", description, "those without running scale")
    growing = _entered(tensors, old)
    if description["heads"] is not None:
        tokens, longer = token_sizes(names), token_sizes(more)
        if len(tokens) != len(longer):
            raise ScenarioError("inputs", inputs, f"a row of {len(tokens)} tokens, as {names}")
        growing = {f"features_extractor.embed.{len(tokens) - 1}.0.weight"}
    extra = sum(PARTS[name] for name in more[len(names) :])
    wide = {
        name: np.pad(array, ((0, 0), (0, extra))) if name in growing else array
        for name, array in tensors.items()
    }
    return wide, {**description, "inputs": inputs}


def _entered(tensors: dict[str, NDArray[np.float32]], inputs: int) -> set[str]:
    """The layers that take the row itself."""
    return {name for name, a in tensors.items() if a.ndim == 2 and a.shape[1] == inputs}
