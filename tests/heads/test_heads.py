"""Pooling and scores."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from edgebert.batch import pack
from edgebert.checkpoint import open_checkpoint
from edgebert.choices import POOLINGS
from edgebert.evaluate.float32 import Float32Layers
from edgebert.heads import HEADS
from edgebert.heads.classification import scores
from edgebert.heads.pooling import pool, unit
from tests.golden import GOLDEN

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


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_what_a_head_of_texts_takes(pooling):
    """One row a text, the same from a batch as from each text alone."""
    checkpoint = open_checkpoint(GOLDEN / "kinds" / "modernbert-odd")
    config = dataclasses.replace(checkpoint.info.config, classifier_pooling=pooling)
    head = HEADS["sequence_classification"](checkpoint.tensors, config, Float32Layers())
    hidden = np.random.default_rng(0).normal(size=(8, 36)).astype(np.float32)
    texts = [hidden[:4], hidden[4:5], hidden[5:]]
    expected = [states[0] if pooling == "cls" else states.mean(axis=0) for states in texts]
    np.testing.assert_allclose([head.of_text(states) for states in texts], expected, rtol=0, atol=1e-6)
    found = head.inputs(hidden, pack([[1, 2, 9, 4], [9], [5, 9, 7]]), None)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_what_a_head_of_tokens_takes():
    checkpoint = open_checkpoint(GOLDEN / "families" / "modernbert-token")
    head = HEADS["token_classification"](checkpoint.tensors, checkpoint.info.config, Float32Layers())
    hidden = np.arange(7 * 24, dtype=np.float32).reshape(7, 24)
    assert (head.inputs(hidden, pack([[1, 2, 3], [4, 5, 6, 7]]), None) == hidden[[1, 4, 5]]).all()
    with pytest.raises(NotImplementedError, match="looks at tokens"):
        head.of_text(hidden)


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
