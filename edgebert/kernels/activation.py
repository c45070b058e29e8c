"""Elementwise functions: exp2 and two forms of GELU as polynomials, what is made of a sigmoid, ReLU.

Their twins are in `edgebert.functions`, computed from the exact functions.
"""

import math

import numpy as np

from edgebert.kernels.jit import kernel
from edgebert.kernels.plan import CODE_ERF, CODE_RELU, CODE_SILU, CODE_TANH
from edgebert.kernels.polynomials import END, ERF, EXP2, LOWEST, ROUND, SIGMOID_END, SIGMOID_SLOPES, TANH
from edgebert.kernels.simd.families import LANES
from edgebert.kernels.simd.ops import bits, broadcast, exponent, fma, from_bits, load, maximum, minimum, store

f32 = np.float32

_HALF = f32(0.5)
_E1, _E2, _E3, _E4 = EXP2


@kernel
def exp2(x):
    """2**x for x at most 127; 2**-126 below that. Relative error at most 3e-6."""
    x = maximum(x, broadcast(LOWEST))
    shifted = x + broadcast(ROUND)
    r = x - (shifted - broadcast(ROUND))
    p = fma(broadcast(_E4), r, broadcast(_E3))
    p = fma(p, r, broadcast(_E2))
    p = fma(p, r, broadcast(_E1))
    p = fma(p, r, broadcast(f32(1.0)))
    # The low bits of `shifted` are the rounded exponent; the addition happens in p's exponent field.
    return from_bits(bits(p) + exponent(bits(shifted)))


def _row(function, gated):
    """Make the kernel that applies a function to `size` float32 in place, then multiplies by `factor`.

    Where it is `gated`, 16 values are followed by the 16 that multiply them: the results stand at the beginning.
    """
    step = 8 if gated else 4

    @kernel
    def row(x, factor, size):
        low = broadcast(f32(0.0))
        high = broadcast(f32(0.0))
        for i in range(0, size, LANES):
            value = function(load(x + step * i))
            if gated:
                value = value * load(x + step * i + 4 * LANES)
            value = value * load(factor + 4 * i)
            store(x + 4 * i, value)
            low = minimum(low, value)
            high = maximum(high, value)
        return low, high

    return row


def _gelu(coefficients):
    """Make GELU, x times Phi(x) (arXiv 1606.08415), with a polynomial for Phi."""
    c0, c1, c2, c3, c4, c5, c6, c7, c8 = coefficients

    @kernel
    def gelu(x):
        # Below the end, where Phi is next to nothing, what is left of it must not grow with x.
        value = maximum(x, broadcast(-END))
        a = minimum(value, broadcast(END))
        t = a * a
        p = fma(broadcast(c8), t, broadcast(c7))
        p = fma(p, t, broadcast(c6))
        p = fma(p, t, broadcast(c5))
        p = fma(p, t, broadcast(c4))
        p = fma(p, t, broadcast(c3))
        p = fma(p, t, broadcast(c2))
        p = fma(p, t, broadcast(c1))
        p = fma(p, t, broadcast(c0))
        return value * fma(p, a, broadcast(_HALF))

    return gelu


def _of_sigmoid(slope):
    """Make x sigmoid(slope x), which is x / (1 + 2**(-slope log2(e) x))."""
    rate = f32(-slope * math.log2(math.e))

    @kernel
    def of_sigmoid(x):
        # Below the end next to nothing is left; beyond it, exp2 would overflow.
        value = maximum(x, broadcast(-SIGMOID_END))
        return value / (broadcast(f32(1.0)) + exp2(value * broadcast(rate)))

    return of_sigmoid


@kernel
def relu(x):
    """max(x, 0), which is exact."""
    return maximum(x, broadcast(f32(0.0)))


def _by_code(gated):
    """Make the kernel that chooses among the rows of all activations, by their code."""
    functions = _gelu(ERF), _gelu(TANH), relu, *(_of_sigmoid(SIGMOID_SLOPES[form]) for form in ("silu", "quick"))
    erf, tanh, relu_row, silu, quick = (_row(function, gated) for function in functions)

    @kernel
    def row(x, factor, size, code):
        if code == CODE_ERF:
            return erf(x, factor, size)
        if code == CODE_TANH:
            return tanh(x, factor, size)
        if code == CODE_RELU:
            return relu_row(x, factor, size)
        if code == CODE_SILU:
            return silu(x, factor, size)
        return quick(x, factor, size)

    return row


row_by_code, gated_row_by_code = _by_code(gated=False), _by_code(gated=True)


@kernel
def activate(x, factor, size, code):
    """Apply the activation of an intermediate layer to `size` float32 in place, then multiply by `factor`.

    `code` is one of `ACTIVATION_CODES`. Absolute error of GELU at most 4e-5; of SiLU and the quick form of GELU 2e-6,
    where these are larger than 1 as much relative to them; of ReLU none. Returns two vectors, between whose lanes all
    values and 0 lie. Twin: `functions.activate`.
    """
    return row_by_code(x, factor, size, code)


@kernel
def activate_gated(x, factor, size, code):
    """Apply the activation to 16 of 2 * `size` float32 in turn, and multiply by the 16 behind and by `factor`.

    The results stand at the beginning. Otherwise as `activate`. Twin: `reference.activate_gated`.
    """
    return gated_row_by_code(x, factor, size, code)
