"""How answers are written: tsv, csv, jsonl, or a table for people. What keeps the columns of a table is `kept`."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from edgebert.cli.terminal import Terminal, clip, display_width, escape

if TYPE_CHECKING:
    from edgebert.coverage import Coverage
    from edgebert.tables.chunks import Chunk

__all__ = [
    "FORMATS",
    "Layout",
    "Row",
    "RowFormat",
    "answer_cells",
    "answer_document",
    "csv_line",
    "layout_of",
    "sheet_of",
]

FORMATS = ("table", "tsv", "csv", "jsonl", "parquet")
"""What ``--format`` takes."""

_TSV_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_COVERAGE = ("tokens", "windows", "truncated")
_LEAST_TEXT = 10
"""Columns that a text has on a terminal too narrow for all: a few words on a wrapped line are better than none."""


class Row(NamedTuple):
    """A text with what the model says of it.

    Attributes
    ----------
    number : int
        Of all texts, from 1.
    text : str or (str, str)
        A pair of two columns is two texts; a pair of a line is that line, with a tab between them.
    answer : object
    coverage : Coverage
    chunk : Chunk, optional
        What it was read with, where it is text number `at` from 0.
    at : int
    """

    number: int
    text: Any
    answer: Any
    coverage: Coverage
    chunk: Chunk | None = None
    at: int = 0

    @property
    def file(self) -> str:
        """How messages call the file that it is from."""
        return self.chunk.file if self.chunk else ""

    @property
    def line(self) -> int:
        """Where it begins in its file, from 1."""
        return self.chunk.lines[self.at] if self.chunk else self.number

    @property
    def record(self) -> dict[str, Any]:
        """The row of the table that it is from: name of a column -> value; nothing of plain text."""
        return self.chunk.rows.record(self.at) if self.chunk and self.chunk.rows else {}


class RowFormat(NamedTuple):
    """What a command writes of a row.

    Attributes
    ----------
    records : callable
        Row -> list of dicts, one for each line of tsv, csv and table: name of a column -> value. The texts,
        ``file``, ``line`` (where the text begins), ``tokens``, ``windows`` and ``truncated`` are added.
    document : callable
        Row -> dict, the object of jsonl, to which texts, ``tokens``, ``windows`` and ``truncated`` are added.
    columns : tuple of str
        Of tsv and table, in order.
    sheet : tuple of str
        Of csv; ``tokens``, ``windows`` and ``truncated`` are added.
    texts : tuple of str
        What the line is called; two names for two texts with a tab between them. Where they are the last
        columns of a table, they share what is left of a terminal's width.
    widths : dict of str to int
        The least width of columns in a table, so that rows written at different times are aligned.
    draw : callable, optional
        Terminal -> what makes a row's lines for people, for a command whose table is none.
    places : tuple of str
        ``file`` and ``line``, or ``file``, if they are to stand before all other columns; of several files they do.
    replacement : callable, optional
        Row -> text, for a command that writes another text into the column that the text comes from.
    """

    records: Callable[[Row], list[dict[str, Any]]]
    document: Callable[[Row], dict[str, Any]]
    columns: tuple[str, ...]
    sheet: tuple[str, ...]
    texts: tuple[str, ...] = ("text",)
    widths: dict[str, int] = {}  # noqa: RUF012 (never changed)
    draw: Callable[[Terminal], Callable[[Row], str]] | None = None
    places: tuple[str, ...] = ()
    replacement: Callable[[Row], str] | None = None


class Layout(NamedTuple):
    """What comes before all rows, and what a row becomes, line ends included."""

    header: str
    render: Callable[[Row], str]


def layout_of(form: RowFormat, name: str, terminal: Terminal) -> Layout:
    """Return one of `FORMATS` for a command; `terminal` is what a table is drawn for."""
    if name == "table":
        return Layout("", _table(form, terminal) if form.draw is None else form.draw(terminal))
    if name == "csv":
        columns = sheet_of(form)
        return Layout(
            csv_line(columns), lambda row: "".join(csv_line(cells) for cells in answer_cells(form, row, columns))
        )
    if name == "jsonl":
        return Layout("", lambda row: json.dumps(answer_document(form, row), ensure_ascii=False) + "\n")
    return Layout("", lambda row: "".join(_tsv_line(cells) for cells in answer_cells(form, row, form.columns)))


def sheet_of(form: RowFormat) -> tuple[str, ...]:
    """Return the columns of csv."""
    return tuple(dict.fromkeys((*form.places, *form.sheet, *_COVERAGE)))


def _texts(form: RowFormat, row: Row) -> dict[str, str]:
    """Return the text of a row, or its two texts, by name."""
    if isinstance(row.text, str):
        texts = (row.text,) if len(form.texts) == 1 else row.text.partition("\t")[::2]
    else:
        texts = row.text
    return dict(zip(form.texts, texts, strict=False))  # the text that a question was asked of has no column


def _coverage(row: Row) -> dict[str, Any]:
    values = row.coverage if row.coverage.windows else (None, None, False)  # of a blank line nothing was counted
    return dict(zip(_COVERAGE, values, strict=True))


def answer_cells(form: RowFormat, row: Row, columns: Sequence[str]) -> list[list[Any]]:
    """Return the values of a row's lines, None for what it has not."""
    common = {"file": row.file, "line": row.line, **_texts(form, row), **_coverage(row)}
    return [[{**common, **record}.get(column) for column in columns] for record in form.records(row)]


