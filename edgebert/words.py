"""Where the words of a text begin and end, in any script (Unicode Standard Annex 29)."""

from __future__ import annotations

import re
import unicodedata
from functools import cache, cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tokenizers.pre_tokenizers import Split

__all__ = ["Words"]

_PLAIN = re.compile(
    "[\x00-\x7f\xa0\xa1\xab\xbb\xbf\xc0-\xd6\xd8-\xf6\xf8-\u024f\u2013\u2014\u2018\u2019\u201c\u201d\u2026]*"
)
"""Latin letters, and the punctuation that goes with them: most texts hold nothing else, and Python's own expressions
find their words in a tenth of the time. None of these characters combines with another."""
_PLAIN_WORD = re.compile(
    r"(?:\w"
    "|(?<=[^\\W\\d_])['.:\u2018\u2019](?=[^\\W\\d_])"  # don't, U.S.
    "|(?<=\\d)['.,;\u2018\u2019](?=\\d)"  # 1,000.5
    "){2,}"
)
_LINKERS = "\u094d\u09cd\u0acd\u0b4d\u0c4d\u0d4d\u1039\u17d2\u1a60"
"""Marks that join two letters to one sign (rule GB9c); the library's tables are older than that rule."""
# Categories of characters: dashes, closing and opening brackets, quotes, and others.
_SEPARATORS = ("Pd", "Pe", "Pf", "Pi", "Po", "Ps")
_OF_WORDS = "@#%&*\u2030"
# Oniguruma's: what \X finds are words in this mode, graphemes without.
_WORD = r"(?y{w})\X"
_GRAPHEME = rf"(?:\X(?<=[{_LINKERS}]|[{_LINKERS}]\x{{200d}})(?=\p{{L}}))*\X"


class Words:
    """The borders of the words in a text.

    Punctuation marks are words of their own. In scripts that have no spaces between words, Thai or Chinese say, there
    is a border at every character: what is a word there, no rule of Unicode tells.

    Parameters
    ----------
    text : str
    """

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def plain(self) -> bool:
        """Whether all is Latin script, every character one that stands for itself."""
        found = _PLAIN.match(self.text)
        return found is not None and found.end() == len(self.text)

    @cached_property
    def borders(self) -> np.ndarray:
        """Where a word begins or ends: bool [shape=(characters + 1,)]; never within a grapheme."""
        if not self.plain:
            return _cuts(_WORD, self.text) & self.graphemes
        borders = np.ones(len(self.text) + 1, bool)
        for word in _PLAIN_WORD.finditer(self.text):
            borders[word.start() + 1 : word.end()] = False
        return borders

    @cached_property
    def graphemes(self) -> np.ndarray:
        """Where what a reader sees as one character begins or ends: bool [shape=(characters + 1,)].

        A letter and its accents are one, and an emoji of several code points.
        """
        if self.plain:
            return np.ones(len(self.text) + 1, bool)
        return _cuts(_GRAPHEME, self.text)

    @cached_property
    def unspaced(self) -> np.ndarray:
        """Which characters are letters of a script that has no spaces between words: bool [shape=(characters,)]."""
        found = np.zeros(len(self.text), bool)
        if not self.plain:
            for i, character in enumerate(self.text):
                found[i] = found[i - 1] if i and _is_mark(character) else _needs_no_space(character)
        return found

    def connects(self, at: int) -> bool:
        """Say whether what stands before and behind a place belongs together: within a word, or at an ``@`` or ``/``.

        An e-mail address, an URL or a number with hyphens are several words for Unicode, but one thing.
        """
        if not 0 < at < len(self.text):
            return False
        before, behind = self.text[at - 1], self.text[at]
        if before.isspace() or behind.isspace():
            return False
        return not self.borders[at] or _is_punctuation(before) or _is_punctuation(behind)

    def apart(self, start: int, end: int) -> tuple[int, int]:
        """Return a span without the punctuation at its ends, where there is more to it.

        A token may hold a word and what stands beside it: ``Alice/``, ``("Bob``.
        """
        part = self.text[start:end]
        if part.isalnum() or not any(character.isalnum() for character in part):
            return start, end
        while _is_separator(self.text[start]) or self.text[start].isspace():
            start += 1
        while _is_separator(self.text[end - 1]) or self.text[end - 1].isspace():
            end -= 1
        return start, end

    def whole(self, start: int, end: int) -> tuple[int, int]:
        """Return a span without the whitespace at its ends, and with all of its first and last grapheme.

        Of a span that is whitespace alone nothing is left: its end is its start.
        """
        part = self.text[start:end]
        end -= len(part) - len(part.rstrip())
        start = min(start + len(part) - len(part.lstrip()), end)
        if start == end or self.plain:
            return start, end
        while not self.graphemes[start]:
            start -= 1
        while not self.graphemes[end]:
            end += 1
        return start, end


def _cuts(pattern: str, text: str) -> np.ndarray:
    """Return where the matches of a pattern begin and end, bool (characters + 1,)."""
    cuts = np.zeros(len(text) + 1, bool)
    cuts[0] = cuts[-1] = True
    cuts[[begin for _, (begin, _) in _splitter(pattern).pre_tokenize_str(text)]] = True
    return cuts


@cache
def _splitter(pattern: str) -> Split:
    # The expressions of the tokenizers library (Oniguruma's) know Unicode's rules; those of Python do not.
    from tokenizers import Regex
    from tokenizers.pre_tokenizers import Split

    return Split(Regex(pattern), "isolated")


@lru_cache(maxsize=1 << 13)
def _needs_no_space(character: str) -> bool:
    """Say whether a letter is of a script without spaces: whether a Latin letter behind it is another word."""
    return character.isalpha() and len(_splitter(_WORD).pre_tokenize_str(character + "a")) > 1


def _is_mark(character: str) -> bool:
    return unicodedata.category(character) in ("Mn", "Mc", "Me", "Cf")


def _is_separator(character: str) -> bool:
    """Say whether a character is punctuation that is no part of a word before or behind it, as those of ``5%`` are."""
    return unicodedata.category(character) in _SEPARATORS and character not in _OF_WORDS


def _is_punctuation(character: str) -> bool:
    category = unicodedata.category(character)
    return category.startswith("P") or category in ("Sm", "Sc", "Sk")
