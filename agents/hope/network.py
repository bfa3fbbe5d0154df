"""The trained policy in plain NumPy: a decision in tens of microseconds, without torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridrl.agents.hope.compiled import Packed, masked_scores
from hybridrl.agents.hope.features import MASK, PARTS, feature_rows, parts_of
from hybridrl.planners.errors import ScenarioError, UnknownNameError

Array = NDArray[np.floating[Any]]
EPSILON = 1e-5  # of the running variance, as in ``scaling.py``
_ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "Tanh": np.tanh,
    "ReLU": lambda x: np.maximum(x, np.float32(0.0)),
}
FEW = 4  # rows for which compiled loops are faster than calls of NumPy
_SCALE = "features_extractor.scale."


class HopeNetwork:
    """The actor of a ``HopePPO``.

    Args:
        tensors: State dict of the policy as arrays.
        description: ``inputs``, ``activation`` and ``heads`` (``None``: no transformer), as
            ``weights.py`` writes them.

    Raises:
        ScenarioError: If the arrays are no actor of this feature row.
        UnknownNameError: If its activation is none of the known ones.
    """

    def __init__(self, tensors: Mapping[str, Array], description: Mapping[str, Any]) -> None:
        self.description = dict(description)
        self.inputs = int(description["inputs"])
        self.parts = parts_of(self.inputs)
        if description.get("masking", "hard") != "hard":
            raise ScenarioError("masking", description["masking"], "hard: others may bump")
        activation = description["activation"]
        if activation not in _ACTIVATIONS:
            raise UnknownNameError("activation", activation, _ACTIVATIONS)
        self._activate = _ACTIVATIONS[activation]
        self._tokens = None
        try:
            if description["heads"] is not None:
                self._tokens = _Tokens(tensors, int(description["heads"]), self.parts)
            names = [f"mlp_extractor.policy_net.{2 * i}" for i in range(len(tensors))]
            names = [name for name in names if f"{name}.weight" in tensors]
            self._layers = [_linear(tensors, name) for name in (*names, "action_net")]
            if self._tokens is None:
                self._layers[0] = _folded(self._layers[0], tensors, slice(None))
            shape = self.logits(np.zeros((1, self.inputs), np.float32)).shape
            self._packed = self._pack() if self._tokens is None else None
        except (KeyError, ValueError) as error:
            raise ScenarioError("weights", str(error), "an actor that HopePPO saved") from error
        if shape != (1, MASK):
            raise ScenarioError("weights", shape, f"an actor with {MASK} motions")

    def logits(self, rows: Array) -> Array:
        """Unnormalised log-probabilities for feature rows, masks ignored, shape ``(N, 42)``."""
        x = rows if self._tokens is None else self._tokens.encode(rows)
        for weight, bias in self._layers[:-1]:
            x = self._activate(x @ weight + bias)
        weight, bias = self._layers[-1]
        return np.asarray(x @ weight + bias)

    def masked_logits(self, rows: NDArray[np.void], max_decisions: int) -> Array:
        """Logits for simulator rows, -inf where a motion is not allowed.

        Args:
            rows: Dtype ``ROW``, shape ``(N,)``.
            max_decisions: Decisions of an episode, for the time feature.

        Returns:
            Shape ``(N, 42)``.
        """
        if self._packed is not None and len(rows) <= FEW:
            return masked_scores(rows, max_decisions, self._packed)
        allowed = rows["allowed"] > 0
        seen = {
            "action_mask": rows["mask"] * allowed,
            "lidar": rows["lidar"],
            "target": rows["target"],
        }
        if "vehicle" in self.parts:
            seen["vehicle"] = rows["vehicle"]
        if "ego" in self.parts:
            left = np.maximum(1.0 - rows["decisions"] / max_decisions, 0.0)
            ego = [rows["steer"], rows["speed"], left, rows["bump"]]
            seen["ego"] = np.stack(ego, axis=1).astype(np.float32)
        return np.where(allowed, self.logits(feature_rows(seen, np)), np.float32(-np.inf))

    def _pack(self) -> Packed | None:
        """The layers in one piece, where the row is one that compiled code knows."""
        if "vehicle" in self.parts:
            return None
        weights = [np.ascontiguousarray(weight, np.float32) for weight, _ in self._layers]
        return Packed(
            np.array([self.inputs, *(weight.shape[1] for weight in weights)]),
            np.concatenate([weight.ravel() for weight in weights]),
            np.concatenate([bias.astype(np.float32) for _, bias in self._layers]),
            self.description["activation"] == "Tanh",
            "ego" in self.parts,
        )


class _Tokens:
    """The forward pass of ``ParkingTokens``."""

    def __init__(self, tensors: Mapping[str, Array], heads: int, parts: tuple[str, ...]) -> None:
        own = {
            name.removeprefix("features_extractor."): array
            for name, array in tensors.items()
            if name.startswith("features_extractor.")
        }
        sizes = [PARTS[name] for name in parts]
        self.cuts = np.cumsum(sizes)[:-1]
        self.heads = heads
        self.embed = []
        for i, size in enumerate(sizes):
            first, second = _two_layers(own, f"embed.{i}")
            columns = slice(sum(sizes[:i]), sum(sizes[:i]) + size)
            self.embed.append((_folded(first, tensors, columns), second))
        self.types = own["types"]
        self.norms = [
            (own[f"{name}.weight"], own[f"{name}.bias"]) for name in ("norm_attention", "norm_mlp")
        ]
        self.qkv = own["qkv.weight"].T
        self.project = _linear(own, "project")
        self.mlp = _two_layers(own, "mlp")
        self.out = _linear(own, "out.0")

    def encode(self, rows: Array) -> Array:
        """Feature rows to the transformer's output, shape ``(N, width)``."""
        parts = np.split(rows, self.cuts, axis=1)
        embedded = [_mlp(part, two) for part, two in zip(parts, self.embed, strict=True)]
        tokens = np.stack(embedded, axis=1) + self.types
        tokens = tokens + self._attend(_normalise(tokens, *self.norms[0]))
        tokens = tokens + _mlp(_normalise(tokens, *self.norms[1]), self.mlp)
        weight, bias = self.out
        return _gelu(tokens.reshape(len(rows), -1) @ weight + bias)

    def _attend(self, tokens: Array) -> Array:
        batch, count, _ = tokens.shape
        qkv = (tokens @ self.qkv).reshape(batch, count, 3, self.heads, -1)
        query, key, value = qkv.transpose(2, 0, 3, 1, 4)
        scores = query @ key.swapaxes(2, 3) / np.float32(math.sqrt(query.shape[-1]))
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        mixed = scores / scores.sum(axis=-1, keepdims=True) @ value
        weight, bias = self.project
        return np.asarray(mixed.swapaxes(1, 2).reshape(batch, count, -1) @ weight + bias)


