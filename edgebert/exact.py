"""Arithmetic with the same bits on every computer: it makes whatever decides a bit of a file or of its receipt.

BLAS and LAPACK add in whatever order a processor likes, and libm's last bit is its own. Here a product of matrices is
one of whole numbers whose sums float64 holds exactly, so that BLAS may add them in any order (the idea of Ozaki's
scheme, doi 10.1007/s11075-011-9478-1, section 3); everything else is single operations of IEEE 754, one after the other
in an order that is written down.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np

__all__ = [
    "erf",
    "exp",
    "inverse_factor",
    "log",
    "matmul",
    "mean",
    "multiply",
    "products",
    "sine_and_cosine",
    "tanh",
    "total",
]

_BITS = 26
"""A row of whole numbers is at most 2**26 long, as a vector: by Cauchy's inequality no sum of products of two such
rows, nor any part of it, exceeds 2**52 by much, and float64 holds all whole numbers up to 2**53."""
_BLOCK = 128
_ROWS = 512

_LOG2 = 1.4426950408889634
# ln 2 in two parts; the first ends in zeros, so that its products with small whole numbers are exact.
_LN2 = (0.6931471803691238, 1.9082149292705877e-10)
# pi / 2 in three parts; the first two end in zeros, so that their products with whole numbers below 2**20 are exact.
_HALF_PI = (1.5707963267341256, 6.077100506303966e-11, 2.0222662487959506e-21)
_EXP = tuple(1.0 / math.factorial(i) for i in range(14))
_LARGEST_EXPONENT = 709.0
_STEPS = 512
"""Points for each unit between which a function is a cubic."""


def total(x: np.ndarray, axis: int = -1) -> np.ndarray:
    """Sum along an axis by halves: the second half is added to the first until one is left; in the dtype of `x`."""
    if axis != 0:
        x = np.moveaxis(x, axis, 0)
    if len(x) < 2:
        return x[0].copy() if len(x) else np.zeros(x.shape[1:], x.dtype)
    while len(x) > 1:
        half = (len(x) + 1) // 2
        first, second = x[:half], x[half:]
        x = first + second if len(second) == half else np.concatenate([first[:-1] + second, first[-1:]])
    return x[0]


def mean(x: np.ndarray, axis: int = -1) -> np.ndarray:
    """Return the mean along an axis, float64."""
    return total(x.astype(np.float64), axis) / x.shape[axis]


def matmul(x: np.ndarray, y: np.ndarray, parts: int = 1) -> np.ndarray:
    """Multiply matrices.

    Parameters
    ----------
    x : ndarray [shape=(..., M, K), dtype=float32 or float64], finite
    y : ndarray [shape=(..., K, N), dtype=float32 or float64], finite
    parts : int
        1: values are rounded to 2**-27 of the length of their row of `x`, or column of `y`, which float32 hardly tells
        from exact; 2: what that rounding leaves over is multiplied too, about as exact as float64.

    Returns
    -------
    ndarray [shape=(..., M, N), dtype=float64]
    """
    of_y = _rounded(y, -2, parts)
    if x.shape[-2] <= _ROWS:
        return _product(_rounded(x, -1, parts), of_y)
    result = np.empty((*np.broadcast_shapes(x.shape[:-2], y.shape[:-2]), x.shape[-2], y.shape[-1]))
    for begin in range(0, x.shape[-2], _ROWS):  # which stay in the cache
        rows = slice(begin, begin + _ROWS)
        result[..., rows, :] = _product(_rounded(x[..., rows, :], -1, parts), of_y)
    return result


def multiply(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Multiply matrices as `matmul` does, (..., M, K) by (..., K, N), and round to float32 (..., M, N)."""
    return matmul(x, y).astype(np.float32)


def _product(of_x: list[np.ndarray], of_y: list[np.ndarray]) -> np.ndarray:
    product = of_x[0] @ of_y[0]
    for i, part in enumerate(of_x):
        for j in range(i == 0, len(of_x) - i):
            product += part @ of_y[j]
    return product


def products(x: np.ndarray) -> np.ndarray:
    """Multiply each two columns of a matrix: float (M, K) -> float64 (K, K), as `matmul` of it with itself."""
    (rounded,) = _rounded(x, -2, 1)
    return rounded.T @ rounded  # BLAS sees that it is symmetric, and computes half


