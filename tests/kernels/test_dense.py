"""The float32 linear layer of the heads."""

import numpy as np
import pytest

from edgebert.kernels import reference
from tests.kernels.calls import assert_equal, dense

ROWS = (0, 1, 3, 5, 8, 9, 17)


@pytest.mark.parametrize(("K", "N"), [(1, 16), (3, 48), (36, 16), (384, 384), (1536, 80)])
def test_against_the_oracle(library, K, N):
    rng = np.random.default_rng(K)
    x = rng.normal(size=(max(ROWS), K)).astype(np.float32)
    weight = rng.normal(size=(K, N)).astype(np.float32)
    tolerance = 5e-7 * (np.abs(x) @ np.abs(weight))
    for M in ROWS:
        error = np.abs(dense(library, x[:M], weight) - reference.dense(x[:M], weight))
        assert (error <= tolerance[:M]).all()


def test_small_integers_are_exact(library):
    rng = np.random.default_rng(0)
    x = rng.integers(-99, 100, (9, 100)).astype(np.float32)
    weight = rng.integers(-99, 100, (100, 48)).astype(np.float32)
    assert_equal(dense(library, x, weight), x @ weight)


def test_a_row_does_not_depend_on_its_neighbours(library):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(17, 384)).astype(np.float32)
    weight = rng.normal(size=(384, 48)).astype(np.float32)
    together = dense(library, x, weight)
    for m in range(17):
        assert_equal(dense(library, x[m : m + 1], weight), together[m : m + 1])
