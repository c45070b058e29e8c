"""Attention in integers, in NumPy, and what becomes of queries and keys: a part of `edgebert.kernels.reference`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from edgebert.architecture import Attention
from edgebert.batch import spans
from edgebert.exact import exp, total
from edgebert.functions import rms_norm
from edgebert.positions import (
    angles_of,
    between,
    blocks,
    of_distances,
    rotate,
    rows_of_distances,
    split_heads,
    unseen,
)

__all__ = ["DistanceHeads", "attend", "heads_of_distances", "normalise_heads", "quantize_heads", "rotate_heads"]

_SMALLEST = np.float32(1e-30)
_HEAD_LEVELS = np.array([63, 127, 127], np.float32)
_NUMERATOR_LEVELS = np.float32(16383)


def quantize_heads(query_key_value: np.ndarray, heads: int) -> tuple[np.ndarray, np.ndarray]:
    """Quantize query, key and value, symmetric, with a scale for each token of each head.

    Parameters
    ----------
    query_key_value : ndarray [shape=(T, 3 * heads * head_dim), dtype=float32]
    heads : int

    Returns
    -------
    q : ndarray [shape=(3, heads, T, head_dim), dtype=int8]
        Queries in -63..63, keys and values in -127..127.
    scale : ndarray [shape=(3, heads, T), dtype=float32]
    """
    T, columns = query_key_value.shape
    x = query_key_value.reshape(T, 3, heads, columns // 3 // heads).transpose(1, 2, 0, 3)
    levels = _HEAD_LEVELS[:, None, None]
    largest = np.abs(x).max(axis=3, initial=0)
    largest = np.where(largest > _SMALLEST, largest, levels)
    q = np.rint(x * (levels / largest)[..., None])
    return q.astype(np.int8), largest / levels


def normalise_heads(query_key_value: np.ndarray, attention: Attention, tensors: Mapping[str, np.ndarray]) -> np.ndarray:
    """Normalise queries and keys, head by head, where their attention does: the same shape.

    The weights are as wide as a head is computed; what lies beyond its size is zero.
    """
    T, columns = query_key_value.shape
    slots = query_key_value.reshape(T, sum(attention.slots), columns // sum(attention.slots)).copy()
    queries, keys, _ = attention.slots
    for own, norm in ((slice(queries), attention.query_norm), (slice(queries, queries + keys), attention.key_norm)):
        if norm:
            slots[:, own] = rms_norm(slots[:, own], tensors[f"{norm.name}.weight"], norm.eps, norm.size)
    return slots.reshape(query_key_value.shape)


def rotate_heads(query_key_value: np.ndarray, attention: Attention, positions: np.ndarray) -> np.ndarray:
    """Turn queries and keys by the positions of their tokens (`edgebert.positions.rotate`).

    Parameters
    ----------
    query_key_value : ndarray [shape=(T, slots * head_width), dtype=float32]
        Each half of a head padded with zeros by itself.
    attention : Attention
    positions : ndarray [shape=(T,), dtype=int32]

    Returns
    -------
    ndarray, the same shape
    """
    if attention.rotary is None:
        return query_key_value
    (T, columns), turned = query_key_value.shape, sum(attention.slots[:2])
    slots = query_key_value.reshape(T, sum(attention.slots), columns // sum(attention.slots))
    angles = angles_of(attention, positions.max(initial=0) + 1)[positions]
    angles = np.pad(angles, [(0, 0), (0, 0), (0, slots.shape[2] // 2 - angles.shape[2])])
    return np.concatenate([rotate(slots[:, :turned], angles), slots[:, turned:]], axis=1).reshape(T, columns)


class DistanceHeads(NamedTuple):
    """The queries and the keys that stand for distances (`edgebert.architecture.Disentangled`).

    Whole numbers, float32 (heads, rows, width), and their scales, float32 (heads, rows).
    """

    query: np.ndarray
    query_scale: np.ndarray
    key: np.ndarray
    key_scale: np.ndarray


def heads_of_distances(attention: Attention, tensors: Mapping[str, np.ndarray]) -> DistanceHeads | None:
    """Return what stands for distances, None where nothing does."""
    positions = attention.disentangled
    if positions is None:
        return None
    arrays = []
    for name in (positions.queries, positions.keys):
        q = tensors[f"{name}.weight"].reshape(positions.table.rows, attention.heads, -1)
        arrays += [q.transpose(1, 0, 2).astype(np.float32), tensors[f"{name}.scale"]]
    return DistanceHeads(*arrays)


def attend(
    query_key_value: np.ndarray,
    cu_seqlens: np.ndarray,
    attention: Attention,
    bias: np.ndarray | None = None,
    of_distance: DistanceHeads | None = None,
    key_counts: np.ndarray | None = None,
) -> np.ndarray:
    """Attend within each sequence (arXiv 1706.03762, section 3.2), in integers but for the softmax.

    Parameters
    ----------
    query_key_value : ndarray [shape=(T, slots * head_dim), dtype=float32]
        The heads may be padded.
    cu_seqlens : ndarray [shape=(B + 1,), dtype=int32]
    attention : Attention
    bias : ndarray [shape=(heads, 2 * P - 1), dtype=float32], optional
        What a distance adds to a scaled score (`edgebert.positions.bias_of_distances`).
    of_distance : DistanceHeads, optional
        As `heads_of_distances` gives them.
    key_counts : ndarray [shape=(B,), dtype=int32], optional
        How many of each sequence's first tokens are attended to; by default all.

    Returns
    -------
    ndarray [shape=(T, heads * head_dim), dtype=float32]
    """
    T, heads, scale = len(query_key_value), attention.heads, attention.score_scale
    both = np.stack(split_heads(query_key_value, attention), axis=1)
    q, q_scale = quantize_heads(both.reshape(T, math.prod(both.shape[1:])), heads)
    query, key, value = q.astype(np.float32)
    query_scale, key_scale, value_scale = q_scale
    context = np.zeros(query.shape, np.float32)
    for begin, end, attended in spans(cu_seqlens, key_counts):
        for queries, keys, distances in blocks(end - begin, attention.window, attended):
            own, seen = (slice(begin + each.start, begin + each.stop) for each in (queries, keys))
            scores = query[:, own] @ key[:, seen].transpose(0, 2, 1) * key_scale[:, None, seen]
            added = None if bias is None else between(bias, distances)
            if of_distance:
                assert attention.disentangled
                by_query = query[:, own] @ of_distance.key.transpose(0, 2, 1) * of_distance.key_scale[:, None]
                by_key = key[:, seen] @ of_distance.query.transpose(0, 2, 1) * of_distance.query_scale[:, None]
                by_key *= key_scale[:, seen, None] * np.float32(scale)
                of_query, added = of_distances(by_query, by_key, rows_of_distances(attention.disentangled, distances))
                scores += of_query
            scores[:, unseen(attention, distances)] = -np.inf
            if added is None:
                scores -= scores.max(axis=2, keepdims=True)
                exponents = scores.astype(np.float64) * (query_scale[:, own, None] * scale)
            else:
                exponents = scores.astype(np.float64) * (query_scale[:, own, None] * scale)
                exponents += added
                exponents -= exponents.max(axis=2, keepdims=True)
            numerators = exp(exponents).astype(np.float32)
            largest = value_scale[:, None, begin : begin + attended].max(axis=2, keepdims=True)
            weights = np.rint(numerators * (value_scale[:, None, seen] * (_NUMERATOR_LEVELS / largest)))
            sums = weights.astype(np.float64) @ value[:, seen].astype(np.float64)
            unit = largest / _NUMERATOR_LEVELS / total(numerators, axis=2)[:, :, None]
            context[:, own] = sums.astype(np.float32) * unit
    return context.transpose(1, 0, 2).reshape(T, both.shape[2] * both.shape[3])
