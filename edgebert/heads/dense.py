"""A float32 linear layer for heads, whose result for a row does not depend on the other rows."""

from __future__ import annotations

import numpy as np

from edgebert.engine.backend import Backend
from edgebert.kernels.plan import whole_vectors

__all__ = ["Dense"]


class Dense:
    """x W^T + bias.

    Parameters
    ----------
    weight : ndarray [shape=(N, K)]
    bias : ndarray [shape=(N,)]
    backend : Backend
    """

    def __init__(self, weight: np.ndarray, bias: np.ndarray, backend: Backend) -> None:
        N, K = weight.shape
        self._columns = np.zeros((K, whole_vectors(N)), np.float32)
        self._columns[:, :N] = weight.T
        self._bias = bias
        self._backend = backend

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Apply the layer: float32 (M, K) -> float32 (M, N)."""
        product = self._backend.dense(np.ascontiguousarray(x, np.float32), self._columns)
        return product[:, : len(self._bias)] + self._bias
