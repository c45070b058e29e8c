"""How far a question is: told from within a task, to who watches and to nobody else."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import edgebert
from edgebert.watch import in_turn, tell, watched

TEXT = "the film was good " * 2000


@pytest.fixture(scope="module")
def classifier(golden_files):
    return edgebert.load(golden_files["classifier"])


@pytest.fixture(scope="module")
def encoder(golden_files):
    return edgebert.load(golden_files["encoder"])


def shares_of(ask):
    told = []
    with watched(told.append):
        ask()
    return told


def test_nobody_is_told_who_does_not_watch():
    tell(1, 2)
    told = []
    with watched(told.append):
        with watched(None):
            tell(1, 4)
        tell(1, 2)
        thread = threading.Thread(target=tell, args=(3, 4))
        thread.start()
        thread.join()
        tell(2, 2)
    tell(3, 4)
    assert told == [0.5]


def test_parts_of_parts():
    def ask():
        for _ in in_turn("ab"):
            for _ in in_turn("cd"):
                tell(1, 2)

    assert shares_of(ask) == [0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875]
    assert [*in_turn(range(3))] == [0, 1, 2]
    assert shares_of(lambda: tell(1, 2)) == [0.5]  # nothing of what was asked before is left


def test_an_error_within_leaves_nothing_behind():
    def ask():
        for _ in in_turn("ab"):
            raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        shares_of(ask)
    told = []
    with watched(told.append):
        tell(1, 2)
    tell(1, 2)
    assert told == [0.5]


def test_one_long_text_is_told_batch_by_batch(classifier, encoder):
    for ask in (
        lambda: classifier.classify([TEXT]),
        lambda: encoder.embed([TEXT], windows="each"),
        lambda: encoder.classify([TEXT], labels=["film", "food"]),
        lambda: encoder.rank("film", [TEXT]),
        lambda: encoder.similarity([TEXT, "x"]),
    ):
        shares = shares_of(ask)
        assert shares == sorted(set(shares))
        assert len(shares) > 3
        assert 0 < shares[0] <= 0.5 <= shares[-1] < 1
    assert shares_of(lambda: classifier.classify(["a film", "x"])) == []  # one batch: who asked sees that it is done


def test_answers_are_the_same(encoder):
    expected = encoder.embed([TEXT], windows="mean")
    with watched(lambda _: None):
        np.testing.assert_array_equal(encoder.embed([TEXT], windows="mean"), expected)
