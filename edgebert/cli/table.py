"""Tables for people: aligned; on a terminal with a header, bars, and texts that are folded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edgebert.cli.colours import colours_of
from edgebert.cli.drawing import drawn, folded, rule
from edgebert.cli.formats import RowFormat, shown
from edgebert.cli.terminal import Terminal, display_width, escape

if TYPE_CHECKING:
    from rich.text import Text

__all__ = ["Table", "bar"]

_LEAST_TEXT = 10
"""Columns that a text has on a terminal too narrow for all: a few words on a wrapped line are better than none."""
_MOST_LINES = 3
"""Lines that a text is folded to, unless its row has more; an ellipsis stands for what is left of it."""
_GAP = "  "
_BAR = 8
_EIGHTHS = " \u258f\u258e\u258d\u258c\u258b\u258a\u2589"
_LEAST_FOR_BARS = 60
"""Columns of a terminal that has room for bars."""


def bar(share: float) -> str:
    """Return a share, from 0 to 1, as a bar of `_BAR` columns, in eighths of a column."""
    full, part = divmod(round(8 * _BAR * min(max(share, 0.0), 1.0)), 8)
    return ("\u2588" * full + (_EIGHTHS[part] if part else "")).ljust(_BAR)


class Table:
    """Makes lines of rows that come one after the other, so that the widths of columns have to be known before.

    Parameters
    ----------
    form : RowFormat
    terminal : Terminal
        For a file there is neither header nor bar, and texts stay as long as they are.

    Attributes
    ----------
    header : str
        What comes before all rows.
    """

    def __init__(self, form: RowFormat, terminal: Terminal) -> None:
        texts = len(form.texts) if form.columns[-len(form.texts) :] == form.texts else 1
        self._names, self._texts = form.columns[:-texts], form.columns[-texts:]
        self._terminal = terminal
        self._colours = colours_of(form.labels)
        labels = max((display_width(escape(label)) for label in form.labels), default=0)
        self._least = [max(form.widths.get(name, 0), labels if name == "label" else 0) for name in self._names]
        self._bars = form.bars and terminal.blocks and (terminal.columns or 0) >= _LEAST_FOR_BARS
        self.header = ""
        if terminal.columns is not None:
            self._least = [max(*sizes) for sizes in zip(self._least, map(len, self._names), strict=True)]
            self.header = self._header(terminal.columns)

    def render(self, lines: Sequence[Sequence[Any]]) -> str:
        """Return the lines of a row, made of lists of values: those of the columns, and its texts."""
        widths = [
            max([least, *(display_width(escape(shown(line[i]))) for line in lines)])
            for i, least in enumerate(self._least)
        ]
        if self._terminal.columns is None:
            return "".join(_plain(line, widths) for line in lines)
        count = len(self._names)
        alike = all(line[count:] == lines[0][count:] for line in lines)
        groups = [lines] if alike else [[line] for line in lines]
        return "".join(self._folded(group, widths, self._terminal.columns) for group in groups if group)

    def _header(self, columns: int) -> str:
        from rich.text import Text

        numbers = [name not in ("label", "token_str") for name in self._names]
        cells = [
            _aligned(Text(name, "bold"), width, number)
            for name, width, number in zip(self._names, self._least, numbers, strict=True)
        ]
        share = self._share(self._least, columns)
        texts = [_aligned(Text(name, "bold"), share, False) for name in self._texts]
        return self._line(self._with_bar(cells, Text(" " * _BAR)) + texts) + rule(columns, self._terminal) + "\n"

    def _folded(self, lines: Sequence[Sequence[Any]], widths: Sequence[int], columns: int) -> str:
        """Return lines that have their texts in common: these stand beside all of them."""
        from rich.text import Text

        share = self._share(widths, columns)
        most = max(len(lines), _MOST_LINES)
        blocks = [_block(shown(text), share, most) for text in lines[0][len(self._names) :]]
        empty = [Text(" " * width) for width in widths]
        result = []
        for i in range(max(len(lines), *map(len, blocks))):
            cells = self._cells(lines[i], widths) if i < len(lines) else self._with_bar(empty, Text(" " * _BAR))
            texts = [_aligned(block[i] if i < len(block) else Text(), share, False) for block in blocks]
            result.append(self._line(cells + texts))
        return "".join(result)

    def _cells(self, line: Sequence[Any], widths: Sequence[int]) -> list[Text]:
        """Return the cells of a line before its texts."""
        from rich.text import Text

        values = dict(zip(self._names, line, strict=False))
        colour = self._colours.get(str(values.get("label")), "")
        cells = []
        for value, width in zip(line, widths, strict=False):
            number = isinstance(value, (int, float))
            cells.append(_aligned(Text(escape(shown(value)), "dim" if number else f"bold {colour}"), width, number))
        score = values.get("score")
        return self._with_bar(cells, Text(" " * _BAR if score is None else bar(score), colour or "cyan"))

    def _with_bar(self, cells: list[Text], drawn_bar: Text) -> list[Text]:
        """Put a bar behind the score, where there are bars."""
        if not self._bars:
            return list(cells)
        at = self._names.index("score") + 1
        return [*cells[:at], drawn_bar, *cells[at:]]

    def _share(self, widths: Sequence[int], columns: int) -> int:
        """Return the columns of each text: they share what the others leave of a terminal's."""
        taken = [*widths, _BAR] if self._bars else widths
        left = columns - sum(taken) - len(_GAP) * (len(taken) + len(self._texts) - 1)
        return max(left // len(self._texts), _LEAST_TEXT)

    def _line(self, cells: Sequence[Text]) -> str:
        from rich.text import Text

        line = Text(_GAP).join(cells)
        line.rstrip()
        return drawn(line, self._terminal.colour) + "\n"


def _plain(line: Sequence[Any], widths: Sequence[int]) -> str:
    """Return a line of a table in a file."""
    cells = []
    for value, width in zip(line, widths, strict=False):
        cell = escape(shown(value))
        space = " " * (width - display_width(cell))
        cells.append(space + cell if isinstance(value, (int, float)) else cell + space)
    texts = [escape(shown(text)) for text in line[len(widths) :]]
    return _GAP.join([*cells, *texts]).rstrip() + "\n"


def _aligned(cell: Text, width: int, right: bool) -> Text:
    cell.align("right" if right else "left", width)
    return cell


def _block(text: str, columns: int, most: int) -> list[Text]:
    """Fold a text into at most so many lines, with an ellipsis for what does not fit."""
    from rich.text import Text

    looked_at = text[: 4 * columns * most]  # marks take no column, and a text may hold any number of them
    lines = folded(Text(escape(looked_at)), columns)
    if len(lines) > most or len(looked_at) < len(text):
        del lines[most:]
        lines[-1].rstrip()
        lines[-1].truncate(columns - 1)
        lines[-1].append("\u2026")
    return lines
