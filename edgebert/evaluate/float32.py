"""The encoder in float32, as it was trained: what an int8 model is measured against.

Its bits are the same on every computer (`edgebert.exact`): a receipt is a part of the file.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Mapping

import numpy as np

from edgebert.batch import PackedBatch
from edgebert.checkpoint import open_checkpoint
from edgebert.config import BertConfig
from edgebert.engine.backend import Linear
from edgebert.exact import exp, multiply, total
from edgebert.kernels import reference
from edgebert.model import Model
from edgebert.runner import token_budget

__all__ = ["Float32Backend", "encode", "load_float32"]


def load_float32(source: str | os.PathLike[str]) -> Model:
    """Load a trained model as it is, to ask it in float32 what its int8 model is asked; slow.

    Parameters
    ----------
    source : path or str
        What `edgebert.convert` takes.

    Raises
    ------
    CheckpointError
    """
    checkpoint = open_checkpoint(source)
    return Model(checkpoint, Float32Backend(checkpoint.info.config, checkpoint.tensors))


def encode(config: BertConfig, weights: Mapping[str, np.ndarray], batch: PackedBatch) -> np.ndarray:
    """Run BERT's encoder (arXiv 1810.04805, section 3) on a packed batch.

    Parameters
    ----------
    config : BertConfig
    weights : mapping of str to ndarray [dtype=float32]
        A checkpoint's tensors.
    batch : PackedBatch

    Returns
    -------
    ndarray [shape=(T, hidden_size), dtype=float32]
        Within 2e-5 of transformers'.
    """

    def linear(x: np.ndarray, name: str) -> np.ndarray:
        return multiply(x, weights[f"{name}.weight"].T) + weights[f"{name}.bias"]

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        return reference.layer_norm(x, weights[f"{name}.weight"], weights[f"{name}.bias"], config.layer_norm_eps)

    x = weights["embeddings.word_embeddings.weight"][batch.input_ids]
    x = x + weights["embeddings.token_type_embeddings.weight"][batch.token_type_ids]
    x = norm(x + weights["embeddings.position_embeddings.weight"][batch.position_ids], "embeddings.LayerNorm")
    if config.projects_embeddings:
        x = linear(x, "embeddings_project")
    bias = reference.position_bias(config, weights)
    for i in range(config.num_hidden_layers):
        layer = f"encoder.layer.{i}"
        query, key, value = (linear(x, f"{layer}.attention.self.{part}") for part in ("query", "key", "value"))
        context = attend(query, key, value, batch.cu_seqlens, config.num_attention_heads, bias)
        x = norm(x + linear(context, f"{layer}.attention.output.dense"), f"{layer}.attention.output.LayerNorm")
        inner = reference.activate(linear(x, f"{layer}.intermediate.dense"), config.activation)
        x = norm(x + linear(inner, f"{layer}.output.dense"), f"{layer}.output.LayerNorm")
    return x


def attend(
    query: np.ndarray,
    key: np.ndarray,
    value: np.ndarray,
    cu_seqlens: np.ndarray,
    heads: int,
    bias: np.ndarray | None = None,
) -> np.ndarray:
    """Attend within each sequence (arXiv 1706.03762, section 3.2): float32 (T, H) each, to the same.

    `bias` as in `reference.attend`.
    """
    T, H = query.shape
    by_head = [array.reshape(T, heads, H // heads).transpose(1, 0, 2) for array in (query, key, value)]
    context = np.empty((T, heads, H // heads), np.float32)
    for begin, end in itertools.pairwise(cu_seqlens):
        if begin == end:
            continue
        q, k, v = (array[:, begin:end] for array in by_head)
        scores = multiply(q, k.transpose(0, 2, 1)) / np.float32(math.sqrt(H // heads))
        if bias is not None:
            scores += reference.between(bias, end - begin)
        numerators = exp(scores - scores.max(axis=2, keepdims=True))
        weights = (numerators / total(numerators)[..., None]).astype(np.float32)
        context[begin:end] = multiply(weights, v).transpose(1, 0, 2)
    return context.reshape(T, H)


class Float32Backend:
    """A checkpoint that computes, in the place of the engine (`edgebert.engine.backend.Backend`)."""

    device, family, threads = "cpu", "float32", 1
    memory: tuple[int, int] | None = None

    def __init__(self, config: BertConfig, tensors: Mapping[str, np.ndarray]) -> None:
        self._config, self.token_budget = config, token_budget(config)
        # A checkpoint reads them anew each time; those of heads are the heads' own matter.
        own = ("embeddings", "encoder.")
        self._weights = {name: tensors[name] for name in tensors if name.startswith(own)}

    def encode(self, batch: PackedBatch) -> np.ndarray:
        """Return the last hidden states, float32 (T, hidden_size)."""
        return encode(self._config, self._weights, batch)

    def dense(self, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Multiply float32 (M, K) by (K, N)."""
        return multiply(x, weight)

    def linear(self, tensors: Mapping[str, np.ndarray], name: str, N: int) -> Linear:  # noqa: ARG002
        """Return a linear layer, which maps float32 (M, K) to (M, N)."""
        weight, bias = tensors[f"{name}.weight"], tensors[f"{name}.bias"]
        return lambda x: multiply(x, weight.T) + bias
