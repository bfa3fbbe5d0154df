"""Weights that ship: tensors as safetensors, their description as JSON, nothing that is code."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hybridrl.agents.hope.network import HopeNetwork
from hybridrl.agents.hope.widen import widened
from hybridrl.planners.errors import ScenarioError
from hybridrl.planners.json_text import parse_json

if TYPE_CHECKING:
    from hybridrl.agents.hope.hope_ppo import HopePPO
    from hybridrl.agents.hope.policy import HopePolicy

SHIPPED = Path(__file__).with_name("weights")
TENSORS = "hope-ppo.safetensors"
DESCRIPTION = "hope-ppo.json"
FORMAT = 1
# A shared extractor appears three times in a state dict; it is stored once.
_TWINS = ("pi_features_extractor.", "vf_features_extractor.")
_EXTRACTOR = "features_extractor."


def save_weights(model: HopePPO, folder: Path, **facts: Any) -> None:
    """Write ``hope-ppo.safetensors`` and ``hope-ppo.json``.

    Args:
        model: Trained.
        folder: Is made if it does not exist.
        **facts: More to keep in the description (JSON-able), as in ``seed=0``.
    """
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    save_file(_tensors_of(model), folder / TENSORS)
    description = {**_description_of(model), **facts, "sha256": _sha256(folder / TENSORS)}
    text = json.dumps(description, indent=1) + "\n"
    (folder / DESCRIPTION).write_text(text, encoding="utf-8")


def load_weights(model: HopePPO, folder: Path) -> None:
    """Fill the networks of a model of the same shape; optimiser and counters stay.

    A model that sees more than the weights know, first of all the same, gets them widened.

    Raises:
        ScenarioError: If a file is missing, damaged or of another network.
    """
    tensors, description = read_weights(folder)
    own = _description_of(model)
    description.setdefault("normalize", False)  # files from before there was a choice
    if description["inputs"] < own["inputs"]:
        tensors, description = widened((tensors, description), own["inputs"])
    for key in ("inputs", "net_arch", "activation", "heads", "normalize"):
        if description.get(key) != own[key]:
            raise ScenarioError(f"{key} of {folder}", description.get(key), f"{own[key]}")
    fill_policy(model.policy, tensors, str(folder / TENSORS))


def fill_policy(
    policy: HopePolicy, tensors: dict[str, NDArray[np.float32]], source: str = "weights"
) -> None:
    """Fill a policy of the same shape.

    Args:
        policy: Is changed.
        tensors: Of :func:`read_weights`.
        source: Where they come from, for the error.

    Raises:
        ScenarioError: If a tensor is missing or of another network.
    """
    import torch

    state = {}
    for name in policy.state_dict():
        stored = _stored_name(name)
        if stored not in tensors:
            raise ScenarioError(source, sorted(tensors), f"a tensor {stored!r}")
        state[name] = torch.from_numpy(tensors[stored])
    try:
        policy.load_state_dict(state)
    except RuntimeError as error:
        raise ScenarioError(source, str(error), "weights of this network") from error


def load_network(folder: str | Path | None = None) -> HopeNetwork:
    """The policy in NumPy, without torch.

    Args:
        folder: Of :func:`save_weights`; the shipped weights by default.

    Raises:
        ScenarioError: If a file is missing or damaged.
    """
    return HopeNetwork(*read_weights(Path(folder) if folder is not None else SHIPPED))


def network_of(model: HopePPO) -> HopeNetwork:
    """The policy of a model in NumPy (a copy: later training does not change it)."""
    return HopeNetwork(_tensors_of(model), _description_of(model))


def read_weights(folder: Path) -> tuple[dict[str, NDArray[np.float32]], dict[str, Any]]:
    """Tensors and description of a weights folder; nothing is unpickled.

    Raises:
        ScenarioError: If a file is missing or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    fix = "a folder that HopePPO.save_weights wrote"
    try:
        description = parse_json((folder / DESCRIPTION).read_text(encoding="utf-8"))
        found = (description["format"], description["sha256"])
        expected = (FORMAT, _sha256(folder / TENSORS))
        if found != expected:
            raise ScenarioError(str(folder / TENSORS), expected, f"format and sha256 {found}")
        return load_file(folder / TENSORS), description
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        if isinstance(error, ScenarioError):
            raise
        raise ScenarioError(str(folder), str(error), fix) from error


def _tensors_of(model: HopePPO) -> dict[str, NDArray[np.float32]]:
    state = model.policy.state_dict()
    return {
        name: np.ascontiguousarray(tensor.detach().cpu().numpy().copy())
        for name, tensor in state.items()
        if _stored_name(name) == name
    }


def _description_of(model: HopePPO) -> dict[str, Any]:
    policy = model.policy
    return {
        "format": FORMAT,
        "agent": "hope-ppo",
        "policy": type(policy).__name__,
        "inputs": policy.features_extractor.inputs,
        "net_arch": policy.net_arch,
        "activation": policy.activation_fn.__name__,
        "heads": getattr(policy.features_extractor, "heads", None),
        "normalize": policy.features_extractor.scale is not None,
        "masking": policy.masking,
        "samples": model.num_timesteps,
    }


def _stored_name(name: str) -> str:
    for twin in _TWINS:
        if name.startswith(twin):
            return _EXTRACTOR + name.removeprefix(twin)
    return name


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
