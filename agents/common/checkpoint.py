"""Checkpoints that are read without unpickling.

Stable-Baselines3's ``load`` runs code from the file (cloudpickle), so it is for trusted files
only. A checkpoint here is a folder: tensors that torch reads with ``weights_only=True``, counters
as JSON and the replay buffer as plain arrays. The model is rebuilt from its settings and filled.
Training that goes on from it is statistically, not bitwise, the same: no generator state is kept.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridrl.planners.errors import ScenarioError

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

_COUNTERS = ("num_timesteps", "_n_updates", "_episode_num", "_total_timesteps", "_n_calls")


def save_checkpoint(model: BaseAlgorithm, folder: Path, replay: bool = True) -> None:
    """Write a checkpoint folder, whole or not at all.

    Args:
        model: Any Stable-Baselines3 algorithm.
        folder: Is replaced if it exists.
        replay: Whether to keep the replay buffer, if there is one.
    """
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    save_weights(model, partial / "parameters.pth")
    counters = {key: getattr(model, key) for key in _COUNTERS if hasattr(model, key)}
    (partial / "counters.json").write_text(json.dumps(counters), encoding="utf-8")
    buffer = getattr(model, "replay_buffer", None)
    if replay and buffer is not None:
        np.savez(partial / "replay.npz", **_buffer_arrays(buffer))
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def load_checkpoint(model: BaseAlgorithm, folder: Path) -> None:
    """Fill a freshly built model from a checkpoint folder.

    Raises:
        ScenarioError: If a file is missing, damaged or of another model.
    """
    load_weights(model, folder / "parameters.pth")
    try:
        counters = json.loads((folder / "counters.json").read_text(encoding="utf-8"))
        for key in _COUNTERS:
            if key in counters:
                setattr(model, key, counters[key])
        if (folder / "replay.npz").exists():
            _fill_buffer(getattr(model, "replay_buffer", None), folder / "replay.npz")
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise ScenarioError(str(folder), str(error), "a checkpoint of this very agent") from error


def save_weights(model: BaseAlgorithm, file: Path) -> None:
    """Write every state dict and loose tensor of a model."""
    import torch

    _, variables = model._get_torch_save_params()
    tensors = {name: getattr(model, name).detach() for name in variables if _tensor(model, name)}
    torch.save({"parameters": model.get_parameters(), "variables": tensors}, file)


def load_weights(model: BaseAlgorithm, file: Path) -> None:
    """Fill a model's networks and optimisers; no code in the file is run.

    Raises:
        ScenarioError: If the file is missing, holds more than tensors, or is of another model.
    """
    import torch

    try:
        data = torch.load(file, map_location=model.device, weights_only=True)
        model.set_parameters(data["parameters"], exact_match=True, device=model.device)
        for name, tensor in data["variables"].items():
            getattr(model, name).data.copy_(tensor)
    except Exception as error:
        raise ScenarioError(str(file), str(error), "weights of this very agent") from error


def _tensor(model: BaseAlgorithm, name: str) -> bool:
    return getattr(model, name, None) is not None


def _buffer_arrays(buffer: Any) -> dict[str, Any]:
    """The filled part of every array of a replay buffer; dictionaries get dotted names."""
    filled = buffer.buffer_size if buffer.full else buffer.pos
    arrays: dict[str, Any] = {"pos": np.array(buffer.pos), "full": np.array(buffer.full)}
    for name, array in _named_arrays(buffer).items():
        arrays[name] = array[:filled]
    return arrays


def _fill_buffer(buffer: Any, file: Path) -> None:
    with np.load(file, allow_pickle=False) as data:
        for name, array in _named_arrays(buffer).items():
            array[: len(data[name])] = data[name]
        buffer.pos, buffer.full = int(data["pos"]), bool(data["full"])


def _named_arrays(buffer: Any) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for key, value in vars(buffer).items():
        parts = value.items() if isinstance(value, dict) else [("", value)]
        for part, array in parts:
            if isinstance(array, np.ndarray) and array.shape[:1] == (buffer.buffer_size,):
                named[f"{key}.{part}" if part else key] = array
    return named
