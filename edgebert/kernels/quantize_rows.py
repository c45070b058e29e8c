"""Rows of float32 to uint8 with scales and zero points: the activations' side of the numeric law."""

import numpy as np

from edgebert.kernels.constants import ACTIVATION_LEVELS, SMALLEST
from edgebert.kernels.jit import kernel
from edgebert.kernels.polynomials import ROUND, ROUND_BITS
from edgebert.kernels.simd.families import current
from edgebert.kernels.simd.ops import (
    bits,
    broadcast,
    broadcast_i32,
    load,
    maximum,
    minimum,
    reduce_maximum,
    reduce_minimum,
    store_scalar,
    store_u8,
)

f32 = np.float32

SHIFT = 128 if current().signed else 0
"""What is taken off levels and zero points, for families that multiply activations as int8."""


@kernel
def quantize_range(x, size, low, high, q, scale, zero):
    """Quantize `size` float32 whose lowest and highest values are in the vectors `low` and `high`, with 0 among them.

    q = rint((value - low) * 255 / (high - low)); value = scale * (q - zero). Rounds half to even. Of q and zero
    `SHIFT` is taken off.
    """
    least = reduce_minimum(low)
    extent = reduce_maximum(high) - least
    if not extent >= SMALLEST:
        least = f32(0.0)
        extent = ACTIVATION_LEVELS
    store_scalar(scale, extent / ACTIVATION_LEVELS)
    inverse = ACTIVATION_LEVELS / extent
    inverses = broadcast(inverse)
    # Zero lies on a level: it is rounded first, and the values are rounded on top of it.
    offset = (f32(-least * inverse) + ROUND) - ROUND
    store_scalar(zero, offset - f32(SHIFT))
    zeros = broadcast_i32(np.int64(offset) - (ROUND_BITS + SHIFT))
    highest = broadcast(ROUND + (ACTIVATION_LEVELS - offset))
    for k in range(0, size, 16):
        shifted = load(x + 4 * k) * inverses + broadcast(ROUND)
        # Both ends of the range may round up by half a level, to 256 levels in all.
        shifted = minimum(shifted, highest)
        store_u8(q + k, bits(shifted) + zeros)


@kernel
def quantize_row(x, K, group, q, scale, zero):
    """Quantize one row, each group of its values on its own.

    Parameters are addresses: `x` float32 [K], `q` uint8 [K], `scale` and `zero` float32 [K / group rounded up]; K is
    a multiple of 16. Twin: `reference.quantize_rows`.
    """
    begin = np.int64(0)
    while begin < K:
        size = min(group, K - begin)
        low = broadcast(f32(0.0))
        high = broadcast(f32(0.0))
        for k in range(begin, begin + size, 16):
            value = load(x + 4 * k)
            low = minimum(low, value)
            high = maximum(high, value)
        quantize_range(x + 4 * begin, size, low, high, q + begin, scale, zero)
        scale += 4
        zero += 4
        begin += group
