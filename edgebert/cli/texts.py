"""Where a command's texts come from: options, files, folders or standard input; a bounded piece at a time."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, Protocol

import click

from edgebert.errors import InputError
from edgebert.tables import chunks
from edgebert.tables.chunks import Chunk, Reading

if TYPE_CHECKING:
    from edgebert.cli.options import LineOptions

__all__ = ["INPUTS", "PLAIN", "Inputs", "Texts", "find_inputs", "open_texts", "read_texts"]

INPUTS = ("lines", "text", "csv", "tsv", "jsonl", "parquet")
"""What ``--input`` takes: plain text, and tables."""
PLAIN = ("lines", "paragraphs", "files")
"""What ``--split`` takes."""


class Texts(Protocol):
    """What a command goes over once.

    Attributes
    ----------
    total : int or None
        Size of what will be read [bytes], None when that is not known.
    """

    total: int | None

    @property
    def done(self) -> int:
        """What has been read so far [bytes]."""

    def __iter__(self) -> Iterator[Chunk]:
        """Yield texts, in chunks of at most `chunks.CHUNK_LINES`."""


class Inputs(NamedTuple):
    """What a user named, looked up.

    Attributes
    ----------
    files : tuple of str
        Paths of files, and ``"-"`` for standard input; those in folders among them. Empty with `texts`.
    texts : tuple of str
        Those of ``--text``.
    reading : Reading
    several : bool
        Whether answers have to say which file each is about: several were named, or a folder.
    """

    files: tuple[str, ...]
    texts: tuple[str, ...]
    reading: Reading
    several: bool

    @property
    def is_table(self) -> bool:
        """Whether texts come from columns."""
        return self.reading.kind in INPUTS[2:]


def find_inputs(options: LineOptions) -> Inputs:
    """Find the files that a user named, and how they are read.

    Raises
    ------
    click.UsageError
        When there is nothing to read, or options do not go together.
    InputError
        When a file or folder is not there, or files are of different kinds.
    """
    if options.texts and options.files:
        raise click.UsageError("Give either FILES or --text, not both.")
    if options.texts:
        _refuse_for(options, "--text", "input", "split", "columns", "prefix", "globs")
        return Inputs((), options.texts, Reading(pairs=options.pairs), False)
    named = options.files or ("-",)
    if "-" in named and (sys.stdin is None or (not options.files and sys.stdin.isatty())):
        raise click.UsageError("Nothing to read: give FILES, --text, or pipe texts in.")
    folders = any(os.path.isdir(name) for name in named)
    if options.globs and not folders:
        raise click.UsageError("--glob chooses among the files of a folder, and none was named.")
    if named.count("-") > 1:
        raise click.UsageError("Standard input (-) can be read once.")
    files = named
    if options.files:
        from edgebert.tables.files import find_files

        files = tuple(find_files(named, options.globs))
    reading = _reading(options, files)
    return Inputs(files, (), reading, folders or len(named) > 1)


def _reading(options: LineOptions, files: Sequence[str]) -> Reading:
    kind = options.input
    if kind is None and files != ("-",):
        from edgebert.tables.kinds import common_kind

        kind = common_kind([file for file in files if file != "-"])
        if kind == "tsv" and options.pairs and not options.columns:
            kind = None  # two texts with a tab between them, without a header: what --pairs has always read
    if kind in INPUTS[2:]:
        _refuse_for(options, f"{kind} (rows of a table are the texts)", "split")
        return Reading(kind, _columns(options), options.pairs, options.errors)
    _refuse_for(options, "plain text (--input csv, tsv, jsonl or parquet says that it is a table)", "columns", "prefix")
    if kind == "lines":
        _refuse_for(options, "--input lines", "split")
        return Reading(errors=options.errors)
    split = options.split or ("files" if kind == "text" else options.usual_split)
    return Reading(split, errors=options.errors)


def _columns(options: LineOptions) -> tuple[str, ...]:
    """Return the columns that were named, of pairs also as ``A,B``."""
    columns = options.columns
    if options.pairs and len(columns) == 1 and columns[0].count(",") == 1:
        first, _, second = columns[0].partition(",")
        columns = (first.strip(), second.strip())
    wanted = 2 if options.pairs else 1
    if columns and len(columns) != wanted:
        expected = "two for pairs: --column A --column B" if options.pairs else "one"
        raise click.UsageError(f"--column was given {len(columns)} times, expected {expected}.")
    return columns


_NAMES = {"input": "--input", "split": "--split", "columns": "--column", "prefix": "--prefix", "globs": "--glob"}


def _refuse_for(options: LineOptions, what: str, *names: str) -> None:
    """Refuse options that would be without effect."""
    for name in names:
        if getattr(options, name):
            raise click.UsageError(f"{_NAMES[name]} does not go with {what}.")


class _GivenTexts:
    """The texts of ``--text``, as `Source` gives those of files."""

    total: int | None = None
    done = 0

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = texts

    def __iter__(self) -> Iterator[Chunk]:
        for start in range(0, len(self._texts), chunks.CHUNK_LINES):
            texts = list(self._texts[start : start + chunks.CHUNK_LINES])
            yield Chunk(texts, "--text", range(start + 1, start + 1 + len(texts)), unit=" number ")


@contextmanager
def open_texts(inputs: Inputs, *, may_be_blank: bool = False) -> Iterator[Texts]:
    """Open what a command was asked to read, for the length of a block; it has to have a text unless it may be blank.

    Raises
    ------
    InputError
        When the first file cannot be opened.
    """
    if inputs.texts:
        yield _GivenTexts(inputs.texts)
        return
    from edgebert.tables.source import Source

    source = Source(inputs.files, inputs.reading, may_be_blank=may_be_blank)
    try:
        yield source
    finally:
        source.close()


def read_texts(path: str, errors: str) -> list[str]:
    """Read a whole file of texts, one a line; blank lines are left out; `errors` is what `Reading` says.

    Raises
    ------
    InputError
        When it cannot be read, is not UTF-8, or has no text in it.
    """
    with open_texts(Inputs((path,), (), Reading(errors=errors), False)) as source:
        texts = [text for chunk in source for text in chunk.texts if text.strip()]
    if not texts:
        raise InputError(f"{path}: no text in it, expected one text a line")
    return texts
