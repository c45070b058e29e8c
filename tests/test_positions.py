"""Learned distances: the buckets that transformers puts them in, and what they add."""

from __future__ import annotations

import numpy as np
import pytest

from edgebert.positions import bias_of_distances, buckets_of_distances

DISTANCES = [0, 1, 7, 8, 11, 12, 15, 16, 22, 23, 31, 32, 45, 46, 63, 64, 90, 91, 119, 120, 127, 128, 500]
BUCKETS = {
    32: [0, 1, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13, 14, 14, 15, 15, 15, 15, 15, 15],
    12: [0, 1, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5],
}
"""Count -> the buckets of `DISTANCES` before a token, from transformers' MPNetEncoder.relative_position_bucket."""


@pytest.mark.parametrize("count", BUCKETS)
def test_buckets(count):
    distances, expected = np.array(DISTANCES), np.array(BUCKETS[count])
    assert buckets_of_distances(-distances, count).tolist() == expected.tolist()
    behind = np.where(distances > 0, expected + count // 2, 0)
    assert buckets_of_distances(distances, count).tolist() == behind.tolist()


def test_bias():
    """Distance 0 stands in the middle; a key behind its query is to the right of it."""
    weight = np.arange(64, dtype=np.float32).reshape(32, 2)
    bias = bias_of_distances(weight, 3)
    assert bias.tolist() == [[4, 2, 0, 34, 36], [5, 3, 1, 35, 37]]
