"""A stream of bytes, read in blocks: its lines, or all of it, decoded, counted and checked."""

from __future__ import annotations

import codecs
import os
import stat
from collections.abc import Iterator
from typing import BinaryIO, Protocol

from edgebert.errors import InputError
from edgebert.tables import chunks
from edgebert.tables.kinds import refuse_binary

__all__ = ["ByteStream", "Stream", "decode", "shown_name", "unreadable"]


class Stream(Protocol):
    """An open file.

    Attributes
    ----------
    name : str
        What messages call it.
    total : int or None
        Size of what will be read [bytes], None when that is not known.
    done : int
        What has been read so far [bytes].
    """

    name: str
    total: int | None
    done: int

    def close(self) -> None:
        """Close it."""


class ByteStream:
    """A file, a pipe or standard input; to be gone through once.

    Parameters
    ----------
    stream : binary file
    name : str
        What messages call it.
    errors : str
        ``"strict"`` or ``"replace"``: what becomes of bytes that are not UTF-8.
    keep_open : bool
        Whether the stream is somebody else's to close.

    Attributes
    ----------
    name, total, done
        As `Stream` says.
    errors : str
    bom : bool
        Whether it begins with a byte order mark, which is not passed on.
    """

    def __init__(self, stream: BinaryIO, name: str, errors: str, *, keep_open: bool = False) -> None:
        self.name, self.errors = name, errors
        self._stream, self._keep_open = stream, keep_open
        self.total = _size(stream)
        self.done = 0
        self.bom = False

    @property
    def mark(self) -> bytes:
        """The byte order mark that it begins with, if it does, once something of it was read."""
        return codecs.BOM_UTF8 if self.bom else b""

    def close(self) -> None:
        """Close the file, unless it is to be kept open."""
        if not self._keep_open:
            self._stream.close()

    def blocks(self) -> Iterator[list[bytes]]:
        r"""Yield the lines that end in each block read, with their ends; only ``\n`` ends a line.

        From a pipe, lines are there as soon as they are written.

        Raises
        ------
        InputError
            When reading fails, or it is no text.
        """
        unfinished: list[bytes] = []
        for block in self._read():
            head, newline, tail = block.rpartition(b"\n")
            if newline:
                lines = b"".join([*unfinished, head]).split(b"\n")
                unfinished = []
                yield [line + b"\n" for line in lines]
            unfinished.append(tail)
        last = b"".join(unfinished)
        if last:
            yield [last]

    def blocks_of_rows(self) -> Iterator[list[bytes]]:
        r"""Yield the lines that end in each block read, with their ends; a lone ``\r`` ends one, too.

        So old spreadsheets wrote them: without it such a file would be one line, as large as it is.

        Raises
        ------
        InputError
            When reading fails, or it is no text.
        """
        unfinished: list[bytes] = []
        for block in self._read():
            whole = unfinished.pop() + block if unfinished and unfinished[-1].endswith(b"\r") else block
            end = max(whole.rfind(b"\n"), whole.rfind(b"\r", 0, -1)) + 1  # what follows a last \r is not known yet
            if end:
                yield b"".join([*unfinished, whole[:end]]).splitlines(keepends=True)
                unfinished = []
            unfinished.append(whole[end:])
        last = b"".join(unfinished)
        if last:
            yield last.splitlines(keepends=True)

    def whole(self) -> bytes:
        """Return everything.

        Raises
        ------
        InputError
            When reading fails, or it is no text.
        """
        return b"".join(self._read())

    def decode(self, data: bytes, line: int) -> str:
        """Return the text of a line; raise InputError when it is not UTF-8."""
        # Not by `decode`, whose message's place would be made for every line.
        try:
            return data.decode("utf-8", self.errors)
        except UnicodeDecodeError:
            return decode(data, self.errors, f"{self.name}: line {line}")

    def _read(self) -> Iterator[bytes]:
        """Yield blocks, without a byte order mark at the very beginning."""
        start: bytes | None = b""  # of the first bytes, in which a mark may not be whole yet
        while True:
            try:
                # What is there: a reader of a pipe gets its answers without waiting for a full block.
                block = self._stream.read1(chunks.CHUNK_BYTES)  # type: ignore[attr-defined]
            except OSError as error:
                raise unreadable(self.name, error) from error
            self.done += len(block)
            if start is None:
                if not block:
                    return
                yield block
                continue
            start += block
            if block and len(start) < len(codecs.BOM_UTF8) and codecs.BOM_UTF8.startswith(start):
                continue
            refuse_binary(start, self.name)
            self.bom = start.startswith(codecs.BOM_UTF8)
            first, start = start.removeprefix(codecs.BOM_UTF8), None
            if first:
                yield first
            if not block:
                return


def decode(data: bytes, errors: str, place: str) -> str:
    """Return bytes as text; `place` is how messages call where they stand.

    Raises
    ------
    InputError
        When they are not UTF-8.
    """
    try:
        return data.decode("utf-8", errors)
    except UnicodeDecodeError as error:
        utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        guess = " (it looks like UTF-16)" if utf16 else ""
        raise InputError(
            f"{place} is not UTF-8{guess}: 0x{data[error.start]:02x} is its byte {error.start + 1};"
            " convert it to UTF-8, or pass --errors replace to go on"
        ) from error


def shown_name(path: str) -> str:
    """Return a path as messages have it: bytes that are not UTF-8 as U+FFFD."""
    return os.fsencode(path).decode("utf-8", "replace")


def unreadable(name: str, error: OSError) -> InputError:
    """Return the error for a file that the system does not let us read."""
    return InputError(f"{shown_name(name)} could not be read: {error.strerror or error}")


def _size(stream: BinaryIO) -> int | None:
    try:
        status = os.fstat(stream.fileno())
    except OSError:  # not a file of the system
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None
