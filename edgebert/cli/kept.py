"""Answers behind the columns of the table that the texts come from."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from edgebert.cli.formats import Row, RowFormat, answer_cells, answer_document, csv_line, sheet_of
from edgebert.errors import InputError
from edgebert.tables.delimited import DelimitedRows
from edgebert.tables.jsonl import ObjectRows, half_pair

if TYPE_CHECKING:
    from edgebert.cli.lines import Writer
    from edgebert.cli.texts import Inputs
    from edgebert.output import OutputFile
    from edgebert.tables.chunks import Chunk

__all__ = ["HEADER_ROWS", "Kept", "as_json", "columns_of", "kept_writer", "objects_of"]

HEADER_ROWS = 1000
"""Of objects, how many rows decide which columns a table has."""


def kept_writer(form: RowFormat, name: str, inputs: Inputs, prefix: str, output: OutputFile) -> Writer:
    """Return the writer of a command's rows, which keeps the columns of the table that they come from.

    Parameters
    ----------
    form : RowFormat
    name : str
        ``"csv"``, ``"tsv"``, ``"jsonl"`` or ``"parquet"``.
    inputs : Inputs
    prefix : str
        What the names of added columns begin with.
    output : OutputFile
    """
    kept = Kept(form, prefix, is_table=True)
    if name == "parquet":
        from edgebert.cli.kept_parquet import ParquetAnswers

        writer: Writer = ParquetAnswers(kept, output)
    elif name == "jsonl":
        return _JsonlAnswers(kept, output)
    else:
        writer = _SheetAnswers(kept, output, name, same=name == inputs.reading.kind)
    return _FirstTogether(writer) if inputs.reading.kind == "jsonl" else writer


class Kept:
    """A form of answers, for texts that come from a table: what is added to a row, and what stays of it.

    Parameters
    ----------
    form : RowFormat
    prefix : str
    is_table : bool
        Whether there is a table; plain texts are columns of the answer.

    Attributes
    ----------
    columns, names : tuple of str
        What is added, in order; and its names, with the prefix.
    replaces : bool
        Whether the command may put another text where a row's text stood.
    """

    def __init__(self, form: RowFormat, prefix: str, *, is_table: bool) -> None:
        if is_table:
            form = form._replace(sheet=tuple(name for name in form.sheet if name not in form.texts), texts=())
        self._form, self._prefix = form, prefix
        self.replaces = form.replacement is not None
        self.columns = sheet_of(form)
        self.names = tuple(prefix + name for name in self.columns)

    def lines(self, row: Row) -> list[list[Any]]:
        """Return the added cells of a row's lines; one at least, so that no row of the table is lost."""
        found = answer_cells(self._form, row, self.columns)
        return found or answer_cells(self._form._replace(records=lambda _: [{}]), row, self.columns)

    def document(self, row: Row) -> dict[str, Any]:
        """Return the object of a row."""
        added = {self._prefix + name: value for name, value in answer_document(self._form, row).items()}
        record = self.record(row)
        self.check_apart(record.keys() & added.keys(), row.file)
        return {**record, **added}

    def record(self, row: Row) -> dict[str, Any]:
        """Return the row of the table, with the text that the command puts there if it does."""
        replacement = self.replacement(row)
        if replacement is None or row.chunk is None or row.chunk.rows is None:
            return row.record
        return _replaced(row.record, row.chunk.rows.chosen[0], replacement)

    def replacement(self, row: Row) -> str | None:
        """Return the text that is to stand where the row's text stood, if there is one."""
        return self._form.replacement(row) if self._form.replacement else None

    @staticmethod
    def check_apart(both: Collection[str], file: str) -> None:
        """Refuse names that a table has and the answers have too.

        Raises
        ------
        InputError
        """
        if both:
            name = sorted(both)[0]
            raise InputError(
                f"{file} has a column {name!r}, and so have the answers: let the names of theirs begin with something,"
                " like --prefix model_"
            )


def _replaced(record: dict[str, Any], path: str, text: str) -> dict[str, Any]:
    """Return a record with another text at a key, or at a path of keys."""
    key, dot, rest = path.partition(".")
    if path in record or not dot or not isinstance(record.get(key), dict):
        return {**record, path: text}
    return {**record, key: _replaced(record[key], rest, text)}