def _linear(tensors: Mapping[str, Array], name: str) -> tuple[Array, Array]:
    return tensors[f"{name}.weight"].T, tensors[f"{name}.bias"]


def _folded(
    layer: tuple[Array, Array], tensors: Mapping[str, Array], columns: slice
) -> tuple[Array, Array]:
    """A first layer with the running normalisation of its inputs, if there is one, inside it."""
    if _SCALE + "mean" not in tensors:
        return layer
    weight, bias = layer
    shrink = 1.0 / np.sqrt(tensors[_SCALE + "variance"][columns].astype(np.float64) + EPSILON)
    folded = weight * shrink[:, None]
    return folded.astype(np.float32), (bias - tensors[_SCALE + "mean"][columns] @ folded).astype(
        np.float32
    )


def _two_layers(tensors: Mapping[str, Array], name: str) -> tuple[tuple[Array, Array], ...]:
    return _linear(tensors, f"{name}.0"), _linear(tensors, f"{name}.2")


def _mlp(x: Array, layers: tuple[tuple[Array, Array], ...]) -> Array:
    (first, first_bias), (second, second_bias) = layers
    return np.asarray(_gelu(x @ first + first_bias) @ second + second_bias)


def _gelu(x: Array) -> Array:
    """The tanh form, as ``extractors.py`` asks torch for."""
    inner = np.float32(math.sqrt(2.0 / math.pi)) * (x + np.float32(0.044715) * x * x * x)
    return np.asarray(np.float32(0.5) * x * (1.0 + np.tanh(inner)))


def _normalise(x: Array, weight: Array, bias: Array) -> Array:
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = (centred * centred).mean(axis=-1, keepdims=True)
    return np.asarray(centred / np.sqrt(variance + np.float32(1e-5)) * weight + bias)
