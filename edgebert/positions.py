"""Where tokens stand, in attention: what their distance adds to a score, and by which angles they turn.

Learned distances (MPNet, arXiv 2004.09297) have the buckets of T5; rotations are those of RoPE (arXiv 2104.09864).
Queries and keys may say themselves what a distance adds (DeBERTa, arXiv 2006.03654).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from edgebert.architecture import Attention, Disentangled
from edgebert.exact import exp, log, sine_and_cosine

__all__ = [
    "Block",
    "angles_of",
    "between",
    "bias_of_distances",
    "blocks",
    "buckets_of_distances",
    "distances_of",
    "of_distances",
    "rotate",
    "rows_of_distances",
    "split_heads",
    "unseen",
]

_LARGEST_DISTANCE = 128
"""Beyond it all distances are one."""
_QUERIES = 256
"""Queries of a `Block`."""


def buckets_of_distances(distances: np.ndarray, count: int) -> np.ndarray:
    """Return the bucket of each distance (arXiv 1910.10683, section 2.1), one half of the buckets for each direction.

    Small distances have buckets of their own, larger ones share them, logarithmically.

    Parameters
    ----------
    distances : ndarray [dtype=int]
        Of a key from its query; positive behind it.
    count : int
        Buckets in all.

    Returns
    -------
    ndarray [dtype=int64], the same shape
    """
    half = count // 2
    exact = half // 2
    sizes = np.abs(distances)
    # In float32, as it was trained: the edges of the buckets depend on it.
    ratio = log(np.maximum(sizes, 1).astype(np.float32) / np.float32(exact)).astype(np.float32)
    largest = log(np.array(_LARGEST_DISTANCE / exact)).astype(np.float32)
    large = exact + (ratio / largest * np.float32(half - exact)).astype(np.int64)
    return np.where(sizes < exact, sizes, np.minimum(large, half - 1)) + np.where(distances > 0, half, 0)


def bias_of_distances(weight: np.ndarray, longest: int) -> np.ndarray:
    """Return what each distance adds to a score.

    Parameters
    ----------
    weight : ndarray [shape=(buckets, heads), dtype=float32]
        A model's ``encoder.relative_attention_bias.weight``.
    longest : int
        Tokens of the longest sequence.

    Returns
    -------
    ndarray [shape=(heads, 2 * longest - 1), dtype=float32]
        Distance 0 stands at ``longest - 1``.
    """
    distances = np.arange(1 - longest, longest)
    return np.ascontiguousarray(weight[buckets_of_distances(distances, len(weight))].T)


def distances_of(attention: Attention, tensors: Mapping[str, np.ndarray], longest: int) -> np.ndarray | None:
    """Return what each distance adds to the scores of an attention, as `bias_of_distances`; None where nothing."""
    if attention.slopes:
        distances = np.abs(np.arange(1 - longest, longest)).astype(np.float32)
        return -np.array(attention.slopes, np.float32)[:, None] * distances
    if attention.distances is None:
        return None
    return bias_of_distances(tensors[f"{attention.distances.name}.weight"], longest)


def between(bias: np.ndarray, distances: np.ndarray) -> np.ndarray:
    """Look biases of distances up, float32 (heads, 2 * P - 1), for distances as in `Block`: (heads, queries, keys)."""
    return bias[:, bias.shape[1] // 2 + distances]


def rows_of_distances(positions: Disentangled, distances: np.ndarray) -> np.ndarray:
    """Return which row of a table stands for each distance of a key from its query, positive behind it.

    Parameters
    ----------
    positions : Disentangled
    distances : ndarray [dtype=int]

    Returns
    -------
    ndarray [dtype=int64], the same shape
    """
    span, exact = positions.table.rows // 2, positions.exact
    rows, sizes = -distances.astype(np.int64), np.abs(distances)
    if exact < span:
        # In float32, as it was trained: the edges of the buckets depend on it.
        ratio = log(np.maximum(sizes, exact).astype(np.float32) / np.float32(exact)).astype(np.float32)
        extent = log(np.array(np.float32((positions.largest - 1) / exact), np.float32)).astype(np.float32)
        shared = np.ceil(ratio / extent * np.float32(exact - 1)).astype(np.int64) + exact
        rows = np.where(sizes <= exact, rows, np.sign(rows) * shared)
    return np.clip(rows + span, 0, 2 * span - 1)


def of_distances(by_query: np.ndarray, by_key: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what queries, and what keys, say of the distance of each pair of them.

    Parameters
    ----------
    by_query : ndarray [shape=(heads, queries, rows of the table)]
    by_key : ndarray [shape=(heads, keys, rows of the table)]
    rows : ndarray [shape=(queries, keys), dtype=int64]
        As `rows_of_distances` gives them.

    Returns
    -------
    tuple of ndarray [shape=(heads, queries, keys)]
    """
    of_keys = np.take_along_axis(by_key.transpose(0, 2, 1), rows[None], axis=1)
    return np.take_along_axis(by_query, rows[None], axis=2), of_keys


