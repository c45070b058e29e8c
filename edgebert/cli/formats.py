"""How answers are written: tsv, csv, jsonl, or a table for people. What keeps the columns of a table is `kept`."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from edgebert.cli.terminal import Terminal

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
    "shown",
    "tsv_line",
]

FORMATS = ("table", "tsv", "csv", "jsonl", "parquet")
"""What ``--format`` takes."""

_TSV_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_COVERAGE = ("tokens", "windows", "truncated")


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
    labels : tuple of str
        All that the column ``label`` may hold: each has its colour in a table, and room.
    bars : bool
        Whether the column ``score`` is from 0 to 1, so that a table can draw it as a bar.
    draw : callable, optional
        Terminal -> what makes a row's lines for people, for a command whose table is none.
    places : tuple of str
        ``file`` and ``line``, or ``file``, if they are to stand before all other columns; of several files they do.
    replacement : callable, optional
        Row -> text, for a command that writes another text into the column that the text comes from; None where it
        stays as it is.
    coverage : bool
        Whether ``tokens``, ``windows`` and ``truncated`` are told.
    """

    records: Callable[[Row], list[dict[str, Any]]]
    document: Callable[[Row], dict[str, Any]]
    columns: tuple[str, ...]
    sheet: tuple[str, ...]
    texts: tuple[str, ...] = ("text",)
    widths: dict[str, int] = {}  # noqa: RUF012 (never changed)
    labels: tuple[str, ...] = ()
    bars: bool = False
    draw: Callable[[Terminal], Callable[[Row], str]] | None = None
    places: tuple[str, ...] = ()
    replacement: Callable[[Row], str | None] | None = None
    coverage: bool = True


class Layout(NamedTuple):
    """What comes before all rows, and what a row becomes, line ends included."""

    header: str
    render: Callable[[Row], str]


def layout_of(form: RowFormat, name: str, terminal: Terminal) -> Layout:
    """Return one of `FORMATS` for a command; `terminal` is what a table is drawn for."""
    if name == "table":
        if form.draw is not None:
            return Layout("", form.draw(terminal))
        from edgebert.cli.table import Table

        table = Table(form, terminal)
        return Layout(table.header, lambda row: table.render(answer_cells(form, row, form.columns)))
    if name == "csv":
        columns = sheet_of(form)
        return Layout(
            csv_line(columns), lambda row: "".join(csv_line(cells) for cells in answer_cells(form, row, columns))
        )
    if name == "jsonl":
        return Layout("", lambda row: json.dumps(answer_document(form, row), ensure_ascii=False) + "\n")
    return Layout("", lambda row: "".join(tsv_line(cells) for cells in answer_cells(form, row, form.columns)))


def sheet_of(form: RowFormat) -> tuple[str, ...]:
    """Return the columns of csv."""
    return tuple(dict.fromkeys((*form.places, *form.sheet, *(_COVERAGE if form.coverage else ()))))


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


def shown(value: Any) -> str:
    """Return a value as people read it."""
    if value is None:
        return ""
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def tsv_line(cells: Sequence[Any]) -> str:
    r"""Return a line of tsv; tab, newline, return and backslash in a cell are ``\t``, ``\n``, ``\r`` and ``\\``."""
    return "\t".join(shown(cell).translate(_TSV_ESCAPES) for cell in cells) + "\n"


def csv_line(cells: Sequence[Any], delimiter: str = ",", line_end: str = "\n") -> str:
    """Return cells as a line of csv, quoted where it takes that."""
    # The writer quotes a field for the characters that end its lines: with \r\n it quotes a lone \r too.
    line = io.StringIO()
    fields = [str(cell).lower() if isinstance(cell, bool) else cell for cell in cells]
    csv.writer(line, delimiter=delimiter, lineterminator="\r\n").writerow(fields)
    return line.getvalue().removesuffix("\r\n") + line_end


def answer_document(form: RowFormat, row: Row) -> dict[str, Any]:
    """Return the object of jsonl."""
    answer = form.document(row)
    places = {name: getattr(row, name) for name in form.places}
    told = _coverage(row) if form.coverage else {}
    coverage = {name: value for name, value in told.items() if name not in answer}
    return {**places, **_texts(form, row), **answer, **coverage}
