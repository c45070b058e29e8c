"""A float32 linear layer for the heads: few rows, and no rounding that a score would show."""

import numpy as np

from edgebert.kernels.jit import kernel
from edgebert.kernels.schedule import share
from edgebert.kernels.simd.families import LANES, current
from edgebert.kernels.simd.tile import PANEL_BYTES, fma_tile

ROWS = current().fma_rows

tile = fma_tile()


@kernel
def dense(x, M, K, weight, N, out):
    """Multiply float32 `x` [M, K] by `weight` [K, N] into `out` [M, N]; N is a multiple of 16, K need not be.

    Sums run along K in order, with one rounding for each product, so that a row's result does not depend on
    its neighbours. Twin: `reference.dense`.
    """
    tiles = (M + ROWS - 1) // ROWS
    for i in range(tiles):
        m = share(M, i, tiles)
        rows = share(M, i + 1, tiles) - m
        for n in range(0, N, LANES):
            tile(rows, 1, K, x + 4 * m * K, 4 * K, 4, weight + 4 * n, PANEL_BYTES, 4 * N, out + 4 * (m * N + n), 4 * N)
    return np.int64(0)
