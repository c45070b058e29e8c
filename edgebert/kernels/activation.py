"""Elementwise functions as polynomials: exp2, the two forms of GELU.

As exact as what comes after needs them, which is the rounding to 8 or 14 bits. The coefficients are weighted
least-squares fits, reweighted towards the minimax one, rounded to float32. Their twins are in
`edgebert.kernels.reference`, computed from the exact functions.
"""

import numpy as np

from edgebert.kernels.jit import kernel
from edgebert.kernels.plan import CODE_ERF
from edgebert.kernels.simd.families import LANES
from edgebert.kernels.simd.ops import bits, broadcast, exponent, fma, from_bits, load, maximum, minimum, store

f32 = np.float32

_ROUND = f32(12582912.0)  # 1.5 * 2**23: adding it leaves no bits for a fraction, so it rounds half to even
_LOWEST = f32(-126.0)  # 2**-126 is the smallest normal float32

# (2**x - 1) / x on [-1/2, 1/2]
_E1, _E2, _E3, _E4 = (
    f32(0.6931241750717163),
    f32(0.24024099111557007),
    f32(0.055906426161527634),
    f32(0.009582852944731712),
)
# (Phi(x) - 1/2) / x as a polynomial of x**2 up to x = 4.25, Phi being the normal distribution, or what tanh makes of it
_END = f32(4.25)
_HALF = f32(0.5)
_ERF = tuple(
    f32(c)
    for c in (
        0.3988192081451416,
        -0.06619028002023697,
        0.009718779474496841,
        -0.0010790781816467643,
        8.848917059367523e-05,
        -5.147516276338138e-06,
        1.9861602140736068e-07,
        -4.5153072392167815e-09,
        4.547076951078033e-11,
    )
)
_TANH = tuple(
    f32(c)
    for c in (
        0.39878785610198975,
        -0.06645317375659943,
        0.009904955513775349,
        -0.0011286913650110364,
        9.547988884150982e-05,
        -5.72298995393794e-06,
        2.2651803988082975e-07,
        -5.255407664606082e-09,
        5.376674452883812e-11,
    )
)


@kernel
def exp2(x):
    """2**x for x at most 127; 2**-126 below that. Relative error at most 3e-6."""
    x = maximum(x, broadcast(_LOWEST))
    shifted = x + broadcast(_ROUND)
    r = x - (shifted - broadcast(_ROUND))
    p = fma(broadcast(_E4), r, broadcast(_E3))
    p = fma(p, r, broadcast(_E2))
    p = fma(p, r, broadcast(_E1))
    p = fma(p, r, broadcast(f32(1.0)))
    # The low bits of `shifted` are the rounded exponent; the addition happens in p's exponent field.
    return from_bits(bits(p) + exponent(bits(shifted)))


def _gelu_row(coefficients):
    """Make the kernel that applies GELU, x times Phi(x) (arXiv 1606.08415), with a polynomial for Phi."""
    c0, c1, c2, c3, c4, c5, c6, c7, c8 = coefficients

    @kernel
    def gelu_row(x, factor, size):
        low = broadcast(f32(0.0))
        high = broadcast(f32(0.0))
        for i in range(0, size, LANES):
            # Below the end, where Phi is next to nothing, what is left of it must not grow with x.
            value = maximum(load(x + 4 * i), broadcast(-_END))
            a = minimum(value, broadcast(_END))
            t = a * a
            p = fma(broadcast(c8), t, broadcast(c7))
            p = fma(p, t, broadcast(c6))
            p = fma(p, t, broadcast(c5))
            p = fma(p, t, broadcast(c4))
            p = fma(p, t, broadcast(c3))
            p = fma(p, t, broadcast(c2))
            p = fma(p, t, broadcast(c1))
            p = fma(p, t, broadcast(c0))
            value = value * fma(p, a, broadcast(_HALF)) * load(factor + 4 * i)
            store(x + 4 * i, value)
            low = minimum(low, value)
            high = maximum(high, value)
        return low, high

    return gelu_row


gelu_erf = _gelu_row(_ERF)
gelu_tanh = _gelu_row(_TANH)


@kernel
def activate(x, factor, size, code):
    """Apply the activation of an intermediate layer to `size` float32 in place, then multiply by `factor`.

    Absolute error of the activation at most 4e-5. Returns two vectors, between whose lanes all values and 0 lie.
    """
    if code == CODE_ERF:
        return gelu_erf(x, factor, size)
    return gelu_tanh(x, factor, size)
