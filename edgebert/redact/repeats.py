"""What was found in one place, found in the others where it stands: in any case, spacing and punctuation of numbers."""

from __future__ import annotations

import bisect
import itertools
import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import NamedTuple

__all__ = ["PERSON_LABELS", "Repeats", "pieces", "whole_pieces"]

PERSON_LABELS = frozenset(
    {"GIVEN_NAME", "FIRST_NAME", "MIDDLE_NAME", "SURNAME", "LAST_NAME", "PER", "PERSON", "NAME", "NAME_STUDENT"}
)
"""Labels of people's names: what models for names and for personal data call them."""

# Scripts without spaces between words: every character is a piece. Thai, Lao, Burmese, Khmer, Japanese, Chinese.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
# All but letters and digits, as far as punctuation has blocks of its own; a letter's accents belong to it.
_BETWEEN = (
    r"\s\x00-/:-@\[-`{-\xa9\xab-\xb1\xb4\xb6-\xb8\xbb\xbf\xd7\xf7"
    "\u2000-\u206f\u20a0-\u20cf\u2190-\u2bff\u3000-\u303f\ufe10-\ufe6f\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"
    "\ufe00-\ufe0f\U0001f000-\U0001faff"  # pictures, and what chooses their form
)
_PIECE = re.compile(f"[{_UNSPACED}]|[^{_BETWEEN}{_UNSPACED}]+")
_NUMBER = re.compile(r"\d(?:[ \u00a0.\-/()]{0,3}\d){5,}")
_LEAST_NUMBER = 4
"""Digits from which on a number alone is looked for: 12 is more often something else than a house."""
_LEAST_LOOSE_NUMBER = 6
"""Digits from which on a number is looked for however it is parted: 123 456, 123-456."""
_LEAST_PART = 3
"""Letters from which on a part of a name is looked for alone."""
_OPENING = " \t\"'\u201c\u201e\u2018\u00ab([*_"
_ENDS = ".!?:;\r\n\u2026\u2013\u2014\u2022-"
_LOOK_BACK = 16


class _Form(NamedTuple):
    """The pieces of a surface form, folded, what stands between them, how it was written, and its label."""

    pieces: tuple[str, ...]
    between: tuple[str, ...]
    written: str
    label: str


class Repeats:
    """The surface forms of what was found, and where they stand in texts.

    A word that texts also have in small letters (will, rose) is taken for a name only where its capital is not that of
    a sentence's beginning.
    """

    def __init__(self) -> None:
        self._forms: dict[tuple[str, ...], _Form] = {}
        self._sizes: dict[str, set[int]] = {}  # of forms that begin with a word: in how many
        self._numbers: dict[str, str] = {}
        self._lengths: set[int] = set()
        self._ordinary: set[str] = set()

    def read(self, text: str) -> None:
        """Learn the ordinary words of a text, before `find` is asked about any."""
        words = (word for word in _PIECE.findall(text) if word.islower())
        self._ordinary.update(word for word in words if not any(map(str.isdecimal, word)))

    def add(self, word: str, label: str) -> None:
        """Remember what was found, and of a person's name its parts."""
        if label in PERSON_LABELS:
            for part in _PIECE.findall(word):
                if len(part) >= _LEAST_PART and part[0].isupper() and part.isalpha():
                    self._add(part, label)
        digits = re.sub(r"\D", "", word)
        if len(digits) >= _LEAST_LOOSE_NUMBER and not any(character.isalpha() for character in word):
            self._numbers.setdefault(digits, label)
            self._lengths.add(len(digits))
        else:
            self._add(word, label)

    def _add(self, word: str, label: str) -> None:
        if _is_telling(word):
            form = _form_of(word, label)
            self._forms.setdefault(form.pieces, form)
            self._sizes.setdefault(form.pieces[0], set()).add(len(form.pieces))

    def find(self, text: str) -> Iterator[tuple[int, int, str]]:
        """Yield the start, end and label of all that was found somewhere; what is longer comes first."""
        if self._forms:
            yield from self._words(text)
        if self._lengths:
            yield from self._parted_numbers(text)

    def _words(self, text: str) -> Iterator[tuple[int, int, str]]:
        spans = [match.span() for match in _PIECE.finditer(text)]
        folded = [text[start:end].casefold() for start, end in spans]
        i = 0
        while i < len(spans):
            for count in sorted(self._sizes.get(folded[i], ()), reverse=True):
                form = self._forms.get(tuple(folded[i : i + count]))
                if form and len(form.pieces) == count and self._stands(form, text, spans, folded, i):
                    yield spans[i][0], spans[i + count - 1][1], form.label
                    i += count
                    break
            else:
                i += 1

    def _stands(self, form: _Form, text: str, spans: list[tuple[int, int]], folded: list[str], i: int) -> bool:
        start, end = spans[i][0], spans[i + len(form.pieces) - 1][1]
        if any(
            _spaced(text[spans[i + j][1] : spans[i + j + 1][0]]) != between for j, between in enumerate(form.between)
        ):
            return False
        written = text[start:end]
        if written.isdecimal() and _in_number(text, start, end):
            return False
        if written.islower() and written != form.written:
            return False
        return not (len(form.pieces) == 1 and folded[i] in self._ordinary and _begins_sentence(text, start))

    def _parted_numbers(self, text: str) -> Iterator[tuple[int, int, str]]:
        for run in _NUMBER.finditer(text):
            at = [i for i in range(*run.span()) if text[i].isdecimal()]
            digits = "".join(text[i] for i in at)
            i = 0
            while i < len(at):
                for length in sorted(self._lengths, reverse=True):
                    label = self._numbers.get(digits[i : i + length])
                    start, end = at[i], at[min(i + length, len(at)) - 1] + 1
                    if label and not text[start - 1 : start].isdecimal() and not text[end : end + 1].isdecimal():
                        yield start, end, label
                        i += length
                        break
                else:
                    i += 1