class Block(NamedTuple):
    """Queries of a sequence, and the keys that any of them sees.

    ``distances`` int (queries, keys) are those of a key from its query, positive behind it.
    """

    queries: slice
    keys: slice
    distances: np.ndarray


def blocks(length: int, window: int, attended: int | None = None) -> Iterator[Block]:
    """Go through the queries of a sequence, some at a time, so that what they see of a long one fits into memory.

    Parameters
    ----------
    length : int
        Tokens.
    window : int
        Tokens to either side that a token sees; 0 for all.
    attended : int, optional
        How many of the first tokens are seen at all.
    """
    most = length if attended is None else attended
    positions = np.arange(length)
    for begin in range(0, length, _QUERIES):
        queries = slice(begin, min(begin + _QUERIES, length))
        keys = slice(max(0, begin - window), min(queries.stop + window, most)) if window else slice(0, most)
        yield Block(queries, keys, positions[keys] - positions[queries, None])


def angles_of(attention: Attention, count: int) -> np.ndarray:
    """Return by which angles the points of a head turn at each position (`edgebert.architecture.Rotary`).

    Parameters
    ----------
    attention : Attention
        With ``rotary``.
    count : int
        Positions.

    Returns
    -------
    ndarray [shape=(count, 2, head_dim / 2), dtype=float32]
        Cosines and sines of the angles.
    """
    assert attention.rotary
    head_dim = attention.head_dim
    exponents = np.arange(0, head_dim, 2) / head_dim
    # In float32, as it was trained: far into a text, the last bit of a frequency turns a point.
    frequencies = np.float32(1) / exp(exponents * log(np.array(attention.rotary.base))).astype(np.float32)
    frequencies = frequencies / np.float32(attention.rotary.stretch)
    angles = np.arange(count, dtype=np.float32)[:, None] * frequencies
    sine, cosine = sine_and_cosine(angles)
    return np.stack([cosine, sine], axis=1).astype(np.float32)


def rotate(x: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Turn the points of heads.

    Parameters
    ----------
    x : ndarray [shape=(T, heads, head_dim), dtype=float32]
    angles : ndarray [shape=(T, 2, head_dim / 2), dtype=float32]
        Of each token, as `angles_of` has them.

    Returns
    -------
    ndarray [shape=(T, heads, head_dim), dtype=float32]
    """
    first, second = np.split(x, 2, axis=2)
    cosine, sine = angles[:, :1], angles[:, 1:]
    return np.concatenate([first * cosine - second * sine, second * cosine + first * sine], axis=2)


def unseen(attention: Attention, distances: np.ndarray) -> np.ndarray:
    """Say of distances of keys from queries whether what stands so far is not seen: bool, the same shape."""
    hidden = np.abs(distances) > (attention.window or np.inf)
    return hidden | (distances > 0) if attention.causal else hidden


def split_heads(query_key_value: np.ndarray, attention: Attention) -> list[np.ndarray]:
    """Return query, key and value by heads, the keys and values of several heads repeated for each.

    Parameters
    ----------
    query_key_value : ndarray [shape=(T, slots * head_dim), dtype=float32]
    attention : Attention

    Returns
    -------
    list of ndarray [shape=(T, heads, head_dim)]
    """
    T, columns = query_key_value.shape
    slots = query_key_value.reshape(T, sum(attention.slots), columns // sum(attention.slots))
    parts = np.split(slots, np.cumsum(attention.slots)[:2], axis=1)
    return [
        np.repeat(part, attention.heads // count, axis=1) for part, count in zip(parts, attention.slots, strict=True)
    ]
