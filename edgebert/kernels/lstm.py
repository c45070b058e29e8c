"""A long short-term memory over a sequence, for heads that have one (doi 10.1162/neco.1997.9.8.1735)."""

import math

import numpy as np

from edgebert.kernels.activation import exp2
from edgebert.kernels.jit import kernel
from edgebert.kernels.polynomials import SIGMOID_END
from edgebert.kernels.simd.families import LANES
from edgebert.kernels.simd.ops import broadcast, fma, load, load_scalar, maximum, store

f32 = np.float32

_RATE = f32(-math.log2(math.e))
_STEP = 4 * LANES
"""Four sums run side by side: one would wait for its own last addition."""


@kernel
def _sigmoid(x):
    """1 / (1 + 2**(-log2(e) x)); below the end next to nothing is left, and beyond it exp2 would overflow."""
    return broadcast(f32(1.0)) / (broadcast(f32(1.0)) + exp2(maximum(x, broadcast(-SIGMOID_END)) * broadcast(_RATE)))


@kernel
def _tanh(x):
    """2 sigmoid(2 x) - 1."""
    return fma(_sigmoid(x + x), broadcast(f32(2.0)), broadcast(f32(-1.0)))


@kernel
def _recur(gates, before, weight, size):
    """Add what the state `before` [size] brings to the four gates [4 size]: before times `weight` [size, 4 size]."""
    for n in range(0, 4 * size, _STEP):
        a, b = load(gates + 4 * n), load(gates + 4 * n + 64)
        c, d = load(gates + 4 * n + 128), load(gates + 4 * n + 192)
        row = weight + 4 * n
        for k in range(size):
            value = broadcast(load_scalar(before + 4 * k))
            a, b = fma(value, load(row), a), fma(value, load(row + 64), b)
            c, d = fma(value, load(row + 128), c), fma(value, load(row + 192), d)
            row += 16 * size
        store(gates + 4 * n, a)
        store(gates + 4 * n + 64, b)
        store(gates + 4 * n + 128, c)
        store(gates + 4 * n + 192, d)


@kernel
def lstm(gates, T, size, weight, cell, out):
    """Take a sequence of T steps: float32 `gates` [T, 4 size] are what the inputs bring, and are overwritten.

    `size` is a multiple of 16; the gates are input, forget, cell and output, `weight` [size, 4 size] multiplies the
    state of the step before, and `cell` [size] is zero at the beginning. The states are `out` [T, size]. Twin:
    `functions.lstm`.
    """
    for t in range(T):
        own = gates + 16 * size * t
        if t > 0:
            _recur(own, out + 4 * size * (t - 1), weight, size)
        for i in range(0, size, LANES):
            kept = _sigmoid(load(own + 4 * (size + i))) * load(cell + 4 * i)
            new = fma(_sigmoid(load(own + 4 * i)), _tanh(load(own + 4 * (2 * size + i))), kept)
            store(cell + 4 * i, new)
            store(out + 4 * (size * t + i), _sigmoid(load(own + 4 * (3 * size + i))) * _tanh(new))
    return np.int64(0)
