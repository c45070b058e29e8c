"""The steps of an encoder in float32, as it was trained; every bit is the same on every computer (`edgebert.exact`)."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from edgebert.architecture import Attention, Encoder, Linear, Norm
from edgebert.batch import PackedBatch, spans
from edgebert.exact import exp, multiply, total
from edgebert.functions import activate, layer_norm, rms_norm
from edgebert.positions import (
    angles_of,
    between,
    blocks,
    distances_of,
    of_distances,
    rotate,
    rows_of_distances,
    split_heads,
    unseen,
)
from edgebert.steps import AddAndNorm, Attend, Expand, Place, Project, ProjectHeads, run

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

    def embed(self) -> np.ndarray:
        """Sum word, type and position, in this order."""
        batch, tables = self._batch, self._embeddings
        x = self._weights[f"{tables.words.name}.weight"][batch.input_ids] * np.float32(tables.scale)
        for table, rows in ((tables.token_types, batch.token_type_ids), (tables.positions, batch.position_ids)):
            if table:
                x = x + self._weights[f"{table.name}.weight"][rows]
        return x

    def project(self, step: Project, x: np.ndarray) -> np.ndarray:
        """Multiply."""
        return self._linear(step.linear, x)

    def project_heads(self, step: ProjectHeads, x: np.ndarray) -> np.ndarray:
        """Multiply by the three projections; normalise and turn queries and keys."""
        attention = step.attention
        product = self._linear(attention.query_key_value, x)
        slots = product.reshape(len(x), sum(attention.slots), attention.head_dim)
        queries, keys, _ = attention.slots
        for own, norm in (
            (slice(queries), attention.query_norm),
            (slice(queries, queries + keys), attention.key_norm),
        ):
            if norm:
                slots[:, own] = rms_norm(slots[:, own], self._weight_of(norm), norm.eps)
        if attention.rotary:
            positions, turned = self._batch.position_ids, slice(queries + keys)
            angles = angles_of(attention, positions.max(initial=0) + 1)[positions]
            slots[:, turned] = rotate(slots[:, turned], angles)
        return product

    def attend(self, step: Attend, query_key_value: np.ndarray) -> np.ndarray:
        """Attend within each sequence."""
        attention = step.attention
        query, key, value = split_heads(query_key_value, attention)
        bias = distances_of(attention, self._weights, self._longest)
        distances = self.heads_of_distances(attention) if attention.disentangled else None
        batch = self._batch
        return attend(query, key, value, batch.cu_seqlens, attention, bias, distances, batch.key_counts)

    def heads_of_distances(self, attention: Attention) -> tuple[np.ndarray, np.ndarray]:
        """Return the queries and the keys that stand for distances, float32 (rows, heads, head_dim)."""
        assert attention.disentangled
        norm = attention.disentangled.norm
        rows = self._weights[f"{attention.disentangled.table.name}.weight"]
        rows = self.normalise(norm, rows, Place.BRANCH) if norm else rows
        query, key, _ = split_heads(self._linear(attention.query_key_value, rows), attention)
        return query, key

    def expand(self, step: Expand, x: np.ndarray) -> np.ndarray:
        """Multiply and activate."""
        part = step.feed_forward
        product = self._linear(part.intermediate, x)
        if not part.gated:
            return activate(product, part.activation)
        inner, gate = np.split(product, 2, axis=1)[:: -1 if part.gate_first else 1]
        return activate(inner, part.activation) * gate

    def add(self, step: AddAndNorm, residual: np.ndarray, branch: np.ndarray) -> np.ndarray:  # noqa: ARG002
        """Add."""
        return residual + branch

    def normalise(self, norm: Norm, x: np.ndarray, target: Place) -> np.ndarray:  # noqa: ARG002
        """Normalise."""
        weight = self._weight_of(norm)
        return rms_norm(x, weight, norm.eps) if norm.rms else layer_norm(x, weight, self._bias_of(norm), norm.eps)

    def _linear(self, linear: Linear, x: np.ndarray) -> np.ndarray:
        """Multiply by each of the layers that the checkpoint has in the place of one."""
        outputs = [
            multiply(x, self._weights[f"{name}.weight"].T) + self._weights[f"{name}.bias"] for name in linear.stored
        ]
        return outputs[0] if len(outputs) == 1 else np.concatenate(outputs, axis=1)

    def _weight_of(self, norm: Norm) -> np.ndarray:
        weight = self._weights[f"{norm.stored}.weight"]
        return weight + np.float32(norm.offset) if norm.offset else weight

    def _bias_of(self, norm: Norm) -> np.ndarray:
        return self._weights[f"{norm.stored}.bias"]


def attend(
    query: np.ndarray,
    key: np.ndarray,
    value: np.ndarray,
    cu_seqlens: np.ndarray,
    attention: Attention,
    bias: np.ndarray | None = None,
    of_distance: tuple[np.ndarray, np.ndarray] | None = None,
    key_counts: np.ndarray | None = None,
) -> np.ndarray:
    """Attend within each sequence (arXiv 1706.03762, section 3.2).

    Parameters
    ----------
    query, key, value : ndarray [shape=(T, heads, head_dim), dtype=float32]
    cu_seqlens : ndarray [shape=(B + 1,), dtype=int32]
    attention : Attention
    bias : ndarray [shape=(heads, 2 * P - 1), dtype=float32], optional
        What a distance adds to a scaled score (`edgebert.positions`).
    of_distance : tuple of ndarray [shape=(rows, heads, head_dim), dtype=float32], optional
        The queries and the keys that stand for distances (`edgebert.architecture.Disentangled`).
    key_counts : ndarray [shape=(B,), dtype=int32], optional
        How many of each sequence's first tokens are attended to; by default all.

    Returns
    -------
    ndarray [shape=(T, heads * head_dim), dtype=float32]
    """
    by_head = [array.transpose(1, 0, 2) for array in (query, key, value)]
    T, heads, head_dim = query.shape
    context = np.empty((T, heads, head_dim), np.float32)
    for begin, end, attended in spans(cu_seqlens, key_counts):
        q, k, v = (array[:, begin:end] for array in by_head)
        for queries, keys, distances in blocks(end - begin, attention.window, attended):
            scores = multiply(q[:, queries], k[:, keys].transpose(0, 2, 1))
            if of_distance:
                assert attention.disentangled
                their_queries, their_keys = (each.transpose(1, 2, 0) for each in of_distance)
                rows = rows_of_distances(attention.disentangled, distances)
                by_query, by_key = multiply(q[:, queries], their_keys), multiply(k[:, keys], their_queries)
                scores = sum(of_distances(by_query, by_key, rows), scores)
            # Divided by a root, as most models do; or multiplied.
            scores = scores * np.float32(attention.scale) if attention.scale else scores / _root(attention)
            if bias is not None:
                scores += between(bias, distances)
            scores[:, unseen(attention, distances)] = -np.inf
            numerators = exp(scores - scores.max(axis=2, keepdims=True))
            weights = (numerators / total(numerators)[..., None]).astype(np.float32)
            context[begin:end][queries] = multiply(weights, v[:, keys]).transpose(1, 0, 2)
    return context.reshape(T, heads * head_dim)


def _root(attention: Attention) -> np.float32:
    return np.float32(math.sqrt(attention.head_dim))
