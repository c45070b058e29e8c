"""Where texts come from: options, a file or standard input, one a line, a bounded piece at a time."""

from __future__ import annotations

import codecs
import os
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

import click

from edgebert.errors import InputError

__all__ = ["Texts", "open_texts", "read_texts"]

# About a second of work for a small processor: what the progress bar may wait for.
CHUNK_BYTES = 32 * 1024
CHUNK_LINES = 512


class Texts:
    """The lines of a stream of bytes, in lists of at most `CHUNK_LINES`; to be iterated once.

    Only ``\\n`` and ``\\r\\n`` end a line. From a pipe, lines are there as soon as they are written.

    Parameters
    ----------
    stream : binary file
    name : str
        What messages call it.
    errors : str
        ``"strict"`` or ``"replace"``: what becomes of bytes that are not UTF-8.

    Attributes
    ----------
    total : int or None
        Size of what will be read [bytes], None when that is not known.
    done : int
        What has been read so far [bytes].
    """

    def __init__(self, stream: BinaryIO, name: str, errors: str) -> None:
        self.total = _size(stream)
        self.done = 0
        self._stream = stream
        self._name = name
        self._errors = errors

    def __iter__(self) -> Iterator[list[str]]:
        """Yield lists of lines.

        Raises
        ------
        InputError
            When reading fails, a line is not UTF-8, or there is no text at all.
        """
        number = 0
        for lines in self._blocks():
            if number == 0:
                lines[0] = lines[0].removeprefix(codecs.BOM_UTF8)
            for start in range(0, len(lines), CHUNK_LINES):
                chunk = lines[start : start + CHUNK_LINES]
                yield [_decode(line, self._errors, self.place(i)) for i, line in enumerate(chunk, start=number + 1)]
                number += len(chunk)
        if number == 0:
            raise InputError(f"{self._name}: no text in it, expected one text a line")

    def place(self, number: int) -> str:
        """Return how messages call a line; lines count from 1."""
        return f"{self._name}: line {number}"

    def whole(self) -> str:
        """Return everything as one text, instead of its lines.

        Raises
        ------
        InputError
            When reading fails, it is not UTF-8, or there is nothing.
        """
        data = b"".join(iter(self._read, b"")).removeprefix(codecs.BOM_UTF8)
        if not data.strip():
            raise InputError(f"{self._name}: no text in it, expected one")
        return _decode(data, self._errors, self._name)

    def _blocks(self) -> Iterator[list[bytes]]:
        """Yield the lines that end in each block read, without their ends."""
        unfinished: list[bytes] = []
        while block := self._read():
            self.done += len(block)
            head, newline, tail = block.rpartition(b"\n")
            if newline:
                lines = b"".join([*unfinished, head]).split(b"\n")
                unfinished = []
                yield [line.removesuffix(b"\r") for line in lines]
            unfinished.append(tail)
        last = b"".join(unfinished)
        if last.removeprefix(codecs.BOM_UTF8):  # a byte order mark alone is no line
            yield [last]

    def _read(self) -> bytes:
        try:
            # What is there: a reader of a pipe gets its answers without waiting for a full block.
            return self._stream.read1(CHUNK_BYTES)  # type: ignore[attr-defined]
        except OSError as error:
            raise _unreadable(self._name, error) from error


class _GivenTexts:
    """The texts of ``--text``, as `Texts` gives those of a file."""

    total = None
    done = 0

    def __init__(self, texts: Sequence[str], errors: str) -> None:
        # Python keeps the bytes of an argument that it could not decode as lone surrogates.
        self._texts = [
            _decode(text.encode("utf-8", "surrogateescape"), errors, self.place(i))
            for i, text in enumerate(texts, start=1)
        ]

    def __iter__(self) -> Iterator[list[str]]:
        for start in range(0, len(self._texts), CHUNK_LINES):
            yield self._texts[start : start + CHUNK_LINES]

    @staticmethod
    def place(number: int) -> str:
        return f"--text number {number}"

    def whole(self) -> str:
        return "\n".join(self._texts)


@contextmanager
def open_texts(file: str | None, given: Sequence[str], errors: str) -> Iterator[Texts | _GivenTexts]:
    """Open what a command was asked to read.

    Parameters
    ----------
    file : str or None
        A path; ``"-"`` for standard input; None for standard input unless that is a terminal.
    given : sequence of str
        The texts of ``--text``; instead of a file.
    errors : str
        ``"strict"`` or ``"replace"``.

    Raises
    ------
    click.UsageError
        When there is nothing to read, or there are both a file and texts.
    InputError
        When the file cannot be opened, or a given text is not UTF-8.
    """
    if given and file is not None:
        raise click.UsageError("Give either FILE or --text, not both.")
    if given:
        yield _GivenTexts(given, errors)
    elif file is None or file == "-":
        if sys.stdin is None or (file is None and sys.stdin.isatty()):
            raise click.UsageError("Nothing to read: give FILE, --text, or pipe texts in.")
        yield Texts(sys.stdin.buffer, "standard input", errors)
    else:
        try:
            stream = open(file, "rb")  # noqa: SIM115 (closed below; what the block raises is not about opening)
        except OSError as error:
            raise _unreadable(click.format_filename(file), error) from error
        with stream:
            yield Texts(stream, click.format_filename(file), errors)


def read_texts(path: str) -> list[str]:
    """Read a whole file of texts, one a line; blank lines are left out.

    Raises
    ------
    InputError
        When it cannot be read, is not UTF-8, or has no text in it.
    """
    with open_texts(path, (), "strict") as source:
        texts = [text for chunk in source for text in chunk if text.strip()]
    if not texts:
        raise InputError(f"{path}: no text in it, expected one text a line")
    return texts


def _size(stream: BinaryIO) -> int | None:
    try:
        status = os.fstat(stream.fileno())
    except OSError:  # not a file of the system
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _unreadable(name: str, error: OSError) -> InputError:
    return InputError(f"{name} could not be read: {error.strerror or error}")


def _decode(text: bytes, errors: str, place: str) -> str:
    try:
        return text.decode("utf-8", errors)
    except UnicodeDecodeError as error:
        utf16 = text.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        guess = " (it looks like UTF-16)" if utf16 else ""
        raise InputError(
            f"{place} is not UTF-8{guess}: 0x{text[error.start]:02x} is its byte {error.start + 1};"
            " convert it to UTF-8, or pass --errors replace to go on"
        ) from error
