"""The way of every command that asks a model about texts: lines in, answers out, a bounded piece at a time."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import click

from edgebert.cli import model_option
from edgebert.cli.formats import FORMATS, Row, RowFormat, layout_of
from edgebert.cli.options import LineOptions, check_apart
from edgebert.cli.progress import show_progress
from edgebert.cli.terminal import Terminal
from edgebert.cli.texts import CHUNK_LINES, open_texts
from edgebert.errors import InputError
from edgebert.output import OutputFile, open_output

if TYPE_CHECKING:
    from edgebert.coverage import Coverage, OnCoverage
    from edgebert.model import Model

__all__ = ["MakeWriter", "Task", "Writer", "answer_lines", "pair_of", "row_writer"]


class Task(NamedTuple):
    """What a command does with the lines it reads.

    Attributes
    ----------
    name : str
        The method of `edgebert.Model` that it asks, which decides about the model where none is named.
    ask : callable
        Asks the model: (model, what `read` made of some lines, on_coverage) -> an answer for each.
    done : str
        What it is called: ``"classified"``.
    read : callable
        Makes of a line what the model is asked: (model, line, how messages call its place) -> item.
    at_once : int
        Lines that are asked about together; few for a task that takes long, so that answers come early.
    """

    name: str
    ask: Callable[[Model, list[Any], OnCoverage], Sequence[Any]]
    done: str
    read: Callable[[Model, str, str], Any] = lambda model, line, place: line  # noqa: ARG005 (as every `read`)
    at_once: int = CHUNK_LINES


class Writer(Protocol):
    """Where answers go."""

    def write(self, rows: Sequence[Row]) -> None:
        """Take the next lines with their answers."""

    def finish(self) -> None:
        """Write what is left, when all lines were answered."""


MakeWriter = Callable[["Model", OutputFile], Writer]


def answer_lines(options: LineOptions, task: Task, make_writer: MakeWriter) -> None:
    """Read texts, ask the model, write its answers; say on stderr how many texts it did not see to their end.

    Raises
    ------
    EdgebertError
        Of whatever cannot be read, asked or written.
    """
    model_option.check_model(task.name, options.model)
    check_apart(options.file, options.output)
    to_terminal = options.output in (None, "-") and Terminal.at_stdout() is not None
    with (
        open_texts(options.file, options.texts, options.errors) as source,
        open_output(options.output) as output,
    ):
        settings = {"threads": options.threads, "max_memory": options.max_memory, "device": options.device}
        model = model_option.open_model(task.name, options.model, **settings)
        # Before a pipe is waited for: whether the options are right.
        seen: dict[int, Coverage] = {}
        task.ask(model, [], seen.__setitem__)
        writer = make_writer(model, output)
        count = truncated = before = 0
        with show_progress(source.total, visible=not to_terminal) as advance:
            for chunk in source:
                for start in range(0, len(chunk), task.at_once):
                    lines = chunk[start : start + task.at_once]
                    places = [source.place(number) for number in range(count + 1, count + len(lines) + 1)]
                    truncated += _write(writer, _answered(model, task, lines, count + 1, places))
                    count += len(lines)
                    done = before + (source.done - before) * (start + len(lines)) // len(chunk)
                    advance(done, count)
                before = source.done
        writer.finish()
    _report_truncated(truncated, model.max_length, task.done)


def _answered(model: Model, task: Task, lines: Sequence[str], first: int, places: Sequence[str]) -> list[Row]:
    """Ask about lines; how messages call each line is one of `places`."""
    coverages: dict[int, Coverage] = {}
    items = [task.read(model, line, place) for line, place in zip(lines, places, strict=True)]
    answers = task.ask(model, items, coverages.__setitem__)
    return [
        Row(first + i, line, answer, coverages[i]) for i, (line, answer) in enumerate(zip(lines, answers, strict=True))
    ]


def _write(writer: Writer, rows: Sequence[Row]) -> int:
    """Write rows; return how many texts were truncated."""
    writer.write(rows)
    return sum(row.coverage.truncated for row in rows)


def pair_of(model: Model, line: str, place: str) -> tuple[str, str]:  # noqa: ARG001 (as every `read`)
    """Read a line as two texts with a tab between them; a blank line is two blank texts.

    Raises
    ------
    InputError
    """
    if not line.strip():
        return "", ""
    texts = line.split("\t")
    if len(texts) != 2:
        tabs = {1: "no tab"}.get(len(texts), f"{len(texts) - 1} tabs")
        raise InputError(f"{place} has {tabs}, expected two texts with one tab between them")
    return texts[0], texts[1]


def row_writer(options: LineOptions, form: RowFormat | Callable[[Model], RowFormat]) -> MakeWriter:
    """Return what makes the writer of a command's rows, in the layout that the user wants."""
    terminal = Terminal.at_stdout() if options.output in (None, "-") else None
    name = options.format or ("table" if terminal else _of_suffix(options.output))
    encoding = sys.stdout.encoding if terminal else "utf-8"

    def make(model: Model, output: OutputFile) -> Writer:
        layout = layout_of(form if isinstance(form, RowFormat) else form(model), name, terminal or Terminal())
        return _RowWriter(output, layout.header, layout.render, encoding)

    return make


def _of_suffix(output: str | None) -> str:
    suffix = PurePath(output or "").suffix.lower().removeprefix(".")
    return suffix if suffix in FORMATS and suffix != "table" else "tsv"


class _RowWriter:
    """Lines of text, written as soon as they are there."""

    def __init__(self, output: OutputFile, header: str, render: Callable[[Row], str], encoding: str) -> None:
        self._output, self._render, self._encoding = output, render, encoding
        output.write(header.encode())

    def write(self, rows: Sequence[Row]) -> None:
        self._output.write("".join(map(self._render, rows)).encode(self._encoding, "replace"))

    def finish(self) -> None:
        """Nothing is left to write."""


def _report_truncated(count: int, max_length: int, done: str) -> None:
    if count:
        texts, were = ("text", "was") if count == 1 else ("texts", "were")
        fact = f"{count} {texts} {were} longer than {max_length} tokens and {were} {done} from what fits"
        click.echo(f"edgebert: {fact}", err=True)
