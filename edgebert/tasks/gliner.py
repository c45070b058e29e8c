"""Spans of any labels in texts (`edgebert.heads.gliner`): prompts, windows of words, and which spans are taken."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from edgebert.arguments import checked_share
from edgebert.coverage import Coverage, Cut
from edgebert.errors import InputError, shown
from edgebert.functions import sigmoid
from edgebert.heads.gliner import Gliner
from edgebert.runner import Runner, finite
from edgebert.tokens import Content, TextTokenizer
from edgebert.windows import Window

__all__ = ["THRESHOLD", "Prompt", "SplitText", "WordWindow", "prompt_of", "split", "tag", "windows_of"]

THRESHOLD = 0.5
"""How likely a span has to be, where nobody says."""
_WORD = re.compile(r"\w+(?:[-_]\w+)*|\S")
"""What the gliner package takes for a word: letters and digits, joined by hyphens; any other sign by itself."""


class Prompt(NamedTuple):
    """What stands before a text.

    Attributes
    ----------
    labels : tuple of str
    ids : ndarray [shape=(n,), dtype=int32]
    places : ndarray [shape=(labels,), dtype=int]
        Which of the ids has the hidden state of each label.
    """

    labels: tuple[str, ...]
    ids: np.ndarray
    places: np.ndarray


class SplitText(NamedTuple):
    """The words of a text, and its tokens.

    Attributes
    ----------
    starts, ends : list of int
        Where each stands [characters].
    content : Content
    bounds : ndarray [shape=(words + 1,), dtype=int]
        Which token is each word's first, and how many there are; a word without one has the next word's.
    """

    starts: list[int]
    ends: list[int]
    content: Content
    bounds: np.ndarray


class WordWindow(NamedTuple):
    """A window, and which words of the text it has: from `first` to before `last`."""

    window: Window
    first: int
    last: int

    def rows(self, words: SplitText) -> np.ndarray:
        """Return which hidden states of the window are those of its words' first tokens; -1 for a word without one."""
        begin, end = words.bounds[self.first : self.last], words.bounds[self.first + 1 : self.last + 1]
        return np.where(begin == end, -1, begin + (self.window.begin - self.window.first))

    def label_rows(self, prompt: Prompt) -> np.ndarray:
        """Return which hidden states of the window are the labels'."""
        return prompt.places + (self.window.begin - len(prompt.ids))


class Candidate(NamedTuple):
    """A span of words, the last included, with a label and how likely it is."""

    first: int
    last: int
    label: int
    score: float


def prompt_of(tokenizer: TextTokenizer, gliner: Gliner, labels: Mapping[str, str]) -> Prompt:
    """Return what stands before each text for some labels, each of which is described by words.

    Raises
    ------
    InputError
        When the description of a label holds the token that stands before labels, or they leave no room for a text.
    """
    words = [word for text in labels.values() for word in (gliner.entity_token, text)]
    ids = tokenizer.words([*words, gliner.separator]).ids
    places = np.flatnonzero(ids == gliner.entity_id)
    if len(places) != len(labels):
        raise InputError(f"a label holds {gliner.entity_token!r}, which stands before each label; expected words")
    if len(ids) >= tokenizer.room:
        raise InputError(
            f"{len(labels)} labels are {len(ids)} tokens, and the model takes {tokenizer.max_length} with a text's;"
            " expected fewer labels, or shorter ones: ask for some at a time"
        )
    return Prompt(tuple(labels), ids, places + gliner.behind_marker)


def split(tokenizer: TextTokenizer, text: str) -> SplitText:
    """Split a text into words, and these into tokens."""
    found = [match.span() for match in _WORD.finditer(text)]
    content = tokenizer.words([text[start:end] for start, end in found])
    bounds = np.searchsorted(content.words, np.arange(len(found) + 1))
    return SplitText([start for start, _ in found], [end for _, end in found], content, bounds)


