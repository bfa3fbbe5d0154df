"""Student weights that ship: tensors as safetensors, their description as JSON, nothing is code."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybridrl.planners.errors import ScenarioError
from hybridrl.planners.json_text import parse_json

if TYPE_CHECKING:
    from hybridrl.agents.tell_drive.policy import EgoAttentionPolicy
    from hybridrl.agents.tell_drive.tell_drive import AttentionPPO

SHIPPED = Path(__file__).with_name("weights")
TENSORS, DESCRIPTION = "student.safetensors", "student.json"
FORMAT = 1
# What a network and its weights must agree on.
_SHAPE = (
    *("rows", "columns", "clock", "actions", "net_arch"),
    *("width", "heads", "encoder", "token", "view"),
)
# A shared extractor appears three times in a state dict; it is stored once.
_TWINS = ("pi_features_extractor.", "vf_features_extractor.")


def save_weights(model: AttentionPPO, folder: Path, **facts: Any) -> None:
    """Write ``student.safetensors`` and ``student.json``.

    Args:
        model: Trained.
        folder: Is made if it does not exist.
        **facts: More to keep in the description (JSON-able).
    """
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    state = model.policy.state_dict()
    own = {k: v.detach().cpu().contiguous() for k, v in state.items() if not k.startswith(_TWINS)}
    save_file(own, folder / TENSORS)
    description = {
        **describe(model.policy),
        "steps": model.num_timesteps,
        "seed": model.seed,
        **facts,
        "sha256": _sha256(folder / TENSORS),
    }
    (folder / DESCRIPTION).write_text(json.dumps(description, indent=1) + "\n", encoding="utf-8")


def load_weights(model: AttentionPPO, folder: Path) -> None:
    """Fill the policy of a model of the same shape; optimiser and counters stay.

    Raises:
        ScenarioError: If a file is missing, damaged or of another network.
    """
    fill_policy(model.policy, folder)


def fill_policy(policy: EgoAttentionPolicy, folder: Path) -> None:
    """Fill a policy of the same shape.

    Raises:
        ScenarioError: If a file is missing, damaged or of another network.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    description = read_description(folder)
    own = describe(policy)
    description = {"clock": False, "view": "rows", **description}  # weights older than these
    for key in _SHAPE:
        if description.get(key) != own[key]:
            raise ScenarioError(f"{key} of {folder}", description.get(key), f"{own[key]}")
    try:
        tensors = load_file(folder / TENSORS)
        state = {name: tensors[_stored(name)] for name in policy.state_dict()}
        policy.load_state_dict(state)
    except (OSError, KeyError, RuntimeError, SafetensorError) as error:
        raise ScenarioError(str(folder / TENSORS), str(error), "weights of this network") from error


def read_description(folder: Path) -> dict[str, Any]:
    """What the weights of a folder are; their checksum is checked.

    Raises:
        ScenarioError: If a file is missing or damaged.
    """
    try:
        description = parse_json((folder / DESCRIPTION).read_text(encoding="utf-8"))
        found = (description["format"], description["sha256"])
        expected = (FORMAT, _sha256(folder / TENSORS))
    except (OSError, ValueError, KeyError, TypeError) as error:
        fix = "a folder that save_weights of the agent wrote"
        raise ScenarioError(str(folder), str(error), fix) from error
    if found != expected:
        raise ScenarioError(str(folder / TENSORS), expected, f"format and sha256 {found}")
    made: dict[str, Any] = description
    return made


def shipped(scenario: str) -> Path:
    """Folder of the weights that ship for a scene.

    Raises:
        ScenarioError: If none do.
    """
    folder = SHIPPED / scenario
    if not (folder / DESCRIPTION).is_file():
        known = sorted(file.parent.name for file in SHIPPED.glob(f"*/{DESCRIPTION}"))
        raise ScenarioError("scene", scenario, f"one with shipped weights: {', '.join(known)}")
    return folder


def shipped_policy(scenario: str) -> EgoAttentionPolicy:
    """The student that ships for a scene, without an environment.

    Raises:
        ScenarioError: If there is none, or a file is damaged.
    """
    return load_policy(shipped(scenario))


def load_policy(folder: Path) -> EgoAttentionPolicy:
    """The policy of a weights folder, without an environment; nothing is unpickled.

    Raises:
        ScenarioError: If a file is missing or damaged.
    """
    import numpy as np
    from gymnasium import spaces

    from hybridrl.agents.tell_drive.policy import EgoAttentionPolicy
    from hybridrl.agents.tell_drive.teachers.advice import ADVICE_SIZE

    found = read_description(folder)
    parts: dict[str, spaces.Space[Any]] = {
        "rows": spaces.Box(-1.0, 1.0, (found["rows"], found["columns"]), np.float32),
        "action_mask": spaces.MultiBinary(found["actions"]),
        "advice": spaces.Box(0.0, 1.0, (ADVICE_SIZE,), np.float32),
    }
    if found.get("clock", False):
        parts["clock"] = spaces.Box(0.0, 1.0, (1,), np.float32)
    policy = EgoAttentionPolicy(
        spaces.Dict(parts),
        spaces.Discrete(found["actions"]),
        lambda progress: 0.0,
        net_arch=found["net_arch"],
        width=found["width"],
        heads=found["heads"],
        encoder=found["encoder"],
        advice_token=found["token"],
        view=found.get("view", "rows"),
    )
    fill_policy(policy, folder)
    policy.set_training_mode(False)
    return policy


def describe(policy: EgoAttentionPolicy) -> dict[str, Any]:
    """Shape of a policy, as it stands in the description of its weights."""
    view = policy.features_extractor
    return {
        "format": FORMAT,
        "agent": "tell-drive",
        "rows": policy.layout.cars,
        "columns": policy.layout.features,
        "clock": policy.layout.clock,
        "actions": int(policy.action_space.n),  # type: ignore[attr-defined]
        "net_arch": policy.net_arch,
        "width": view.features_dim,
        "heads": view.attention.heads if view.encoder == "attention" else 1,
        "encoder": view.encoder,
        "token": view.advice_token,
        "view": view.view,
        "parameters": sum(p.numel() for p in policy.parameters()),
    }


def _stored(name: str) -> str:
    for twin in _TWINS:
        if name.startswith(twin):
            return "features_extractor." + name.removeprefix(twin)
    return name


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
