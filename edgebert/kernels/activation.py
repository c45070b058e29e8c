"""Elementwise functions as polynomials: exp2, the two forms of GELU, tanh.

The coefficients are weighted least-squares fits, reweighted towards the minimax one, rounded to float32.
Their twins are in `edgebert.kernels.reference`, computed from the exact functions.
"""

import numpy as np

from edgebert.kernels.jit import kernel
from edgebert.kernels.plan import CODE_ERF, CODE_TANH
from edgebert.kernels.simd.ops import (
    absolute,
    bits,
    broadcast,
    exponent,
    fma,
    from_bits,
    maximum,
    minimum,
    where_positive,
)

f32 = np.float32

_ROUND = f32(12582912.0)  # 1.5 * 2**23: adding it leaves no bits for a fraction, so it rounds half to even
_LOWEST = f32(-126.0)  # 2**-126 is the smallest normal float32

# (2**x - 1) / x on [-1/2, 1/2]; relative error of 2**x at most 1.7e-7
_E1, _E2, _E3, _E4, _E5 = (
    f32(0.6931470036506653),
    f32(0.24022242426872253),
    f32(0.05550733953714371),
    f32(0.00967151578515768),
    f32(0.001326467958278954),
)
# -log2 of the normal distribution's upper tail on [0, 6]
_TAIL = f32(6.0)  # GELU is within 6e-9 of zero below -6
_P0, _P1, _P2, _P3 = f32(0.9999880194664001), f32(1.1512593030929565), f32(0.45856529474258423), f32(0.05373551324)
_P4, _P5, _P6, _P7 = f32(-0.0083331149071455), f32(0.0008690888062), f32(-5.1739392802e-05), f32(1.2487207641e-06)

_TANH_LINEAR = f32(2.0 * 0.7978845608028654 * 1.4426950408889634)  # 2 sqrt(2 / pi) log2(e)
_TANH_CUBIC = f32(0.044715)
_TANH_LOWEST = f32(-10.0)
_ONE = f32(1.0)


@kernel
def exp2(x):
    """2**x for x at most 127; 2**-126 below that. Relative error at most 2e-7."""
    x = maximum(x, broadcast(_LOWEST))
    shifted = x + broadcast(_ROUND)
    r = x - (shifted - broadcast(_ROUND))
    p = fma(broadcast(_E5), r, broadcast(_E4))
    p = fma(p, r, broadcast(_E3))
    p = fma(p, r, broadcast(_E2))
    p = fma(p, r, broadcast(_E1))
    p = fma(p, r, broadcast(_ONE))
    # The low bits of `shifted` are the rounded exponent; the addition happens in p's exponent field.
    return from_bits(bits(p) + exponent(bits(shifted)))


@kernel
def gelu_erf(x):
    """x times the normal distribution's Phi(x) (arXiv 1606.08415); absolute error at most 4e-7.

    Phi(-a) = 2**-p(a) with a polynomial p, which keeps the relative error small in the tail too.
    """
    a = minimum(absolute(x), broadcast(_TAIL))
    p = fma(broadcast(_P7), a, broadcast(_P6))
    p = fma(p, a, broadcast(_P5))
    p = fma(p, a, broadcast(_P4))
    p = fma(p, a, broadcast(_P3))
    p = fma(p, a, broadcast(_P2))
    p = fma(p, a, broadcast(_P1))
    p = fma(p, a, broadcast(_P0))
    tail = exp2(broadcast(f32(0.0)) - p)
    # What is left of the tail must not grow with x.
    return maximum(x, broadcast(-_TAIL)) * where_positive(x, broadcast(_ONE) - tail, tail)


@kernel
def gelu_tanh(x):
    """x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2, as x times a logistic function."""
    # At -10 it is zero to 37 decimal places, and the power of two below just fits a float32.
    x = maximum(x, broadcast(_TANH_LOWEST))
    cubic = fma(x * x, broadcast(_TANH_CUBIC), broadcast(_ONE))
    power = broadcast(f32(0.0)) - x * cubic * broadcast(_TANH_LINEAR)
    return x / (broadcast(_ONE) + exp2(power))


@kernel
def activate(x, code):
    """Apply the activation of a LINEAR record."""
    if code == CODE_ERF:
        return gelu_erf(x)
    if code == CODE_TANH:
        return gelu_tanh(x)
    return x
