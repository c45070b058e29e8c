"""The numeric law of scheme ``w8a8``: how a linear layer is computed in integers.

The K inputs of a layer are cut into groups of at most 384 (`edgebert.kernels.plan.group_size`). Weights are symmetric,
per group and output channel, in -127..127: ``w = scale * q``. Activations are unsigned with a zero point, per token and
group, in 0..255: ``x = scale * (q - zero)``, so that nothing depends on a text's neighbours. Then
::

    y[m, n] = bias[n] + sum over groups g of
              x_scale[m, g] * scale[g, n] * (sum_k xq[m, k] * wq[k, n] - zero[m, g] * column_sums[g, n])

with the sums over k exact in int32, and below 2**24, so that float32 holds them too.

**Weights that meet.** Processors without a dot-product instruction add the products of two neighbouring inputs (2j,
2j + 1) in 16 bits, saturating. So in each such pair of one channel the positive weights sum to at most 128, and the
negative ones to at least -128: 255 * 128 = 32640 fits. It pays there to add the products of two steps of four inputs
in 16 bits too (`int16_steps` 2): a layer that loses little by it obeys the same rule in fours (`meeting`), the others
in pairs (`int16_steps` 1). Rounding sees to it (`edgebert.quantize.rounding`), so that every instruction family
computes the same integers.

**Attention.** Query, key and value are symmetric, with a scale for each token of each head: queries in -63..63, keys
and values in -127..127. With p[i, k] = exp(score[i, k] - largest score of i), of scores that are exact in int32 before
they are scaled, the numerators are rounded to 14 bits, each times the scale of the value that it multiplies::

    w[i, k] = rint(p[i, k] * value_scale[k] * 16383 / largest value_scale)
    context[i] = largest value_scale / 16383 / sum_k p[i, k] * sum_k w[i, k] * vq[k]

The whole numbers of all this stand in `edgebert.kernels.constants`. Rounding is half to even, here and in the
kernels. A group of zeros has scale 1. Word embeddings are symmetric too, per row, in -127..127; or in -8..7, a scale
for every 64 values of a row. Columns that are far larger or smaller than the others are divided by a power of two first
(`column_factors`).
"""

from __future__ import annotations

import numpy as np

from edgebert.exact import total
from edgebert.kernels.constants import SATURATION_LIMIT, WEIGHT_LEVELS
from edgebert.kernels.plan import INT4_GROUP, PANEL_COLUMNS, PANEL_K

__all__ = [
    "SCHEME",
    "channel_scale",
    "column_factors",
    "exceeds_limit",
    "meeting",
    "pack_panels",
    "quantize_embeddings",
    "quantize_embeddings_int4",
    "unpack_panels",
]

SCHEME = "w8a8"


def meeting(K: int, int16_steps: int) -> np.ndarray:
    """Return which inputs of a layer meet in 16 bits: neighbours, at the same place of `int16_steps` steps of four.

    Parameters
    ----------
    K : int
        A multiple of 4 * int16_steps.
    int16_steps : int

    Returns
    -------
    ndarray [shape=(K / 2 / int16_steps, 2 * int16_steps), dtype=int64]
        0 1, 2 3, 4 5, ... for 1; 0 1 4 5, 2 3 6 7, 8 9 12 13, ... for 2.
    """
    return np.arange(K).reshape(-1, int16_steps, 2, 2).transpose(0, 2, 1, 3).reshape(-1, 2 * int16_steps)


def exceeds_limit(q: np.ndarray, int16_steps: int) -> bool:
    """Say whether a weight, int8 (N, K), has inputs that meet and whose products could exceed 16 bits."""
    met = q.astype(np.int32)[:, meeting(q.shape[1], int16_steps)]
    positive, negative = np.maximum(met, 0).sum(axis=2), np.minimum(met, 0).sum(axis=2)
    return bool((positive > SATURATION_LIMIT).any() or (negative < -SATURATION_LIMIT).any())


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


