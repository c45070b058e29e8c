"""Files that are searched: which there are, and their texts, each with the line in which it begins."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from edgebert.cli.terminal import note
from edgebert.cli.texts import Inputs, open_texts
from edgebert.errors import InputError

if TYPE_CHECKING:
    from edgebert.cli.options import LineOptions
    from edgebert.search import NoteFile

__all__ = ["note_files"]

_MOST_NAMED = 3


def note_files(options: LineOptions, index: str | None = None) -> list[NoteFile]:
    """Return the files that a user named, those in folders among them; not the index that is made of them.

    Standard input and the texts of ``--text`` are a file each. One that was named twice, say itself and in its folder,
    is there once. What has no text in a folder, pictures say, is passed over, and that is said; a file that was named
    is refused when it is read.

    Raises
    ------
    click.UsageError, InputError
        As `find_inputs` does.
    """
    from edgebert.search import NoteFile

    inputs = options.inputs
    how = "|".join((inputs.reading.kind, *inputs.reading.columns, inputs.reading.errors))
    named = {os.path.abspath(file) for file in options.files}
    found, passed = [], []
    for file in {os.path.abspath(file): file for file in inputs.files or ("--text",)}.values():
        if index is not None and os.path.exists(index) and os.path.samefile(file, index):
            continue
        fault = None if inputs.texts or os.path.abspath(file) in named else _fault(file)
        if fault is None:
            found.append(NoteFile(file, how, lambda file=file: _read(inputs, file)))  # type: ignore[misc]
        else:
            passed.append(fault)
    if passed:
        more = f"; and {len(passed) - _MOST_NAMED} more" if len(passed) > _MOST_NAMED else ""
        files = "1 file" if len(passed) == 1 else f"{len(passed)} files"
        note(f"passed over {files}: {'; '.join(passed[:_MOST_NAMED])}{more}")
    return found


def _read(inputs: Inputs, file: str) -> Iterator[tuple[str, int]]:
    """Yield the texts of a file, each with the line in which it begins, from 1; an empty or blank note has none."""
    of_disk = not inputs.texts and file != "-" and os.path.isfile(file)
    if of_disk and not os.path.getsize(file):  # not even a table's header
        return
    with open_texts(inputs._replace(files=(file,)), may_be_blank=file != "-") as texts:
        for chunk in texts:
            yield from zip(chunk.texts, chunk.lines, strict=True)


def _fault(file: str) -> str | None:
    """Return why a file is no text, None where it is one as far as its beginning tells."""
    from edgebert.tables.kinds import SUFFIXES, refuse_binary
    from edgebert.tables.stream import shown_name, unreadable

    if os.path.splitext(file)[1].lower() in SUFFIXES:
        return None
    try:
        with open(file, "rb") as stream:
            refuse_binary(stream.read(4096), shown_name(file))
    except InputError as error:
        return str(error).partition(", edgebert reads")[0]
    except OSError as error:
        return str(unreadable(file, error))
    return None
