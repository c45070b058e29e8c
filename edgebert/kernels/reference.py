"""The encoder in integers, in NumPy: the definition of the numeric scheme that the compiled kernels implement.

It computes wherever NumPy does (``EDGEBERT_FAMILY=reference``), and the quantizer passes its calibration text through
it, so every bit is the same on every computer (`edgebert.exact`). Kernels are tested against it: integers must agree
exactly, floats within the tolerances of the tests, since sums are taken in another order. So that no fault can hide in
both, it shares no arithmetic and no constant with the kernels.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgebert.architecture import Embeddings, Encoder, FeedForward, Norm
from edgebert.batch import PackedBatch
from edgebert.functions import activate, layer_norm, rms_norm
from edgebert.kernels.plan import group_of_count
from edgebert.kernels.reference_heads import (
    attend,
    heads_of_distances,
    normalise_heads,
    quantize_heads,
    rotate_heads,
)
from edgebert.positions import distances_of
from edgebert.steps import AddAndNorm, Attend, Expand, Place, Project, ProjectHeads, run

__all__ = [
    "activate_gated",
    "attend",
    "dense",
    "dequantize_rows",
    "embed",
    "embed_words",
    "encode",
    "heads_of_distances",
    "linear",
    "matmul",
    "normalise",
    "normalise_heads",
    "quantize_heads",
    "quantize_rows",
    "rotate_heads",
    "undo_smoothing",
]

_LEVELS = np.float32(255)
_SMALLEST = np.float32(1e-30)
_INT4_GROUP = 64
_PANEL = 16
_BLOCK = 128


def quantize_rows(x: np.ndarray, group: int | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Quantize rows to uint8, with a scale and a zero point for each group of values (`edgebert.quantize.law`).

    Parameters
    ----------
    x : ndarray [shape=(M, K), dtype=float32], finite
    group : int, optional
        Values that share a scale; all of a row by default.

    Returns
    -------
    q : ndarray [shape=(M, K), dtype=uint8]
    scale, zero : ndarray [shape=(M, G), dtype=float32]
        The zero points are whole numbers.
    """
    group = group or max(x.shape[1], 1)
    parts = [_quantize_group(x[:, k : k + group]) for k in range(0, max(x.shape[1], 1), group)]
    q, scale, zero = zip(*parts, strict=True)
    return np.concatenate(q, axis=1), np.stack(scale, axis=1), np.stack(zero, axis=1)


