"""Pooling and scores."""

from __future__ import annotations

import numpy as np
import pytest

from edgebert.heads.classification import scores
from edgebert.heads.pooling import pool, unit

HIDDEN = np.array([[1, -2, 3], [3, 4, -5]], np.float32)


@pytest.mark.parametrize(("pooling", "expected"), [("mean", [2, 1, -1]), ("cls", [1, -2, 3]), ("max", [3, 4, 3])])
def test_pool(pooling, expected):
    assert pool(HIDDEN, pooling).tolist() == expected


def test_unit():
    np.testing.assert_allclose(unit(np.array([3, 4], np.float32)), [0.6, 0.8], rtol=1e-7)
    assert unit(np.zeros(4, np.float32)).tolist() == [0, 0, 0, 0]
    assert unit(np.full(4, 1e30, np.float32)).tolist() == [0.5] * 4


def test_scores():
    logits = np.array([1000, 999, -1000], np.float32)
    np.testing.assert_allclose(
        scores(logits, "single_label_classification"), [1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1)), 0]
    )
    np.testing.assert_allclose(
        scores(np.array([0, 2], np.float32), "multi_label_classification"), [0.5, 0.880797], 1e-6
    )
    assert scores(logits, "regression").tolist() == [1000, 999, -1000]
