"""The answer to a question, as a span of a text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgebert.errors import InputError
from edgebert.heads import Head
from edgebert.heads.question_answering import best_spans
from edgebert.runner import Cut, Extent, Runner
from edgebert.tokens import Content

__all__ = ["answer"]

_MORE = 10


def answer(
    runner: Runner,
    head: Head,
    questions: Sequence[str],
    contexts: Sequence[str],
    top_k: int,
    longest: int,
    impossible: bool,
    cut: Cut,
) -> tuple[list[list[dict[str, Any]]], list[Extent]]:
    """Do what `edgebert.Model.answer` says, for each question and its context."""
    if type(top_k) is not int or top_k < 1 or type(longest) is not int or longest < 1:
        raise InputError(f"top_k is {top_k!r} and max_answer_len {longest!r}, expected whole numbers from 1 on")
    befores, contents = runner.contents(questions), runner.contents(contexts, offsets=True)
    for name, texts, tokenized in (("question", questions, befores), ("context", contexts, contents)):
        for text, content in zip(texts, tokenized, strict=True):
            if not len(content.ids):
                raise InputError(f"{name} is {text!r}, expected a text with words in it")
    windows, owners, extents = runner.cut(contents, cut, befores)
    # Of each question: lower-case answer -> score, start, end.
    found: list[dict[str, tuple[float, int, int]]] = [{} for _ in questions]
    no_answer = [1.0] * len(questions)
    for indices, hidden in runner.encode(windows):
        for index, states in zip(indices, hidden, strict=True):
            window, owner = windows[index], owners[index]
            allowed = np.zeros(len(window.ids), bool)
            allowed[window.begin : window.begin + window.last - window.first] = True
            # More than are wanted: whole words may make one answer of several.
            spans, none = best_spans(head.logits(states), allowed, longest, 2 * top_k + _MORE)
            no_answer[owner] = min(no_answer[owner], none)
            at = window.first - window.begin
            places = [
                (at + first, at + last, score) for first, last, score in spans if allowed[first] and allowed[last]
            ]
            for key, answer in _answers(contexts[owner], contents[owner], places).items():
                # Windows that have a part in common may find the same answer twice.
                if key not in found[owner] or answer > found[owner][key]:
                    found[owner][key] = answer
    results = []
    for owner, context in enumerate(contexts):
        candidates = [*found[owner].values(), *([(no_answer[owner], 0, 0)] if impossible else [])]
        candidates.sort(key=lambda answer: (-answer[0], answer[1:]))
        results.append(
            [
                {"score": score, "start": start, "end": end, "answer": context[start:end]}
                for score, start, end in candidates[:top_k]
            ]
        )
    return results, extents


def _answers(text: str, content: Content, spans: Sequence[tuple[int, int, float]]) -> dict[str, tuple[float, int, int]]:
    """Widen spans of tokens to whole words; add up the scores of those that say the same, as transformers does."""
    answers: dict[str, tuple[float, int, int]] = {}
    for first, last, score in spans:
        begin = int(np.searchsorted(content.words, content.words[first], "left"))
        end = int(np.searchsorted(content.words, content.words[last], "right"))
        start, stop = int(content.starts[begin]), int(content.ends[end - 1])
        key = text[start:stop].lower()
        before = answers.get(key, (0.0, start, stop))
        answers[key] = (before[0] + score, *before[1:])
    return answers