def _form_of(word: str, label: str) -> _Form:
    """Return what of a span has to be the same for another to be its repetition."""
    spans = [match.span() for match in _PIECE.finditer(word)]
    between = tuple(_spaced(word[before[1] : behind[0]]) for before, behind in itertools.pairwise(spans))
    written = word[spans[0][0] : spans[-1][1]]
    return _Form(tuple(word[start:end].casefold() for start, end in spans), between, written, label)


def pieces(text: str) -> list[str]:
    """Return the words of a text, without what stands between them."""
    return _PIECE.findall(text)


def whole_pieces(text: str, spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return spans (start, end) of a text with all of the words that begin or end within them."""
    words = [match.span() for match in _PIECE.finditer(text)] if spans else []
    starts, ends = [start for start, _ in words], [end for _, end in words]
    whole = []
    for start, end in spans:
        first, last = bisect.bisect_right(ends, start), bisect.bisect_left(starts, end) - 1
        if first <= last:
            start, end = min(start, starts[first]), max(end, ends[last])
        whole.append((start, end))
    return whole


def _is_telling(word: str) -> bool:
    """Say whether a word found again is likely to be the same thing: not for a letter, 12, or OR (Oregon)."""
    letters = [character for character in word if character.isalpha()]
    digits = sum(character.isdecimal() for character in word)
    if letters and all(unicodedata.category(letter) == "Lo" for letter in letters):
        return len(letters) > 1
    if not letters or len(letters) == 1:
        return digits >= _LEAST_NUMBER
    return len(letters) > 2 or digits > 0 or not word.isupper()


def _spaced(between: str) -> str:
    """Return what stands between two words with any white space as one space."""
    return re.sub(r"\s+", " ", between)


def _in_number(text: str, start: int, end: int) -> bool:
    """Say whether digits are a part of a number with a point or comma, as those of 94,105 are."""
    before, behind = text[max(0, start - 2) : start], text[end : end + 2]
    return bool(re.fullmatch(r"\d[.,]", before) or re.fullmatch(r"[.,]\d", behind))


def _begins_sentence(text: str, at: int) -> bool:
    before = text[max(0, at - _LOOK_BACK) : at].rstrip(_OPENING)
    return (not before and at <= _LOOK_BACK) or before[-1:] in _ENDS
