"""Pooling and scores."""

from __future__ import annotations

import numpy as np
import pytest

from edgebert.batch import pack
from edgebert.choices import POOLINGS
from edgebert.heads import HEADS
from edgebert.heads.classification import scores
from edgebert.heads.pooling import pool, unit

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


@pytest.mark.parametrize(
    ("head", "rows"),
    [
        ("sequence_classification", [0, 4, 5]),
        ("next_sentence", [0, 4, 5]),
        ("token_classification", [1, 2, 6]),
        ("question_answering", [0, 1, 2, 3, 4, 5, 6, 7]),
        ("masked_lm", [2, 4, 6]),
    ],
)
def test_which_tokens_a_head_reads(head, rows):
    """Of three texts: first tokens, all but the special ones at both ends, all, those that are masked."""
    batch = pack([[1, 2, 9, 4], [9], [5, 9, 7]])
    assert HEADS[head].reads(batch, 9).tolist() == rows


def test_what_a_head_decides():
    logits = np.array([[1, 5], [3, 2], [2, 4], [7, 0], [0, 8]], np.float32)
    text = np.array([1, 1, 1, 3, 3])
    for head in ("sequence_classification", "next_sentence", "token_classification", "masked_lm"):
        assert HEADS[head].decisions(logits, text).tolist() == [1, 0, 1, 0, 1]
    # The best begin and end of each text, counted from its own first token.
    assert HEADS["question_answering"].decisions(logits, text).tolist() == [1, 0, 0, 1]


def test_scores():
    logits = np.array([1000, 999, -1000], np.float32)
    np.testing.assert_allclose(scores(logits, "softmax"), [1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1)), 0])
    np.testing.assert_allclose(scores(np.array([0, 2], np.float32), "sigmoid"), [0.5, 0.880797], 1e-6)
    assert scores(logits, "none").tolist() == [1000, 999, -1000]
