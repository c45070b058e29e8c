"""The arguments and options that several commands share."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable, Sequence
from typing import Any

import click

from edgebert.cli.formats import FORMATS
from edgebert.cli.parameters import FileName, ModelName, Text
from edgebert.cli.texts import INPUTS, PLAIN, Inputs, find_inputs
from edgebert.engine.devices import DEVICES
from edgebert.errors import OutputError

__all__ = [
    "Count",
    "LineOptions",
    "check_apart",
    "device_option",
    "errors_option",
    "labels_given",
    "line_options",
    "output_option",
    "split_list",
    "stride_option",
    "target_option",
    "threads_option",
]

_Command = Callable[..., None]


@dataclasses.dataclass(frozen=True)
class LineOptions:
    """What the user asked of a command that goes over texts line by line; `line_options` fills it.

    Attributes
    ----------
    files : tuple of str
        Paths of files and folders, ``"-"`` for standard input; empty where none was named.
    texts : tuple of str
        Those of ``--text``.
    input, split : str or None
    columns, globs : tuple of str
    prefix : str
    model : str or None
    threads : int or None
    max_memory : str or None
    device : str or None
    errors : str
    output : str or None
    format : str or None
    stride : int or None
    truncate : bool
    pairs : bool
        Whether a text is two.
    usual_split : str
        How plain text is split unless the user says it: ``"lines"``, or ``"files"``.
    """

    files: tuple[str, ...]
    texts: tuple[str, ...]
    input: str | None
    split: str | None
    columns: tuple[str, ...]
    globs: tuple[str, ...]
    model: str | None
    threads: int | None
    max_memory: str | None
    device: str | None
    errors: str
    output: str | None
    format: str | None = None
    stride: int | None = None
    truncate: bool = False
    prefix: str = ""
    pairs: bool = False
    usual_split: str = "lines"

    @functools.cached_property
    def inputs(self) -> Inputs:
        """What is to be read, looked up once; it raises what `find_inputs` does."""
        return find_inputs(self)

    @property
    def settings(self) -> dict[str, Any]:
        """What `edgebert.load` is told."""
        return {"threads": self.threads, "max_memory": self.max_memory, "device": self.device}

    @property
    def cut(self) -> dict[str, Any]:
        """What the methods of `edgebert.Model` are told about long texts."""
        return {"stride": self.stride, "truncate": self.truncate}


class Count(click.ParamType):  # type: ignore[type-arg] # generic from click 8.3 on
    """A whole number from 1 on, or ``all``."""

    name = "count"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        """Return the number, or ``"all"``."""
        if value == "all" or isinstance(value, int):
            return value
        if value.isdecimal() and int(value):
            return int(value)
        return self.fail(f"{value!r} is no number from 1 on, nor 'all'.", param, ctx)


def split_list(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    """Split what a user gave as ``a,b,c``, as a click callback."""
    if value is None:
        return None
    items = tuple(item.strip() for item in value.split(","))
    if not all(items):
        raise click.BadParameter(f"{value!r} has an empty item.", context, parameter)
    return items


def labels_given(labels: tuple[str, ...]) -> dict[str, str]:
    """Return label -> description of ``LABEL=DESCRIPTION``, or of a label that describes itself."""
    parts = [label.partition("=") for label in labels]
    names = [label.strip() for label, _, _ in parts]
    twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if twice is not None:
        raise click.UsageError(f"--labels has {twice!r} twice, expected each label once.")
    if not all(names):
        raise click.UsageError("--labels has a description without a label, expected LABEL=DESCRIPTION.")
    return {
        name: (description if equals else name).strip()
        for name, (_, equals, description) in zip(names, parts, strict=True)
    }


_files = click.argument("files", nargs=-1, type=FileName(), metavar="[FILES]...")
_FILES_EXPLAINED = """\
    FILES may be folders, and tables (csv, tsv, jsonl, parquet), whose rows are the texts.
"""
_KEPT_EXPLAINED = """\
    What is written keeps all columns of a table, with those of the answers behind them, and all rows; it is a table of
    the same kind, or of the one that OUT's name says. Of several files, or a folder, answers say the file, and the line
    where the text begins.
