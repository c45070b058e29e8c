"""Residual addition and layer normalisation, with a hidden size that need not fill its vectors."""

import numpy as np
import pytest

from edgebert import functions
from edgebert.kernels.plan import BRANCH
from tests.kernels import calls
from tests.kernels.calls import assert_equal

SIZES = (1, 16, 36, 48, 384, 1000)
ROWS = (0, 1, 3, 5)
EPS = 1e-12


def add_layer_norm(library, *arguments):
    """Return what becomes of the stream."""
    return calls.add_layer_norm(library, *arguments)[0]


def draw(rng, M, H):
    """Draw the arguments of `add_layer_norm`: x, smoothing, y, weight, bias."""
    shapes = ((M, H), (H,), (M, H), (H,), (H,))
    x, smoothing, y, weight, bias = (rng.normal(size=shape).astype(np.float32) for shape in shapes)
    return x, np.exp(smoothing), y, weight, bias


def oracle(x, smoothing, y, weight, bias, eps):
    """Add in float64, normalise as the reference does."""
    return functions.layer_norm(x.astype(np.float64) * smoothing + y, weight, bias, eps)


@pytest.mark.parametrize("H", SIZES)
def test_against_the_oracle(library, H):
    rng = np.random.default_rng(H)
    for M in ROWS:
        arguments = draw(rng, M, H)
        got = add_layer_norm(library, *arguments, 1e-5)
        np.testing.assert_allclose(got[:, :H], oracle(*arguments, 1e-5), rtol=0, atol=1e-5)
        assert not got[:, H:].any(), "the padding must stay zero"


def test_a_large_mean_is_taken_off_before_squaring(library):
    """With a mean of 1000 the squares alone would leave no digit of a variance of 1e-2."""
    x, smoothing, y, weight, bias = draw(np.random.default_rng(0), 3, 384)
    x = x * np.float32(0.1) + np.float32(1000)
    arguments = (x, np.ones_like(smoothing), np.zeros_like(y), weight, bias)
    # x itself is exact to 3e-5, 3e-4 of a deviation.
    np.testing.assert_allclose(add_layer_norm(library, *arguments, EPS), oracle(*arguments, EPS), rtol=0, atol=3e-3)


def test_one_outlier(library):
    x, smoothing, y, weight, bias = draw(np.random.default_rng(1), 3, 384)
    x[:, 100] = 1e4
    arguments = (x, smoothing, y, weight, bias)
    np.testing.assert_allclose(add_layer_norm(library, *arguments, EPS), oracle(*arguments, EPS), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("value", [0, 1, -3])
def test_a_constant_row_gives_the_bias(library, value):
    """Its variance is zero; eps keeps the division finite."""
    _, smoothing, _, weight, bias = draw(np.random.default_rng(2), 1, 36)
    x = np.full((2, 36), value, np.float32)
    got = add_layer_norm(library, x, np.ones_like(smoothing), np.zeros_like(x), weight, bias, EPS)
    np.testing.assert_allclose(got[:, :36], np.tile(bias, (2, 1)), rtol=0, atol=1e-6)


def test_eps_is_added_to_the_variance(library):
    x, smoothing, y, _, _ = draw(np.random.default_rng(3), 1, 48)
    one, nothing = np.ones(48, np.float32), np.zeros(48, np.float32)
    got = add_layer_norm(library, x, smoothing, y, one, nothing, 3.0)[:, :48]
    total = x.astype(np.float64) * smoothing + y
    np.testing.assert_allclose(got.var(), total.var() / (total.var() + 3), rtol=1e-5)


def test_a_row_does_not_depend_on_its_neighbours(library):
    x, smoothing, y, weight, bias = draw(np.random.default_rng(4), 5, 384)
    together = add_layer_norm(library, x, smoothing, y, weight, bias, EPS)
    for m in range(5):
        own = slice(m, m + 1)
        assert_equal(add_layer_norm(library, x[own], smoothing, y[own], weight, bias, EPS), together[own])


@pytest.mark.parametrize("H", SIZES)
@pytest.mark.parametrize("divided", [True, False])
def test_a_stream_that_goes_on_as_a_sum(library, divided, H):
    """What is normalised stands beside it, in the branch's place."""
    x, smoothing, y, weight, bias = draw(np.random.default_rng(H), 5, H)
    ones = np.ones_like(smoothing)
    arguments = (x, smoothing if divided else None, y, weight, bias)
    stream, branch = calls.add_layer_norm(library, *arguments, 1e-5, BRANCH)
    known = (x, smoothing if divided else ones, y, weight, bias)
    assert_equal(branch, add_layer_norm(library, *known, 1e-5))
    np.testing.assert_allclose(stream[:, :H], x.astype(np.float64) * known[1] + y, rtol=1e-6, atol=1e-6)
    assert not stream[:, H:].any()
    if not divided:
        assert_equal(stream[:, :H], x + y)
