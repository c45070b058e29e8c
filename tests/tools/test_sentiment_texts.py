"""What may be trained on, and the texts themselves."""

from pathlib import Path

import numpy as np
import pytest
from fetch_material import MaterialError
from sentiment_texts import sentences, sha256_of, snippets, split, unseen

EVALUATION = ["Great phone!", "The food, sadly, was cold and the waiter rude."]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The film is long.", True),
        ("great   PHONE", False),  # equal but for case, spaces and punctuation
        ("Great phone for the money", True),  # a short evaluation text inside says nothing
        ("I went. The food sadly was cold, and the waiter rude! Never again.", False),  # contains one
        ("the food sadly was cold and", False),  # contained in one
        ("the food", True),  # too short for containment
        ("... !", False),  # no letters
        ("", False),
    ],
)
def test_unseen(text, expected):
    assert unseen([text], EVALUATION).tolist() == [expected]


def test_unseen_blames_the_right_text():
    texts = ["an honest film", "Well: the food, sadly, was cold and the waiter rude", "x", "great phone", "y"]
    assert unseen(texts, EVALUATION).tolist() == [True, False, True, False, True]


def test_unseen_finds_every_copy():
    texts = ["a the food sadly was cold and the waiter rude b", "plain"] * 3
    assert unseen(texts, EVALUATION).tolist() == [False, True] * 3


def test_unseen_does_not_match_across_two_texts():
    texts = ["it was the food, sadly,", "was cold and the waiter rude it was"]
    assert unseen(texts, ["the food sadly was cold and the waiter rude"]).all()


def test_unseen_of_nothing():
    assert unseen([], EVALUATION).shape == (0,)
    assert unseen(["a", "b"], []).tolist() == [True, True]


def test_snippets_are_read_whole(tmp_path):
    for name in ("amazonReviewSnippets", "movieReviewSnippets", "nytEditorialSnippets", "tweets"):
        (tmp_path / f"{name}_GroundTruth.txt").write_bytes(f"1\t-1.25\t{name} &amp; more \r\n".encode())
    texts, valence, sources = snippets(tmp_path)
    assert texts[0] == "amazonReviewSnippets & more"
    assert valence.tolist() == [-1.25] * 4
    assert sources == ["amazon", "movie", "nyt", "tweets"]


def test_a_damaged_snippet_is_named(tmp_path):
    (tmp_path / "amazonReviewSnippets_GroundTruth.txt").write_text("1\t0.5\tfine\n2\thigh\ttext\n")
    with pytest.raises(MaterialError, match="line 2 is not"):
        snippets(tmp_path)


def test_sha256_of():
    # printf 'a\nb\n' | sha256sum
    assert sha256_of(["a", "b"]) == "911169ddaaf146aff539f58c26c489af3b892dff0fe283c1c264c65ae5aa59a2"


def test_the_real_texts(material):
    measured = sentences(material("sentiment-sentences"))
    assert len(measured.texts) == 3000
    assert all(measured.texts)
    for source in ("amazon", "imdb", "yelp"):
        chosen = np.array(measured.sources) == source
        assert chosen.sum() == 1000
        assert measured.labels[chosen].sum() == 500
    trained = snippets(material("vader"))
    assert len(trained.texts) == 23703
    assert np.abs(trained.valence).max() <= 4
    seen = np.flatnonzero(~unseen(trained.texts, measured.texts))
    assert len(seen) == 45
    # The reference logits are of these very texts.
    with np.load(Path(__file__).parents[1] / "data" / "sentiment_fp32_logits.npz") as reference:
        assert reference["sentences_sha256"] == sha256_of(measured.texts)
        assert reference["vader_sha256"] == sha256_of(trained.texts)
        logits = reference["sentences"]
        assert reference["vader"].shape == (23703, 2)
    # What the model card says of the three together.
    assert round(((logits[:, 1] > logits[:, 0]) == measured.labels).mean(), 3) == 0.928


def test_what_is_held_out_is_not_trained_on(material):
    texts = snippets(material("vader")).texts
    evaluation = sentences(material("sentiment-sentences")).texts
    training, held_out = split(texts, evaluation=evaluation)
    assert len(training) > 20_000
    assert len(held_out) > 1_500
    trained = [texts[index] for index in training]
    assert unseen(trained, [texts[index] for index in held_out] + evaluation).all()
    assert unseen([texts[index] for index in held_out], evaluation).all()
