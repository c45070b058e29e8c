"""Layer normalisation of a row, and the sums of rows that come before it."""

import numpy as np

from edgebert.kernels.jit import kernel
from edgebert.kernels.plan import NORM
from edgebert.kernels.simd.families import LANES
from edgebert.kernels.simd.ops import (
    broadcast,
    fma,
    load,
    record,
    reduce_add,
    square_root,
    store,
    where_before,
)

f32 = np.float32
norm_at = record(NORM)

STEP = 4 * LANES
"""Four sums run side by side: one would wait for its own last addition."""


@kernel
def add_row(x, smoothing, y, size):
    """Undo the smoothing of float32 row `x`, if there is any, and add row `y` to it: x * smoothing + y."""
    if smoothing == 0:
        for i in range(0, size, LANES):
            store(x + 4 * i, load(x + 4 * i) + load(y + 4 * i))
    else:
        for i in range(0, size, LANES):
            store(x + 4 * i, fma(load(x + 4 * i), load(smoothing + 4 * i), load(y + 4 * i)))


@kernel
def copy_row(x, y, size):
    """Copy float32 row `x` to `y`."""
    for i in range(0, size, LANES):
        store(y + 4 * i, load(x + 4 * i))


@kernel
def sum_of(x, size):
    """Return the sum of a row; the order of its terms is part of the result."""
    a = b = c = d = broadcast(f32(0.0))
    for i in range(0, size, STEP):
        a = a + load(x + 4 * i)
        b = b + load(x + 4 * i + 64)
        c = c + load(x + 4 * i + 128)
        d = d + load(x + 4 * i + 192)
    return reduce_add((a + b) + (c + d))


@kernel
def square(x, mean, left, sum_so_far):
    """Add the squares of the differences from the mean, of the lanes that are left."""
    difference = load(x) - mean
    difference = where_before(left, difference, broadcast(f32(0.0)))
    return fma(difference, difference, sum_so_far)


@kernel
def layer_norm(x, stride, norm):
    """Normalise one float32 row in place by a NORM: (x - mean) / sqrt(variance + norm.eps) * weight + bias.

    arXiv 1607.06450, equation 4; with `norm.rms` the mean counts as 0 (arXiv 1910.07467, equation 4). The mean comes
    first and the squares of the differences after it. Beyond `norm.size` the row, the weight and the bias are zero up
    to `stride`, a multiple of 64, and the row stays so. Twin: `functions.layer_norm`, `functions.rms_norm`.
    """
    mean = broadcast(f32(0.0))
    if norm.rms == 0:
        mean = broadcast(sum_of(x, stride) / f32(norm.size))
    a = b = c = d = broadcast(f32(0.0))
    for i in range(0, stride, STEP):
        left = norm.size - i
        a = square(x + 4 * i, mean, left, a)
        b = square(x + 4 * i + 64, mean, left - 16, b)
        c = square(x + 4 * i + 128, mean, left - 32, c)
        d = square(x + 4 * i + 192, mean, left - 48, d)
    deviation = square_root(reduce_add((a + b) + (c + d)) / f32(norm.size) + norm.eps)
    inverse = broadcast(f32(1.0) / deviation)
    for i in range(0, stride, LANES):
        normal = (load(x + 4 * i) - mean) * inverse
        store(x + 4 * i, fma(normal, load(norm.weight + 4 * i), load(norm.bias + 4 * i)))


@kernel
def rms_norm_head(x, head_dim, norm):
    """Normalise one float32 head in place by a NORM without a mean; padding may stand behind each of its halves.

    Twin: `reference.normalise_heads`.
    """
    squares = broadcast(f32(0.0))
    for d in range(0, head_dim, LANES):
        value = load(x + 4 * d)
        squares = fma(value, value, squares)
    inverse = broadcast(f32(1.0) / square_root(reduce_add(squares) / f32(norm.size) + norm.eps))
    for d in range(0, head_dim, LANES):
        store(x + 4 * d, load(x + 4 * d) * inverse * load(norm.weight + 4 * d))
