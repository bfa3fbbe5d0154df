"""Files of a storage agent: arrays as safetensors, description as JSON, nothing that is code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridrl.agents.common.compiled_q import Brain
from hybridrl.planners.errors import ScenarioError
from hybridrl.planners.json_text import parse_json

FORMAT = 1
TENSORS, DESCRIPTION = "agent.safetensors", "agent.json"


def write_agent(folder: Path, brains: Mapping[str, Brain], description: dict[str, Any]) -> Path:
    """Write networks with everything that learning goes on from.

    Args:
        folder: Is made if it does not exist.
        brains: By name; none for an agent that has seen no system yet.
        description: JSON-able; its ``agent`` is checked on reading.
    """
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        f"{name}.{field}": np.ascontiguousarray(array)
        for name, brain in brains.items()
        for field, array in brain._asdict().items()
    }
    save_file(tensors, folder / TENSORS)
    text = json.dumps({"format": FORMAT, **description}, indent=1) + "\n"
    (folder / DESCRIPTION).write_text(text, encoding="utf-8")
    return folder


def read_agent(folder: Path, agent: str) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Description and arrays of a folder; nothing is unpickled.

    Args:
        folder: Of :func:`write_agent`.
        agent: Name of the class that it must be of.

    Raises:
        ScenarioError: If a file is missing, damaged or of another agent.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        found = parse_json((folder / DESCRIPTION).read_text(encoding="utf-8"))
        given = (found["format"], found["agent"])
        tensors = load_file(folder / TENSORS)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise ScenarioError(str(folder), str(error), f"a folder of {agent}.save") from error
    if given != (FORMAT, agent):
        raise ScenarioError(str(folder), given, f"format {FORMAT} of {agent}")
    return found, tensors


def filled_brain(brain: Brain, tensors: Mapping[str, NDArray[Any]], name: str) -> Brain:
    """Put the arrays of that name into a new network of the same shape.

    Raises:
        ValueError: If a shape differs.
        KeyError: If an array is missing.
    """
    for field, array in brain._asdict().items():
        array[...] = tensors[f"{name}.{field}"].reshape(array.shape)
    return brain
