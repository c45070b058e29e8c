"""Rows of float32 to uint8 with a scale and a zero point each: the activations' side of the numeric law."""

import numpy as np

from edgebert.kernels.jit import kernel
from edgebert.kernels.simd.ops import (
    bits,
    broadcast,
    broadcast_i32,
    load,
    maximum,
    minimum,
    reduce_maximum,
    reduce_minimum,
    store_index,
    store_scalar,
    store_u8,
)

f32 = np.float32

LEVELS = f32(255.0)
SMALLEST = f32(1e-30)
"""A row whose range is below this is all zero."""
_ROUND = f32(12582912.0)
_ROUND_BITS = 0x4B400000


@kernel
def quantize_row(x, K, q, scale, zero):
    """Quantize one row: q = rint((value - low) * 255 / (high - low)), low and high including 0.

    Parameters are addresses: `x` float32 [K], `q` uint8 [K], `scale` float32, `zero` int32; K is padded.
    value = scale * (q - zero). Rounds half to even; twin: `reference.quantize_rows`.
    """
    low = broadcast(f32(0.0))
    high = broadcast(f32(0.0))
    for k in range(0, K, 16):
        value = load(x + 4 * k)
        low = minimum(low, value)
        high = maximum(high, value)
    least = reduce_minimum(low)
    extent = reduce_maximum(high) - least
    if not extent >= SMALLEST:
        least = f32(0.0)
        extent = LEVELS
    store_scalar(scale, extent / LEVELS)
    inverse = LEVELS / extent
    inverses = broadcast(inverse)
    # Zero lies on a level: it is rounded first, and the values are rounded on top of it.
    offset = (f32(-least * inverse) + _ROUND) - _ROUND
    store_index(zero, np.int64(offset))
    zeros = broadcast_i32(np.int64(offset) - _ROUND_BITS)
    highest = broadcast(_ROUND + (LEVELS - offset))
    for k in range(0, K, 16):
        shifted = load(x + 4 * k) * inverses + broadcast(_ROUND)
        # Both ends of the range may round up by half a level, to 256 levels in all.
        shifted = minimum(shifted, highest)
        store_u8(q + k, bits(shifted) + zeros)