def _shown(value: Any) -> str:
    """Return a value as people read it."""
    if value is None:
        return ""
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _tsv_line(cells: Sequence[Any]) -> str:
    return "\t".join(_shown(cell).translate(_TSV_ESCAPES) for cell in cells) + "\n"


def csv_line(cells: Sequence[Any], delimiter: str = ",") -> str:
    """Return cells as a line of csv, quoted where it takes that."""
    # The writer quotes a field for the characters that end its lines: with \r\n it quotes a lone \r too.
    line = io.StringIO()
    fields = [str(cell).lower() if isinstance(cell, bool) else cell for cell in cells]
    csv.writer(line, delimiter=delimiter, lineterminator="\r\n").writerow(fields)
    return line.getvalue().removesuffix("\r\n") + "\n"


def answer_document(form: RowFormat, row: Row) -> dict[str, Any]:
    """Return the object of jsonl."""
    answer = form.document(row)
    places = {name: getattr(row, name) for name in form.places}
    coverage = {name: value for name, value in _coverage(row).items() if name not in answer}
    return {**places, **_texts(form, row), **answer, **coverage}


def _table(form: RowFormat, terminal: Terminal) -> Callable[[Row], str]:
    """Return what makes aligned lines, with nothing in them that could drive a terminal."""
    wide = len(form.texts) if form.columns[-len(form.texts) :] == form.texts else 1
    names = form.columns[:-wide]

    def render(row: Row) -> str:
        lines = answer_cells(form, row, form.columns)
        widths = [
            max(form.widths.get(name, 0), max((display_width(escape(_shown(line[i]))) for line in lines), default=0))
            for i, name in enumerate(names)
        ]
        left = None if terminal.columns is None else terminal.columns - sum(widths) - 2 * len(widths)
        return "".join(f"{_aligned(line, widths)}{_wide(line[-wide:], left)}".rstrip() + "\n" for line in lines)

    def _aligned(line: Sequence[Any], widths: Sequence[int]) -> str:
        cells = []
        for value, width in zip(line, widths, strict=False):
            cell = escape(_shown(value))
            space = " " * (width - display_width(cell))
            number = isinstance(value, (int, float))
            if terminal.colour and cell:
                cell = click.style(cell, dim=True) if number else click.style(cell, bold=True)
            cells.append((space + cell if number else cell + space) + "  ")
        return "".join(cells)

    return render


def _wide(texts: Sequence[Any], columns: int | None) -> str:
    """Return the texts that end a line, cut to the columns that are left of it."""
    shown = [_shown(text) for text in texts]
    if columns is None:
        return "  ".join(map(escape, shown))
    share = max((columns - 2 * (len(shown) - 1)) // len(shown), _LEAST_TEXT)
    pieces = [clip(text, share) for text in shown]
    return "  ".join(piece + " " * (share - display_width(piece)) for piece in pieces)
