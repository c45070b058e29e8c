"""The numeric law of scheme ``w7a8``: how a linear layer is computed in integers.

Weights are symmetric, per output channel, in -63..63: ``w = scale * q``. Activations are unsigned with a zero
point, per token, in 0..255: ``x = scale * (q - zero)``, so that nothing depends on a text's neighbours. Then
::

    y[m, n] = x_scale[m] * scale[n] * (sum_k xq[m, k] * wq[k, n] - zero[m] * column_sums[n]) + bias[n]

with the sums exact in int32. Weights take seven bits so that the 16-bit intermediate of processors without a
dot-product instruction cannot saturate (255 * 63 * 2 = 32130): every instruction family computes the same
integers. Rounding is half to even, here and in the kernels. A row of zeros has scale 1.

Word embeddings are symmetric too, per row, in -127..127.
"""

from __future__ import annotations

import numpy as np

from edgebert.kernels.plan import PANEL_COLUMNS, PANEL_DEPTH

__all__ = [
    "SCHEME",
    "WEIGHT_LEVELS",
    "channel_scale",
    "pack_panels",
    "quantize_embeddings",
    "unpack_panels",
]

SCHEME = "w7a8"
WEIGHT_LEVELS = 63
EMBEDDING_LEVELS = 127


def channel_scale(rows: np.ndarray, levels: int) -> np.ndarray:
    """Choose the scale of each row: its largest value gets the last level.

    A smaller one, which would cut that value off, was tried and gains nothing at seven bits.

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
    scale = channel_scale(rows, EMBEDDING_LEVELS)
    q = np.clip(np.rint(rows / scale[:, None]), -EMBEDDING_LEVELS, EMBEDDING_LEVELS)
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
