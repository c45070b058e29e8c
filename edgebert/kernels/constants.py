"""The whole numbers of the numeric scheme ``w8a8`` (`edgebert.quantize.law`), which all who compute with it share.

The quantizer, the processors' kernels and the GPU's take them from here. `edgebert.kernels.reference`, which kernels
are tested against, has its own.
"""

from __future__ import annotations

import numpy as np

__all__ = [
    "ACTIVATION_LEVELS",
    "HEAD_LEVELS",
    "LOWEST_SCORE",
    "NUMERATOR_LEVELS",
    "QUERY_LEVELS",
    "QUERY_ZERO",
    "SATURATION_LIMIT",
    "SMALLEST",
    "WEIGHT_LEVELS",
]

f32 = np.float32

ACTIVATION_LEVELS = f32(255.0)
"""Activations are in 0..255."""
WEIGHT_LEVELS = 127
"""Weights, and word embeddings in eight bits, are in -127..127."""
SATURATION_LIMIT = 128
"""What weights may sum to whose products are added in 16 bits, positive and negative ones apart: 255 * 128 fits."""
SMALLEST = f32(1e-30)
"""Values whose range (or largest size, where they are symmetric) is below this are all zero: they have no scale."""

QUERY_LEVELS, HEAD_LEVELS = f32(63.0), f32(127.0)
"""Queries are in -63..63, keys and values in -127..127."""
QUERY_ZERO = 64
"""What processors add to queries, to have them unsigned. Of seven bits, so that no sum of two products with a key of
eight saturates in 16 bits."""
NUMERATOR_LEVELS = f32(16383.0)
"""Numerators of a softmax, times the scale of their value, are in 0..16383: 14 bits, multiplied as two halves."""
LOWEST_SCORE = f32(-1e37)
"""A score that no key comes near: its numerator is 2**-126."""
