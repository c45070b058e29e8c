"""The sentiment model inside the package, on real text that it never saw, against its fp32 original."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import sentiment_texts

import edgebert
from edgebert.loading import DEFAULT_MODEL

LOGITS = Path(__file__).parent / "data" / "sentiment_fp32_logits.npz"


@pytest.fixture(scope="module")
def model():
    return edgebert.load()


@pytest.fixture(scope="module")
def sentences(material):
    material("sentiment-sentences")
    return sentiment_texts.sentences()


def test_it_is_small_and_says_where_it_comes_from(model):
    assert DEFAULT_MODEL.stat().st_size <= 24_000_000
    assert model.labels == ("NEGATIVE", "POSITIVE")
    for word in ("Apache-2.0", "all-MiniLM-L6-v2", "VADER", "Amazon", "IMDB", "Yelp"):
        assert word in model.model_card


def test_clear_reviews(model):
    results = model.classify(["What a lovely, funny film. I adored it.", "Broke after a day. A waste of money."])
    assert [result["label"] for result in results] == ["POSITIVE", "NEGATIVE"]
    assert all(result["score"] > 0.8 for result in results)


def test_accuracy_and_agreement_on_sentences_never_seen(model, sentences):
    with np.load(LOGITS) as file:
        exact = file["sentences"]
        assert str(file["sentences_sha256"]) == sentiment_texts.sha256_of(sentences.texts)
    found = np.array([result["label"] == "POSITIVE" for result in model.classify(sentences.texts)])
    assert (found == (np.array(sentences.labels) == 1)).mean() >= 0.92
    assert (found == (exact[:, 1] > exact[:, 0])).mean() >= 0.995


def test_the_same_bits_in_every_company(model, sentences):
    texts = sentences.texts[:300]
    together = model.classify(texts)
    assert edgebert.load(threads=1).classify(texts[::-1]) == together[::-1]
    assert [model.classify([text])[0] for text in texts[:60]] == together[:60]
