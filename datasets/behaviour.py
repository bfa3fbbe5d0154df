"""Trained SAC actors in NumPy, read from safetensors: they act without torch and run no code."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridrl.planners.errors import ScenarioError
from hybridrl.planners.json_text import parse_json

SHIPPED = Path(__file__).with_name("weights")
LEVELS = ("medium", "expert")
FORMAT = 1
_LOG_STD = (-20.0, 2.0)  # clip of stable_baselines3.sac.policies
Tensors = dict[str, NDArray[np.float32]]


class BehaviourPolicy:
    """Squashed Gaussian: ``tanh(mu(s) + std(s) eps)``, for actions in [-1, 1].

    Args:
        tensors: State dict of ``stable_baselines3.sac.policies.Actor`` with ReLU layers.
        deterministic: Act with ``tanh(mu(s))``.

    Raises:
        ScenarioError: If a tensor is missing or shapes do not fit together.
    """

    def __init__(self, tensors: Tensors, deterministic: bool = False) -> None:
        names = [n for n in tensors if n.startswith("latent_pi.") and n.endswith(".weight")]
        try:
            names.sort(key=lambda name: int(name.split(".")[1]))
            self._layers = [(tensors[n], tensors[n[:-6] + "bias"]) for n in names]
            self._heads = [
                (tensors[f"{h}.weight"], tensors[f"{h}.bias"]) for h in ("mu", "log_std")
            ]
            self.deterministic = deterministic
            self.mean_and_std(np.zeros(self._layers[0][0].shape[1], np.float32))
        except (KeyError, IndexError, ValueError) as error:
            raise ScenarioError("weights", str(error), "the state dict of a SAC actor") from error

    def __call__(self, observation: Any, generator: np.random.Generator) -> NDArray[np.float32]:
        """Action in [-1, 1]; draws once from the generator unless deterministic."""
        mean, std = self.mean_and_std(observation)
        if not self.deterministic:
            mean = mean + std * generator.standard_normal(len(mean), np.float32)
        return np.tanh(mean)

    def mean_and_std(self, observation: Any) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Of the Gaussian before the tanh, each ``(dim,)``."""
        hidden = np.asarray(observation, np.float32)
        for weight, bias in self._layers:
            hidden = np.maximum(weight @ hidden + bias, 0.0)
        (weight, bias), (log_weight, log_bias) = self._heads
        log_std = np.clip(log_weight @ hidden + log_bias, *_LOG_STD)
        return weight @ hidden + bias, np.exp(log_std)


def write_tensors(tensors: Tensors, file: Path) -> str:
    """Write safetensors; returns the sha256 of the file."""
    from safetensors.numpy import save

    data = save(tensors)
    partial = file.with_name(file.name + ".partial")
    partial.write_bytes(data)
    partial.replace(file)
    return hashlib.sha256(data).hexdigest()


def read_tensors(file: Path, sha256: str | None = None) -> Tensors:
    """Read safetensors.

    Args:
        file: To read.
        sha256: That the file must have, if it is known.

    Raises:
        ScenarioError: If it is missing, damaged or another file.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        data = file.read_bytes()
        found = hashlib.sha256(data).hexdigest()
        if sha256 is not None and found != sha256:
            raise ScenarioError(f"sha256 of {file.name}", found, sha256)
        tensors: Tensors = load(data)
        return tensors
    except (OSError, SafetensorError, ValueError) as error:
        if isinstance(error, ScenarioError):
            raise
        raise ScenarioError(str(file), str(error), "weights of a behaviour policy") from error


def read_facts(robot: str, folder: Path = SHIPPED) -> dict[str, Any] | None:
    """What is known of a robot's two policies: steps, returns, references, versions.

    Args:
        robot: As in ``halfcheetah``.
        folder: Of ``<robot>.json``; the shipped ones by default.

    Returns:
        The facts, or ``None`` where there are none for that robot.

    Raises:
        ScenarioError: If the file is damaged.
    """
    file = folder / f"{robot}.json"
    if not file.exists():
        return None
    try:
        facts: dict[str, Any] = parse_json(file.read_text("utf-8"))
        if facts["format"] != FORMAT or not set(LEVELS) <= set(facts["levels"]):
            raise ScenarioError(str(file), facts["format"], f"format {FORMAT} with all levels")
        return facts
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, ScenarioError):
            raise
        raise ScenarioError(str(file), str(error), "facts of behaviour policies") from error


def level_tensors(facts: dict[str, Any], folder: Path, level: str) -> Tensors:
    """Weights of a level, checked against the sha256 that the facts give.

    Raises:
        ScenarioError: If the file is missing, damaged or another one, or the facts are damaged.
    """
    try:
        name, sha256 = f"{facts['robot']}-{level}", facts["levels"][level]["sha256"]
    except (KeyError, TypeError) as error:
        expected = "facts with robot, and sha256 of the level"
        raise ScenarioError("facts", f"without {error}", expected) from error
    return read_tensors(folder / f"{name}.safetensors", sha256)
