"""Text that is safe to show on a terminal, and as wide as it should be."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

__all__ = ["clip", "display_width", "escape"]

_JOINERS = "\u200c\u200d"  # Persian needs the one, family emoji the other; neither moves the cursor
_HARMFUL = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def _escape_character(character: str) -> str:
    if character in _JOINERS or unicodedata.category(character) not in _HARMFUL:
        return character
    return character.encode("unicode_escape").decode("ascii")


def escape(text: str) -> str:
    r"""Spell out the characters that could drive a terminal or reorder its line, such as ``\x1b``."""
    return text if text.isascii() and text.isprintable() else "".join(map(_escape_character, text))


def _character_width(character: str) -> int:
    if character in _JOINERS or unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def display_width(text: str) -> int:
    """Return the columns that an escaped text takes on a terminal."""
    return sum(map(_character_width, text))


def clip(text: str, columns: int) -> str:
    """Escape a text and cut it to at most `columns` columns, the last of them an ellipsis if it was cut."""
    # Marks take no column, and a text may hold any number of them.
    pieces = list(_pieces(text, columns + 1, 4 * columns))
    if len(text) <= 4 * columns and sum(width for _, width in pieces) <= columns:
        return "".join(piece for piece, _ in pieces)
    while pieces and sum(width for _, width in pieces) > columns - 1:
        pieces.pop()
    return "".join(piece for piece, _ in pieces) + "\u2026"[:columns]


def _pieces(text: str, columns: int, characters: int) -> Iterator[tuple[str, int]]:
    """Yield escaped characters with their widths until `columns` are full or `characters` are used."""
    used = 0
    for character in text[:characters]:
        piece = _escape_character(character)
        width = display_width(piece)
        used += width
        yield piece, width
        if used >= columns:
            return
