"""Residual addition, layer normalisation and quantization of a row in one go."""

import numpy as np

from edgebert.kernels.jit import kernel
from edgebert.kernels.simd.ops import (
    broadcast,
    fma,
    load,
    reduce_add,
    square_root,
    store,
    where_before,
)

f32 = np.float32


@kernel
def layer_norm(x, hidden_size, hidden_stride, weight, bias, eps):
    """Normalise one float32 row in place: (x - mean) / sqrt(variance + eps) * weight + bias.

    arXiv 1607.06450, equation 4. The mean comes first and the squares of the differences after it. Beyond
    `hidden_size` the row, the weight and the bias are zero up to `hidden_stride`, and the row stays so.
    Twin: `reference.layer_norm`.
    """
    total = broadcast(f32(0.0))
    for i in range(0, hidden_stride, 16):
        total = total + load(x + 4 * i)
    mean = broadcast(reduce_add(total) / f32(hidden_size))
    squares = broadcast(f32(0.0))
    for i in range(0, hidden_stride, 16):
        difference = where_before(hidden_size - i, load(x + 4 * i) - mean, broadcast(f32(0.0)))
        squares = fma(difference, difference, squares)
    deviation = square_root(reduce_add(squares) / f32(hidden_size) + eps)
    inverse = broadcast(f32(1.0) / deviation)
    for i in range(0, hidden_stride, 16):
        normal = (load(x + 4 * i) - mean) * inverse
        store(x + 4 * i, fma(normal, load(weight + 4 * i), load(bias + 4 * i)))


@kernel
def add_row(x, smoothing, y, size):
    """Undo the smoothing of float32 row `x` and add row `y` to it: x * smoothing + y."""
    for i in range(0, size, 16):
        store(x + 4 * i, fma(load(x + 4 * i), load(smoothing + 4 * i), load(y + 4 * i)))
