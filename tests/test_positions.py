"""Learned distances: the buckets that transformers puts them in, and what they add; attention block by block."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from edgebert.architecture import Attention, Disentangled, Linear, Table
from edgebert.evaluate import arithmetic
from edgebert.kernels import reference
from edgebert.positions import bias_of_distances, blocks, buckets_of_distances, rows_of_distances, split_heads

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


ROWS = {
    (256, 512): {
        0: (256, 256),
        1: (257, 255),
        127: (383, 129),
        128: (384, 128),
        129: (385, 127),
        133: (388, 124),
        134: (389, 123),
        200: (425, 87),
        300: (463, 49),
        400: (489, 23),
        510: (511, 1),
        511: (511, 1),
        512: (511, 0),
        600: (511, 0),
    },
    (8, 160): {3: (11, 5), 4: (12, 4), 5: (13, 3), 10: (13, 3), 20: (14, 2), 22: (14, 2), 50: (15, 1), 160: (15, 0)},
}
"""Buckets and largest distance -> distance -> the rows of a key so far before its query, and so far behind it, from
transformers' DebertaV2Encoder.get_rel_pos and DisentangledSelfAttention."""


@pytest.mark.parametrize(("buckets", "largest"), ROWS)
def test_rows_of_distances(buckets, largest):
    positions = Disentangled(Table("", 2 * buckets, 1), None, buckets // 2, largest, "", "")
    expected = ROWS[buckets, largest]
    distances = np.array(list(expected))
    found = [rows_of_distances(positions, side).tolist() for side in (-distances, distances)]
    assert list(zip(*found, strict=True)) == list(expected.values())


def test_a_row_for_each_distance():
    positions = Disentangled(Table("", 10, 1), None, 5, 5, "", "")
    assert rows_of_distances(positions, np.arange(-7, 8)).tolist() == [9, 9, 9, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0, 0]


def test_bias():
    """Distance 0 stands in the middle; a key behind its query is to the right of it."""
    weight = np.arange(64, dtype=np.float32).reshape(32, 2)
    bias = bias_of_distances(weight, 3)
    assert bias.tolist() == [[4, 2, 0, 34, 36], [5, 3, 1, 35, 37]]


@pytest.mark.parametrize(("length", "window"), [(0, 3), (1, 0), (7, 2), (256, 300), (257, 1), (700, 0), (1000, 40)])
def test_blocks(length, window):
    """Every query once, with all that it sees, and little more."""
    seen = np.zeros((length, length), bool)
    for queries, keys, distances in blocks(length, window):
        assert distances.shape == (queries.stop - queries.start, keys.stop - keys.start)
        assert keys.stop - keys.start <= (256 + 2 * window if window else length)
        assert not seen[queries].any()
        seen[queries, keys] = np.abs(distances) <= (window or length)
    positions = np.arange(length)
    assert (seen == (np.abs(positions - positions[:, None]) <= (window or length))).all()


def heads_of(length):
    """Return query, key and value of two heads of 16 for a sequence, float32 (length, 96)."""
    return np.random.default_rng(length).normal(size=(length, 96)).astype(np.float32)


def attention(window):
    nothing = Linear("", 0, 0)
    return Attention(2, 16, nothing, nothing, window=window)


def in_float32(x, window, bias=None):
    heads = split_heads(x, attention(window))
    return arithmetic.attend(*heads, np.array([0, len(x)]), attention(window), bias)


def in_integers(x, window, bias=None):
    return reference.attend(x, np.array([0, len(x)]), attention(window), bias)


@pytest.mark.parametrize(("attend", "tolerance"), [(in_float32, 1e-5), (in_integers, 0.05)])
@pytest.mark.parametrize("window", [64, 0])
def test_attention_to_a_long_text(attend, tolerance, window):
    """Of 3,000 tokens, on both sides of the ends of blocks; without windows by the distance as well."""
    x = heads_of(3000)
    bias = None if window else np.random.default_rng(0).normal(size=(2, 5999)).astype(np.float32)
    found = attend(x, window, bias)
    query, key, value = (part.reshape(-1, 2, 16) for part in np.split(x.astype(np.float64), 3, axis=1))
    for i in (0, 63, 64, 255, 256, 319, 320, 1500, 2815, 2816, 2999):
        first, last = (max(0, i - window), i + window + 1) if window else (0, 3000)
        scores = np.einsum("hd,khd->hk", query[i], key[first:last]) / 4
        if bias is not None:
            scores += bias[:, 2999 - i : 5999 - i]
        weights = np.exp(scores)
        expected = np.einsum("hk,khd->hd", weights / weights.sum(axis=1)[:, None], value[first:last])
        np.testing.assert_allclose(found[i], expected.reshape(-1), rtol=0, atol=tolerance)


@pytest.mark.parametrize("attend", [in_float32, in_integers])
def test_what_attention_takes_grows_with_the_text_alone(attend):
    """With a window: twice the text takes hardly more than the few arrays of its size."""
    peaks = []
    for length in (2000, 4000):
        x = heads_of(length)
        tracemalloc.start()
        attend(x, 64)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert max(peaks) < 30e6
    assert peaks[1] < 2.2 * peaks[0]
