"""From the hidden states of a text's tokens to one vector."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from edgebert.engine.backend import Backend
from edgebert.heads.dense import Dense, activate

__all__ = [
    "DENSE_ACTIVATIONS",
    "DenseModules",
    "DenseStep",
    "Embedding",
    "Pipeline",
    "dense_name",
    "pool",
    "poolings_of",
    "unit",
]

DENSE_ACTIVATIONS = {"Tanh": "tanh", "ReLU": "relu", "GELU": "gelu", "Identity": ""}
"""torch's name of what stands behind a Dense module -> ours."""


class DenseStep(NamedTuple):
    """A Dense module: (N, K), the activation behind it (empty for none), whether what it gets has length one first."""

    N: int
    K: int
    activation: str
    unit_input: bool = False

    @property
    def row(self) -> list[int | str | bool]:
        """As an .edgebert file has it: the last field where it is true, which older versions refuse."""
        return list(self if self.unit_input else self[:3])


@dataclasses.dataclass(frozen=True)
class Pipeline:
    """What comes behind the encoder of a model for embeddings, in this order.

    Attributes
    ----------
    pooling : str
        Of `POOLINGS`, or several joined by ``+``: their vectors, one after the other.
    dense : tuple of DenseStep
    normalize : bool
        Whether the result has length one.
    truncate_dim : int
        How many of the first values are kept, of vectors that are no longer of length one then; 0 for all.
    """

    pooling: str = "mean"
    dense: tuple[DenseStep, ...] = ()
    normalize: bool = False
    truncate_dim: int = 0

    def width(self, hidden_size: int, pooling: str | None = None) -> int:
        """Return the size of a vector before it is truncated, of a pooling other than the model's if there is one."""
        return self.dense[-1].N if self.dense else hidden_size * len(poolings_of(pooling or self.pooling))

    def dimensions(self, hidden_size: int, pooling: str | None = None) -> int:
        """Return the size of a vector."""
        width = self.width(hidden_size, pooling)
        return min(width, self.truncate_dim or width)


def poolings_of(pooling: str) -> list[str]:
    """Return the poolings that a name joins: ``"mean+max"`` are two."""
    return pooling.split("+")


def pool(hidden: np.ndarray, pooling: str, first: int = 0) -> np.ndarray:
    """Pool one text.

    Parameters
    ----------
    hidden : ndarray [shape=(T, H), dtype=float32]
        T at least 1.
    pooling : str
        ``"mean"`` of the tokens (arXiv 1908.10084, section 3), the first one's (``"cls"``), the last one's
        (``"lasttoken"``), their ``"max"``, the mean with weights 1, 2, 3, ... (``"weightedmean"``, arXiv 2202.08904,
        section 3.2), or the sum over the square root of their number (``"mean_sqrt_len_tokens"``). Several, joined by
        ``+``, give their vectors one after the other.
    first : int
        Tokens before the first that counts, the prompt's; the others keep the weights of their places.

    Returns
    -------
    ndarray [shape=(H * poolings,), dtype=float32]
    """
    if "+" in pooling:
        return np.concatenate([pool(hidden, each, first) for each in poolings_of(pooling)])
    hidden = hidden[first:]
    if pooling == "cls":
        return hidden[0].copy()  # a view would keep the whole batch
    if pooling == "lasttoken":
        return hidden[-1].copy()
    if pooling == "max":
        return hidden.max(axis=0)
    if pooling == "weightedmean":
        weights = np.arange(first + 1, first + len(hidden) + 1, dtype=np.float64)
        # Row by row, not by BLAS, whose order of sums is the processor's.
        return (np.add.reduce(weights[:, None] * hidden, axis=0) / weights.sum()).astype(np.float32)
    mean = np.add.reduce(hidden, axis=0) / np.float32(len(hidden))  # as hidden.mean, without its detours
    return mean * np.float32(np.sqrt(len(hidden))) if pooling == "mean_sqrt_len_tokens" else mean


def unit(vectors: np.ndarray) -> np.ndarray:
    """Bring a vector, or each of several, to length one: float32 (..., dimensions); zero stays zero."""
    lengths = np.sqrt(np.square(vectors, dtype=np.float64).sum(axis=-1, keepdims=True))
    return (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)


def dense_name(i: int) -> str:
    """Return the name of a model's i-th Dense module behind the pooling."""
    return f"sentence_dense.{i}"


class DenseModules:
    """The Dense modules of a pipeline, one behind the other.

    Parameters
    ----------
    tensors : mapping of str to ndarray
        With their weights, named by `dense_name`.
    pipeline : Pipeline
    backend : Backend
    """

    def __init__(self, tensors: Mapping[str, np.ndarray], pipeline: Pipeline, backend: Backend) -> None:
        self._layers = [(step, Dense(tensors, dense_name(i), backend)) for i, step in enumerate(pipeline.dense)]

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """Apply all: float32 (M, inputs of the first) -> (M, outputs of the last)."""
        for step, dense in self._layers:
            vectors = dense(unit(vectors) if step.unit_input else vectors)
            vectors = activate(vectors, step.activation) if step.activation else vectors
        return vectors


class Embedding:
    """What sentence-transformers does behind the encoder: pooling, Dense modules, normalisation, truncation.

    Parameters
    ----------
    tensors : mapping of str to ndarray
        With the weights of the Dense modules, named by `dense_name`.
    pipeline : Pipeline
    backend : Backend
    """

    def __init__(self, tensors: Mapping[str, np.ndarray], pipeline: Pipeline, backend: Backend) -> None:
        self.pipeline = pipeline
        self._dense = DenseModules(tensors, pipeline, backend)

    def __call__(
        self,
        hidden: np.ndarray,
        pooling: str | None = None,
        normalize: bool | None = None,
        dimensions: int | None = None,
        first: int = 0,
    ) -> np.ndarray:
        """Compute the vector of one text, float32 (dimensions,), from its hidden states, (T, H).

        The options are those of `Model.embed`, None for what the model's makers meant; `first` as for `pool`.
        """
        pipeline = self.pipeline
        vector = self._dense(pool(hidden, pooling or pipeline.pooling, first)[None])[0]
        if dimensions is None and normalize is None:
            # As sentence-transformers does it: what it cuts off, it cuts off at the end.
            vector = unit(vector) if pipeline.normalize else vector
            return vector[: pipeline.truncate_dim or None]
        vector = vector[: dimensions or pipeline.truncate_dim or None]  # arXiv 2205.13147: the first matter most
        return unit(vector) if (pipeline.normalize if normalize is None else normalize) else vector
