"""Weights that are read without unpickling.

Stable-Baselines3's ``load`` runs code from the file (cloudpickle), so it is for trusted files
only. Here the model is rebuilt from its settings and filled with tensors, which torch reads with
``weights_only=True``. A whole training is kept by ``training_state``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hybridrl.planners.errors import ScenarioError

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm


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
