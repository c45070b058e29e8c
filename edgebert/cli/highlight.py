"""Spans of a text, shown where they stand: in colour on a terminal, else in brackets."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import click

from edgebert.cli.terminal import Terminal, clip, clip_start, display_width, escape, escaped_characters
from edgebert.schemes import kinds_of

__all__ = ["Span", "excerpt", "highlight", "kinds_of"]

_COLOURS = ("yellow", "cyan", "green", "magenta", "blue", "red", "white")
_INDENT = "  "
_LEAST_COLUMNS = 20
_SURROUNDINGS = 40
"""Characters on either side of an excerpt where there is no terminal to fill."""


class Span(NamedTuple):
    """Characters ``start`` to ``end`` of a text."""

    start: int
    end: int
    kind: str


class _Character(NamedTuple):
    """What one character is shown as; ``kind`` is that of its span, or of the span whose name it belongs to."""

    shown: str
    width: int
    kind: str | None
    is_name: bool = False


def highlight(text: str, spans: Sequence[Span], kinds: Sequence[str], terminal: Terminal) -> str:
    """Return the lines of a text with its spans marked: wrapped to the terminal, those after the first indented.

    Parameters
    ----------
    text : str
    spans : sequence of Span
    kinds : sequence of str
        All that there may be: each has its colour, the same in every text.
    terminal : Terminal
    """
    characters = list(_characters(text, spans, terminal.colour))
    columns = terminal.columns
    lines = [characters] if columns is None else _wrapped(characters, max(columns, _LEAST_COLUMNS))
    colours = dict(zip(kinds, itertools.cycle(_COLOURS), strict=False))
    return "".join(
        (_INDENT if i else "") + _painted(line, colours, terminal.colour) + "\n" for i, line in enumerate(lines)
    )


def _characters(text: str, spans: Sequence[Span], colour: bool) -> Iterator[_Character]:
    """Yield what a text with its spans is shown as; where spans overlap, the first has what they share."""
    at = 0
    for start, end, kind in sorted(spans):
        start = max(start, at)
        if start >= end:
            continue
        yield from _shown(text[at:start], None)
        name = f" {kind}" if colour else f"]({kind})"
        yield from _shown("" if colour else "[", None)
        yield from _shown(text[start:end], kind)
        yield from _shown(name, kind if colour else None, is_name=True)
        at = end
    yield from _shown(text[at:], None)


def _shown(text: str, kind: str | None, *, is_name: bool = False) -> Iterator[_Character]:
    return (_Character(piece, width, kind, is_name) for piece, width in escaped_characters(text))


def _wrapped(characters: list[_Character], columns: int) -> list[list[_Character]]:
    """Break lines at spaces where there are any; with the indent, none is wider than `columns`."""
    lines: list[list[_Character]] = []
    room = columns - len(_INDENT)
    begin = used = 0
    space = -1  # where the line could be broken
    for i, character in enumerate(characters):
        if character.shown == " ":
            space = i
        if used + character.width > room and i > begin:
            end = space if space > begin else i
            lines.append(characters[begin:end])
            begin = end + (space > begin)  # a space at the break is not shown
            used = sum(each.width for each in characters[begin:i])
        if i >= begin:
            used += character.width
    lines.append(characters[begin:])
    return lines


def _painted(line: Sequence[_Character], colours: dict[str, str], colour: bool) -> str:
    pieces = []
    for (kind, is_name), group in itertools.groupby(line, key=lambda each: (each.kind, each.is_name)):
        piece = "".join(each.shown for each in group)
        if colour and kind is not None:
            # A single token has its label, B-PER or PER_B, where a span has its kind.
            tone = colours.get(kind) or colours.get(kind[2:]) or colours.get(kind[:-2], _COLOURS[0])
            piece = click.style(piece, fg=tone, dim=True) if is_name else click.style(piece, fg="black", bg=tone)
        pieces.append(piece)
    return "".join(pieces)


def excerpt(text: str, start: int, end: int, terminal: Terminal, before: int) -> str:
    """Return a span with as much of the text around it as the line has room for.

    Parameters
    ----------
    text : str
    start, end : int
        Of the span [characters].
    terminal : Terminal
    before : int
        Columns of the line that are taken already.
    """
    opening, closing = ("", "") if terminal.colour else ("[", "]")
    left, span, right = (re.sub(r"\s", " ", part) for part in (text[:start], text[start:end], text[end:]))
    if terminal.columns is None:
        span = escape(span)
        around = 2 * _SURROUNDINGS
    else:
        room = max(terminal.columns, _LEAST_COLUMNS) - before - len(opening + closing)
        span = clip(span, max(room, 1))
        around = max(room - display_width(span), 0)
    # What one side does not need, the other has.
    shown_left = clip_start(left, max(around // 2, around - display_width(clip(right, around))))
    shown_right = clip(right, around - display_width(shown_left))
    marked = click.style(span, fg="black", bg=_COLOURS[0]) if terminal.colour else f"{opening}{span}{closing}"
    return shown_left + marked + shown_right