def column_factors(energies: np.ndarray) -> np.ndarray:
    """Choose what the columns of a table of embeddings are divided by, so that one scale does for a row.

    Most tables need nothing. Where a model has no LayerNorm behind its embeddings, a few columns may be a thousand
    times as large as the others, which eight bits would then round to nothing.

    Parameters
    ----------
    energies : ndarray [shape=(H,), dtype=float64]
        The sum of the squares of each column.

    Returns
    -------
    ndarray [shape=(H,), dtype=float32]
        Powers of two, by which nothing is rounded: about the size of a column beside the usual one; 1 where that is
        between 1/16 and 16.
    """
    size = np.sqrt(energies)
    ratio = size / (np.median(size[size > 0]) if size.any() else 1.0)
    outlier = (ratio >= _OUTLIER) | ((ratio > 0) & (ratio <= 1 / _OUTLIER))
    return np.where(outlier, np.ldexp(1.0, np.frexp(ratio)[1] - 1), 1.0).astype(np.float32)


_OUTLIER = 16.0
"""Four of the eight bits."""


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
    scale = channel_scale(rows, WEIGHT_LEVELS)
    q = np.clip(np.rint(rows / scale[:, None]), -WEIGHT_LEVELS, WEIGHT_LEVELS)
    return q.astype(np.int8), scale


def quantize_embeddings_int4(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Quantize a table of embeddings to four bits, a scale for every 64 values.

    The scale of a group is the one of a few that leaves the smallest squared error; it may be negative, so that the
    value of the largest size gets the level -8, which has no positive counterpart.

    Parameters
    ----------
    rows : ndarray [shape=(vocab_size, E), dtype=float32], E a multiple of 64

    Returns
    -------
    q : ndarray [shape=(vocab_size, E / 2), dtype=int8]
        Two values a byte, as `edgebert.kernels.embeddings.unpack_int4` says.
    scale : ndarray [shape=(vocab_size, E / 64), dtype=float32]
    """
    packed, scales = zip(*(_int4_rows(rows[i : i + _INT4_ROWS]) for i in range(0, len(rows), _INT4_ROWS)), strict=True)
    return np.concatenate(packed), np.concatenate(scales)


_INT4_ROWS = 4096
_INT4_LARGEST = np.linspace(6.5, 9.5, 13, dtype=np.float32)
"""Levels tried for the value of the largest size in a group; what lies beyond -8 is cut."""


def _int4_rows(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    groups = rows.reshape(len(rows), -1, INT4_GROUP)
    largest = np.take_along_axis(groups, np.abs(groups).argmax(axis=2)[..., None], axis=2)[..., 0]
    best = np.full(largest.shape, np.inf, np.float32)
    scale, q = np.ones(largest.shape, np.float32), np.zeros(groups.shape, np.float32)
    for levels in _INT4_LARGEST:
        candidate = np.where(largest != 0, -largest / levels, np.float32(1))
        tried = np.clip(np.rint(groups / candidate[..., None]), -8, 7)
        error = total(np.square(tried * candidate[..., None] - groups))
        better = error < best
        best, scale = np.where(better, error, best), np.where(better, candidate, scale)
        q = np.where(better[..., None], tried, q)
    whole = q.astype(np.int32)
    packed = 16 * whole[..., : INT4_GROUP // 2] + whole[..., INT4_GROUP // 2 :] + 8
    return packed.astype(np.int8).reshape(len(rows), -1), scale


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
    blocks = weight.reshape(N // PANEL_COLUMNS, PANEL_COLUMNS, K // PANEL_K, PANEL_K)
    return np.ascontiguousarray(blocks.transpose(0, 2, 1, 3))


def unpack_panels(panels: np.ndarray) -> np.ndarray:
    """Undo `pack_panels`: int8 (N / 16, K / 4, 16, 4) -> (N, K)."""
    outer, steps, columns, inputs = panels.shape
    return panels.transpose(0, 2, 1, 3).reshape(outer * columns, steps * inputs)