def windows_of(
    tokenizer: TextTokenizer, gliner: Gliner, prompt: Prompt, words: SplitText, cut: Cut
) -> tuple[list[WordWindow], Coverage]:
    """Cut a text into windows of whole words behind the prompt, one where it fits; a word that is too long is cut.

    Raises
    ------
    InputError
        When windows are to have more tokens in common than fit.
    """
    room, bounds, count = tokenizer.room - len(prompt.ids), words.bounds, len(words.starts)
    if cut.stride is not None and (type(cut.stride) is not int or not 0 <= cut.stride < room):
        raise InputError(
            f"stride is {shown(cut.stride)}, expected 0 to {room - 1} tokens that two windows have in common"
        )
    windows: list[WordWindow] = []
    first = 0
    while True:
        last = min(int(np.searchsorted(bounds, bounds[first] + room, "right")) - 1, first + gliner.max_words)
        last = min(max(last, first + 1), count)
        end = min(int(bounds[last]), int(bounds[first]) + room)
        window = tokenizer.behind(prompt.ids, words.content, int(bounds[first]), end)
        windows.append(WordWindow(window, first, last))
        if last == count or cut.truncate:
            break
        # As many tokens in common as are asked for, but for those in whose place the next word goes; and at most half
        # of a window that has all the words it may have, or else the next would have hardly a new one.
        overlap = (end - int(bounds[first])) // 4 if cut.stride is None else cut.stride
        if last - first == gliner.max_words:
            overlap = min(overlap, (end - int(bounds[first])) // 2)
        first = int(np.searchsorted(bounds, max(bounds[last] - overlap, bounds[last + 1] - room)))
        first = min(max(first, last + 1 - gliner.max_words), last)
    reached = [0, *(own.window.last for own in windows)]
    begins = [*(own.window.first for own in windows), len(words.content.ids)]
    unseen = any(begin > end for begin, end in zip(begins, reached, strict=True))
    return windows, Coverage(tokenizer.max_length - room + len(words.content.ids), len(windows), unseen)


def tag(
    runner: Runner,
    texts: Sequence[str],
    labels: Mapping[str, str],
    cut: Cut,
    *,
    threshold: float | None = None,
    nested: bool = False,
    multi_label: bool = False,
) -> tuple[list[list[dict[str, Any]]], list[Coverage]]:
    """Find spans of any labels in each text; parameters are those of `Model.tag`, labels with what describes them."""
    gliner = runner.info.gliner
    assert gliner is not None
    least = THRESHOLD if threshold is None else checked_share(threshold, "threshold")
    prompt = prompt_of(runner.tokenizer, gliner, labels)
    split_texts = [split(runner.tokenizer, text) for text in texts]
    cuts = [windows_of(runner.tokenizer, gliner, prompt, words, cut) for words in split_texts]
    found: list[list[list[Candidate]]] = [[[] for _ in own] for own, _ in cuts]
    for each in itertools.chain.from_iterable(runner.encode([[own.window for own in windows] for windows, _ in cuts])):
        words, own = split_texts[each.text], cuts[each.text][0][each.number]
        if len(words.starts):
            logits = finite(runner.gliner(each.states, own.rows(words), own.label_rows(prompt)), "logits")
            find = _spans if gliner.max_width else _spans_of_words
            found[each.text][each.number] = [
                own_span._replace(first=own_span.first + own.first, last=own_span.last + own.first)
                for own_span in find(sigmoid(logits).astype(np.float32), least)
            ]
    results = []
    for text, words, (windows, _), parts in zip(texts, split_texts, cuts, found, strict=True):
        taken = selected(_of_best_windows(windows, parts), nested=nested, multi_label=multi_label)
        results.append([_entity(text, words, prompt.labels, own) for own in taken])
    return results, [coverage for _, coverage in cuts]


def _spans(scores: np.ndarray, least: float) -> list[Candidate]:
    """Return the spans that are likelier than `least`, by the scores of all: float32 (W, width, labels)."""
    rows = zip(*(each.tolist() for each in (scores > least).nonzero()), strict=True)
    return [Candidate(first, first + more, label, float(scores[first, more, label])) for first, more, label in rows]


def _spans_of_words(scores: np.ndarray, least: float) -> list[Candidate]:
    """Return the spans that are likelier than `least`, by the scores of words: float32 (W, labels, 3).

    A span is as likely as the least of these: its first word as a first one, its last as a last one, each as one of it.
    """
    found = []
    begins, ends, inside = (scores[..., i] for i in range(3))
    for first, label in np.argwhere(begins > least).tolist():
        lowest = float(begins[first, label])
        for last in range(first, len(scores)):
            lowest = min(lowest, float(inside[last, label]))
            if lowest < least:
                break
            if ends[last, label] > least:
                found.append(Candidate(first, last, label, min(lowest, float(ends[last, label]))))
    return found


def _of_best_windows(windows: Sequence[WordWindow], parts: Sequence[Sequence[Candidate]]) -> list[Candidate]:
    """Return the spans that are found by the window that has most around them, of those that have them whole.

    What another one finds does not count: at its end it sees a half of a name, say, and takes it for a whole one.
    """
    if len(windows) == 1:
        return list(parts[0])
    firsts, lasts = (np.array([getattr(window, name) for window in windows]) for name in ("first", "last"))

    def best(span: Candidate) -> int:
        return int(np.minimum(span.first - firsts, lasts - 1 - span.last).argmax())

    return [span for i, part in enumerate(parts) for span in part if best(span) == i]


def selected(spans: Sequence[Candidate], *, nested: bool, multi_label: bool) -> list[Candidate]:
    """Take the likeliest spans, each if it overlaps none that was taken; in the order of their first words.

    Parameters
    ----------
    spans : sequence of Candidate
    nested : bool
        Whether one may lie within another.
    multi_label : bool
        Whether one may have several labels.
    """
    taken: list[Candidate] = []
    starts, ends = np.empty(len(spans), int), np.empty(len(spans), int)
    for own in sorted(spans, key=lambda each: -each.score):
        begin, end = starts[: len(taken)], ends[: len(taken)]
        overlaps = (begin <= own.last) & (end >= own.first)
        if nested:
            inside = (begin <= own.first) & (end >= own.last) | (begin >= own.first) & (end <= own.last)
            overlaps &= ~inside
        same = (begin == own.first) & (end == own.last)
        overlaps = overlaps & ~same if multi_label else overlaps | same
        if not overlaps.any():
            starts[len(taken)], ends[len(taken)] = own.first, own.last
            taken.append(own)
    return sorted(taken, key=lambda each: each.first)


def _entity(text: str, words: SplitText, labels: Sequence[str], span: Candidate) -> dict[str, Any]:
    start, end = words.starts[span.first], words.ends[span.last]
    return {
        "entity_group": labels[span.label],
        "score": span.score,
        "word": text[start:end],
        "start": start,
        "end": end,
    }
