"""Pooling and scores."""

from __future__ import annotations

import numpy as np
import pytest

from edgebert.heads.classification import scores
from edgebert.heads.pooling import POOLINGS, pool, unit

HIDDEN = np.array([[1, -2, 3], [3, 4, -5]], np.float32)


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ("mean", [2, 1, -1]),
        ("cls", [1, -2, 3]),
        ("max", [3, 4, 3]),
        ("lasttoken", [3, 4, -5]),
        ("weightedmean", [7 / 3, 2, -7 / 3]),
        ("mean_sqrt_len_tokens", [2 * 2**0.5, 2**0.5, -(2**0.5)]),
    ],
)
def test_pool(pooling, expected):
    np.testing.assert_allclose(pool(HIDDEN, pooling), expected, rtol=1e-6)
    assert set(POOLINGS) == {"mean", "cls", "max", "lasttoken", "weightedmean", "mean_sqrt_len_tokens"}


def test_unit():
    np.testing.assert_allclose(unit(np.array([3, 4], np.float32)), [0.6, 0.8], rtol=1e-7)
    assert unit(np.zeros(4, np.float32)).tolist() == [0, 0, 0, 0]
    assert unit(np.full(4, 1e30, np.float32)).tolist() == [0.5] * 4


def test_scores():
    logits = np.array([1000, 999, -1000], np.float32)
    np.testing.assert_allclose(scores(logits, "softmax"), [1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1)), 0])
    np.testing.assert_allclose(scores(np.array([0, 2], np.float32), "sigmoid"), [0.5, 0.880797], 1e-6)
    assert scores(logits, "none").tolist() == [1000, 999, -1000]
