"""Activations and LayerNorm in NumPy, whose bits are the same on every computer (`edgebert.exact`).

Heads, the float32 encoder, the quantizer and the reference compute with them; kernels are tested against them.
"""

from __future__ import annotations

import math

import numpy as np

from edgebert.exact import erf, mean, multiply, tanh, total

__all__ = ["activate", "layer_norm", "lstm", "rms_norm", "sigmoid"]

_SIGMOID_SLOPES = {"silu": 1.0, "quick": 1.702}
_PIECE = 1 << 14


def activate(x: np.ndarray, form: str) -> np.ndarray:
    """Apply the activation of an intermediate layer: float32 to the same shape.

    Parameters
    ----------
    x : ndarray [dtype=float32]
    form : str
        Of GELU (arXiv 1606.08415) the exact ``"erf"``, the ``"tanh"`` or the ``"quick"`` form, x sigmoid(1.702 x);
        ``"silu"``, x sigmoid(x); ``"relu"``, max(x, 0).
    """
    if form == "relu":
        return np.maximum(x, np.float32(0))
    result = np.empty(x.size, np.float32)
    # Piece by piece: the many steps in float64 stay in the cache.
    for begin in range(0, x.size, _PIECE):
        exact = x.reshape(-1)[begin : begin + _PIECE].astype(np.float64)
        if form == "erf":
            inner = erf(exact / math.sqrt(2))
        elif form == "tanh":
            inner = tanh(math.sqrt(2 / math.pi) * (exact + 0.044715 * (exact * exact * exact)))
        else:
            # sigmoid(x) = (1 + tanh(x / 2)) / 2, which does not overflow.
            inner = tanh(exact * (_SIGMOID_SLOPES[form] / 2))
        result[begin : begin + _PIECE] = 0.5 * exact * (1 + inner)
    return result.reshape(x.shape)


def layer_norm(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, eps: float) -> np.ndarray:
    """Normalise rows (arXiv 1607.06450): float32 (M, H) -> the same."""
    exact = x.astype(np.float64)
    centred = exact - mean(exact, axis=1)[:, None]
    variance = mean(centred * centred, axis=1)[:, None]
    return (centred / np.sqrt(variance + eps) * weight + bias).astype(np.float32)


def rms_norm(x: np.ndarray, weight: np.ndarray, eps: float, size: int = 0) -> np.ndarray:
    """Divide rows by the root of the mean of their squares (arXiv 1910.07467): float32 (..., H) -> the same.

    `size` is how many values a row has, where it is padded with zeros.
    """
    exact = x.astype(np.float64)
    square = total(exact * exact)[..., None] / (size or x.shape[-1])
    return (exact / np.sqrt(square + eps) * weight).astype(np.float32)


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-x)): float32, or float64, to float64 of the same shape."""
    # Beyond 40 next to nothing is left; infinity is no argument of tanh's table.
    return 0.5 * (1 + tanh(np.clip(x.astype(np.float64), -40, 40) / 2))


def lstm(gates: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Take a sequence through a long short-term memory (doi 10.1162/neco.1997.9.8.1735, with gates to forget).

    Parameters
    ----------
    gates : ndarray [shape=(T, 4 size), dtype=float32]
        What the inputs and the biases bring to the input gate, the forget gate, the cell and the output gate.
    weight : ndarray [shape=(size, 4 size), dtype=float32]
        What the state of the step before is multiplied by.

    Returns
    -------
    ndarray [shape=(T, size), dtype=float32]
    """
    size = len(weight)
    states, state, cell = np.zeros((len(gates), size), np.float32), np.zeros(size, np.float32), np.zeros(size)
    for t, own in enumerate(gates):
        sums = (own + multiply(state[None], weight)[0]).reshape(4, size)
        enters, stays, leaves = sigmoid(sums[[0, 1, 3]])
        cell = stays * cell + enters * tanh(sums[2].astype(np.float64))
        states[t] = state = (leaves * tanh(cell)).astype(np.float32)
    return states
