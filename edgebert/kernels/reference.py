"""The oracle of every kernel, in NumPy: what the compiled ones are tested against.

Integers must agree exactly; floats within the tolerances of the tests, since sums are taken in another order.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

import numpy as np

from edgebert.batch import PackedBatch
from edgebert.config import BertConfig

__all__ = ["attend", "dense", "encode", "gelu", "layer_norm", "matmul", "quantize_rows"]

_LEVELS = np.float32(255)
_SMALLEST = np.float32(1e-30)
_erf = np.vectorize(math.erf, otypes=[np.float64])


def quantize_rows(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Quantize rows to uint8 with a scale and a zero point each (`edgebert.quantize.law`).

    Parameters
    ----------
    x : ndarray [shape=(M, K), dtype=float32], finite

    Returns
    -------
    q : ndarray [shape=(M, K), dtype=uint8]
    scale : ndarray [shape=(M,), dtype=float32]
    zero : ndarray [shape=(M,), dtype=int32]
    """
    low = np.minimum(x.min(axis=1, initial=0), np.float32(0))
    extent = np.maximum(x.max(axis=1, initial=0), np.float32(0)) - low
    empty = extent < _SMALLEST
    low, extent = np.where(empty, np.float32(0), low), np.where(empty, _LEVELS, extent)
    inverse = _LEVELS / extent
    zero = np.rint(-low * inverse)
    q = np.minimum(np.rint(x * inverse[:, None]) + zero[:, None], _LEVELS)
    return q.astype(np.uint8), extent / _LEVELS, zero.astype(np.int32)


def matmul(
    q: np.ndarray, row_scale: np.ndarray, row_zero: np.ndarray, panels: np.ndarray, scale: np.ndarray, bias: np.ndarray
) -> np.ndarray:
    """Multiply quantized rows by a quantized weight.

    Parameters
    ----------
    q : ndarray [shape=(M, K), dtype=uint8]
    row_scale, row_zero : ndarray [shape=(M,), dtype=float32, int32]
    panels : ndarray [shape=(N / 16, K / 4, 16, 4), dtype=int8]
    scale, bias : ndarray [shape=(N,), dtype=float32]

    Returns
    -------
    ndarray [shape=(M, N), dtype=float32]
    """
    outer, steps, columns, depth = panels.shape
    weight = panels.transpose(1, 3, 0, 2).reshape(steps * depth, outer * columns)
    # Products of int8 and uint8, summed along K, are far below 2**53: float64 is exact, and faster than int64.
    exact = (q.astype(np.float64) - row_zero[:, None]) @ weight.astype(np.float64)
    scaled = exact.astype(np.float32) * row_scale[:, None]
    # One rounding for the multiplication and the addition together.
    return (scaled.astype(np.float64) * scale + bias).astype(np.float32)


def gelu(x: np.ndarray, form: str) -> np.ndarray:
    """Apply GELU (arXiv 1606.08415): the exact ``"erf"`` form, or the ``"tanh"`` form."""
    exact = x.astype(np.float64)
    if form == "erf":
        inner = _erf(exact / math.sqrt(2))
    else:
        inner = np.tanh(math.sqrt(2 / math.pi) * (exact + 0.044715 * exact**3))
    return (0.5 * exact * (1 + inner)).astype(np.float32)


def layer_norm(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, eps: float) -> np.ndarray:
    """Normalise rows (arXiv 1607.06450): float32 (M, H) -> the same."""
    exact = x.astype(np.float64)
    centred = exact - exact.mean(axis=1, keepdims=True)
    variance = np.square(centred).mean(axis=1, keepdims=True)
    return (centred / np.sqrt(variance + eps) * weight + bias).astype(np.float32)


