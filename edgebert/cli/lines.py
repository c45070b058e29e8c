"""The way of every command that asks a model about texts: texts in, answers out, a bounded piece at a time."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import click

from edgebert.cli import model_option
from edgebert.cli.formats import Row, RowFormat, layout_of
from edgebert.cli.options import LineOptions, check_apart
from edgebert.cli.progress import between, show_progress
from edgebert.cli.terminal import Terminal, note
from edgebert.cli.texts import Inputs, open_texts
from edgebert.cli.written import tell_no_rows, tell_written
from edgebert.errors import InputError
from edgebert.output import OutputFile, open_output
from edgebert.tables import chunks
from edgebert.watch import watched

if TYPE_CHECKING:
    from edgebert.coverage import Coverage, OnCoverage, Unseen
    from edgebert.model import Model
    from edgebert.tables.chunks import Chunk

__all__ = [
    "MakeWriter",
    "Task",
    "Writer",
    "answer_lines",
    "chosen_format",
    "form_writer",
    "output_format",
    "pair_of",
    "placed",
    "row_writer",
]


class Task(NamedTuple):
    """What a command does with the texts it reads.

    Attributes
    ----------
    name : str
        The method of `edgebert.Model` that it asks, which decides about the model where none is named.
    ask : callable
        Asks the model: (model, what `read` made of some texts, on_coverage) -> an answer for each.
    done : str
        What it is called: ``"classified"``.
    read : callable
        Makes of a text what the model is asked: (model, text, how messages call its place) -> item.
    at_once : int
        Texts that are asked about together; few for a task that takes long, so that answers come early.
    questions : tuple of str
        What is asked of each text; then `read` gets (question, text), and there is a row for each.
    """

    name: str
    ask: Callable[[Model, list[Any], OnCoverage], Sequence[Any]]
    done: str
    read: Callable[[Model, Any, str], Any] = lambda model, text, place: text  # noqa: ARG005 (as every `read`)
    at_once: int = chunks.CHUNK_LINES
    questions: tuple[str, ...] = ()


class Writer(Protocol):
    """Where answers go."""

    def write(self, rows: Sequence[Row]) -> None:
        """Take the next texts with their answers."""

    def finish(self, last: Chunk, /) -> int:
        """Write what is left, when all texts were answered; return how many rows were written.

        `last` is what was read last: it has the columns of a table of which no row was written.
        """


MakeWriter = Callable[["Model", OutputFile], Writer]


def answer_lines(options: LineOptions, task: Task, make_writer: MakeWriter) -> None:
    """Read texts, ask the model, write its answers; say on stderr how many texts it did not see to their end.

    Raises
    ------
    EdgebertError
        Of whatever cannot be read, asked or written.
    """
    check_apart(options.inputs.files, options.output)
    to_terminal = options.output in (None, "-") and Terminal.at_stdout() is not None
    with (
        open_texts(options.inputs) as source,
        open_output(options.output) as output,
    ):
        model = model_option.open_model(task.name, options.model, **options.settings)
        # Before a pipe is waited for: whether the options are right.
        seen: dict[int, Coverage] = {}
        task.ask(model, [], seen.__setitem__)
        writer = make_writer(model, output)
        count = before = 0
        from edgebert.coverage import Unseen  # NumPy is there by now

        unseen = Unseen(model.max_length)
        with show_progress(source.total, visible=not to_terminal) as advance:
            for chunk in source:
                for start in range(0, len(chunk.texts), task.at_once):
                    stop = min(start + task.at_once, len(chunk.texts))
                    asked = (stop - start) * max(len(task.questions), 1)
                    here, there = (before + (source.done - before) * i // len(chunk.texts) for i in (start, stop))
                    with watched(between(advance, (here, count), (there, count + asked))):
                        rows = _answered(model, task, chunk, range(start, stop), count)
                    writer.write(rows)
                    unseen.add(row.coverage for row in rows)
                    count += len(rows)
                    advance(there, count)
                before = source.done
        written = writer.finish(chunk)
    tell_written(options.output, written)
    if not count:
        tell_no_rows(options.inputs.files, task.done)
    _report_truncated(unseen, task.done)


def _answered(model: Model, task: Task, chunk: Chunk, indices: range, count: int) -> list[Row]:
    """Ask about some texts of a chunk, before which there were `count`."""
    coverages: dict[int, Coverage] = {}
    asked = [(i, chunk.texts[i]) for i in indices]
    if task.questions:
        asked = [(i, (question, text)) for i, text in asked for question in task.questions]
    items = [task.read(model, text, chunk.place(i)) for i, text in asked]
    answers = task.ask(model, items, coverages.__setitem__)
    return [
        Row(count + k, text, answer, coverages[k - 1], chunk, i)
        for k, ((i, text), answer) in enumerate(zip(asked, answers, strict=True), start=1)
    ]


def pair_of(model: Model, text: str | tuple[str, str], place: str) -> tuple[str, str]:  # noqa: ARG001 (as every `read`)
    """Read a line as two texts with a tab between them; a blank line is two blank texts. Two columns are two texts.

    Raises
    ------
    InputError
    """
    if not isinstance(text, str):
        return text
    if not text.strip():
        return "", ""
    texts = text.split("\t")
    if len(texts) != 2:
        tabs = {1: "no tab"}.get(len(texts), f"{len(texts) - 1} tabs")
        raise InputError(f"{place} has {tabs}, expected two texts with one tab between them")
    return texts[0], texts[1]


def row_writer(options: LineOptions, form: RowFormat | Callable[[Model], RowFormat]) -> MakeWriter:
    """Return what makes the writer of a command's rows, in the layout that the user wants.

    Raises
    ------
    click.UsageError
        When the name of the output does not say what it is to be, or Parquet would go to a terminal.
    """
    inputs = options.inputs
    name, terminal = chosen_format(options, inputs.reading.kind if inputs.is_table else "tsv")

    def make(model: Model, output: OutputFile) -> Writer:
        whole = placed(form if isinstance(form, RowFormat) else form(model), inputs)
        if inputs.is_table and name != "table":
            from edgebert.cli.kept import kept_writer

            return kept_writer(whole, name, inputs, options.prefix, output)
        return form_writer(whole, name, terminal, output)

    return make


def chosen_format(options: LineOptions, kind: str, others: Sequence[str] = ()) -> tuple[str, Terminal | None]:
    """Return the format that the user wants, and the terminal that it goes to if it goes to one.

    Raises
    ------
    click.UsageError
        As `row_writer` says.
    """
    terminal = Terminal.at_stdout() if options.output in (None, "-") else None
    name = options.format or ("table" if terminal else output_format(options, kind, others))
    if name == "parquet" and terminal:
        raise click.UsageError("Parquet is not for reading: name a file with -o OUT.parquet.")
    return name, terminal


def form_writer(form: RowFormat, name: str, terminal: Terminal | None, output: OutputFile) -> Writer:
    """Return what writes rows that are not those of a table, in one of `FORMATS`."""
    if name == "parquet":
        from edgebert.cli.kept import Kept
        from edgebert.cli.kept_parquet import ParquetAnswers

        return ParquetAnswers(Kept(form, "", is_table=False), output)
    layout = layout_of(form, name, terminal or Terminal())
    return _RowWriter(output, layout.header, layout.render, sys.stdout.encoding if terminal else "utf-8")


def placed(form: RowFormat, inputs: Inputs) -> RowFormat:
    """Return a form that says of several files which each text is from, and where it stands there."""
    if not inputs.several:
        return form
    places = ("file",) if inputs.reading.kind == "files" else ("file", "line")
    return form._replace(places=places, columns=tuple(dict.fromkeys((*places, *form.columns))))


def output_format(options: LineOptions, kind: str, others: Sequence[str] = ()) -> str:
    """Return the format that the name of the output says.

    Parameters
    ----------
    options : LineOptions
    kind : str
        What it is where the name says nothing: the kind of the input, of Parquet csv.
    others : sequence of str
        Formats of the command's own, each of which is a suffix.

    Raises
    ------
    click.UsageError
        When the name says another one.
    """
    suffix = "" if options.output in (None, "-") else PurePath(str(options.output)).suffix.lower()
    if not suffix:
        return "csv" if kind == "parquet" else kind
    if suffix == ".txt":
        return "tsv"
    from edgebert.tables.kinds import SUFFIXES

    if suffix[1:] in others:
        return suffix[1:]
    if suffix not in SUFFIXES:
        names = ", ".join([".csv", ".tsv", ".jsonl", ".parquet", *(f".{other}" for other in others)]) + " or .txt"
        raise click.UsageError(f"OUT is {options.output}, expected a name that ends in {names}, or --format.")
    return SUFFIXES[suffix]


class _RowWriter:
    """Lines of text, written as soon as they are there; the header with the first, for there may be an error before."""

    def __init__(self, output: OutputFile, header: str, render: Callable[[Row], str], encoding: str) -> None:
        self._output, self._render, self._encoding, self._count = output, render, encoding, 0
        self._header = header

    def write(self, rows: Sequence[Row]) -> None:
        self._output.write((self._header + "".join(map(self._render, rows))).encode(self._encoding, "replace"))
        self._header = ""
        self._count += len(rows)

    def finish(self, _: Chunk) -> int:
        if self._header:
            self.write([])
        return self._count


def _report_truncated(unseen: Unseen, done: str) -> None:
    count = unseen.truncated
    if count:
        texts, were, their = ("text", "was", "its") if count == 1 else ("texts", "were", "their")
        what = f" and {were} {done} from what fits"
        if unseen.share:
            what = f"; {unseen.share} of {their} tokens were not seen"
        note(f"{count} {texts} {were} longer than {unseen.max_length} tokens{what}")
