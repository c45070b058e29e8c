"""Smoothing: move the spread between channels from activations, where it costs levels, into the weights.

SmoothQuant (arXiv 2211.10438, section 4): for a positive vector s, ``x W^T = (x / s) (W s)^T``. The division
costs nothing, as it goes into the weight and bias of the LayerNorm that makes x; what adds x to the residual
stream multiplies by s again.
"""

from __future__ import annotations

import numpy as np

__all__ = ["smoothing"]

_STRENGTH = 0.55
"""Of 0 (leave the activations alone) to 1 (make their channels equal)."""
_LARGEST = 32.0


def smoothing(inputs: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Choose the divisors of the inputs of a linear layer.

    Parameters
    ----------
    inputs : ndarray [shape=(tokens, K), dtype=float32]
    weight : ndarray [shape=(N, K), dtype=float32]

    Returns
    -------
    ndarray [shape=(K,), dtype=float32]
        Between 1/32 and 32, its geometric mean about 1; 1 where an input or its weights are all zero.
    """
    largest_input, largest_weight = np.abs(inputs).max(axis=0), np.abs(weight).max(axis=0)
    used = (largest_input > 0) & (largest_weight > 0)
    logarithms = np.zeros(len(used))
    logarithms[used] = _STRENGTH * np.log(largest_input[used]) - (1 - _STRENGTH) * np.log(largest_weight[used])
    logarithms[used] -= logarithms[used].mean() if used.any() else 0
    limit = np.log(_LARGEST)
    return np.exp(np.clip(logarithms, -limit, limit)).astype(np.float32)
