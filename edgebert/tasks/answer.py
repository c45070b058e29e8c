"""The answer to a question, as a span of a text."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgebert.arguments import checked_number
from edgebert.coverage import Coverage, Cut
from edgebert.errors import InputError
from edgebert.heads import Head
from edgebert.heads.question_answering import best_spans
from edgebert.runner import Runner
from edgebert.token_words import word_numbers
from edgebert.tokens import Content
from edgebert.words import Words

__all__ = ["answer"]

_MORE = 10


def answer(
    runner: Runner,
    head: Head,
    pairs: Sequence[tuple[str, str]],
    top_k: int,
    longest: int,
    impossible: bool,
    align: bool,
    cut: Cut,
) -> tuple[list[list[dict[str, Any]]], list[Coverage]]:
    """Find the best answers to each question in its context, over all windows of that."""
    checked_number(top_k, "top_k", "a number of answers from 1 on")
    checked_number(longest, "max_answer_len", "a number of tokens from 1 on")
    questions, contexts = [question for question, _ in pairs], [context for _, context in pairs]
    befores, contents = runner.contents(questions), runner.contents(contexts, offsets=True)
    for name, texts, tokenized in (("question", questions, befores), ("context", contexts, contents)):
        for text, content in zip(texts, tokenized, strict=True):
            if not len(content.ids):
                raise InputError(f"{name} is {text!r}, expected a text with words in it")
    windows, coverages = runner.cut(contents, cut, befores)
    places = [
        _Places.of(text, content, word_numbers(text, content) if align else None)
        for text, content in zip(contexts, contents, strict=True)
    ]
    # Of each question: lower-case answer -> score, start, end.
    found: list[dict[str, tuple[float, int, int]]] = [{} for _ in questions]
    no_answer = [1.0] * len(questions)
    for i, _, window, states in itertools.chain.from_iterable(runner.encode(windows)):
        allowed = np.zeros(len(window.ids), bool)
        allowed[window.rows()] = True
        # More than are wanted: whole words may make one answer of several.
        spans, none = best_spans(runner.logits(head, states), allowed, longest, 2 * top_k + _MORE)
        no_answer[i] = min(no_answer[i], none)
        inside = [
            (window.token(first), window.token(last), score)
            for first, last, score in spans
            if allowed[first] and allowed[last]
        ]
        for key, answer in _answers(places[i], inside).items():
            # Windows that have a part in common may find the same answer twice.
            if key not in found[i] or answer > found[i][key]:
                found[i][key] = answer
    results = []
    for context, answers, none in zip(contexts, found, no_answer, strict=True):
        candidates = [*answers.values(), *([(none, 0, 0)] if impossible else [])]
        candidates.sort(key=lambda answer: (-answer[0], answer[1:]))
        results.append(
            [
                {"score": score, "start": start, "end": end, "answer": context[start:end]}
                for score, start, end in candidates[:top_k]
            ]
        )
    return results, coverages


@dataclass
class _Places:
    """Where answers stand that begin or end with a token.

    Attributes
    ----------
    words : Words
        The text's.
    starts, ends : ndarray [shape=(T,), dtype=int32]
        Of each token, or of its word [characters].
    aligned : bool
        Whether they are those of words.
    """

    words: Words
    starts: np.ndarray
    ends: np.ndarray
    aligned: bool

    @classmethod
    def of(cls, text: str, content: Content, numbers: np.ndarray | None) -> _Places:
        """Find the places of tokens; of words, where the number of its word is given for each token."""
        if numbers is None:
            return cls(Words(text), content.starts, content.ends, False)
        first, last = np.searchsorted(numbers, numbers, "left"), np.searchsorted(numbers, numbers, "right") - 1
        return cls(Words(text), content.starts[first], content.ends[last], True)

    def span(self, first: int, last: int) -> tuple[int, int]:
        """Return where the answer from one token to another begins and ends; both are the same if it is nothing."""
        words = self.words
        start, end = int(self.starts[first]), int(self.ends[last])
        if self.aligned:
            # A token of a script without spaces may hold a mark of punctuation as well.
            if words.unspaced[start : self.ends[first]].any():
                start = words.apart(start, int(self.ends[first]))[0]
            if words.unspaced[self.starts[last] : end].any():
                end = words.apart(int(self.starts[last]), end)[1]
        return words.whole(start, end)


def _answers(places: _Places, spans: Sequence[tuple[int, int, float]]) -> dict[str, tuple[float, int, int]]:
    """Find the text of spans of tokens; add up the scores of those that say the same, as transformers does."""
    answers: dict[str, tuple[float, int, int]] = {}
    for first, last, score in spans:
        start, end = places.span(first, last)
        if start == end:
            continue
        key = places.words.text[start:end].lower()
        before = answers.get(key, (0.0, start, end))
        answers[key] = (before[0] + score, *before[1:])
    return answers