def _rounded(x: np.ndarray, axis: int, parts: int) -> list[np.ndarray]:
    """Split a matrix into parts, whose rows (or columns) are whole numbers times a power of two, and what they lack."""
    found = []
    rest = np.asarray(x, np.float64)
    for part in range(parts):
        # In pieces along the other axis, which stay in the cache.
        pieces = _pieces(rest, -1 if axis == -2 else -2)
        _, exponent = np.frexp(np.concatenate([total(piece * piece, axis) for piece in pieces], axis=-1))
        shift = np.expand_dims(_BITS - (exponent + 1) // 2, axis).clip(-900, 900)
        whole = rest * np.ldexp(1.0, shift)
        np.rint(whole, out=whole)
        whole *= np.ldexp(1.0, -shift)
        found.append(whole)
        if part + 1 < parts:
            rest = rest - whole
    return found


def _pieces(x: np.ndarray, axis: int) -> list[np.ndarray]:
    return np.array_split(x, max(1, -(-x.shape[axis] // _ROWS)), axis)


def inverse_factor(matrix: np.ndarray) -> np.ndarray:
    """Return the upper triangle U for which U^T U is the inverse of a matrix.

    Parameters
    ----------
    matrix : ndarray [shape=(K, K), dtype=float64], symmetric, positive definite

    Returns
    -------
    ndarray [shape=(K, K), dtype=float64]

    Raises
    ------
    numpy.linalg.LinAlgError
        When the matrix is not positive definite.
    """
    # Turned round, the matrix is L L^T; so it is W W^T with the upper triangle W, which is L turned round, and U its
    # inverse.
    lower = _cholesky(matrix[::-1, ::-1]).T
    K = len(lower)
    inverse = np.zeros_like(lower)
    for begin in range(0, K, _BLOCK):
        own = slice(begin, min(begin + _BLOCK, K))
        inverse[own, own] = _inverse_of_triangle(lower[own, own])
        if begin:
            rows = _times_triangle(lower[own, :begin], inverse[:begin, :begin])
            inverse[own, :begin] = -matmul(inverse[own, own], rows, 2)
    return np.ascontiguousarray(inverse[::-1, ::-1])


def _times_triangle(x: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """Multiply by a lower triangle as `matmul` does in two parts, leaving out most of its zeros."""
    of_x, of_lower = _rounded(x, -1, 2), _rounded(lower, -2, 2)
    result = np.empty(x.shape)
    for begin in range(0, len(lower), _ROWS):
        own = slice(begin, begin + _ROWS)
        result[:, own] = _product([part[:, begin:] for part in of_x], [part[begin:, own] for part in of_lower])
    return result


def _cholesky(matrix: np.ndarray) -> np.ndarray:
    """Return the upper triangle R for which R^T R is a matrix, of which only the upper triangle is read."""
    rest, K = matrix.copy(), len(matrix)
    factor = np.zeros_like(rest)
    for begin in range(0, K, _BLOCK):
        end = min(begin + _BLOCK, K)
        own, roots = rest[begin:end, begin:end].copy(), np.empty(end - begin)
        for i in range(len(own)):
            if not own[i, i] > 0:
                raise np.linalg.LinAlgError(f"the matrix is not positive definite: pivot {begin + i} is {own[i, i]}")
            roots[i] = np.sqrt(own[i, i])
            own[i, i:] /= roots[i]
            own[i + 1 :, i + 1 :] -= own[i, i + 1 :, None] * own[i, i + 1 :]
            own[i + 1 :, i] = 0
        factor[begin:end, begin:end] = own
        for piece in _pieces(rest[begin:end, end:], -1):  # in place
            for i in range(len(own)):
                piece[i] /= roots[i]
                piece[i + 1 :] -= own[i, i + 1 :, None] * piece[i]
        right = factor[begin:end, end:] = rest[begin:end, end:]
        rounded = _rounded(right, -2, 2)
        for first in range(0, K - end, _ROWS):
            rows = [part[:, first : first + _ROWS].T for part in rounded]
            product = _product(rows, [part[:, first:] for part in rounded])
            rest[end + first : end + first + len(product), end + first :] -= product
    return factor


def _inverse_of_triangle(lower: np.ndarray) -> np.ndarray:
    """Invert a small lower triangle, row by row."""
    inverse = np.eye(len(lower))
    for i in range(len(lower)):
        inverse[i] /= lower[i, i]
        inverse[i + 1 :] -= lower[i + 1 :, i, None] * inverse[i]
    return inverse


def exp(x: np.ndarray) -> np.ndarray:
    """Return e**x, float64, within 2e-16 of it; 0 below -709, infinite above 709."""
    x = np.asarray(x, np.float64)
    within = np.clip(x, -_LARGEST_EXPONENT, _LARGEST_EXPONENT)
    power = np.rint(within * _LOG2)
    rest = (within - power * _LN2[0]) - power * _LN2[1]
    result = np.full(rest.shape, _EXP[-1])
    for coefficient in _EXP[-2::-1]:
        result *= rest
        result += coefficient
    with np.errstate(invalid="ignore"):  # of what is no number nothing has to come of it
        result *= ((power.astype(np.int64) + 1023) << 52).view(np.float64)
    if np.abs(x).max(initial=0) <= _LARGEST_EXPONENT:
        return result
    return np.where(x < -_LARGEST_EXPONENT, 0.0, np.where(x > _LARGEST_EXPONENT, np.inf, result))


def log(x: np.ndarray) -> np.ndarray:
    """Return the natural logarithm of positive x, float64, within 1e-15."""
    fraction, exponent = np.frexp(np.asarray(x, np.float64))
    low = fraction < math.sqrt(0.5)
    fraction, exponent = np.where(low, 2 * fraction, fraction), exponent - low
    # log f = 2 artanh t, |t| at most 0.172: t + t**3 / 3 + t**5 / 5 + ...
    t = (fraction - 1) / (fraction + 1)
    square = t * t
    series = np.full(t.shape, 1 / 23)
    for n in range(21, 0, -2):
        series = series * square + 1 / n
    return exponent * _LN2[0] + (exponent * _LN2[1] + 2 * t * series)


def sine_and_cosine(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return sin x and cos x of x between -1e6 and 1e6, float64, within 1e-15 of them."""
    x = np.asarray(x, np.float64)
    quarters = np.rint(x * (2 / math.pi))
    rest = ((x - quarters * _HALF_PI[0]) - quarters * _HALF_PI[1]) - quarters * _HALF_PI[2]
    square = -rest * rest
    sine, cosine = np.zeros(x.shape), np.zeros(x.shape)
    for n in range(9, 0, -1):  # 1 - r**2 / (1 * 2) (1 - r**2 / (3 * 4) (1 - ...
        sine = square / (2 * n * (2 * n + 1)) * (1 + sine)
        cosine = square / ((2 * n - 1) * 2 * n) * (1 + cosine)
    sine, cosine = rest * (sine + 1), cosine + 1
    turned = quarters.astype(np.int64) & 3
    swapped, odd = (turned & 1) == 1, turned >= 2
    first, second = np.where(swapped, cosine, sine), np.where(swapped, sine, cosine)
    return np.where(odd, -first, first), np.where((turned == 1) | (turned == 2), -second, second)


def tanh(x: np.ndarray) -> np.ndarray:
    """Return tanh x, float64, within 1e-12."""
    return _cubic(x, *_tanh_table())


def erf(x: np.ndarray) -> np.ndarray:
    """Return erf x, float64, within 1e-12."""
    return _cubic(x, *_erf_table())


def _cubic(x: np.ndarray, values: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """Return an odd function between points of which its values and slopes are known; 1 behind the last."""
    steps = np.minimum(np.abs(x), (len(values) - 2) / _STEPS) * _STEPS
    with np.errstate(invalid="ignore"):
        at = steps.astype(np.int64)
    at = np.clip(at, 0, len(values) - 2)
    t = steps - at
    low, first, second = values[at], slopes[at], slopes[at + 1]
    rise = values[at + 1] - low
    cubic = first + t * (3 * rise - 2 * first - second + t * (first + second - 2 * rise))
    return np.sign(x) * (low + t * cubic)


def _table(end: int, function: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    points = np.arange(end * _STEPS + 2) / _STEPS
    values, slopes = function(points)
    values[-2:], slopes[-2:] = 1, 0  # exactly: whoever multiplies 1 - f(x) by a large x gets nothing
    return values, slopes / _STEPS


@functools.cache
def _tanh_table() -> tuple[np.ndarray, np.ndarray]:
    def function(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        values = 1 - 2 / (exp(2 * x) + 1)
        return values, 1 - values * values

    return _table(19, function)


@functools.cache
def _erf_table() -> tuple[np.ndarray, np.ndarray]:
    def function(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        # erf x = 2 / sqrt(pi) exp(-x**2) (x + 2/3 x**3 + 4/15 x**5 + ...): no term is negative, nothing cancels.
        square, term = x * x, x.copy()
        series = x.copy()
        for n in range(1, 140):
            term *= 2 * square / (2 * n + 1)
            series += term
        bell = 2 / math.sqrt(math.pi) * exp(-square)
        return bell * series, bell

    return _table(6, function)
