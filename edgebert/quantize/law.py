"""The numeric law of scheme ``w8a8``: how a linear layer is computed in integers.

The K inputs of a layer are cut into groups of at most 384 (`edgebert.kernels.plan.group_size`). Weights are symmetric,
per group and output channel, in -127..127: ``w = scale * q``. Activations are unsigned with a zero point, per token and
group, in 0..255: ``x = scale * (q - zero)``, so that nothing depends on a text's neighbours. Then
::

    y[m, n] = bias[n] + sum over groups g of
              x_scale[m, g] * scale[g, n] * (sum_k xq[m, k] * wq[k, n] - zero[m, g] * column_sums[g, n])

with the sums over k exact in int32, and below 2**24, so that float32 holds them too.

**The rule of pairs.** Processors without a dot-product instruction add the products of two neighbouring inputs (2j,
2j + 1) in 16 bits, saturating. So in each such pair of one channel the positive weights sum to at most 128, and the
negative ones to at least -128: 255 * 128 = 32640 fits. Rounding obeys it (`edgebert.quantize.rounding`), so that every
instruction family computes the same integers, though hardly any weight is shortened.

Rounding is half to even, here and in the kernels. A group of zeros has scale 1. Word embeddings are symmetric too, per
row, in -127..127.
"""

from __future__ import annotations

import numpy as np

from edgebert.kernels.plan import PANEL_COLUMNS, PANEL_DEPTH

__all__ = [
    "LEVELS",
    "PAIR_LIMIT",
    "SCHEME",
    "breaks_rule_of_pairs",
    "channel_scale",
    "pack_panels",
    "quantize_embeddings",
    "unpack_panels",
]

SCHEME = "w8a8"
LEVELS = 127
PAIR_LIMIT = 128


def breaks_rule_of_pairs(q: np.ndarray) -> bool:
    """Say whether a weight, int8 (N, K), has a pair that would saturate."""
    pairs = q.astype(np.int32).reshape(len(q), -1, 2)
    positive, negative = np.maximum(pairs, 0).sum(axis=2), np.minimum(pairs, 0).sum(axis=2)
    return bool((positive > PAIR_LIMIT).any() or (negative < -PAIR_LIMIT).any())


def channel_scale(rows: np.ndarray, levels: int) -> np.ndarray:
    """Choose the scale of each row: its largest value gets the last level.

    Parameters
    ----------
    rows : ndarray [shape=(N, K), dtype=float32]
    levels : int

    Returns
    -------
    ndarray [shape=(N,), dtype=float32]
        1 for a row of zeros.
    """
    largest = np.abs(rows).max(axis=1)
    return np.where(largest > 0, largest / np.float32(levels), np.float32(1)).astype(np.float32)


def quantize_embeddings(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Quantize a table of embeddings, a scale for each row.

    Parameters
    ----------
    rows : ndarray [shape=(vocab_size, H), dtype=float32]

    Returns
    -------
    q : ndarray [shape=(vocab_size, H), dtype=int8], in -127..127
    scale : ndarray [shape=(vocab_size,), dtype=float32]
    """
    scale = channel_scale(rows, LEVELS)
    q = np.clip(np.rint(rows / scale[:, None]), -LEVELS, LEVELS)
    return q.astype(np.int8), scale


def pack_panels(weight: np.ndarray) -> np.ndarray:
    """Lay a weight out as the kernels read it: panels of 16 outputs, four inputs of each side by side.

    Parameters
    ----------
    weight : ndarray [shape=(N, K), dtype=int8], N and K multiples of 16

    Returns
    -------
    ndarray [shape=(N / 16, K / 4, 16, 4), dtype=int8]
    """
    N, K = weight.shape
    blocks = weight.reshape(N // PANEL_COLUMNS, PANEL_COLUMNS, K // PANEL_DEPTH, PANEL_DEPTH)
    return np.ascontiguousarray(blocks.transpose(0, 2, 1, 3))


def unpack_panels(panels: np.ndarray) -> np.ndarray:
    """Undo `pack_panels`: int8 (N / 16, K / 4, 16, 4) -> (N, K)."""
    outer, steps, columns, depth = panels.shape
    return panels.transpose(0, 2, 1, 3).reshape(outer * columns, steps * depth)
