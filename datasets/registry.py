"""EVERY dataset recipe, one table, and what of them stands in the local Minari store."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np

from hybridrl.planners.errors import ScenarioError, UnknownNameError

# Minari id -> "module:function" that makes it; each family adds its rows with its collectors.
RECIPES: dict[str, str] = {}


def list_datasets() -> list[dict[str, Any]]:
    """Every recipe and every dataset in the local Minari store."""
    import minari

    local = minari.list_local_datasets()
    return [
        {
            "id": name,
            "recipe": RECIPES.get(name),
            "local": name in local,
            "episodes": local[name]["total_episodes"] if name in local else None,
            "steps": local[name]["total_steps"] if name in local else None,
        }
        for name in sorted({*RECIPES, *local})
    ]


def make_dataset(name: str, seed: int = 0) -> str:
    """Make a registered dataset and put it into the local Minari store.

    Args:
        name: A row of :data:`RECIPES`.
        seed: Of whatever acts.

    Returns:
        The Minari id.

    Raises:
        UnknownNameError: If there is no such recipe.
    """
    if name not in RECIPES:
        raise UnknownNameError("dataset recipe", name, RECIPES or ["none is registered yet"])
    module, _, function = RECIPES[name].partition(":")
    getattr(importlib.import_module(module), function)(name, seed=seed)
    return name


def show_dataset(name: str) -> dict[str, Any]:
    """Metadata of a local dataset, JSON-able.

    Raises:
        UnknownNameError: If it is not in the local store.
    """
    data = _local(name)
    metadata = {k: v for k, v in data.storage.metadata.items() if _plain(v)}
    return {
        "id": name,
        "episodes": int(data.total_episodes),
        "steps": int(data.total_steps),
        "observation_space": str(data.observation_space),
        "action_space": str(data.action_space),
        **metadata,
    }


def export_dataset(name: str, file: Path) -> Path:
    """Write a local dataset as flat arrays (``.npz``), one row a transition.

    Arrays: ``observations``, ``next_observations``, ``actions``, ``rewards``, ``terminations``,
    ``truncations``; spaces that are dictionaries become one array for each key.

    Raises:
        UnknownNameError: If it is not in the local store.
        ScenarioError: If the file does not end with ``.npz``.
    """
    if file.suffix != ".npz":
        raise ScenarioError("out", str(file), "a file name that ends with .npz")
    columns: dict[str, list[Any]] = {}
    for episode in _local(name).iterate_episodes():
        for key, array in _transitions(episode).items():
            columns.setdefault(key, []).append(array)
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f"{file.stem}.partial.npz")
    arrays: dict[str, Any] = {k: np.concatenate(v) for k, v in columns.items()}
    np.savez_compressed(partial, **arrays)
    partial.replace(file)
    return file


def _transitions(episode: Any) -> dict[str, Any]:
    rows: dict[str, Any] = {}
    for key, array in _flat("observations", episode.observations).items():
        rows[key], rows[f"next_{key}"] = array[:-1], array[1:]
    rows |= _flat("actions", episode.actions)
    for key in ("rewards", "terminations", "truncations"):
        rows[key] = np.asarray(getattr(episode, key))
    return rows


def _flat(name: str, data: Any) -> dict[str, Any]:
    if not isinstance(data, dict):
        return {name: np.asarray(data)}
    return {k: v for part in data for k, v in _flat(f"{name}.{part}", data[part]).items()}


def _local(name: str) -> Any:
    import minari

    known = minari.list_local_datasets()
    if name not in known:
        raise UnknownNameError("local dataset", name, known or ["none is stored yet"])
    return minari.load_dataset(name)


def _plain(value: Any) -> bool:
    return isinstance(value, str | int | float | bool)
