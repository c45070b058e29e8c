"""The arguments and options that several commands share, and what commands say about them."""

from __future__ import annotations

import os

import click

from edgebert.errors import OutputError

__all__ = [
    "check_apart",
    "errors_option",
    "file_argument",
    "model_option",
    "report_truncated",
    "text_option",
    "threads_option",
]

file_argument = click.argument("file", required=False, metavar="[FILE | -]")
text_option = click.option(
    "--text", "texts", multiple=True, metavar="TEXT", help="A text, instead of FILE; may be repeated."
)
model_option = click.option(
    "-m", "--model", metavar="MODEL", help="An .edgebert file.  [default: edgebert's own sentiment model]"
)
threads_option = click.option(
    "--threads",
    type=click.IntRange(min=1),
    help="Threads to compute with.  [default: EDGEBERT_NUM_THREADS, else the cores this process may use]",
)
errors_option = click.option(
    "--errors",
    type=click.Choice(["strict", "replace"]),
    default="strict",
    show_default=True,
    help="What to do about bytes that are not UTF-8: stop there, or read them as U+FFFD.",
)


def check_apart(file: str | None, output: str | None) -> None:
    """Refuse to write results over the texts that they come from.

    Raises
    ------
    OutputError
    """
    if file and output and os.path.isfile(file) and os.path.exists(output) and os.path.samefile(file, output):
        raise OutputError(f"{output} is the file that the texts come from; name another one")


def report_truncated(count: int, max_length: int, done: str) -> None:
    """Say on stderr how many texts the model did not see to their end, if any.

    Parameters
    ----------
    count : int
    max_length : int
        What the model takes [tokens].
    done : str
        What was done with them: ``"classified"``.
    """
    if count:
        texts, were = ("text", "was") if count == 1 else ("texts", "were")
        fact = f"{count} {texts} {were} longer than {max_length} tokens and {were} {done} from what fits"
        click.echo(f"edgebert: {fact}", err=True)
