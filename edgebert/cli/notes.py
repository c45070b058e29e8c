"""Files that are searched: which there are, and their texts, each with the line in which it begins."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from edgebert.errors import InputError

if TYPE_CHECKING:
    from edgebert.cli.options import LineOptions
    from edgebert.search import NoteFile

__all__ = ["note_files", "read_notes"]

_MOST_NAMED = 3


def note_files(options: LineOptions, index: str | None = None) -> list[NoteFile]:
    """Return the files that a user named, those in folders among them; not the index that is made of them.

    What has no text in a folder, pictures say, is passed over, and that is said; a file that was named is refused when
    it is read.
    """
    from edgebert.search import NoteFile

    inputs = options.inputs
    how = "|".join((inputs.reading.kind, *inputs.reading.columns, inputs.reading.errors))
    named = {os.path.normpath(file) for file in options.files}
    found, passed = [], []
    for file in inputs.files:
        if index is not None and os.path.exists(index) and os.path.samefile(file, index):
            continue
        fault = None if os.path.normpath(file) in named else _fault(file)
        if fault is None:
            found.append(NoteFile(file, how, lambda file=file: read_notes(options, file)))  # type: ignore[misc]
        else:
            passed.append(fault)
    if passed:
        more = f"; and {len(passed) - _MOST_NAMED} more" if len(passed) > _MOST_NAMED else ""
        files = "1 file" if len(passed) == 1 else f"{len(passed)} files"
        click.echo(f"edgebert: passed over {files}: {'; '.join(passed[:_MOST_NAMED])}{more}", err=True)
    return found


def read_notes(options: LineOptions, file: str) -> Iterator[tuple[str, int]]:
    """Yield the texts of a file, each with the line in which it begins, from 1.

    Raises
    ------
    InputError
    """
    from edgebert.tables.source import Source

    if file != "-" and not os.path.getsize(file):  # an empty note says nothing, and is no mistake
        return
    source = Source((file,), options.inputs.reading)
    try:
        for chunk in source:
            yield from zip(chunk.texts, chunk.lines, strict=True)
    finally:
        source.close()


def _fault(file: str) -> str | None:
    """Return why a file is no text, None where it is one as far as its beginning tells."""
    from edgebert.tables.kinds import SUFFIXES, refuse_binary

    if os.path.splitext(file)[1].lower() in SUFFIXES:
        return None
    try:
        with open(file, "rb") as stream:
            refuse_binary(stream.read(4096), file)
    except InputError as error:
        return str(error).partition(", edgebert reads")[0]
    except OSError as error:
        return f"{file} could not be read: {error.strerror or error}"
    return None
