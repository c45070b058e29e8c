"""``edgebert search``: the passages of notes that fit a query, by meaning and by words."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from edgebert.cli import model_option
from edgebert.cli.help import command
from edgebert.cli.lines import chosen_format
from edgebert.cli.notes import note_files
from edgebert.cli.options import LineOptions, check_apart, line_options, output_option
from edgebert.cli.parameters import Text
from edgebert.cli.passages import FORMATS, write_passages
from edgebert.cli.progress import show_progress
from edgebert.cli.written import tell_written
from edgebert.errors import InputError
from edgebert.output import open_output

if TYPE_CHECKING:
    from edgebert.model import Model
    from edgebert.search import Index

__all__ = ["search"]

_DATABASES = (".db", ".sqlite", ".sqlite3")


@command(
    short_help="Find the passages of notes that fit a query.",
    examples=[
        'edgebert search notes/ -q "where are the keys"',
        'edgebert search notes.db -q "where are the keys" --format json',
    ],
)
@click.option(
    "-q", "--query", type=Text(), required=True, metavar="QUERY", help="What is looked for: a question, or words."
)
@click.option(
    "--top-k", type=click.IntRange(min=1), default=5, show_default=True, metavar="N", help="How many passages."
)
@click.option(
    "--format", type=click.Choice(FORMATS), help="[default: table on a terminal, else the suffix of OUT, else tsv]"
)
@output_option("Write to this file, whole or not at all.")
@line_options(windows=False, layouts=False, split="files", rows=False)
def search(options: LineOptions, query: str, top_k: int) -> None:
    """Find the passages of FILES that fit a query best, by their meaning and by their words.

    FILES are an index that edgebert index made, which answers at once, or files and folders, which are read and
    embedded now. Passages are ranked by the similarity of their vector to the query's, and by the query's words in
    them (BM25); both ranks are merged.

    \b
    tsv    score, file:line, text; no header; tab, newline, return and
           backslash in a text are \\t \\n \\r \\\\
    jsonl  an object for each passage: rank, score (1 for a passage that is the
           first by meaning and by words), cosine, file, line (from 1), start,
           end (characters of the text, from 0), text; text_index, from 0,
           where a file has several texts
    json   the same in one array
    csv    the same columns, with a header; and parquet
    table  for people: where it stands, and the passage
    """
    if not query.strip():
        raise click.UsageError("--query is blank, expected words to look for.")
    model_option.check_model("search", options.model)
    layout, terminal = chosen_format(options, "tsv", ("json",))
    with open_output(options.output) as output, _opened(options) as (index, model, folder):
        found = index.search(model, query, top_k)
        write_passages(found, folder, layout, terminal, output)
    tell_written(options.output, len(found))


@contextmanager
def _opened(options: LineOptions) -> Iterator[tuple[Index, Model, str]]:
    """Open the index that was named, or make one in memory; with its model, and the folder that its files are in."""
    from edgebert.search import Index, in_memory

    path = _index_of(options)
    if path is not None:
        check_apart([path], options.output)
        with Index.open(path) as index:
            model = model_option.open_model("search", _model_of(options, index, path), **options.settings)
            yield index, model, os.path.dirname(os.path.abspath(path))
        return
    check_apart(options.inputs.files, options.output)
    files = note_files(options)
    named = options.inputs.files
    total = sum(map(os.path.getsize, named)) if all(map(os.path.isfile, named)) else None
    model = model_option.open_model("search", options.model, **options.settings)
    with show_progress(total, visible=True, label="passages") as advance:
        index = in_memory(model, ((file.path, file.read()) for file in files), advance)
    with index:
        yield index, model, os.getcwd()


def _index_of(options: LineOptions) -> str | None:
    """Return the index among the files that were named, None where they are notes, or texts are given."""
    if options.texts:
        return None
    from edgebert.search.store import is_database

    indexes = [file for file in options.files if is_database(file) or os.path.splitext(file)[1].lower() in _DATABASES]
    if not indexes:
        return None
    if len(options.files) > 1:
        raise click.UsageError(f"{indexes[0]} is searched alone: name one index, or files and folders.")
    given = {"--input": options.input, "--split": options.split, "--column": options.columns, "--glob": options.globs}
    for option, value in given.items():
        if value:
            raise click.UsageError(f"{option} is about reading notes, and {indexes[0]} is an index: leave it out.")
    return indexes[0]


def _model_of(options: LineOptions, index: Index, path: str) -> str | None:
    """Return what ``-m`` would have to be: what it is, else what it was when the index was made."""
    if options.model is not None or not index.model.option:
        return options.model
    option = index.model.option
    if os.path.isabs(option) and not os.path.exists(option):
        raise InputError(
            f"{path} was made with the model {option}, and there is no such file any more; say with -m where"
            f" {index.model.name} is now, or remove {path} and make it again: edgebert index NOTES -o {path}"
        )
    return option
