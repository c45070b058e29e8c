"""Answers from generators, and bars."""

from __future__ import annotations

import itertools
import re
import sys

import numpy as np
import pytest

import edgebert
from edgebert.cli import progress
from edgebert.errors import InputError, TruncationWarning

TEXTS = ["the film was good", "", "bad", "a film", "the", "it was"]


@pytest.fixture(scope="module")
def classifier(golden_files):
    return edgebert.load(golden_files["classifier"])


@pytest.fixture(scope="module")
def encoder(golden_files):
    return edgebert.load(golden_files["encoder"])


@pytest.mark.parametrize("batch", [1, 2, 100])
def test_answers_are_those_of_the_method_in_order(batch, classifier, encoder):
    assert list(classifier.stream("classify", iter(TEXTS), batch, top_k=None)) == classifier.classify(TEXTS, top_k=None)
    rows = list(encoder.stream("embed", iter(TEXTS), batch))
    np.testing.assert_array_equal(np.stack(rows), encoder.embed(TEXTS))
    assert list(classifier.stream("classify", [], batch)) == []


def test_no_more_is_read_than_one_batch(classifier):
    read = []
    texts = (read.append(i) or "the film" for i in itertools.count())
    answers = classifier.stream("classify", texts, 3)
    assert read == []
    for _ in range(4):
        next(answers)
    assert read == [*range(6)]


def test_pairs(classifier):
    pairs = [("a", "b"), ("the film", "good")]
    assert list(classifier.stream("classify", pairs, 1)) == classifier.classify(pairs)


@pytest.mark.parametrize(
    ("task", "options", "match"),
    [
        ("rank", {}, "task is 'rank', expected one of classify, embed"),
        ("classify", {"batch": 0}, "batch is 0"),
        ("classify", {"progress": 1}, "progress is 1"),
        ("classify", {"on_coverage": 1}, "on_coverage is 1"),
        ("classify", {"pooling": "cls"}, "classify has no such options"),
        ("classify", {"pool": "none"}, "pool is 'none'"),
        ("tag", {}, "for tag"),
    ],
)
def test_wrong_options_are_told_at_once(task, options, match, classifier):
    with pytest.raises(InputError, match=match):
        classifier.stream(task, TEXTS, **options)


def test_a_text_that_is_none_is_told_by_its_place_in_all(classifier):
    with pytest.raises(InputError, match="texts is one string"):
        classifier.stream("classify", "text")
    answers = classifier.stream("classify", ["a", "b", "c", 4], 2)
    assert len(list(itertools.islice(answers, 2))) == 2
    with pytest.raises(InputError, match=r"texts\[3\] is a int"):
        list(answers)


def test_options_that_can_be_read_once(encoder):
    labels = ["film", "water", "book"]
    answers = encoder.stream("classify", iter(TEXTS), 2, labels=iter(labels))
    assert list(answers) == encoder.classify(TEXTS, labels=labels)


def test_coverage_is_told_by_its_place_in_all(classifier):
    seen = []
    told = {"on_coverage": lambda index, coverage: seen.append((index, coverage.truncated)), "truncate": True}
    list(classifier.stream("classify", ["a", "b", "good " * 90], 2, **told))
    assert seen == [(0, False), (1, False), (2, True)]


def test_what_was_not_seen_is_warned_of_once(classifier):
    long = "good " * 98
    with pytest.warns(
        TruncationWarning, match="2 of 3 texts are longer than .* 50 tokens; 50 % of their tokens"
    ) as told:
        list(classifier.stream("classify", [long, "a", long], 1, truncate=True))
    assert len(told) == 1


class Screen:
    """Stderr that says it is a terminal."""

    def __init__(self):
        self.shown = ""

    def write(self, text):
        self.shown += text

    def flush(self):
        """Nothing is kept back."""

    def isatty(self):
        return True


@pytest.mark.parametrize("wanted", [False, True])
def test_a_bar_where_it_is_asked_for(wanted, encoder, monkeypatch):
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(progress, "PATIENCE", 0)
    found = encoder.embed(TEXTS, progress=wanted)
    np.testing.assert_array_equal(found, encoder.embed(TEXTS))
    windows = encoder.embed(TEXTS, windows="each", progress=wanted)
    assert [len(each.vectors) for each in windows] == [1] * len(TEXTS)
    assert bool(screen.shown) == wanted


def test_a_bar_moves_within_one_text(encoder, monkeypatch):
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(progress, "PATIENCE", 0)
    monkeypatch.setattr(progress, "_PAUSE", 0)
    encoder.embed(["the film was good " * 5000], windows="mean", progress=True)
    assert len({*re.findall(r"\d+%", screen.shown)}) > 5


def test_similarity(encoder):
    found = encoder.similarity(TEXTS[:1], TEXTS[2:])
    assert (found.shape, found.dtype) == ((1, 4), np.float32)
    units = encoder.embed(TEXTS, normalize=True)
    np.testing.assert_allclose(found, units[:1] @ units[2:].T, atol=1e-6)
    among = encoder.similarity(TEXTS)
    np.testing.assert_allclose(np.diag(among), 1, atol=1e-6)
    assert (among == among.T).all()
    assert among.max() <= 1
    with pytest.raises(InputError, match="b is one string"):
        encoder.similarity(["a"], "b")


def test_search(encoder):
    documents = ["nothing", "the film\n\nwas good", "keys"]
    best, *others = encoder.search("keys", documents)
    assert (best["index"], best["text"], best["line"]) == (2, "keys", 1)
    assert best["score"] == 1
    assert len(others) == 2
    for each in [best, *others]:
        assert documents[each["index"]][each["start"] : each["end"]] == each["text"]
    assert encoder.search("keys", documents, top_k=1) == [best]
    assert encoder.search("keys", []) == []
    with pytest.raises(InputError, match="top_k is 0"):
        encoder.search("keys", documents, 0)
    with pytest.raises(InputError, match="documents is one string"):
        encoder.search("keys", "documents")