def _quantize_group(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    low = np.minimum(x.min(axis=1, initial=0), np.float32(0))
    extent = np.maximum(x.max(axis=1, initial=0), np.float32(0)) - low
    empty = extent < _SMALLEST
    low, extent = np.where(empty, np.float32(0), low), np.where(empty, _LEVELS, extent)
    inverse = _LEVELS / extent
    zero = np.rint(-low * inverse) + np.float32(0)  # which makes a negative zero positive
    q = np.minimum(np.rint(x * inverse[:, None]) + zero[:, None], _LEVELS)
    return q.astype(np.uint8), extent / _LEVELS, zero


def dequantize_rows(q: np.ndarray, scale: np.ndarray, zero: np.ndarray, group: int) -> np.ndarray:
    """Undo `quantize_rows`: float32 (M, K)."""
    x = np.empty(q.shape, np.float32)
    for g in range(scale.shape[1]):
        own = slice(g * group, (g + 1) * group)
        np.subtract(q[:, own], zero[:, g, None], out=x[:, own])
        x[:, own] *= scale[:, g, None]
    return x


def matmul(
    q: np.ndarray,
    row_scale: np.ndarray,
    row_zero: np.ndarray,
    panels: np.ndarray,
    scale: np.ndarray,
    bias: np.ndarray,
    group: int | None = None,
) -> np.ndarray:
    """Multiply quantized rows by a quantized weight.

    Parameters
    ----------
    q : ndarray [shape=(M, K), dtype=uint8]
    row_scale, row_zero : ndarray [shape=(M, G), dtype=float32]
    panels : ndarray [shape=(N / 16, K / 4, 16, 4), dtype=int8]
    scale : ndarray [shape=(G, N), dtype=float32]
    bias : ndarray [shape=(N,), dtype=float32]
    group : int, optional
        Inputs that share a scale; all by default.

    Returns
    -------
    ndarray [shape=(M, N), dtype=float32]
    """
    outer, steps, columns, inputs = panels.shape
    weight = panels.transpose(1, 3, 0, 2).reshape(steps * inputs, outer * columns)
    weight = weight.astype(np.float32)
    result = np.empty((len(q), len(bias)), np.float32)
    for begin in range(0, len(q), _BLOCK):  # which stay in the cache
        rows = slice(begin, begin + _BLOCK)
        y = np.broadcast_to(bias, result[rows].shape)
        for g, factors in enumerate(scale):
            own = slice(g * group, (g + 1) * group) if group else slice(None)
            # Whole numbers below 2**24: float32 holds every sum exactly, in any order.
            exact = (q[rows, own] - row_zero[rows, g, None]) @ weight[own]
            scaled = exact * row_scale[rows, g, None]
            # One rounding for the multiplication and the addition together.
            y = (scaled.astype(np.float64) * factors + y).astype(np.float32)
        result[rows] = y
    return result


def unpack_int4(q: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Unpack rows of values in four bits: int8 (V, 32 G), float32 (V, G) -> float32 (V, 64 G)."""
    whole = q.astype(np.int32).reshape(len(q), -1, _INT4_GROUP // 2)
    values = np.concatenate([whole >> 4, (whole & 15) - 8], axis=2).astype(np.float32)
    return (values * scale[:, :, None]).reshape(len(q), -1)


def dense(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Multiply float32 (M, K) by (K, N), each row on its own."""
    return np.stack([(row.astype(np.float64) @ weight).astype(np.float32) for row in x]) if len(x) else x @ weight


def embed_words(tensors: Mapping[str, np.ndarray], name: str, ids: np.ndarray) -> np.ndarray:
    """Return the word embeddings of ids, from eight bits or four: float32 (T, E padded)."""
    word, scale = (tensors[f"{name}.{part}"][ids] for part in ("weight", "scale"))
    x = word.astype(np.float32) * scale[:, None] if scale.ndim == 1 else unpack_int4(word, scale)
    factor = tensors.get(f"{name}.factor")  # powers of two
    return x if factor is None else x * factor


def embed(embeddings: Embeddings, tensors: Mapping[str, np.ndarray], batch: PackedBatch) -> np.ndarray:
    """Sum the embeddings of every token: float32 (T, E padded)."""
    x = embed_words(tensors, embeddings.words.name, batch.input_ids)
    for table, rows in ((embeddings.positions, batch.position_ids), (embeddings.token_types, batch.token_type_ids)):
        if table:
            x += tensors[f"{table.name}.weight"][rows].astype(np.float32)
    return x


def normalise(norm: Norm, tensors: Mapping[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    """Apply a LayerNorm or RMSNorm: float32 (T, padded) to the same; what lies beyond its size stays zero."""
    weight, bias = (tensors[f"{norm.name}.{part}"][: norm.size] for part in ("weight", "bias"))
    result, own = np.zeros_like(x), x[:, : norm.size]
    normal = rms_norm(own, weight, norm.eps) if norm.rms else layer_norm(own, weight, bias, norm.eps)
    result[:, : norm.size] = normal
    return result


def undo_smoothing(step: AddAndNorm, tensors: Mapping[str, np.ndarray], residual: np.ndarray) -> np.ndarray:
    """Multiply the stream by what it was divided by, if it was."""
    return residual * tensors[f"{step.undo.name}.smoothing"] if step.undo else residual


def activate_gated(product: np.ndarray, part: FeedForward) -> np.ndarray:
    """Activate what an intermediate layer makes: float32 (T, N) -> (T, I padded).

    Where it is gated, 16 outputs that are activated and the 16 that they are multiplied by stand in turn.
    """
    if not part.gated:
        return activate(product, part.activation)
    inner, gate = product.reshape(len(product), -1, 2, _PANEL).transpose(2, 0, 1, 3).reshape(2, len(product), -1)
    return activate(inner, part.activation) * gate


def linear(tensors: Mapping[str, np.ndarray], x: np.ndarray, name: str) -> np.ndarray:
    """Quantize rows and multiply them by a linear layer of the model."""
    panels, scale, bias = (tensors[f"{name}.{part}"] for part in ("weight", "scale", "bias"))
    K = panels.shape[1] * panels.shape[3]
    group = group_of_count(K, len(scale))
    return matmul(*quantize_rows(_widened(x, K), group), panels, scale, bias, group)


def _widened(x: np.ndarray, K: int) -> np.ndarray:
    """Extend rows with zeros to K columns."""
    return np.pad(x, [(0, 0), (0, K - x.shape[1])])


def encode(encoder: Encoder, tensors: Mapping[str, np.ndarray], batch: PackedBatch) -> np.ndarray:
    """Run an encoder on a packed batch, step by step (`edgebert.steps`).

    Parameters
    ----------
    encoder : Encoder
    tensors : mapping of str to ndarray
        As in an .edgebert file.
    batch : PackedBatch

    Returns
    -------
    ndarray [shape=(T, hidden_size), dtype=float32]
    """
    return run(encoder, IntegerArithmetic(encoder, tensors, batch))[:, : encoder.hidden_size]


class IntegerArithmetic:
    """The steps on the tensors of an .edgebert file (`edgebert.steps.Arithmetic`); rows are padded with zeros."""

    def __init__(self, encoder: Encoder, tensors: Mapping[str, np.ndarray], batch: PackedBatch) -> None:
        self._encoder, self._tensors, self._batch = encoder, tensors, batch

    def embed(self) -> np.ndarray:
        """Sum the embeddings."""
        return embed(self._encoder.embeddings, self._tensors, self._batch)

    def project(self, step: Project, x: np.ndarray) -> np.ndarray:
        """Quantize and multiply."""
        return linear(self._tensors, x, step.linear.name)

    def project_heads(self, step: ProjectHeads, x: np.ndarray) -> np.ndarray:
        """Quantize and multiply by the three projections; normalise and turn queries and keys."""
        product = linear(self._tensors, x, step.attention.query_key_value.name)
        product = normalise_heads(product, step.attention, self._tensors)
        return rotate_heads(product, step.attention, self._batch.position_ids)

    def attend(self, step: Attend, query_key_value: np.ndarray) -> np.ndarray:
        """Attend within each sequence."""
        attention, batch = step.attention, self._batch
        bias = distances_of(attention, self._tensors, self._encoder.longest)
        of_distance = heads_of_distances(attention, self._tensors)
        return attend(query_key_value, batch.cu_seqlens, attention, bias, of_distance, batch.key_counts)

    def expand(self, step: Expand, x: np.ndarray) -> np.ndarray:
        """Quantize, multiply, activate, and apply the factors."""
        feed_forward = step.feed_forward
        product = linear(self._tensors, x, feed_forward.intermediate.name)
        return activate_gated(product, feed_forward) * self._tensors[feed_forward.factor]

    def add(self, step: AddAndNorm, residual: np.ndarray, branch: np.ndarray) -> np.ndarray:
        """Undo the smoothing of the stream, and add."""
        return undo_smoothing(step, self._tensors, residual) + branch

    def normalise(self, norm: Norm, x: np.ndarray, target: Place) -> np.ndarray:
        """Normalise."""
        return normalise(norm, self._tensors, x)
