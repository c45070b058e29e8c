"""``edgebert index``: notes kept in one file that is searched."""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING

import click

from edgebert.cli import model_option
from edgebert.cli.help import command
from edgebert.cli.notes import note_files
from edgebert.cli.options import LineOptions, check_apart, line_options, output_option
from edgebert.cli.progress import show_progress
from edgebert.cli.terminal import note

if TYPE_CHECKING:
    from edgebert.search import Changes
    from edgebert.search.update import Show

__all__ = ["index"]


@command(
    short_help="Keep notes in one file that can be searched.",
    examples=[
        "edgebert index notes/ -o notes.db           # again, when notes have changed",
        "edgebert index notes/ --glob '*.md' -o notes.db",
    ],
)
@output_option("The index: made, or brought up to date.", "INDEX.db", required=True)
@line_options(windows=False, layouts=False, split="files", rows=False)
def index(options: LineOptions) -> None:
    """Make an index of FILES, or bring one up to date, for edgebert search.

    FILES are files and folders. They are cut into passages, at paragraphs and sentences, so that each fits the
    model's window. Call it again when something was written: what is new is added, what was changed is read again,
    what is there no more of FILES is removed. What --glob leaves out this time stays, and so does what the index has
    from elsewhere. The index is one SQLite file, written whole or not at all; it can be moved together with the notes,
    and searched while it is updated.

    \b
    edgebert index notes/ -o notes.db
    edgebert search notes.db -q "where are the keys"
    """
    if options.texts:
        raise click.UsageError("An index is of files: give FILES, without --text.")
    if not options.files or any(map(_is_pipe, options.files)):
        raise click.UsageError("An index is of files, which it can compare the next time: name files or folders.")
    path = str(options.output)
    if path == "-":
        raise click.UsageError("An index is no text: name a file with -o INDEX.db.")
    model_option.check_model("search", options.model)

    from edgebert.output import check_folder
    from edgebert.search import Index, update

    check_folder(path)
    if os.path.lexists(path):
        Index.open(path).close()  # before a model is loaded: whether it is one
    left = tuple(name for name in options.files if not _is_gone(name, path))
    files = note_files(dataclasses.replace(options, files=left), path) if left else []
    check_apart([file.path for file in files], path)
    model = model_option.open_model("search", options.model, **options.settings)
    given = options.model or ""
    named = os.path.abspath(given) if given and os.path.exists(given) else given

    def show(total: int) -> Show:
        return show_progress(total, visible=True, label="passages")

    changes = update(path, model, files, options.files, named, show)
    note(f"{path}: {_told(changes)}")


def _is_gone(name: str, index: str) -> bool:
    """Say whether an index has files of what was named, and there are none any more: these are to be removed."""
    from edgebert.search import has_below

    if os.path.isdir(name):
        empty = not any(files for _, _, files in os.walk(name))
    else:
        empty = not os.path.lexists(name)
    return empty and os.path.lexists(index) and has_below(index, name)


def _is_pipe(name: str) -> bool:
    return name == "-" or (os.path.exists(name) and not (os.path.isfile(name) or os.path.isdir(name)))


def _told(changes: Changes) -> str:
    """Return what became of files, as ``"2 added, 3 unchanged; 51 passages"``."""
    counts = [(changes.added, "added"), (changes.updated, "updated"), (changes.removed, "removed")]
    files = ", ".join(f"{count:,} {what}" for count, what in [*counts, (changes.unchanged, "unchanged")] if count)
    passages = "1 passage" if changes.passages == 1 else f"{changes.passages:,} passages"
    return f"{files or 'no file'}; {passages}"
