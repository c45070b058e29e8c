"""Texts drawn for a terminal, with rich, which is imported when there is one: a pipe never waits for it."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgebert.cli.terminal import Terminal, display_width, escape

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

__all__ = ["drawn", "folded", "listed", "paragraph", "rule"]

_WIDEST, _LEAST = 100, 20
"""Columns of a line of prose: more are hard to read, and fewer are none."""


@functools.cache
def _console(colour: bool) -> Console:
    """Return what rich draws on; nothing is printed there. The colours are the terminal's own sixteen."""
    from rich.console import Console

    return Console(
        width=80,
        force_terminal=colour,
        color_system="standard" if colour else None,
        no_color=False,  # who asks for no colour gets no style either
        legacy_windows=False,
    )


def folded(text: Text, columns: int) -> list[Text]:
    """Break a text into lines of so many columns: between words, or within those that are too long."""
    return list(text.wrap(_console(False), max(columns, 2), overflow="fold"))


def drawn(text: Text, colour: bool) -> str:
    """Return a text with its styles as ANSI codes, or without any."""
    if not colour:
        return text.plain
    console = _console(True)
    with console.capture() as capture:
        console.print(text, end="", soft_wrap=True)
    return capture.get()


def rule(columns: int, terminal: Terminal) -> str:
    """Return a line to stand under a header."""
    return ("\u2500" if terminal.blocks else "-") * columns


def listed(rows: Sequence[tuple[str, str]], terminal: Terminal | None, width: int = 16) -> str:
    """Return lines of names and what is said of them: folded to a terminal, one line each for a file (None).

    Parameters
    ----------
    rows : sequence of (name, text)
    terminal : Terminal or None
    width : int
        Columns of the names, if none of them is longer.
    """
    width = max([width, *(display_width(escape(name)) for name, _ in rows)]) + 2
    lines = []
    for name, text in rows:
        shown = escape(name)
        head = shown + " " * (width - display_width(shown))
        for i, line in enumerate(paragraph(text, terminal, width)):
            lines.append(((head if i == 0 else " " * width) + line).rstrip() + "\n")
    return "".join(lines)


def paragraph(text: str, terminal: Terminal | None, taken: int = 0) -> list[str]:
    """Return a text, escaped, in lines that leave so many columns of a terminal free; in one for a file (None)."""
    if terminal is None or terminal.columns is None:
        return [escape(text)]
    from rich.text import Text

    columns = min(terminal.columns, _WIDEST) - taken
    return [line.plain.rstrip() for line in folded(Text(escape(text)), max(columns, _LEAST))]
