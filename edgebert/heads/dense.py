"""A float32 linear layer for heads, whose result for a row does not depend on the other rows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgebert import functions
from edgebert.config import ACTIVATIONS
from edgebert.engine.backend import Layers
from edgebert.exact import tanh
from edgebert.kernels.plan import whole_vectors

__all__ = ["Dense", "activate", "columns_of"]


class Dense:
    """x W^T + bias.

    Parameters
    ----------
    tensors : mapping of str to ndarray
        With ``name.weight`` (N, K) and ``name.bias`` (N,).
    name : str
    backend : Layers
    """

    def __init__(self, tensors: Mapping[str, np.ndarray], name: str, backend: Layers) -> None:
        self._columns = columns_of(tensors[f"{name}.weight"])
        self._bias = tensors[f"{name}.bias"]
        self._backend = backend

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Apply the layer: float32 (M, K) -> float32 (M, N)."""
        product = self._backend.dense(np.ascontiguousarray(x, np.float32), self._columns)
        return product[:, : len(self._bias)] + self._bias


def columns_of(weight: np.ndarray) -> np.ndarray:
    """Lay a weight out as the kernel reads it: (N, K) -> float32 (K, N padded to 16)."""
    N, K = weight.shape
    columns = np.zeros((K, whole_vectors(N)), np.float32)
    columns[:, :N] = weight.T
    return columns


def activate(x: np.ndarray, name: str) -> np.ndarray:
    """Apply ``"tanh"`` or one of `ACTIVATIONS` by its name in a config.json: float32 to the same shape."""
    if name == "tanh":
        return tanh(x).astype(np.float32)
    return functions.activate(x, ACTIVATIONS[name])