class _FirstTogether:
    """Lets a writer have the first rows all at once: of objects, its columns are the keys of these.

    So they do not depend on how many objects a pipe had at a time.
    """

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._first: list[Row] | None = []

    def write(self, rows: Sequence[Row]) -> None:
        if self._first is None:
            self._writer.write(rows)
            return
        self._first += rows
        if len(self._first) >= HEADER_ROWS:
            self._start()

    def _start(self) -> None:
        rows, self._first = self._first or [], None
        self._writer.write(rows[:HEADER_ROWS])
        if rows[HEADER_ROWS:]:
            self._writer.write(rows[HEADER_ROWS:])

    def finish(self, last: Chunk) -> int:
        if self._first:
            self._start()
        return self._writer.finish(last)


class _JsonlAnswers:
    """An object for each text: those of the table with the answers behind them."""

    def __init__(self, kept: Kept, output: OutputFile) -> None:
        self._kept, self._output, self._count = kept, output, 0

    def write(self, rows: Sequence[Row]) -> None:
        self._count += len(rows)
        text = "".join(f"{as_json(self._kept.document(row))}\n" for row in rows)
        # Half a surrogate pair, which JSON may spell and UTF-8 may not, is spelled again.
        self._output.write(text.encode("utf-8", "backslashreplace"))

    def finish(self, _: Chunk) -> int:
        """Nothing is left to write."""
        return self._count


def columns_of(rows: Sequence[Row]) -> tuple[str, ...]:
    """Return the columns of the tables that rows come from; of objects the keys of the rows themselves."""
    found: dict[str, None] = {}
    for row in rows:
        if row.chunk and row.chunk.rows and not objects_of(row):
            return row.chunk.rows.columns
        found.update(dict.fromkeys(row.record))
    return (*found,)


def objects_of(row: Row) -> ObjectRows | None:
    """Return the objects that a row is one of; None of another kind of table, and of plain text."""
    rows = row.chunk.rows if row.chunk else None
    return rows if isinstance(rows, ObjectRows) else None


class _SheetAnswers:
    """Lines of csv or tsv below a header; delimiter, line ends and byte order mark are those of such an input."""

    def __init__(self, kept: Kept, output: OutputFile, name: str, *, same: bool) -> None:
        self._kept, self._output, self._same, self._count = kept, output, same, 0
        self._delimiter, self._line_end = "\t" if name == "tsv" else ",", "\n"
        self._columns: tuple[str, ...] | None = None
        self._known: set[str] = set()

    def write(self, rows: Sequence[Row]) -> None:
        lines = []
        self._count += len(rows)
        if self._columns is None and rows:
            lines.append(self._header(columns_of(rows), rows[0].chunk))
        for row in rows:
            cells = self._cells(row)
            lines += [self._line([*cells, *added]) for added in self._kept.lines(row)]
        try:
            self._output.write("".join(lines).encode())
        except UnicodeEncodeError as error:
            raise half_pair(rows[0].file, error.object[error.start], ".csv") from error

    def finish(self, last: Chunk) -> int:
        """Write the header, if there was no row."""
        if self._columns is None and last.rows is not None:
            self._output.write(self._header(last.rows.columns, last).encode())
        return self._count

    def _header(self, columns: tuple[str, ...], chunk: Chunk | None) -> str:
        assert chunk is not None
        self._columns = columns
        self._known = {*self._columns}
        self._kept.check_apart(self._known & {*self._kept.names}, chunk.file)
        mark, table = "", chunk.rows
        if self._same and isinstance(table, DelimitedRows):
            self._delimiter, self._line_end, mark = table.delimiter, table.line_end, "\ufeff" * table.bom
        return mark + self._line([*self._columns, *self._kept.names])

    def _line(self, cells: Sequence[Any]) -> str:
        return csv_line(cells, self._delimiter, self._line_end)

    def _cells(self, row: Row) -> list[Any]:
        record = self._kept.record(row)
        if new := record.keys() - self._known:
            place = row.chunk.place(row.at) if row.chunk else row.file
            raise InputError(
                f"{place} has a key {sorted(new)[0]!r} that the first {HEADER_ROWS:,} objects have not, and the header"
                " is written: let -o be a .jsonl"
            )
        return [_cell(record.get(name)) for name in self._columns or ()]


def _cell(value: Any) -> Any:
    """Return a value of a table as a cell of csv: lists and objects as JSON."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    return as_json(value) if isinstance(value, list | dict) else _plain(value)


def as_json(value: Any) -> str:
    """Return a value as JSON, whatever a table had in it; null for a number that is not finite, which JSON has not."""
    try:
        return json.dumps(value, ensure_ascii=False, default=_plain, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value), ensure_ascii=False, default=_plain, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _plain(value: Any) -> str:
    """Return a value that JSON has no form for as text: times as ISO has them, bytes that are no UTF-8 spelled out."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
