"""From the hidden states of a text's tokens to one vector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from edgebert.engine.backend import Backend
from edgebert.heads.dense import Dense, activate

__all__ = ["DENSE_ACTIVATIONS", "POOLINGS", "Embedding", "dense_name", "pool", "unit"]

POOLINGS = ("mean", "cls", "max", "weightedmean", "lasttoken", "mean_sqrt_len_tokens")
"""The names are those of sentence-transformers."""

DENSE_ACTIVATIONS = {"Tanh": "tanh", "ReLU": "relu", "GELU": "gelu", "Identity": ""}
"""torch's name of what stands behind a Dense module -> ours."""


def pool(hidden: np.ndarray, pooling: str) -> np.ndarray:
    """Pool one text.

    Parameters
    ----------
    hidden : ndarray [shape=(T, H), dtype=float32]
        T at least 1.
    pooling : str
        ``"mean"`` of the tokens (arXiv 1908.10084, section 3), the first one's (``"cls"``), the last one's
        (``"lasttoken"``), their ``"max"``, the mean with weights 1, 2, 3, ... (``"weightedmean"``, arXiv 2202.08904,
        section 3.2), or the sum over the square root of their number (``"mean_sqrt_len_tokens"``).

    Returns
    -------
    ndarray [shape=(H,), dtype=float32]
    """
    if pooling == "cls":
        return hidden[0].copy()  # a view would keep the whole batch
    if pooling == "lasttoken":
        return hidden[-1].copy()
    if pooling == "max":
        return hidden.max(axis=0)
    if pooling == "weightedmean":
        weights = np.arange(1, len(hidden) + 1, dtype=np.float64)
        return (weights @ hidden / weights.sum()).astype(np.float32)
    mean = np.add.reduce(hidden, axis=0) / np.float32(len(hidden))  # as hidden.mean, without its detours
    return mean * np.float32(np.sqrt(len(hidden))) if pooling == "mean_sqrt_len_tokens" else mean


def unit(vector: np.ndarray) -> np.ndarray:
    """Bring a vector to length one; zero stays zero."""
    length = np.sqrt(np.square(vector, dtype=np.float64).sum())
    return (vector / max(length, 1e-12)).astype(np.float32)


def dense_name(i: int) -> str:
    """Return the name of a model's i-th Dense module behind the pooling."""
    return f"sentence_dense.{i}"


class Embedding:
    """What sentence-transformers does behind the encoder: pooling, Dense modules, normalisation.

    Parameters
    ----------
    tensors : mapping of str to ndarray
        With the weights of the Dense modules, named by `dense_name`.
    activations : sequence of str
        Of each Dense module; empty for none.
    pooling : str
    normalize : bool
    backend : Backend
    """

    def __init__(
        self,
        tensors: Mapping[str, np.ndarray],
        activations: Sequence[str],
        pooling: str,
        normalize: bool,
        backend: Backend,
    ) -> None:
        self.pooling, self.normalize = pooling, normalize
        self._dense = [Dense(tensors, dense_name(i), backend) for i in range(len(activations))]
        self._activations = activations

    def __call__(
        self, hidden: np.ndarray, pooling: str | None, normalize: bool | None, dimensions: int | None
    ) -> np.ndarray:
        """Compute the vector of one text, float32 (dimensions,), from its hidden states, (T, H); see `Model.embed`."""
        vector = pool(hidden, pooling or self.pooling)
        for dense, activation in zip(self._dense, self._activations, strict=True):
            vector = dense(vector[None])[0]
            vector = activate(vector, activation) if activation else vector
        vector = vector[:dimensions]  # arXiv 2205.13147: the first are the most important
        return unit(vector) if (self.normalize if normalize is None else normalize) else vector
