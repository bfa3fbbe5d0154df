"""The actor's forward pass, compiled: a decision in tens of microseconds, without torch.

A handful of rows is too little work for calls of a library; these loops keep four rows of a weight
matrix in the first-level cache while every token passes them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Single = NDArray[np.float32]
BLOCK = 8  # rows that pass the network together: their activations stay in the caches
# Sums may be reordered, but infinities stay what they are.
_FAST = {"contract", "reassoc", "nsz", "arcp"}


class Perceptron(NamedTuple):
    """Layers in one piece.

    Args:
        sizes: Widths from the input to the output, int64.
        weights: ``(inputs, outputs)`` of each layer in turn, flattened.
        biases: Of each layer in turn.
        hyperbolic: Whether hidden layers are tanh; else they are rectified.
    """

    sizes: NDArray[np.int64]
    weights: Single
    biases: Single
    hyperbolic: bool


class Transformer(NamedTuple):
    """``ParkingTokens`` with everything linear folded together; T tokens of width W.

    Args:
        heads: Of the attention.
        cuts: Where the inputs of each token begin and end, int64, shape ``(T + 1,)``.
        embed_in: First layers of all embeddings, one below the other, ``(inputs, W)``.
        embed_in_bias: Shape ``(T, W)``.
        embed_out: Second layers, ``(T, W, W)``.
        embed_out_bias: With the types of the tokens, ``(T, W)``.
        qkv: Behind the norm's scale, queries over the root of the head's width, ``(W, 3 H)``.
        qkv_bias: What the norm's shift becomes, ``(3 H,)``.
        project: ``(H, W)``.
        project_bias: ``(W,)``.
        mlp_in: Behind the norm's scale, ``(W, W)``.
        mlp_in_bias: ``(W,)``.
        mlp_out: ``(W, W)``.
        mlp_out_bias: ``(W,)``.
        out: A matrix a token, ``(T, W, W)``.
        out_bias: ``(W,)``.
    """

    heads: int
    cuts: NDArray[np.int64]
    embed_in: Single
    embed_in_bias: Single
    embed_out: Single
    embed_out_bias: Single
    qkv: Single
    qkv_bias: Single
    project: Single
    project_bias: Single
    mlp_in: Single
    mlp_in_bias: Single
    mlp_out: Single
    mlp_out_bias: Single
    out: Single
    out_bias: Single


# Arguments of compiled functions are plain tuples: looking up the type of a named one takes as long
# as half a forward pass.
@njit(cache=True, error_model="numpy", fastmath=_FAST)
def actor_logits(rows: Single, transformer: tuple | None, perceptron: tuple) -> Single:  # type: ignore[type-arg]
    """Unnormalised log-probabilities of the motions.

    Args:
        rows: Feature rows, shape ``(N, inputs)``.
        transformer: The fields of a :class:`Transformer`, or ``None``: the rows themselves enter.
        perceptron: The fields of a :class:`Perceptron`.

    Returns:
        Shape ``(N, outputs)``.
    """
    head = Perceptron(*perceptron)
    out = np.empty((len(rows), head.sizes[-1]), np.float32)
    for first in range(0, len(rows), BLOCK):
        part = rows[first : first + BLOCK]
        x = part if transformer is None else _encode(part, Transformer(*transformer))
        out[first : first + BLOCK] = _perceive(x, head)
    return out


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _perceive(rows: Single, net: Perceptron) -> Single:
    x, weight, bias = rows, 0, 0
    for layer in range(len(net.sizes) - 1):
        inputs, outputs = net.sizes[layer], net.sizes[layer + 1]
        matrix = net.weights[weight : weight + inputs * outputs].reshape(inputs, outputs)
        y = _biased(len(rows), net.biases[bias : bias + outputs])
        _add_product(x, 0, matrix, y)
        weight, bias = weight + inputs * outputs, bias + outputs
        if layer < len(net.sizes) - 2:
            _activate(y, net.hyperbolic)
        x = y
    return x


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _encode(rows: Single, net: Transformer) -> Single:
    """Feature rows to the transformer's output, shape ``(N, W)``; tokens lie token by token."""
    count, width, batch = len(net.cuts) - 1, net.out.shape[2], len(rows)
    tokens = np.empty((count * batch, width), np.float32)
    for k in range(count):
        hidden = _biased(batch, net.embed_in_bias[k])
        _add_product(rows, net.cuts[k], net.embed_in[net.cuts[k] : net.cuts[k + 1]], hidden)
        _gelu(hidden)
        token = tokens[k * batch : (k + 1) * batch]
        token[:] = net.embed_out_bias[k]
        _add_product(hidden, 0, net.embed_out[k], token)
    tokens += _attended(_standardised(tokens), count, net)
    hidden = _biased(len(tokens), net.mlp_in_bias)
    _add_product(_standardised(tokens), 0, net.mlp_in, hidden)
    _gelu(hidden)
    tokens += net.mlp_out_bias
    _add_product(hidden, 0, net.mlp_out, tokens)
    out = _biased(batch, net.out_bias)
    for k in range(count):
        _add_product(tokens[k * batch : (k + 1) * batch], 0, net.out[k], out)
    _gelu(out)
    return out


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _attended(tokens: Single, count: int, net: Transformer) -> Single:
    """What every token learns from those of its row, shape ``(T N, W)``."""
    inner = net.project.shape[0]
    width, batch = inner // net.heads, len(tokens) // count
    qkv = _biased(len(tokens), net.qkv_bias)
    _add_product(tokens, 0, net.qkv, qkv)
    mixed = np.zeros((len(tokens), inner), np.float32)
    shares = np.empty(count, np.float32)
    for n in range(batch):
        for start in range(0, inner, width):
            for i in range(count):
                query = qkv[i * batch + n, start : start + width]
                top = np.float32(-np.inf)
                for j in range(count):
                    key = qkv[j * batch + n, inner + start : inner + start + width]
                    score = np.float32(0.0)
                    for a in range(width):
                        score += query[a] * key[a]
                    shares[j] = score
                    top = max(top, score)
                total = np.float32(0.0)
                for j in range(count):
                    shares[j] = np.exp(shares[j] - top)
                    total += shares[j]
                target = mixed[i * batch + n, start : start + width]
                for j in range(count):
                    share = shares[j] / total
                    value = qkv[j * batch + n, 2 * inner + start : 2 * inner + start + width]
                    for a in range(width):
                        target[a] += share * value[a]
    out = _biased(len(tokens), net.project_bias)
    _add_product(mixed, 0, net.project, out)
    return out


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _add_product(x: Single, at: int, weight: Single, y: Single) -> None:
    """Add ``x[:, at:] @ weight`` to y, four inputs at a time."""
    inputs, outputs = weight.shape
    whole = inputs - inputs % 4
    for i in range(0, whole, 4):
        w0, w1, w2, w3 = weight[i], weight[i + 1], weight[i + 2], weight[i + 3]
        for n in range(len(x)):
            row = y[n]
            a, b, c, d = x[n, at + i], x[n, at + i + 1], x[n, at + i + 2], x[n, at + i + 3]
            for j in range(outputs):
                row[j] += a * w0[j] + b * w1[j] + c * w2[j] + d * w3[j]
    for i in range(whole, inputs):
        for n in range(len(x)):
            for j in range(outputs):
                y[n, j] += x[n, at + i] * weight[i, j]


