"""Polynomials for exp2 and the normal distribution, which processors and GPUs share.

As exact as what comes after needs them, which is the rounding to 8 or 14 bits. The coefficients are weighted
least-squares fits, reweighted towards the minimax one, rounded to float32.
"""

from __future__ import annotations

import numpy as np

__all__ = ["END", "ERF", "EXP2", "LOWEST", "ROUND", "ROUND_BITS", "SIGMOID_END", "SIGMOID_SLOPES", "TANH"]

f32 = np.float32

ROUND = f32(12582912.0)
"""1.5 * 2**23: adding it leaves no bits for a fraction, so it rounds half to even."""
ROUND_BITS = 0x4B400000
"""The bits of it as float32."""
LOWEST = f32(-126.0)
"""2**-126 is the smallest normal float32."""
EXP2 = (
    f32(0.6931241750717163),
    f32(0.24024099111557007),
    f32(0.055906426161527634),
    f32(0.009582852944731712),
)
"""(2**x - 1) / x on [-1/2, 1/2], from the constant up."""
END = f32(4.25)
"""Up to here, from minus here on, Phi is a polynomial."""
ERF = tuple(
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
"""(Phi(x) - 1/2) / x as a polynomial of x**2, Phi being the normal distribution, from the constant up."""
TANH = tuple(
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
"""The same of what tanh makes of Phi."""
SIGMOID_SLOPES = {"silu": 1.0, "quick": 1.702}
"""Form of an activation x sigmoid(slope x) -> the slope."""
SIGMOID_END = f32(24.0)
"""Below minus this, x sigmoid(x) is within 1e-9 of 0."""
