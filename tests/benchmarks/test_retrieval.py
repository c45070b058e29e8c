"""Figures of rankings, and the collection that they are measured on."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.retrieval import fused, ndcg, read_cranfield, recall


def test_ndcg():
    assert ndcg([3, 1, 2], {3: 4, 1: 1}) == 1
    assert ndcg([1, 3, 2], {3: 4, 1: 1}) == pytest.approx((1 + 4 / np.log2(3)) / (4 + 1 / np.log2(3)))
    assert ndcg([2], {3: 4}) == 0
    assert ndcg([*range(20)], {15: 4}) == 0  # beyond the tenth


def test_recall():
    assert recall([3, 1, 2], {3: 4, 7: 1}) == 0.5
    assert recall([3, 1, 2], {2: 4}, count=2) == 0


def test_what_two_rankings_say_together():
    scores = fused(np.array([[3.0, 2.0, 1.0]]), np.array([[1.0, 3.0, 2.0]]))
    assert scores.argmax() == 1
    np.testing.assert_allclose(scores[0], [1 / 61 + 1 / 63, 1 / 62 + 1 / 61, 1 / 63 + 1 / 62])


def test_the_collection(tmp_path):
    (tmp_path / "cran.all.1400").write_text(
        ".I 1\n.T\na title\n.A\nwho\n.B\nwhere\n.W\na title\n  a wing\nin a slipstream .\n.I 2\n.T\n.A\n.B\n.W\n"
    )
    (tmp_path / "cran.qry").write_text(".I 004\n.W\nwhat wing\n.I 009\n.W\nwhat slipstream\n")
    (tmp_path / "cranqrel").write_text("1 1 2\n1 2 5\n2 2 -1\n2 1 1\n\n")
    found = read_cranfield(tmp_path)
    assert found.documents == ["a title a wing in a slipstream .", ""]
    assert found.queries == ["what wing", "what slipstream"]
    assert found.gains == [{0: 3}, {0: 4}]
