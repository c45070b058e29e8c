"""exp2 and activations, with the polynomials and the roundings of `edgebert.kernels.activation`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from edgebert.cuda.ops import as_float, as_int, device, fma
from edgebert.kernels.polynomials import END, ERF, EXP2, LOWEST, ROUND, SIGMOID_END, SIGMOID_SLOPES, TANH

f32 = np.float32

E1, E2, E3, E4 = EXP2
HALF = f32(0.5)
ONE = f32(1.0)


@device
def exp2(x):
    """2**x for x at most 127; 2**-126 below that. Twin: `edgebert.kernels.activation.exp2`."""
    x = max(x, LOWEST)
    shifted = x + ROUND
    r = x - (shifted - ROUND)
    p = fma(E4, r, E3)
    p = fma(p, r, E2)
    p = fma(p, r, E1)
    p = fma(p, r, ONE)
    # The low bits of `shifted` are the rounded exponent; the addition happens in p's exponent field.
    return as_float(as_int(p) + (as_int(shifted) << 23))


def activation_function(form: str) -> Any:
    """Make the activation of a form. Twin: `functions.activate`."""
    if form == "relu":
        return _relu
    return _sigmoid_function(SIGMOID_SLOPES[form]) if form in SIGMOID_SLOPES else _gelu_function(form)


@device
def _relu(x):
    return max(x, f32(0.0))


def _sigmoid_function(slope):
    """Make x sigmoid(slope x), which is x / (1 + 2**(-slope log2(e) x))."""
    rate = f32(-slope * math.log2(math.e))

    @device
    def of_sigmoid(x):
        x = max(x, -SIGMOID_END)
        return x / (ONE + exp2(x * rate))

    return of_sigmoid


def _gelu_function(form):
    """Make GELU, x times Phi(x) (arXiv 1606.08415), ``"erf"`` or ``"tanh"``."""
    c0, c1, c2, c3, c4, c5, c6, c7, c8 = ERF if form == "erf" else TANH

    @device
    def gelu(x):
        x = max(x, -END)
        a = min(x, END)
        t = a * a
        p = fma(c8, t, c7)
        p = fma(p, t, c6)
        p = fma(p, t, c5)
        p = fma(p, t, c4)
        p = fma(p, t, c3)
        p = fma(p, t, c2)
        p = fma(p, t, c1)
        p = fma(p, t, c0)
        return x * fma(p, a, HALF)

    return gelu
