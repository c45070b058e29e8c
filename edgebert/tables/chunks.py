"""What every reader yields: some texts that were read together, and where they stand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

__all__ = ["CHUNK_BYTES", "CHUNK_LINES", "Chunk", "Reading", "Rows"]

# About a second of work for a small processor: what the progress bar may wait for.
CHUNK_BYTES = 32 * 1024
CHUNK_LINES = 512


class Reading(NamedTuple):
    """How files are read.

    Attributes
    ----------
    kind : str
        Of plain text what is one text: ``"lines"``, ``"paragraphs"`` or ``"files"``; else ``"csv"``, ``"tsv"``,
        ``"jsonl"`` or ``"parquet"``.
    columns : tuple of str
        Those of a table that the texts are in; none to find them.
    pairs : bool
        Whether a text of a table is two columns.
    errors : str
        ``"strict"`` or ``"replace"``: what becomes of bytes that are not UTF-8.
    """

    kind: str = "lines"
    columns: tuple[str, ...] = ()
    pairs: bool = False
    errors: str = "strict"


class Rows(Protocol):
    """The rows of a table that a chunk's texts come from."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of all columns, in order."""

    @property
    def chosen(self) -> tuple[str, ...]:
        """The one or two columns that the texts come from."""

    def record(self, index: int) -> dict[str, Any]:
        """Return a row: name of a column -> value; None for a cell that is missing."""


class Chunk(NamedTuple):
    """Some texts of a file, at most `CHUNK_LINES`; none of a table without rows.

    Attributes
    ----------
    texts : list of str, or of (str, str)
        Two texts each where two columns were asked for.
    file : str
        What messages call the file.
    lines : sequence of int
        Where each text begins: a line from 1, or a row from 1 in a file without lines.
    unit : str
        What stands between the two in messages; empty for a file that is one text.
    ends : sequence of bytes, optional
        What stood behind each text in the file, of plain texts: ``b"\\n"``, ``b"\\r\\n"``, blank lines, or nothing.
    before : bytes
        What stands in the file before its first text, of plain texts: a byte order mark, blank lines.
    rows : Rows, optional
        Of texts from a table.
    """

    texts: list[Any]
    file: str
    lines: Sequence[int]
    unit: str = ": line "
    ends: Sequence[bytes] | None = None
    rows: Rows | None = None
    before: bytes = b""

    def place(self, index: int) -> str:
        """Return how messages call the place of a text."""
        return f"{self.file}{self.unit}{self.lines[index]}" if self.unit else self.file
