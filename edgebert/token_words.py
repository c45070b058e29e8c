"""Which tokens of a text make one word: what a tokenizer says of that, held against Unicode's rules."""

from __future__ import annotations

import numpy as np

from edgebert.tokens import Content
from edgebert.words import Words

__all__ = ["continues", "word_numbers"]


def continues(text: str, content: Content, marks: np.ndarray | None) -> np.ndarray:
    """Say of each token whether it belongs to the word of the one before: bool (T,).

    Where a script has no spaces every token is a word. Several tokens of one grapheme are never torn apart.

    Parameters
    ----------
    text : str
    content : Content
        Its tokens, with their places.
    marks : ndarray [shape=(vocab_size,), dtype=bool] or None
        Which ids the tokenizer marks as pieces that continue a word; with one that marks none Unicode's rules decide.
    """
    words, at = Words(text), _solid(text, content)
    if marks is None:
        return ~words.borders[at] | _torn(words, content, at)
    marked = marks[content.ids]
    if words.plain:
        return marked
    return marked & ~(words.borders[at] & _unspaced(words, content)) | _torn(words, content, at)


def word_numbers(text: str, content: Content) -> np.ndarray:
    """Number the words that answers are made of: int (T,), for each token the number of its word.

    They are those of the tokenizer, as in transformers' pipeline; where a script has no spaces every token is one.
    """
    words, at = Words(text), _solid(text, content)
    begins = words.borders[at] & _unspaced(words, content)
    begins[1:] |= content.words[1:] != content.words[:-1]
    return np.cumsum(begins & ~_torn(words, content, at))


def _solid(text: str, content: Content) -> np.ndarray:
    """Return where the first character of each token stands that is no space, or its end: int (T,)."""
    at = content.starts.copy()
    for i, (start, end) in enumerate(zip(content.starts.tolist(), content.ends.tolist(), strict=True)):
        if start < end and text[start].isspace():
            at[i] = end - len(text[start:end].lstrip())
    return at


def _unspaced(words: Words, content: Content) -> np.ndarray:
    """Say of each token whether its word, as the tokenizer splits, has letters without spaces between words: bool."""
    if words.plain or not len(content.ids):
        return np.zeros(len(content.ids), bool)
    before = np.append(0, np.cumsum(words.unspaced))
    has = before[content.ends] > before[content.starts]
    begins = np.diff(content.words, prepend=content.words[0] - 1) != 0
    return np.logical_or.reduceat(has, np.flatnonzero(begins))[np.cumsum(begins) - 1]


def _torn(words: Words, content: Content, at: np.ndarray) -> np.ndarray:
    """Say of each token, whose first place is given, whether it shares a grapheme with the one before: bool (T,)."""
    torn = ~words.graphemes[at]
    # Bytes of one character stand at one place; so does what Unigram puts before a word that no longer token begins.
    same = (at[1:] == at[:-1]) & (content.words[1:] == content.words[:-1])
    torn[1:] |= same | (content.starts[1:] < content.ends[:-1])
    return torn