def attend(query_key_value: np.ndarray, cu_seqlens: np.ndarray, heads: int, scale: float) -> np.ndarray:
    """Attend within each sequence (arXiv 1706.03762, section 3.2).

    Parameters
    ----------
    query_key_value : ndarray [shape=(T, 3 * heads * head_dim), dtype=float32]
    cu_seqlens : ndarray [shape=(B + 1,), dtype=int32]
    heads : int
    scale : float
        Of the scores: 1 / sqrt(head_dim) of the unpadded head.

    Returns
    -------
    ndarray [shape=(T, heads * head_dim), dtype=float32]
    """
    T = len(query_key_value)
    query, key, value = query_key_value.reshape(T, 3, heads, -1).astype(np.float64).transpose(1, 2, 0, 3)
    context = np.zeros(query.shape)
    for begin, end in itertools.pairwise(cu_seqlens):
        own = slice(begin, end)
        scores = query[:, own] @ key[:, own].transpose(0, 2, 1) * scale
        weights = np.exp(scores - scores.max(axis=2, keepdims=True, initial=-np.inf))
        context[:, own] = weights @ value[:, own] / weights.sum(axis=2, keepdims=True)
    return context.transpose(1, 0, 2).reshape(T, -1).astype(np.float32)


def dense(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Multiply float32 (M, K) by (K, N), each row on its own."""
    return np.stack([(row.astype(np.float64) @ weight).astype(np.float32) for row in x]) if len(x) else x @ weight


def embed(tensors: Mapping[str, np.ndarray], batch: PackedBatch) -> np.ndarray:
    """Sum the three embeddings of every token: float32 (T, H padded)."""
    word = tensors["embeddings.word_embeddings.weight"][batch.input_ids].astype(np.float32)
    x = word * tensors["embeddings.word_embeddings.scale"][batch.input_ids][:, None]
    x += tensors["embeddings.position_embeddings.weight"][batch.position_ids].astype(np.float32)
    x += tensors["embeddings.token_type_embeddings.weight"][batch.token_type_ids].astype(np.float32)
    return x


def norm(config: BertConfig, tensors: Mapping[str, np.ndarray], x: np.ndarray, name: str) -> np.ndarray:
    """Apply a LayerNorm of the model: float32 (T, H padded) to the same; what lies beyond H stays zero."""
    H = config.hidden_size
    weight, bias = tensors[f"{name}.weight"], tensors[f"{name}.bias"]
    result = np.zeros_like(x)
    result[:, :H] = layer_norm(x[:, :H], weight[:H], bias[:H], config.layer_norm_eps)
    return result


def linear(tensors: Mapping[str, np.ndarray], x: np.ndarray, name: str) -> np.ndarray:
    """Quantize rows and multiply them by a linear layer of the model."""
    parts = (tensors[f"{name}.{part}"] for part in ("weight", "scale", "bias"))
    return matmul(*quantize_rows(x), *parts)


def encode(config: BertConfig, tensors: Mapping[str, np.ndarray], batch: PackedBatch) -> np.ndarray:
    """Run BERT's encoder on a packed batch.

    Parameters
    ----------
    config : BertConfig
    tensors : mapping of str to ndarray
        As in an .edgebert file.
    batch : PackedBatch

    Returns
    -------
    ndarray [shape=(T, hidden_size), dtype=float32]
    """
    stream = "embeddings.LayerNorm"
    x = norm(config, tensors, embed(tensors, batch), stream)
    for i in range(config.num_hidden_layers):
        layer = f"encoder.layer.{i}"
        projected = linear(tensors, x, f"{layer}.attention.self.query_key_value")
        scale = 1 / math.sqrt(config.head_dim)
        context = attend(projected, batch.cu_seqlens, config.num_attention_heads, scale)
        y = linear(tensors, context, f"{layer}.attention.output.dense")
        x = x * tensors[f"{stream}.smoothing"] + y
        stream = f"{layer}.attention.output.LayerNorm"
        x = norm(config, tensors, x, stream)
        inner = gelu(linear(tensors, x, f"{layer}.intermediate.dense"), config.gelu)
        y = linear(tensors, inner, f"{layer}.output.dense")
        x = x * tensors[f"{stream}.smoothing"] + y
        stream = f"{layer}.output.LayerNorm"
        x = norm(config, tensors, x, stream)
    return x[:, : config.hidden_size]
