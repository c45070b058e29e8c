"""Names and other spans in texts, by the tags of their tokens."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from edgebert.arguments import checked_choice, listed_texts
from edgebert.heads import Head
from edgebert.heads.classification import softmax
from edgebert.heads.tokens import STRATEGIES, entities
from edgebert.runner import Cut, Extent, Runner
from edgebert.tokens import Window

__all__ = ["owned", "tag"]


def owned(windows: Sequence[Window]) -> Iterator[tuple[int, int]]:
    """Yield for each window of one text which of the text's tokens are its own: first, last.

    Of a token that several windows have, the one owns it that has most around it: windows that follow each other
    share what they have in common.
    """
    begin = windows[0].first
    for i, window in enumerate(windows):
        end = window.last if i + 1 == len(windows) else (windows[i + 1].first + window.last + 1) // 2
        yield begin, end
        begin = end


def tag(
    runner: Runner,
    head: Head,
    labels: Sequence[str],
    texts: Sequence[str],
    strategy: str,
    ignored: Iterable[str],
    cut: Cut,
) -> tuple[list[list[dict[str, Any]]], list[Extent]]:
    """Do what `edgebert.Model.tag` says."""
    checked_choice(strategy, "aggregation_strategy", STRATEGIES)
    left_out = set(listed_texts(ignored, "ignore_labels", "label"))
    contents = runner.contents(texts, offsets=True)
    windows, owners, extents = runner.cut(contents, cut)
    own: list[tuple[int, int]] = []
    bounds = np.searchsorted(owners, np.arange(len(texts) + 1)).tolist()
    for i in range(len(texts)):
        own += owned(windows[bounds[i] : bounds[i + 1]])
    # What is not seen, because it was cut off, has no tag.
    seen = [slice(windows[begin].first, windows[end - 1].last) for begin, end in itertools.pairwise(bounds)]
    scores = [np.empty((part.stop, len(labels)), np.float32) for part in seen]
    for indices, hidden in runner.encode(windows):
        for index, states in zip(indices, hidden, strict=True):
            window, (first, last) = windows[index], own[index]
            at = window.begin - window.first
            scores[owners[index]][first:last] = softmax(runner.logits(head, states[at + first : at + last]))
    results = []
    for text, content, values, part in zip(texts, contents, scores, seen, strict=True):
        continues = runner.tokenizer.continues(text, content)[part]
        starts, ends = content.starts[part], content.ends[part]
        results.append(entities(text, values[part], starts, ends, continues, labels, strategy, left_out))
    return results, extents
