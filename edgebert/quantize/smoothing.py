"""Smoothing: channels with large activations hand a part of their size to the weights.

SmoothQuant (arXiv 2211.10438, section 4): for a positive vector s, ``x W^T = (x / s) (W s)^T``. The division costs next
to nothing: it goes into the LayerNorm that makes x (what adds x to the residual stream multiplies by s again), into the
projection of the values, or behind the activation of the intermediate layer.
"""

from __future__ import annotations

import numpy as np

from edgebert.exact import exp, log, matmul, mean, total
from edgebert.kernels import reference
from edgebert.kernels.plan import group_size, padded
from edgebert.quantize.law import channel_scale

__all__ = ["ALWAYS", "WHEN_NEEDED", "smoothing"]

ALWAYS, WHEN_NEEDED = (0.55, 0.7, 0.85), (None, 0.55, 0.7, 0.85)
"""Strengths to choose from: 1 makes the channels of the activations equal, None leaves all as it is. The first is the
best for most layers: what a LayerNorm makes gains by smoothing, values and the intermediate activations seldom do."""
_WORTH = 0.8
"""Share of the usual strength's error that another one must come below to be taken."""
_LARGEST = 1024.0
_SAMPLE = 1024
"""Tokens that a strength is tried on."""
_TYPICAL_LEVELS = 90
"""Levels that rounding gives to the largest weight of a channel, on the average."""


def smoothing(inputs: np.ndarray, weight: np.ndarray, strengths: tuple[float | None, ...] = ALWAYS) -> np.ndarray:
    """Choose the divisors of the inputs of a linear layer.

    Parameters
    ----------
    inputs : ndarray [shape=(tokens, K), dtype=float32]
    weight : ndarray [shape=(N, K), dtype=float32]
    strengths : tuple
        `ALWAYS` or `WHEN_NEEDED`.

    Returns
    -------
    ndarray [shape=(K,), dtype=float32]
        Between 1/1024 and 1024, its geometric mean about 1; 1 where an input or its weights are all zero.
    """
    sample = inputs[:: max(1, -(-len(inputs) // _SAMPLE))]
    candidates = [_divisors(inputs, weight, strength) for strength in strengths]
    exact = matmul(sample, weight.T)  # which no divisors change
    errors = [_error(sample / divisors, weight * divisors, exact) for divisors in candidates]
    best = int(np.argmin(errors))
    return candidates[best if errors[best] < _WORTH * errors[0] else 0]


def _divisors(inputs: np.ndarray, weight: np.ndarray, strength: float | None) -> np.ndarray:
    if strength is None:
        return np.ones(inputs.shape[1], np.float32)
    largest_input, largest_weight = np.abs(inputs).max(axis=0, initial=0), np.abs(weight).max(axis=0)
    used = (largest_input > 0) & (largest_weight > 0)
    logarithms = np.zeros(len(used))
    if used.any():
        logarithms[used] = strength * log(largest_input[used]) - (1 - strength) * log(largest_weight[used])
        logarithms[used] -= mean(logarithms[used])
    return np.clip(exp(logarithms), 1 / _LARGEST, _LARGEST).astype(np.float32)


def _error(inputs: np.ndarray, weight: np.ndarray, exact: np.ndarray) -> float:
    """Return the squared error that plain rounding of both would make in the outputs, exact (tokens, N)."""
    group = group_size(padded(inputs.shape[1]))
    seen = reference.dequantize_rows(*reference.quantize_rows(inputs, group), group)
    scale = channel_scale(weight, _TYPICAL_LEVELS)[:, None]
    difference = matmul(seen, (np.rint(weight / scale) * scale).T) - exact
    return float(total(total(difference * difference, 0)))
