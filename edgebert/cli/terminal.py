"""Text that is safe to show on a terminal, and as wide as it should be."""

from __future__ import annotations

import os
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from typing import NamedTuple

__all__ = ["Terminal", "clip", "clip_start", "display_width", "escape", "folded_note", "note"]

_JOINERS = "\u200c\u200d"  # Persian needs the one, family emoji the other; neither moves the cursor
_HARMFUL = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_LEAST_COLUMNS = 20
_DRAWING = "\u2500\u2588\u258f\u2026"


class Terminal(NamedTuple):
    """What lines for people are drawn for.

    Attributes
    ----------
    columns : int or None
        None for a file, whose lines have any length.
    colour : bool
        Whether to use ANSI styles.
    blocks : bool
        Whether it has the characters of rules and bars.
    """

    columns: int | None = None
    colour: bool = False
    blocks: bool = False

    @staticmethod
    def at_stdout() -> Terminal | None:
        """Return the terminal at standard output, None where it is none."""
        if sys.stdout is None or not sys.stdout.isatty():
            return None
        # Consoles of Windows before 10 print ANSI codes as they are.
        plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or sys.platform == "win32"
        try:
            _DRAWING.encode(sys.stdout.encoding)
            blocks = True
        except UnicodeError:
            blocks = False
        return Terminal(shutil.get_terminal_size().columns, not plain, blocks)


def _escape_character(character: str) -> str:
    if character in _JOINERS or unicodedata.category(character) not in _HARMFUL:
        return character
    return character.encode("unicode_escape").decode("ascii")


def note(message: str) -> None:
    """Say something on stderr, whatever names are in it: in one line, which a terminal gets folded at words."""
    import click

    click.echo(folded_note(f"edgebert: {escape(message)}"), err=True)


def folded_note(line: str) -> str:
    """Return a line of stderr, folded at words where that is a terminal."""
    if sys.stderr is None or not sys.stderr.isatty():
        return line
    import textwrap

    columns = max(shutil.get_terminal_size().columns, _LEAST_COLUMNS)
    return textwrap.fill(line, columns, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def escape(text: str) -> str:
    r"""Spell out the characters that could drive a terminal or reorder its line, such as ``\x1b``."""
    return text if text.isascii() and text.isprintable() else "".join(map(_escape_character, text))


def display_width(text: str) -> int:
    """Return the columns that an escaped text takes on a terminal."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def clip(text: str, columns: int) -> str:
    """Escape a text and cut it to at most `columns` columns, the last of them an ellipsis if it was cut."""
    pieces, whole = _fitting(text[: 4 * columns + 1], columns)
    return "".join(pieces) + ("" if whole else "\u2026"[:columns])


def clip_start(text: str, columns: int) -> str:
    """Do the same at the other end of a text: its end stays, behind an ellipsis if it was cut."""
    pieces, whole = _fitting(text[-4 * columns - 1 :][::-1], columns)
    return ("" if whole else "\u2026"[:columns]) + "".join(reversed(pieces))


def _escaped_characters(text: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Yield each character of a text, escaped, with the columns that it takes."""
    for character in text:
        piece = _escape_character(character)
        yield piece, display_width(piece)


def _fitting(text: str, columns: int) -> tuple[list[str], bool]:
    """Return the escaped characters that fit, and whether those are all; else there is room for an ellipsis."""
    pieces: list[tuple[str, int]] = []
    used = 0
    for piece, width in _escaped_characters(text):
        # Marks take no column, and a text may hold any number of them.
        if used + width > columns or len(pieces) == 4 * columns:
            break
        pieces.append((piece, width))
        used += width
    else:
        return [piece for piece, _ in pieces], True
    while pieces and used > columns - 1:
        used -= pieces.pop()[1]
    return [piece for piece, _ in pieces], False
