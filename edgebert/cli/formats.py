"""How answers are written: tsv, csv, jsonl, or a table for people."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from edgebert.cli.terminal import Terminal

if TYPE_CHECKING:
    from edgebert.coverage import Coverage

__all__ = ["FORMATS", "Layout", "Row", "RowFormat", "layout_of", "shown"]

FORMATS = ("table", "tsv", "csv", "jsonl")
"""What ``--format`` takes."""

_TSV_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_COVERAGE = ("tokens", "windows", "truncated")


class Row(NamedTuple):
    """One line with what the model says of it; ``number`` counts lines from 1."""

    number: int
    text: str
    answer: Any
    coverage: Coverage


class RowFormat(NamedTuple):
    """What a command writes of a row.

    Attributes
    ----------
    records : callable
        Row -> list of dicts, one for each line of tsv, csv and table: name of a column -> value. The texts,
        ``line`` (the row's number), ``tokens``, ``windows`` and ``truncated`` are added.
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
        return Layout(table.header, lambda row: table.render(_cells(form, row, form.columns)))
    if name == "csv":
        columns = (*form.sheet, *(column for column in _COVERAGE if column not in form.sheet))
        return Layout(_csv_line(columns), lambda row: "".join(_csv_line(cells) for cells in _cells(form, row, columns)))
    if name == "jsonl":
        return Layout("", lambda row: _jsonl(form, row))
    return Layout("", lambda row: "".join(_tsv_line(cells) for cells in _cells(form, row, form.columns)))


def _texts(form: RowFormat, row: Row) -> dict[str, str]:
    """Return the text of a row, or its two texts, by name."""
    if len(form.texts) == 1:
        return {form.texts[0]: row.text}
    first, _, second = row.text.partition("\t")
    return dict(zip(form.texts, (first, second), strict=True))


def _coverage(row: Row) -> dict[str, Any]:
    values = row.coverage if row.coverage.windows else (None, None, False)  # of a blank line nothing was counted
    return dict(zip(_COVERAGE, values, strict=True))


def _cells(form: RowFormat, row: Row, columns: Sequence[str]) -> list[list[Any]]:
    """Return the values of a row's lines, None for what it has not."""
    common = {"line": row.number, **_texts(form, row), **_coverage(row)}
    return [[{**common, **record}.get(column) for column in columns] for record in form.records(row)]


def shown(value: Any) -> str:
    """Return a value as people read it."""
    if value is None:
        return ""
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _tsv_line(cells: Sequence[Any]) -> str:
    return "\t".join(shown(cell).translate(_TSV_ESCAPES) for cell in cells) + "\n"


def _csv_line(cells: Sequence[Any]) -> str:
    # The writer quotes a field for the characters that end its lines: with \r\n it quotes a lone \r too.
    line = io.StringIO()
    fields = [str(cell).lower() if isinstance(cell, bool) else cell for cell in cells]
    csv.writer(line, lineterminator="\r\n").writerow(fields)
    return line.getvalue().removesuffix("\r\n") + "\n"


def _jsonl(form: RowFormat, row: Row) -> str:
    answer = form.document(row)
    coverage = {name: value for name, value in _coverage(row).items() if name not in answer}
    return json.dumps({**_texts(form, row), **answer, **coverage}, ensure_ascii=False) + "\n"
