"""Arithmetic that is the same on every computer: right, whatever the order of its sums."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edgebert import exact


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 8, 13, 100])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_a_total_is_a_sum(count, axis):
    x = np.random.default_rng(count).integers(-9, 9, (count, count + 1)).astype(np.float32)
    found = exact.total(x, axis)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, x.sum(axis=axis))


def test_a_total_adds_the_second_half_to_the_first():
    x = np.array([1.0, 1e16, -1.0, 3.0, -1e16])
    assert exact.total(x) == ((x[0] + x[3]) + x[2]) + (x[1] + x[4])


@pytest.mark.parametrize(("M", "K", "N"), [(0, 3, 2), (1, 1, 1), (9, 11, 13), (3, 0, 2), (700, 384, 65)])
def test_a_product_does_not_hang_on_the_order_of_its_sums(M, K, N):
    rng = np.random.default_rng(K)
    x = (rng.normal(size=(M, K)) * np.exp(3 * rng.normal(size=(M, 1)))).astype(np.float32)
    y = (rng.normal(size=(K, N)) * np.exp(3 * rng.normal(size=(1, N)))).astype(np.float32)
    found = exact.matmul(x, y)
    order = rng.permutation(K)
    np.testing.assert_array_equal(exact.matmul(x[:, order], y[order]), found)
    true = x.astype(np.float64) @ y.astype(np.float64)
    lengths = np.linalg.norm(x, axis=1)[:, None] * np.linalg.norm(y, axis=0)
    assert (np.abs(found - true) <= 2.0**-24 * lengths).all()
    assert (np.abs(exact.matmul(x, y, parts=2) - true) <= 2.0**-46 * lengths).all()


def test_a_row_does_not_hang_on_its_neighbours():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(70, 96)).astype(np.float32), rng.normal(size=(96, 40)).astype(np.float32)
    np.testing.assert_array_equal(exact.matmul(x[7:8], y[:, 3:9]), exact.matmul(x, y)[7:8, 3:9])


def test_many_products_at_once():
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(4, 5, 6)).astype(np.float32), rng.normal(size=(4, 6, 7)).astype(np.float32)
    each = np.stack([exact.matmul(a, b) for a, b in zip(x, y, strict=True)])
    np.testing.assert_array_equal(exact.matmul(x, y), each)


def test_values_without_size_and_of_every_size():
    x = np.array([[0, 0, 0], [1e30, -1e30, 1], [1e-30, 2e-30, 0]], np.float32)
    y = np.array([[1e-20], [0], [1e20]], np.float32)
    found = exact.matmul(x, y)[:, 0]
    assert found[0] == 0
    assert abs(found[1] - 1e20) <= 2.0**-24 * 1e50
    np.testing.assert_allclose(exact.matmul(x, y[:, :1] * np.float32(1e-5))[2], [1e-55], atol=2.0**-24 * 2e-30 * 1e15)


@pytest.mark.parametrize("K", [1, 3, 127, 128, 129, 300])
def test_the_factor_of_an_inverse(K):
    rng = np.random.default_rng(K)
    x = rng.normal(size=(2 * K, K)) * np.exp(2 * rng.normal(size=K))
    products = exact.products(x.astype(np.float32))
    np.testing.assert_array_equal(products, products.T)
    found = exact.inverse_factor(products)
    assert not np.tril(found, -1).any()
    scales = np.sqrt(np.diagonal(products))
    one = (found * scales).T @ (found * scales) @ (products / scales / scales[:, None])
    np.testing.assert_allclose(one, np.eye(K), atol=1e-9)


def test_a_matrix_without_a_factor_is_refused():
    with pytest.raises(np.linalg.LinAlgError, match="not positive definite: pivot"):
        exact.inverse_factor(np.array([[1.0, 2.0], [2.0, 1.0]]))


def test_exp_and_log():
    x = np.concatenate([np.linspace(-708, 708, 20001), np.linspace(-1, 1, 2001)])
    np.testing.assert_allclose(exact.exp(x), [math.exp(value) for value in x], rtol=4e-16)
    np.testing.assert_array_equal(exact.exp(np.array([-np.inf, -800.0, 0.0, 800.0, np.inf])), [0, 0, 1, np.inf, np.inf])
    assert np.isnan(exact.exp(np.array([np.nan])))
    values = np.concatenate([np.exp(np.linspace(-700, 700, 20001)), np.linspace(0.5, 2, 2001)])
    np.testing.assert_allclose(exact.log(values), [math.log(value) for value in values], rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize(("function", "true"), [(exact.tanh, math.tanh), (exact.erf, math.erf)])
def test_tanh_and_erf(function, true):
    x = np.concatenate([np.linspace(-20, 20, 40001), [-np.inf, np.inf, 0.0]])
    np.testing.assert_allclose(function(x), [true(value) for value in x], atol=2e-12)
    small = np.logspace(-300, -3, 500)
    np.testing.assert_allclose(function(small), [true(value) for value in small], rtol=1e-11)
    assert function(np.zeros(3, np.float32)).dtype == np.float64
    np.testing.assert_array_equal(function(np.array([-40.0, 40.0])), [-1, 1])


def test_functions_give_the_bits_that_they_gave():
    """Of one value each: whoever changes a function changes every file, and what the digests of these are."""
    x = np.array([-1.7, 0.3, 2.9])
    found = [value.hex() for function in (exact.exp, exact.tanh, exact.erf) for value in function(x)]
    found += [value.hex() for value in exact.log(np.array([0.3, 2.9]))]
    assert found == BITS


BITS = [
    "0x1.7622c78a98a07p-3",
    "0x1.599058c8c1a96p+0",
    "0x1.22c94ca7a81fep+4",
    "-0x1.deedf00d3e8adp-1",
    "0x1.2a4dda7d90bd4p-2",
    "0x1.fce8bd82660f5p-1",
    "-0x1.f7b3620b875f1p-1",
    "0x1.50838881de17dp-2",
    "0x1.fffa9cfbea4e9p-1",
    "-0x1.34378fcbda721p+0",
    "0x1.1090e20315212p+0",
]
