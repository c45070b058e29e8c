"""CSV and TSV with a header: quoted cells may hold delimiters and line ends."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from typing import Any

from edgebert.errors import InputError
from edgebert.tables import chunks
from edgebert.tables.chunks import Chunk
from edgebert.tables.columns import check_names, choose_columns
from edgebert.tables.stream import ByteStream

__all__ = ["DelimitedRows", "find_delimiter", "read_delimited"]

_DELIMITERS = ",;\t|"
_BEHIND_RETURN = re.compile(r"(?<=\r)(?!\n)")
_LONGEST_CELL = 1 << 24
"""Characters; where a quote is not closed, the rest of a file would be one cell."""


class DelimitedRows:
    """Rows of text cells.

    Attributes
    ----------
    columns, chosen : tuple of str
        As `Rows` says.
    delimiter : str
    bom : bool
        Whether the file begins with a byte order mark, by which spreadsheets know UTF-8.
    cells : list of list of str
    """

    def __init__(self, columns: tuple[str, ...], chosen: tuple[str, ...], delimiter: str, bom: bool) -> None:
        self.columns, self.chosen = columns, chosen
        self.delimiter, self.bom = delimiter, bom
        self.cells: list[list[str]] = []

    def record(self, index: int) -> dict[str, Any]:
        """Return a row: name of a column -> cell."""
        return dict(zip(self.columns, self.cells[index], strict=True))


def find_delimiter(header: str) -> str:
    """Return the character that stands most often between the cells of a header; a comma where there is one cell."""
    outside = "".join(header.split('"')[::2])
    return max(_DELIMITERS, key=outside.count)


class _Lines:
    """Decoded lines for `csv.reader`; ``waits`` when there are no more in the block that was read."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._blocks = stream.blocks()
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
                line = self._stream.decode(data, self.number)
                # A lone \r ends a line, too, in files of old spreadsheets.
                yield from (line,) if line.find("\r", 0, -2) < 0 else _BEHIND_RETURN.split(line)


def read_delimited(stream: ByteStream, kind: str, wanted: Sequence[str], *, pairs: bool = False) -> Iterator[Chunk]:
    """Yield the rows of a table; empty lines are none.

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
        When reading fails, a line is not UTF-8, the columns are not clear, or a row has not as many cells as the header.
    """
    csv.field_size_limit(_LONGEST_CELL)
    lines = _Lines(stream)
    source = iter(lines)
    first = next((line for line in source if line.strip()), None)
    if first is None:
        return
    delimiter = "\t" if kind == "tsv" else find_delimiter(first)
    before = lines.number - 1
    reader = csv.reader(_joined(first, source), delimiter=delimiter, strict=True)
    columns: tuple[str, ...] | None = None
    rows: DelimitedRows | None = None
    numbers: list[int] = []
    while True:
        begun = before + reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise _fault(stream.name, begun, error) from error
        if cells and not (columns is not None and len(cells) == 1 < len(columns) and not cells[0].strip()):
            if columns is None:
                columns = tuple(cells)
                check_names(columns, stream.name)
                chosen = choose_columns(columns, wanted, stream.name, count=1 + pairs)
                places = [columns.index(name) for name in chosen]
            elif len(cells) != len(columns):
                raise _wrong_count(f"{stream.name}: line {begun}", len(cells), columns, delimiter)
            else:
                if rows is None:
                    rows = DelimitedRows(columns, chosen, delimiter, stream.bom)
                rows.cells.append(cells)
                numbers.append(begun)
        if rows is not None and (cells is None or lines.waits or len(numbers) == chunks.CHUNK_LINES):
            texts: list[Any] = [row[places[0]] for row in rows.cells]
            if pairs:
                texts = [(row[places[0]], row[places[1]]) for row in rows.cells]
            yield Chunk(texts, stream.name, numbers, rows=rows)
            rows, numbers = None, []
        if cells is None:
            return


def _joined(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


def _wrong_count(place: str, count: int, columns: Sequence[str], delimiter: str) -> InputError:
    cells = "1 cell" if count == 1 else f"{count} cells"
    shown = "tab" if delimiter == "\t" else repr(delimiter)
    expected = f"expected {len(columns)} as in the header ({', '.join(columns[:6])}{', ...' if len(columns) > 6 else ''})"
    return InputError(
        f"{place} has {cells}, {expected}: put double quotes around a cell that has a {shown} in it, or read plain lines"
        " with --input lines"
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
