"""Pieces of long texts, which are tokenized one by one."""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["LONGEST", "cut"]

LONGEST = 1 << 15
"""Characters of a long text that are tokenized at a time: the library takes some hundred bytes for each."""
_CUTS = (re.compile(r"(?<=\w)[ \n](?=\w)"), re.compile(r"(?<=[\u3002\uff01\uff1f\n])"))
"""Where a text falls into two without any tokenizer noticing: before one space or newline between two word characters
(the next piece keeps it). Where there is none, behind a Chinese full stop, which WordPiece does not notice either."""


def cut(text: str) -> Iterator[tuple[int, int]]:
    """Cut a long text into pieces that can be tokenized one by one."""
    begin = 0
    while len(text) - begin > LONGEST:
        # From the second half of a piece on; a text without such a place is cut where it must.
        places = (place.search(text, begin + LONGEST // 2, begin + 2 * LONGEST) for place in _CUTS)
        found = next(filter(None, places), None)
        end = found.start() if found else begin + LONGEST
        yield begin, end
        begin = end
    yield begin, len(text)
