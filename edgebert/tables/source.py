"""All texts of a run, file after file."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from edgebert.errors import InputError
from edgebert.tables.chunks import Chunk, Reading
from edgebert.tables.plain import read_lines, read_paragraphs, read_whole
from edgebert.tables.stream import ByteStream, Stream, shown_name, unreadable

__all__ = ["Source"]

_EXPECTED = {
    "lines": "one text a line",
    "paragraphs": "one text a paragraph",
    "files": "one",
    **dict.fromkeys(("csv", "tsv"), "a header and a row for each text"),
}
"""Of a kind of file, what it should have; jsonl and Parquet may have nothing."""


class Source:
    """The texts of files, in chunks; to be gone through once.

    Files are opened when their turn comes, the first one at once, so that a mistake is noticed early.

    Parameters
    ----------
    files : sequence of str
        Paths; ``"-"`` for standard input.
    reading : Reading
    may_be_blank : bool
        Whether it is fine when there is no text in any of them.

    Attributes
    ----------
    total : int or None
        Size of all files [bytes], None when that is not known.
    """

    def __init__(self, files: Sequence[str], reading: Reading, *, may_be_blank: bool = False) -> None:
        self._files, self._reading, self._may_be_blank = files, reading, may_be_blank
        self._before = 0
        self._columns: tuple[str, ...] | None = None
        self._current = self._open(files[0])
        sizes = [self._current.total, *map(_size, files[1:])]
        self.total = sum(size for size in sizes if size is not None) if None not in sizes else None

    @property
    def done(self) -> int:
        """What has been read so far [bytes]."""
        return self._before + self._current.done

    def __iter__(self) -> Iterator[Chunk]:
        """Yield the chunks of all files.

        Raises
        ------
        InputError
            When something cannot be read, tables have different columns, or there is no text at all and has to be;
            a table without rows is a table.
        """
        empty = True
        for index, file in enumerate(self._files):
            if index:
                self._before += self._current.done
                self._current = self._open(file)
            try:
                for chunk in _chunks(self._current, self._reading):
                    self._check_columns(chunk)
                    # A blank file is one text, which keeps its place among others.
                    empty = empty and self._reading.kind == "files" and not chunk.texts[0].strip()
                    if len(self._files) > 1 or not empty:
                        yield chunk
            finally:
                self.close()
        if self._may_be_blank:
            return
        if empty and len(self._files) == 1:
            raise InputError(f"{self._current.name}: no text in it, expected {_EXPECTED[self._reading.kind]}")
        if empty:
            raise InputError(f"{self._current.name} and {len(self._files) - 1} more: no text in any of these files")

    def close(self) -> None:
        """Close the file that is open."""
        self._current.close()

    def _check_columns(self, chunk: Chunk) -> None:
        """Refuse a table whose columns are not those of the first one: they are written below one header."""
        if chunk.rows is None or self._reading.kind == "jsonl":
            return
        columns = chunk.rows.columns
        if self._columns is None:
            self._columns = columns
        if sorted(columns) != sorted(self._columns):
            raise InputError(
                f"{chunk.file} has the columns {', '.join(columns)}, expected those of the files before it:"
                f" {', '.join(self._columns)}; ask about them one by one"
            )

    def _open(self, file: str) -> Stream:
        if self._reading.kind == "parquet":
            if file == "-":
                raise InputError("Parquet cannot be read from a pipe, its columns are told at its end: name a file")
            from edgebert.tables.parquet import ParquetStream

            return ParquetStream(file)
        if file == "-":
            return ByteStream(sys.stdin.buffer, "standard input", self._reading.errors, keep_open=True)
        try:
            return ByteStream(open(file, "rb"), shown_name(file), self._reading.errors)
        except OSError as error:
            raise unreadable(file, error) from error


def _chunks(stream: Any, reading: Reading) -> Iterator[Chunk]:
    """Return the chunks of an open file of a kind."""
    kind, columns, pairs = reading.kind, reading.columns, reading.pairs
    if kind == "parquet":
        from edgebert.tables.parquet import read_parquet

        return read_parquet(stream, columns, pairs=pairs)
    if kind == "jsonl":
        from edgebert.tables.jsonl import read_jsonl

        return read_jsonl(stream, columns, pairs=pairs)
    if kind in ("csv", "tsv"):
        from edgebert.tables.delimited import read_delimited

        return read_delimited(stream, kind, columns, pairs=pairs)
    return {"lines": read_lines, "paragraphs": read_paragraphs, "files": read_whole}[kind](stream)


def _size(file: str) -> int | None:
    try:
        status = os.stat(file)
    except OSError:  # it is told when it is opened
        return None
    return status.st_size if file != "-" and stat.S_ISREG(status.st_mode) else None
