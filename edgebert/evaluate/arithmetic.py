"""The steps of an encoder in float32, as it was trained; every bit is the same on every computer (`edgebert.exact`)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

import numpy as np

from edgebert.architecture import Encoder, Linear, Norm
from edgebert.batch import PackedBatch
from edgebert.exact import exp, multiply, total
from edgebert.functions import activate, layer_norm
from edgebert.positions import angles_of, between, blocks, distances_of, rotate
from edgebert.steps import AddAndNorm, Attend, Embed, Expand, Project, ProjectHeads, run

__all__ = ["Float32Arithmetic", "attend", "encode"]


def encode(encoder: Encoder, weights: Mapping[str, np.ndarray], batch: PackedBatch) -> np.ndarray:
    """Run an encoder on a packed batch, step by step (`edgebert.steps`).

    Parameters
    ----------
    encoder : Encoder
    weights : mapping of str to ndarray [dtype=float32]
        A checkpoint's tensors.
    batch : PackedBatch

    Returns
    -------
    ndarray [shape=(T, hidden_size), dtype=float32]
        Within 2e-5 of transformers'.
    """
    return run(encoder, Float32Arithmetic(encoder, weights, batch))


class Float32Arithmetic:
    """The steps in float32, on a checkpoint's tensors (`edgebert.steps.Arithmetic`)."""

    def __init__(self, encoder: Encoder, weights: Mapping[str, np.ndarray], batch: PackedBatch) -> None:
        self._embeddings, self._longest = encoder.embeddings, encoder.longest
        self._weights, self._batch = weights, batch

    def embed(self, step: Embed) -> np.ndarray:
        """Sum word, type and position, in this order, and normalise."""
        batch, tables = self._batch, self._embeddings
        x = self._weights[f"{tables.words.name}.weight"][batch.input_ids]
        for table, rows in ((tables.token_types, batch.token_type_ids), (tables.positions, batch.position_ids)):
            if table:
                x = x + self._weights[f"{table.name}.weight"][rows]
        return self._norm(step.norm, x)

    def project(self, step: Project, x: np.ndarray) -> np.ndarray:
        """Multiply."""
        return self._linear(step.linear, x)

    def project_heads(self, step: ProjectHeads, x: np.ndarray) -> np.ndarray:
        """Multiply by the three projections, and turn queries and keys."""
        attention = step.attention
        product = self._linear(attention.query_key_value, x)
        if attention.rotary is None:
            return product
        heads = product.reshape(len(x), -1, attention.head_dim)
        turned = 2 * attention.heads
        positions = self._batch.position_ids
        heads[:, :turned] = rotate(heads[:, :turned], angles_of(attention, positions.max(initial=0) + 1)[positions])
        return product

    def attend(self, step: Attend, query_key_value: np.ndarray) -> np.ndarray:
        """Attend within each sequence."""
        attention = step.attention
        query, key, value = np.split(query_key_value, 3, axis=1)
        bias = distances_of(attention, self._weights, self._longest)
        return attend(query, key, value, self._batch.cu_seqlens, attention.heads, bias, attention.window)

    def expand(self, step: Expand, x: np.ndarray) -> np.ndarray:
        """Multiply and activate."""
        part = step.feed_forward
        product = self._linear(part.intermediate, x)
        if not part.gated:
            return activate(product, part.activation)
        inner, gate = np.split(product, 2, axis=1)
        return activate(inner, part.activation) * gate

    def add(self, step: AddAndNorm, residual: np.ndarray, branch: np.ndarray) -> np.ndarray:  # noqa: ARG002
        """Add."""
        return residual + branch

    def normalise(self, step: AddAndNorm, x: np.ndarray) -> np.ndarray:
        """Normalise."""
        return self._norm(step.norm, x)

    def _linear(self, linear: Linear, x: np.ndarray) -> np.ndarray:
        """Multiply by each of the layers that the checkpoint has in the place of one."""
        outputs = [
            multiply(x, self._weights[f"{name}.weight"].T) + self._weights[f"{name}.bias"] for name in linear.stored
        ]
        return outputs[0] if len(outputs) == 1 else np.concatenate(outputs, axis=1)

    def _norm(self, norm: Norm, x: np.ndarray) -> np.ndarray:
        weight, bias = (self._weights[f"{norm.stored}.{part}"] for part in ("weight", "bias"))
        return layer_norm(x, weight, bias, norm.eps)


def attend(
    query: np.ndarray,
    key: np.ndarray,
    value: np.ndarray,
    cu_seqlens: np.ndarray,
    heads: int,
    bias: np.ndarray | None = None,
    window: int = 0,
) -> np.ndarray:
    """Attend within each sequence (arXiv 1706.03762, section 3.2): float32 (T, H) each, to the same.

    `bias` float32 (heads, 2 * P - 1) is what a distance adds to a scaled score (`edgebert.positions`); with a `window`,
    a token sees so many tokens to either side.
    """
    T, H = query.shape
    by_head = [array.reshape(T, heads, H // heads).transpose(1, 0, 2) for array in (query, key, value)]
    context = np.empty((T, heads, H // heads), np.float32)
    for begin, end in itertools.pairwise(cu_seqlens):
        q, k, v = (array[:, begin:end] for array in by_head)
        for queries, keys, distances in blocks(end - begin, window):
            scores = multiply(q[:, queries], k[:, keys].transpose(0, 2, 1)) / np.float32(math.sqrt(H // heads))
            if bias is not None:
                scores += between(bias, distances)
            if window:
                scores[:, np.abs(distances) > window] = -np.inf
            numerators = exp(scores - scores.max(axis=2, keepdims=True))
            weights = (numerators / total(numerators)[..., None]).astype(np.float32)
            context[begin:end][queries] = multiply(weights, v[:, keys]).transpose(1, 0, 2)
    return context.reshape(T, H)
