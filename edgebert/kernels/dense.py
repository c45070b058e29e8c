"""A float32 linear layer for the heads: few rows, and no rounding that a score would show."""

import numpy as np

from edgebert.kernels.attention import ROWS, product
from edgebert.kernels.jit import kernel
from edgebert.kernels.schedule import share
from edgebert.kernels.simd.families import LANES


@kernel
def dense(x, M, K, weight, N, out):
    """Multiply float32 `x` [M, K] by `weight` [K, N] into `out` [M, N]; N is padded, K is not.

    Sums run along K in order, with one rounding for each product, so that a row's result does not depend on
    its neighbours. Twin: `reference.dense`.
    """
    tiles = (M + ROWS - 1) // ROWS
    for i in range(tiles):
        m = share(M, i, tiles)
        rows = share(M, i + 1, tiles) - m
        product(rows, K, x + 4 * m * K, 4 * K, weight, 4 * N, N // LANES, out + 4 * m * N, 4 * N)
    return np.int64(0)