"""
_input = click.option(
    "--input",
    type=click.Choice(INPUTS),
    help="How FILES are read: plain lines, text that --split divides, or tables. Tables have a header, in jsonl keys;"
    " parquet needs edgebert[tables].  [default: by the name .csv .tsv .jsonl .parquet, else lines]",
)
_column = click.option(
    "--column",
    "columns",
    type=Text(),
    multiple=True,
    metavar="NAME",
    help="The column of a table that has the texts, in jsonl also a path a.b; of pairs two.  [default: the only column,"
    " or the only one called text, sentence, review, content, comment, message, body, ..., or that holds text]",
)
_glob = click.option(
    "--glob", "globs", multiple=True, metavar="PATTERN", help="Of a folder, read the files that match, like '*.txt'."
)
_prefix = click.option(
    "--prefix",
    type=Text(),
    default="",
    metavar="TEXT",
    help="What the names of the columns begin with that are added to those of a table.",
)
_model = click.option(
    "-m",
    "--model",
    type=ModelName(),
    metavar="MODEL",
    help="An .edgebert file, a model folder, org/name of a model on the Hugging Face hub, or a name that `edgebert"
    " models` lists.  [default: a model that comes with edgebert, where one can do it]",
)
threads_option = click.option(
    "--threads",
    type=click.IntRange(min=1),
    metavar="N",
    help="Threads to compute with.  [default: EDGEBERT_NUM_THREADS, else the cores this process may use]",
)
device_option = click.option(
    "--device",
    type=click.Choice(DEVICES),
    help="Where to compute: auto is an NVIDIA GPU if one can be used.  [default: EDGEBERT_DEVICE, else cpu]",
)
target_option = click.option(
    "--target",
    default="native",
    show_default=True,
    metavar="TARGET",
    help="raspberrypi4, raspberrypi5, x86-64-v3, x86-64-v4, a processor as LLVM calls it, a family, or native.",
)
_max_memory = click.option(
    "--max-memory",
    metavar="SIZE",
    help="Most memory that the process may have resident, like 200MB.  [default: EDGEBERT_MAX_MEMORY, else no limit]",
)
_format = click.option(
    "--format",
    type=click.Choice(FORMATS),
    help="What to write.  [default: a table for people on a terminal, else what the suffix of OUT says (.txt is tsv),"
    " else what FILES are; of plain text tsv]",
)
errors_option = click.option(
    "--errors",
    is_eager=True,  # other options are read by it
    type=click.Choice(["strict", "replace"]),
    default="strict",
    show_default=True,
    help="What to do about bytes that are not UTF-8: stop there, or read them as U+FFFD.",
)
stride_option = click.option(
    "--stride",
    type=click.IntRange(min=0),
    metavar="N",
    help="Tokens that two windows of a long text have in common.  [default: a quarter of a window]",
)
_truncate = click.option("--truncate", is_flag=True, help="Read only the first window of a long text.")


def _split(usual: str) -> Callable[[_Command], _Command]:
    return click.option(
        "--split",
        type=click.Choice(PLAIN),
        help="What a text is in plain text: a line, what stands between blank lines, or a file."
        f"  [default: {usual}, with --input text files]",
    )


def _text(*, several: bool) -> Callable[[_Command], _Command]:
    explained = "A text, instead of FILES" + ("; may be repeated." if several else ".")
    return click.option("--text", "texts", type=Text(), multiple=True, metavar="TEXT", help=explained)


def output_option(explained: str, metavar: str = "OUT", *, required: bool = False) -> Callable[[_Command], _Command]:
    """Return the option ``-o``."""
    return click.option("-o", "--output", type=FileName(), metavar=metavar, required=required, help=explained)


def line_options(
    *,
    windows: bool,
    layouts: bool = True,
    several: bool = True,
    split: str = "lines",
    pairs: bool = False,
    rows: bool = True,
) -> Callable[[_Command], _Command]:
    """Give a command the argument FILES and the options that go with it, packed as its argument ``options``.

    Parameters
    ----------
    windows : bool
        Whether it reads long texts in windows: ``--stride``, ``--truncate``.
    layouts : bool
        Whether it writes in the usual layouts: ``--format``, ``-o``. Another command has an ``-o`` of its own.
    several : bool
        Whether ``--text`` may be repeated.
    split : str
        How plain text is split unless the user says it.
    pairs : bool
        Whether every text is two.
    rows : bool
        Whether it answers each text, so that what it writes keeps the columns of a table: ``--prefix``.
    """
    added: list[Callable[[_Command], _Command]] = [
        *(_files, _text(several=several), _input, _split(split), _column, _glob),
        *((_prefix,) if rows else ()),
        *(_model, errors_option),
        *(threads_option, _max_memory, device_option),
    ]
    if layouts:
        added += [_format, output_option("Write to this file, whole or not at all.")]
    if windows:
        added += [stride_option, _truncate]

    def decorate(command: _Command) -> _Command:
        command.__doc__ = f"{(command.__doc__ or '').rstrip()}\n\n{_FILES_EXPLAINED}"
        command.__doc__ += f"\n{_KEPT_EXPLAINED}" if rows else ""

        @functools.wraps(command)
        def packed(**values: Any) -> None:
            names = [field.name for field in dataclasses.fields(LineOptions) if field.name in values]
            given = {"usual_split": split, "pairs": pairs, **{name: values.pop(name) for name in names}}
            options = LineOptions(**given)
            command(options=options, **values)

        decorated: _Command = packed
        for option in reversed(added):
            decorated = option(decorated)
        return decorated

    return decorate


def check_apart(files: Sequence[str], output: str | None) -> None:
    """Refuse to write results over texts that they come from.

    Raises
    ------
    OutputError
    """
    if not files or not output or not os.path.exists(output):
        return
    for file in files:
        if os.path.isfile(file) and os.path.samefile(file, output):
            folder = "" if file == output else f" (as {file})"
            raise OutputError(f"{output} is a file that the texts come from{folder}; name another one")
