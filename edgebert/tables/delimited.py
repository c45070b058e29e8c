"""CSV and TSV with a header: quoted cells may hold delimiters and line ends."""

from __future__ import annotations

import csv
import itertools
import operator
from collections.abc import Iterator, Sequence
from typing import Any

from edgebert.errors import InputError
from edgebert.tables import chunks
from edgebert.tables.chunks import Chunk
from edgebert.tables.columns import check_names, choose_columns
from edgebert.tables.stream import ByteStream

__all__ = ["DelimitedRows", "find_delimiter", "read_delimited"]

_DELIMITERS = ",;\t|"
_MOST_LISTED = 6
_LONGEST_CELL = 1 << 24
"""In characters; where a quote is not closed, the rest of a file would be one cell."""


class DelimitedRows:
    """Rows of text cells.

    Attributes
    ----------
    columns, chosen : tuple of str
        As `Rows` says.
    delimiter : str
    bom : bool
        Whether the file begins with a byte order mark, by which spreadsheets know UTF-8.
    line_end : str
        What ends its header: ``"\\n"``, or ``"\\r\\n"`` as spreadsheets write it.
    """

    def __init__(
        self, columns: tuple[str, ...], chosen: tuple[str, ...], cells: list[list[str]], table: _Table, bom: bool
    ) -> None:
        self.columns, self.chosen, self._cells = columns, chosen, cells
        self.delimiter, self.line_end, self.bom = table.delimiter, table.line_end, bom

    def record(self, index: int) -> dict[str, Any]:
        """Return a row: name of a column -> cell."""
        return dict(zip(self.columns, self._cells[index], strict=True))


def find_delimiter(header: str) -> str:
    """Return the character that stands most often between the cells of a header; a comma where there is one cell."""
    outside = "".join(header.split('"')[::2])
    return max(_DELIMITERS, key=outside.count)


class _Lines:
    """Decoded lines for `csv.reader`; ``waits`` when there are no more in the block that was read."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._blocks = stream.blocks_of_rows()
        self._block: list[bytes] = []
        self._next = self.number = 0

    @property
    def waits(self) -> bool:
        return self._next == len(self._block)

    def __iter__(self) -> Iterator[str]:
        for block in self._blocks:
            self._block, self._next = block, 0
            for data in block:
                self._next += 1
                self.number += 1
                yield self._stream.decode(data, self.number)


def read_delimited(stream: ByteStream, kind: str, wanted: Sequence[str], *, pairs: bool = False) -> Iterator[Chunk]:
    """Yield the rows of a table; empty lines are none. Of a header alone there is one chunk, without rows.

    Parameters
    ----------
    stream : ByteStream
    kind : str
        ``"csv"``, whose delimiter is found, or ``"tsv"``.
    wanted : sequence of str
        The columns that the user named.
    pairs : bool
        Whether a text is two columns.

    Raises
    ------
    InputError
        When reading fails, a line is not UTF-8, columns are not clear, or a row has not the cells of the header.
    """
    table = _Table(stream, kind)
    rows = iter(table)
    header = next(rows, None)
    if header is None:
        return
    columns = tuple(header[1])
    check_names(columns, stream.name)
    chosen = choose_columns(columns, wanted, stream.name, count=1 + pairs)
    cell = operator.itemgetter(*map(columns.index, chosen))  # of a row, what its text is
    cells: list[list[str]] = []
    numbers: list[int] = []
    any_row = False

    def chunk() -> Chunk:
        kept = DelimitedRows(columns, chosen, cells, table, stream.bom)
        return Chunk([*map(cell, cells)], stream.name, numbers, rows=kept)

    for number, row in rows:
        if len(row) != len(columns):
            raise _wrong_count(f"{stream.name}: line {number}", len(row), columns, table.delimiter)
        cells.append(row)
        numbers.append(number)
        if table.waits or len(cells) == chunks.CHUNK_LINES:
            yield chunk()
            cells, numbers, any_row = [], [], True
    if cells or not any_row:
        yield chunk()


class _Table:
    """The rows of a file with the lines on which they begin, its header first.

    Attributes
    ----------
    delimiter : str
    line_end : str
        What ends the header.
    """

    def __init__(self, stream: ByteStream, kind: str) -> None:
        self.line_end = "\n"
        self._name = stream.name
        self._lines = _Lines(stream)
        self.delimiter = "\t" if kind == "tsv" else ""

    @property
    def waits(self) -> bool:
        """Whether there are no more rows in what has been read."""
        return self._lines.waits

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        lines = iter(self._lines)
        first = next((line for line in lines if line.strip()), None)
        if first is None:
            return
        self.delimiter = self.delimiter or find_delimiter(first)
        self.line_end = "\r\n" if first.endswith("\r\n") else "\n"
        before, width = self._lines.number - 1, 0
        csv.field_size_limit(_LONGEST_CELL)
        reader = csv.reader(itertools.chain([first], lines), delimiter=self.delimiter, strict=True)
        while True:
            number = before + reader.line_num + 1
            try:
                row = next(reader, None)
            except csv.Error as error:
                raise _fault(self._name, number, error) from error
            if row is None:
                return
            width = width or len(row)
            # An empty line is no row; one of blanks is none either, unless there is one column.
            if row and (width == 1 or len(row) > 1 or row[0].strip()):
                yield number, row


def _wrong_count(place: str, count: int, columns: Sequence[str], delimiter: str) -> InputError:
    cells = "1 cell" if count == 1 else f"{count} cells"
    character = "tab" if delimiter == "\t" else repr(delimiter)
    names = ", ".join(columns[:_MOST_LISTED]) + (", ..." if len(columns) > _MOST_LISTED else "")
    return InputError(
        f"{place} has {cells}, expected {len(columns)} as the header has ({names}): put double quotes around a cell"
        f" that has a {character} in it, or read plain lines with --input lines"
    )


def _fault(name: str, line: int, error: csv.Error) -> InputError:
    told = str(error)
    if "unexpected end of data" in told or "field limit" in told:
        fault = "begins a cell whose double quote is never closed"
    elif "expected after" in told:
        fault = "has something behind a closing double quote"
    else:
        fault = f"is no row of a table ({told})"
    return InputError(
        f"{name}: line {line} {fault}: within a quoted cell write a quote twice, or read plain lines with --input lines"
    )
