"""Passages: where they stand, how long they are, and that nothing falls between them."""

from __future__ import annotations

import time

import numpy as np
import pytest

from edgebert.search.passages import passages
from edgebert.tokens import Content


@pytest.fixture(scope="module")
def tokenizer(model):
    return model._runner.tokenizer


def texts_of(text, tokenizer):
    return [text[found.start : found.end] for found in passages(text, tokenizer)]


def long_paragraph(sentences):
    return " ".join(f"sentence {i} is about a film." for i in range(sentences))


TEXTS = [
    "a\n\nb\n\n\n  c  \r\n\r\nd",
    "\n\n  leading\n\n" + "word " * 500 + "\n\nlast",
    long_paragraph(60) + "\n\n" + long_paragraph(3),
    "one line\n" * 300,
    "\u6f22\u5b57" * 400,
    "\u6f22\u5b57\u3002" * 200,
    "x" * 3000,
    "   \n \n",
    "",
    "a\fb\vc",
]


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_every_character_but_space_is_in_one_passage_that_fits(text, tokenizer):
    end = 0
    for found in passages(text, tokenizer):
        assert not text[end : found.start].strip()
        assert found.start < found.end
        part = text[found.start : found.end]
        assert part == part.strip()
        assert found.line == text.count("\n", 0, found.start) + 1
        assert len(tokenizer.content(part).ids) <= tokenizer.max_length - 2
        end = found.end
    assert not text[end:].strip()


def test_short_paragraphs_are_together_until_they_are_enough(tokenizer):
    """The golden model has room for 62 tokens, which is less than would be enough."""
    assert texts_of("# Title\n\nIts text.", tokenizer) == ["# Title\n\nIts text."]
    paragraphs = ["the " * 29 + "film"] * 3
    assert texts_of("\n\n".join(paragraphs), tokenizer) == ["\n\n".join(paragraphs[:2]), paragraphs[2]]


def test_a_long_paragraph_is_cut_at_sentences_into_parts_of_one_size(tokenizer):
    found = texts_of(long_paragraph(12), tokenizer)
    assert len(found) > 1
    assert all(part.endswith(".") and part.startswith("sentence") for part in found)
    sizes = [len(tokenizer.content(part).ids) for part in found]
    assert max(sizes) - min(sizes) <= max(sizes) / 2


def test_a_sentence_without_end_is_cut_between_words(tokenizer):
    found = texts_of("the " * 200, tokenizer)
    assert all(set(part.split()) == {"the"} for part in found)
    assert len(found) == -(-200 // (tokenizer.max_length - 2))


def test_model_passages(model):
    text = "first\n\n" + long_paragraph(30)
    assert model.passages(text) == list(passages(text, model._runner.tokenizer))
    with pytest.raises(ValueError, match="text is 3, expected a string"):
        model.passages(3)


class OneTokenAWord:
    """A tokenizer that takes no time."""

    max_length = 256

    def content(self, text, *, offsets):
        assert offsets
        starts = np.array([0, *(i + 1 for i, each in enumerate(text) if each == " ")], np.int32)
        return Content(starts, starts, starts, starts)

    def count(self, content):
        return len(content.ids) + 2


def test_long_texts_are_cut_in_proportional_time():
    """It takes half a second; with all tokens looked at for each sentence, half a minute."""
    text = "It was good. " * 120_000
    begin = time.process_time()
    found = list(passages(text, OneTokenAWord()))
    assert time.process_time() - begin < 8
    assert 360_000 / 254 < len(found) < 360_000 / 127
