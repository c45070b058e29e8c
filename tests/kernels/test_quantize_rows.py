"""Quantization of rows: integers and scales equal to the oracle's, bit by bit."""

import numpy as np
import pytest

from edgebert.kernels import reference
from tests.kernels.calls import assert_equal, quantize_rows

SIZES = (16, 48, 384, 1536)
ROWS = (0, 1, 3, 5, 9)


def normal(rng, M, K):
    return rng.normal(size=(M, K))


def zeros(rng, M, K):
    return np.zeros((M, K))


def negative_zeros(rng, M, K):
    return np.full((M, K), -0.0)


def constant(rng, M, K):
    return np.broadcast_to(rng.normal(size=(M, 1)), (M, K))


def outlier(rng, M, K):
    x = rng.normal(size=(M, K)) * 1e-3
    x[:, K // 3] = 1000
    return x


def negative(rng, M, K):
    return -np.abs(rng.normal(size=(M, K))) - 0.5


def positive(rng, M, K):
    return np.abs(rng.normal(size=(M, K))) + 0.5


def tiny(rng, M, K):
    return rng.normal(size=(M, K)) * 1e-38


def small(rng, M, K):
    """Ranges on both sides of 1e-30, where a row begins to count as all zero."""
    return rng.uniform(-0.5, 0.5, (M, K)) * rng.uniform(0.5, 2, (M, 1)) * 1e-30


def huge(rng, M, K):
    return rng.normal(size=(M, K)) * 1e37


def ties(rng, M, K):
    """Values half-way between two levels: the range is 255, so that levels are whole numbers."""
    x = rng.integers(-100, 155, (M, K)) + 0.5
    x[:, 0], x[:, 1] = -100, 155
    return x


def ends_between_levels(rng, M, K):
    """Zero and the upper end both round up: 256 steps, one more than there are levels."""
    x = rng.uniform(-101.5, 153.5, (M, K))
    x[:, 0], x[:, 1] = -101.5, 153.5
    return x


KINDS = (
    normal,
    zeros,
    negative_zeros,
    constant,
    outlier,
    negative,
    positive,
    tiny,
    small,
    huge,
    ties,
    ends_between_levels,
)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_integers_and_scales_are_the_oracles(library, kind):
    rng = np.random.default_rng(1)
    for K in SIZES:
        for M in ROWS:
            x = np.ascontiguousarray(kind(rng, M, K), np.float32)
            for group in (None, 64, 384):
                arrays = zip(quantize_rows(library, x, group), reference.quantize_rows(x, group), strict=True)
                for got, expected in arrays:
                    assert_equal(got, expected)


def test_oracle_rounds_half_to_even_and_zero_is_a_level():
    """The oracle itself, on a row worked out by hand: range 255, hence scale 1 and zero point 100."""
    x = np.array([[-100, 155, 0.5, 1.5, 2.5, -0.5, -1.5, 0] + [0] * 8], np.float32)
    q, scale, zero = reference.quantize_rows(x)
    assert (scale[0, 0], zero[0, 0]) == (1, 100)
    assert (q[0, :8].astype(int) - 100).tolist() == [-100, 155, 0, 2, 2, 0, -2, 0]


def test_a_row_of_zeros_has_scale_one(library):
    q, scale, zero = quantize_rows(library, np.zeros((2, 32), np.float32))
    assert not q.any()
    assert not zero.any()
    assert scale.tolist() == [[1], [1]]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_values_come_back_within_half_a_level(library, kind):
    """One level where zero and the value round in opposite directions; a row that counts as zero loses all."""
    x = np.ascontiguousarray(kind(np.random.default_rng(2), 9, 384), np.float32)
    q, scale, zero = quantize_rows(library, x)
    back = scale.astype(np.float64) * (q.astype(np.float64) - zero)
    level = np.where(scale == 1, 1e-30, scale) if kind in (tiny, small, zeros) else scale
    assert (np.abs(back - x) <= 1.001 * level).all()


def test_a_row_does_not_depend_on_its_neighbours(library):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(5, 384)).astype(np.float32)
    among_others = x.copy()
    among_others[[0, 1, 3, 4]] *= 1e6
    for alone, together in zip(quantize_rows(library, x[2:3]), quantize_rows(library, among_others), strict=True):
        assert_equal(together[2:3], alone)