@njit(cache=True, error_model="numpy")
def _biased(count: int, bias: Single) -> Single:
    y = np.empty((count, len(bias)), np.float32)
    y[:] = bias
    return y


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _standardised(x: Single) -> Single:
    """Rows with mean 0 and variance 1 (layer norm before its scale and shift)."""
    y = np.empty_like(x)
    width = np.float32(x.shape[1])
    for n in range(len(x)):
        mean = np.float32(0.0)
        for j in range(x.shape[1]):
            mean += x[n, j]
        mean /= width
        variance = np.float32(0.0)
        for j in range(x.shape[1]):
            y[n, j] = x[n, j] - mean
            variance += y[n, j] * y[n, j]
        scale = np.float32(1.0) / np.sqrt(variance / width + np.float32(1e-5))
        for j in range(x.shape[1]):
            y[n, j] *= scale
    return y


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _gelu(x: Single) -> None:
    """The tanh form in place, as ``extractors.py`` asks torch for: x over 1 + exp(-2 u)."""
    flat = x.ravel()
    for i in range(len(flat)):
        value = flat[i]
        u = np.float32(0.7978845608) * (value + np.float32(0.044715) * value * value * value)
        flat[i] = value / (np.float32(1.0) + np.exp(np.float32(-2.0) * u))


@njit(cache=True, error_model="numpy")
def _activate(x: Single, hyperbolic: bool) -> None:
    flat = x.ravel()
    for i in range(len(flat)):
        flat[i] = np.tanh(flat[i]) if hyperbolic else max(flat[i], np.float32(0.0))
