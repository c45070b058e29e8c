"""Names and other spans in texts, by the tags of their tokens."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np

from edgebert.arguments import checked_choice, checked_share, listed_texts
from edgebert.choices import STRATEGIES
from edgebert.coverage import Coverage, Cut
from edgebert.heads import Head
from edgebert.heads.classification import softmax
from edgebert.heads.tokens import entities
from edgebert.runner import Runner
from edgebert.token_words import continues
from edgebert.windows import owned

__all__ = ["tag"]

_LITTLE = np.float32(1e-30)
"""More than nothing, and less than any label that was found."""


def tag(
    runner: Runner,
    head: Head,
    texts: Sequence[str],
    strategy: str,
    ignored: Iterable[str],
    cut: Cut,
    threshold: float | None = None,
) -> tuple[list[list[dict[str, Any]]], list[Coverage]]:
    """Tag the tokens of each text by the best window that has them, and make spans of the tags."""
    checked_choice(strategy, "aggregation_strategy", STRATEGIES)
    least = None if threshold is None else checked_share(threshold, "threshold")
    labels = runner.info.labels
    left_out = set(listed_texts(ignored, "ignore_labels", "label"))
    contents = runner.contents(texts, offsets=True)
    windows, coverages = runner.cut(contents, cut)
    parts = [list(owned(own)) for own in windows]
    # What is not seen, because it was cut off, has no tag.
    seen = [slice(own[0].first, own[-1].last) for own in windows]
    scores = [np.empty((part.stop, len(labels)), np.float32) for part in seen]
    for i, number, window, states in itertools.chain.from_iterable(runner.encode(windows)):
        first, last = parts[i][number]
        scores[i][first:last] = softmax(runner.logits(head, states[window.rows(first, last)]))
    results = []
    marks = runner.tokenizer.pieces_of_words
    for text, content, values, part in zip(texts, contents, scores, seen, strict=True):
        joined = continues(text, content, marks)[part]
        starts, ends = content.starts[part], content.ends[part]
        wanted = values[part] if least is None else _at_least(values[part], labels, left_out, least)
        results.append(entities(text, wanted, starts, ends, joined, labels, strategy, left_out))
    return results, coverages


def _at_least(scores: np.ndarray, labels: Sequence[str], ignored: Collection[str], least: float) -> np.ndarray:
    """Return scores, (T, labels), of which the best label is an ignored one only where all others together are unsure.

    A token's best label has the sum of all that are not ignored, if that is `least` or more; any other has 0. So a word
    has the label of one of its tokens as soon as that is sure enough, whatever the others have.
    """
    is_ignored = np.isin(labels, list(ignored))
    marked = np.where(is_ignored, 0, scores)
    sums = marked.sum(axis=1)
    found = (sums >= least) & (sums > 0)
    result = np.zeros_like(scores)
    result[found, marked[found].argmax(axis=1)] = sums[found]
    result[~found] = np.where(is_ignored, _LITTLE, 0)
    return result
