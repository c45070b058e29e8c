"""Spans of a text, shown where they stand: in colour on a terminal, else in brackets."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from edgebert.cli.colours import colours_of
from edgebert.cli.drawing import drawn, folded
from edgebert.cli.terminal import Terminal, clip, clip_start, display_width, escape

__all__ = ["Span", "excerpt", "highlight"]

_UNKNOWN = "yellow"
"""The colour of a kind that is not among the model's."""
_INDENT = "  "
_LEAST_COLUMNS = 20
_SURROUNDINGS = 40
"""Characters on either side of an excerpt where there is no terminal to fill."""


class Span(NamedTuple):
    """Characters ``start`` to ``end`` of a text."""

    start: int
    end: int
    kind: str


def highlight(text: str, spans: Sequence[Span], kinds: Sequence[str], terminal: Terminal) -> str:
    """Return the lines of a text with its spans marked: folded to the terminal, those after the first indented.

    Parameters
    ----------
    text : str
    spans : sequence of Span
    kinds : sequence of str
        All that there may be: each has its colour, the same in every text.
    terminal : Terminal
        For a file the text stays one line, and its spans are in brackets.
    """
    pieces = list(_pieces(text, spans, terminal.colour))
    if terminal.columns is None:
        return "".join(piece for piece, _, _ in pieces) + "\n"
    from rich.text import Text

    colours = colours_of(kinds)
    whole = Text.assemble(*((piece, _style(kind, is_name, colours)) for piece, kind, is_name in pieces))
    lines = folded(whole, max(terminal.columns, _LEAST_COLUMNS) - len(_INDENT))
    for line in lines:
        line.rstrip()
    return "".join((_INDENT if i else "") + drawn(line, terminal.colour) + "\n" for i, line in enumerate(lines))


def _pieces(text: str, spans: Sequence[Span], colour: bool) -> Iterator[tuple[str, str | None, bool]]:
    """Yield escaped pieces of a text, each with the kind of its span, and whether it is that kind's name.

    Spans may lie within others. Where two overlap in part, the first has what they share.
    """
    at = 0
    around: list[Span] = []  # those that are not over, the innermost last

    def up_to(place: int) -> Iterator[tuple[str, str | None, bool]]:
        nonlocal at
        yield escape(text[at:place]), around[-1].kind if around else None, False
        at = place

    def end() -> Iterator[tuple[str, str | None, bool]]:
        yield from up_to(around[-1].end)
        kind = around.pop().kind
        yield (f" {escape(kind)}", kind, True) if colour else (f"]({escape(kind)})", None, False)

    for span in sorted(spans, key=lambda own: (own.start, -own.end)):
        while around and (around[-1].end <= span.start or around[-1].end < span.end):
            yield from end()
        start = max(span.start, at)
        if start < span.end:
            yield from up_to(start)
            if not colour:
                yield "[", None, False
            around.append(span)
    while around:
        yield from end()
    yield from up_to(len(text))


def _style(kind: str | None, is_name: bool, colours: dict[str, str]) -> str:
    if kind is None:
        return ""
    # A single token has its label, B-PER or PER_B, where a span has its kind.
    found = (colours.get(name) for name in (kind, kind[2:], kind[:-2]))
    colour = next(filter(None, found), _UNKNOWN)
    return f"dim {colour}" if is_name else f"black on {colour}"


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
    marked = _marked(span) if terminal.colour else f"{opening}{span}{closing}"
    return shown_left + marked + shown_right


def _marked(span: str) -> str:
    from rich.text import Text

    return drawn(Text(span, _style(span, False, {})), True)
