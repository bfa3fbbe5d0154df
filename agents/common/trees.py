"""Nested values with arrays in them as JSON and plain arrays: nothing that has to be unpickled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hybridrl.planners.errors import ScenarioError

_MARK = "__kind__"


def save_tree(file: Path, tree: Any) -> None:
    """Write dictionaries, lists, tuples, numbers, text, arrays and tensors.

    Args:
        file: Without suffix: ``file.json`` and ``file.npz`` are written.
        tree: The value; keys of dictionaries are text.

    Raises:
        ScenarioError: If something else is in it.
    """
    arrays: dict[str, NDArray[Any]] = {}
    text = json.dumps(_encoded(tree, arrays, file.name))
    file.with_suffix(".json").write_text(text, encoding="utf-8")
    np.savez(file.with_suffix(".npz"), **arrays)  # type: ignore[arg-type]


def load_tree(file: Path) -> Any:
    """Read what :func:`save_tree` wrote; no code in the files is run.

    Raises:
        ScenarioError: If a file is missing or damaged.
    """
    try:
        tree = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
        with np.load(file.with_suffix(".npz"), allow_pickle=False) as arrays:
            return _decoded(tree, arrays)
    except Exception as error:  # zip, JSON and NumPy each have their own
        raise ScenarioError(str(file), str(error), "a file that is whole") from error


def _encoded(value: Any, arrays: dict[str, NDArray[Any]], where: str) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, dict):
        if not all(isinstance(key, str) and key != _MARK for key in value):
            raise ScenarioError(where, list(value), "keys that are text")
        return {key: _encoded(part, arrays, f"{where}.{key}") for key, part in value.items()}
    if isinstance(value, list | tuple):
        parts = [_encoded(part, arrays, f"{where}[{i}]") for i, part in enumerate(value)]
        return {_MARK: "tuple", "parts": parts} if isinstance(value, tuple) else parts
    if isinstance(value, np.ndarray | torch.Tensor):
        kind = "array" if isinstance(value, np.ndarray) else "tensor"
        array = value if isinstance(value, np.ndarray) else value.detach().cpu().numpy()
        if array.dtype.hasobject:
            raise ScenarioError(where, array.dtype, "an array of numbers or text")
        name = f"a{len(arrays)}"
        arrays[name] = array
        return {_MARK: kind, "name": name}
    raise ScenarioError(where, value, "numbers, text, arrays, or lists and dictionaries of them")


def _decoded(value: Any, arrays: Any) -> Any:
    if isinstance(value, list):
        return [_decoded(part, arrays) for part in value]
    if not isinstance(value, dict):
        return value
    kind = value.get(_MARK)
    if kind is None:
        return {key: _decoded(part, arrays) for key, part in value.items()}
    if kind == "tuple":
        return tuple(_decoded(part, arrays) for part in value["parts"])
    array = arrays[value["name"]]
    return array if kind == "array" else torch.from_numpy(array)
