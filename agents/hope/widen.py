"""Begin with weights that know fewer parts of the feature row; the new inputs weigh nothing."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

from hybridrl.agents.hope.features import PARTS, parts_of
from hybridrl.agents.hope.weights import DESCRIPTION, TENSORS, read_weights
from hybridrl.planners.errors import ScenarioError


def widened(source: Path, inputs: int, out: Path) -> Path:
    """Write weights for a longer feature row that act exactly as the given ones.

    Args:
        source: Folder of ``HopePPO.save_weights``, of networks without transformer.
        inputs: Length of the longer row.
        out: Folder to write.

    Returns:
        ``out``.

    Raises:
        ScenarioError: If the longer row does not begin with the shorter one, or the source is not
            of such networks.
    """
    from safetensors.numpy import save_file

    tensors, description = read_weights(source)
    old = int(description["inputs"])
    names, more = parts_of(old), parts_of(inputs)
    if more[: len(names)] != names:
        raise ScenarioError("inputs", inputs, f"a row that begins with {names} ({old})")
    if description["heads"] is not None or description.get("normalize"):
        raise ScenarioError(
            str(source), description, "weights without transformer or running scale"
        )
    extra = sum(PARTS[name] for name in more[len(names) :])
    for name, array in tensors.items():
        if array.ndim == 2 and array.shape[1] == old:
            zeros = np.zeros((array.shape[0], extra), array.dtype)
            tensors[name] = np.concatenate([array, zeros], axis=1)
    out.mkdir(parents=True, exist_ok=True)
    save_file(tensors, out / TENSORS)
    checksum = hashlib.sha256((out / TENSORS).read_bytes()).hexdigest()
    facts = {**description, "inputs": inputs, "sha256": checksum, "widened_from": old}
    (out / DESCRIPTION).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    return out
