"""Learned distances between tokens, which add to the scores of attention (MPNet, arXiv 2004.09297; T5's buckets)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgebert.architecture import Attention
from edgebert.exact import log

__all__ = ["between", "bias_of_distances", "buckets_of_distances", "distances_of"]

_LARGEST_DISTANCE = 128
"""Beyond it all distances are one."""


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
    if attention.distances is None:
        return None
    return bias_of_distances(tensors[f"{attention.distances.name}.weight"], longest)


def between(bias: np.ndarray, length: int) -> np.ndarray:
    """Lay the biases of distances out for each query and key of a sequence: (heads, 2 * P - 1) -> (heads, L, L)."""
    positions = np.arange(length)
    return bias[:, bias.shape[1] // 2 + positions[None, :] - positions[:, None]]
