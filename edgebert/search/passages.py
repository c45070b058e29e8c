"""Passages: what a long text is cut into, so that each says one thing and fits a model's window."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from edgebert.tokens import Content, TextTokenizer

__all__ = ["Passage", "passages"]

_ENOUGH = 64
"""Tokens with which a passage says enough to be found: a shorter one goes together with what follows."""

_PARAGRAPH = re.compile(r"\n(?:[^\S\n]*\n)+|[\f\v]")
_SENTENCE = re.compile(r"(?<=[.!?\u2026])[\"'\u2019\u201d\u00bb)\]]*\s+|(?<=[\u3002\uff01\uff1f])|\n")
_SPACE = re.compile(r"\s+")

_Span = tuple[int, int]


class Passage(NamedTuple):
    """A part of a text.

    Attributes
    ----------
    start, end : int
        Where it stands [characters]; its first and last are no white space.
    line : int
        In which line it begins, from 1.
    """

    start: int
    end: int
    line: int


def passages(text: str, tokenizer: TextTokenizer) -> Iterator[Passage]:
    """Cut a text: paragraphs, short ones together with the next, those that fit no window at sentences.

    A sentence that fits no window is cut between words, and where there are none, between tokens. Only white space is
    in no passage.
    """
    content = tokenizer.content(text, offsets=True)
    room = tokenizer.max_length - tokenizer.count(content.part(0, 0))
    cutter = _Cutter(text, content, max(room, 1))
    line, counted = 1, 0
    for start, end in cutter.joined(cutter.paragraphs(), _ENOUGH):
        line += text.count("\n", counted, start)
        counted = start
        yield Passage(start, end, line)


class _Cutter:
    """What is known of a text that is being cut, and the ways to cut it."""

    def __init__(self, text: str, content: Content, room: int) -> None:
        # A list: NumPy looks up a single number ten times as slowly, and one of another type after it copied all.
        self._text, self._starts, self._room = text, content.starts.tolist(), room

    def paragraphs(self) -> Iterator[_Span]:
        """Yield paragraphs, and parts of those that do not fit, each as long as the others."""
        for span in self._split(_PARAGRAPH, (0, len(self._text))):
            size = self._size(span)
            if size <= self._room:
                yield span
                continue
            parts = -(-size // self._room)
            yield from self.joined(self._sentences(span), -(-size // parts))

    def joined(self, spans: Iterator[_Span], enough: int) -> Iterator[_Span]:
        """Yield neighbours together, up to the first that makes them enough, as far as they fit."""
        begin = end = -1
        for span in spans:
            if end >= 0 and (self._size((begin, end)) >= enough or self._size((begin, span[1])) > self._room):
                yield begin, end
                end = -1
            begin, end = (begin if end >= 0 else span[0]), span[1]
        if end >= 0:
            yield begin, end

    def _sentences(self, span: _Span) -> Iterator[_Span]:
        for sentence in self._split(_SENTENCE, span):
            if self._size(sentence) <= self._room:
                yield sentence
            else:
                yield from self._between_tokens(sentence)

    def _between_tokens(self, span: _Span) -> Iterator[_Span]:
        """Yield pieces that are as long as the room, but end with a word where there is one in their second half."""
        begin, end = span
        while self._size((begin, end)) > self._room:
            first = bisect_left(self._starts, begin)
            cut = max(self._starts[first + self._room], begin + 1)
            half = max(self._starts[first + self._room // 2], begin + 1)
            spaces = [*_SPACE.finditer(self._text, half, cut)]
            if spaces:
                yield begin, spaces[-1].start()
                begin = spaces[-1].end()
            else:
                yield begin, cut
                begin = cut
        if begin < end:
            yield begin, end

    def _split(self, pattern: re.Pattern[str], span: _Span) -> Iterator[_Span]:
        """Yield what stands between the matches of a pattern, without white space around it."""
        begin, end = span
        ends: Sequence[_Span] = [match.span() for match in pattern.finditer(self._text, begin, end)]
        for cut, behind in [*ends, (end, end)]:
            part = self._text[begin:cut]
            stripped = part.strip()
            if stripped:
                start = begin + len(part) - len(part.lstrip())
                yield start, start + len(stripped)
            begin = behind

    def _size(self, span: _Span) -> int:
        """Return how many tokens begin in a span."""
        return bisect_left(self._starts, span[1]) - bisect_left(self._starts, span[0])
