"""The trained policy without torch: what a planner asks for its next motion."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridrl.agents.hope.compiled import simulator_features
from hybridrl.agents.hope.features import MASK, parts_of, token_sizes
from hybridrl.agents.hope.forward import Perceptron, Transformer, actor_logits
from hybridrl.envs.parking.kernels.records import ROW
from hybridrl.planners.errors import ScenarioError, UnknownNameError

Array = NDArray[np.floating[Any]]
Single = NDArray[np.float32]
EPSILON = 1e-5  # of the running variance, as in ``scaling.py``
ACTIVATIONS = ("Tanh", "ReLU")
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
        if description["activation"] not in ACTIVATIONS:
            raise UnknownNameError("activation", description["activation"], ACTIVATIONS)
        self._transformer: tuple[Any, ...] | None = None
        try:
            if description["heads"] is not None:
                sizes = token_sizes(self.parts)
                self._transformer = tuple(_transformer(tensors, int(description["heads"]), sizes))
            width = self.inputs if self._transformer is None else len(self._transformer[-1])
            folded = self._transformer is None
            head = _perceptron(tensors, description["activation"] == "Tanh", width, folded)
        except (KeyError, ValueError) as error:
            raise ScenarioError("weights", str(error), "an actor that HopePPO saved") from error
        self._perceptron = tuple(head)
        self.masked_logits(np.zeros(1, ROW), 1)  # compiles, where the cache has nothing yet

    def logits(self, rows: Array) -> Single:
        """Unnormalised log-probabilities for feature rows, masks ignored, shape ``(N, 42)``."""
        rows = np.ascontiguousarray(rows, np.float32)
        out: Single = actor_logits(rows, self._transformer, self._perceptron)
        return out

    def masked_logits(self, rows: NDArray[np.void], max_decisions: int) -> Single:
        """Logits for simulator rows, -inf where a motion is not allowed.

        Args:
            rows: Dtype ``ROW``, shape ``(N,)``.
            max_decisions: Decisions of an episode, for the time feature.

        Returns:
            Shape ``(N, 42)``.
        """
        ego, vehicle = "ego" in self.parts, "vehicle" in self.parts
        features = simulator_features(rows, max_decisions, self.inputs, ego, vehicle)
        out: Single = actor_logits(features, self._transformer, self._perceptron)
        out[rows["allowed"] == 0] = -np.inf
        return out


def _perceptron(
    tensors: Mapping[str, Array], hyperbolic: bool, inputs: int, folded: bool
) -> Perceptron:
    """The layers behind the extractor.

    Args:
        tensors: Of the policy.
        hyperbolic: Whether hidden layers are tanh.
        inputs: Width of what enters.
        folded: Whether the running normalisation belongs into the first one.

    Raises:
        ValueError: If a layer does not fit the one before it.
    """
    names = [f"mlp_extractor.policy_net.{2 * i}" for i in range(len(tensors))]
    names = [name for name in names if f"{name}.weight" in tensors]
    layers = [_linear(tensors, name) for name in (*names, "action_net")]
    if folded:
        layers[0] = _unscaled(layers[0], tensors, slice(None))
    sizes = [inputs]
    for weight, bias in layers:
        if weight.shape != (sizes[-1], len(bias)):
            raise ValueError(f"a layer of {weight.shape} on {sizes[-1]} numbers")
        sizes.append(len(bias))
    if sizes[-1] != MASK:
        raise ValueError(f"{sizes[-1]} motions, not {MASK}")
    weights = np.concatenate([weight.ravel() for weight, _ in layers])
    biases = np.concatenate([bias for _, bias in layers])
    return Perceptron(np.array(sizes), _single(weights), _single(biases), hyperbolic)


def _transformer(tensors: Mapping[str, Array], heads: int, sizes: list[int]) -> Transformer:
    """``ParkingTokens`` for the compiled pass."""
    own = {
        name.removeprefix("features_extractor."): array
        for name, array in tensors.items()
        if name.startswith("features_extractor.")
    }
    cuts = np.cumsum([0, *sizes])
    first = [
        _unscaled(_linear(own, f"embed.{k}.0"), tensors, slice(cuts[k], cuts[k + 1]))
        for k in range(len(sizes))
    ]
    second = [_linear(own, f"embed.{k}.2") for k in range(len(sizes))]
    qkv, qkv_bias = _behind_norm(own, "norm_attention", own["qkv.weight"].T, 0.0)
    inner = qkv.shape[1] // 3
    for array in (qkv, qkv_bias):
        array[..., :inner] /= math.sqrt(inner / heads)
    mlp_in, mlp_in_bias = _behind_norm(own, "norm_mlp", *_linear(own, "mlp.0"))
    (project, project_bias), (mlp_out, mlp_out_bias) = (
        _linear(own, "project"),
        _linear(own, "mlp.2"),
    )
    out, out_bias = _linear(own, "out.0")
    return Transformer(
        heads=heads,
        cuts=cuts,
        embed_in=_single(np.concatenate([weight for weight, _ in first])),
        embed_in_bias=_single(np.stack([bias for _, bias in first])),
        embed_out=_single(np.stack([weight for weight, _ in second])),
        embed_out_bias=_single(np.stack([bias for _, bias in second]) + own["types"]),
        qkv=_single(qkv),
        qkv_bias=_single(qkv_bias),
        project=_single(project),
        project_bias=_single(project_bias),
        mlp_in=_single(mlp_in),
        mlp_in_bias=_single(mlp_in_bias),
        mlp_out=_single(mlp_out),
        mlp_out_bias=_single(mlp_out_bias),
        out=_single(out.reshape(len(sizes), -1, out.shape[1])),
        out_bias=_single(out_bias),
    )


def _linear(tensors: Mapping[str, Array], name: str) -> tuple[Array, Array]:
    return tensors[f"{name}.weight"].T, tensors[f"{name}.bias"]


def _behind_norm(
    tensors: Mapping[str, Array], norm: str, weight: Array, bias: Array | float
) -> tuple[Array, Array]:
    """A layer with the scale and the shift of the norm before it inside it."""
    wide = weight.astype(np.float64)
    return tensors[f"{norm}.weight"][:, None] * wide, tensors[f"{norm}.bias"] @ wide + bias


def _unscaled(
    layer: tuple[Array, Array], tensors: Mapping[str, Array], columns: slice
) -> tuple[Array, Array]:
    """A first layer with the running normalisation of its inputs, if there is one, inside it."""
    if _SCALE + "mean" not in tensors:
        return layer
    weight, bias = layer
    shrink = 1.0 / np.sqrt(tensors[_SCALE + "variance"][columns].astype(np.float64) + EPSILON)
    folded = weight * shrink[:, None]
    return folded, bias - tensors[_SCALE + "mean"][columns] @ folded


def _single(array: Array) -> Single:
    return np.ascontiguousarray(array, np.float32)
