"""The arguments and options that several commands share."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable
from typing import Any

import click

from edgebert.cli.completion import FileName
from edgebert.cli.formats import FORMATS
from edgebert.engine.devices import DEVICES
from edgebert.errors import OutputError

__all__ = [
    "Count",
    "LineOptions",
    "check_apart",
    "device_option",
    "line_options",
    "output_option",
    "split_list",
    "target_option",
    "threads_option",
]

_Command = Callable[..., None]


@dataclasses.dataclass(frozen=True)
class LineOptions:
    """What the user asked of a command that goes over texts line by line; `line_options` fills it.

    Attributes
    ----------
    file : str or None
        A path, ``"-"``, or None where none was named.
    texts : tuple of str
        Those of ``--text``.
    model : str or None
    threads : int or None
    max_memory : str or None
    device : str or None
    errors : str
    output : str or None
    format : str or None
    stride : int or None
    truncate : bool
    """

    file: str | None
    texts: tuple[str, ...]
    model: str | None
    threads: int | None
    max_memory: str | None
    device: str | None
    errors: str
    output: str | None
    format: str | None = None
    stride: int | None = None
    truncate: bool = False

    @property
    def cut(self) -> dict[str, Any]:
        """What the methods of `edgebert.Model` are told about long texts."""
        return {"stride": self.stride, "truncate": self.truncate}


class Count(click.ParamType):
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


_file = click.argument("file", required=False, type=FileName(), metavar="[FILE | -]")
_model = click.option(
    "-m",
    "--model",
    type=FileName(),
    metavar="MODEL",
    help="An .edgebert file.  [default: edgebert's own sentiment model]",
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
    "--format", type=click.Choice(FORMATS), help="[default: table on a terminal, else the suffix of OUT, else tsv]"
)
_errors = click.option(
    "--errors",
    type=click.Choice(["strict", "replace"]),
    default="strict",
    show_default=True,
    help="What to do about bytes that are not UTF-8: stop there, or read them as U+FFFD.",
)
_stride = click.option(
    "--stride",
    type=click.IntRange(min=0),
    metavar="N",
    help="Tokens that two windows of a long text have in common.  [default: a quarter of a window]",
)
_truncate = click.option("--truncate", is_flag=True, help="Read only the first window of a long text.")


def _text(*, several: bool) -> Callable[[_Command], _Command]:
    explained = "A text, instead of FILE" + ("; may be repeated." if several else ".")
    return click.option("--text", "texts", multiple=True, metavar="TEXT", help=explained)


def output_option(explained: str) -> Callable[[_Command], _Command]:
    """Return the option ``-o``."""
    return click.option("-o", "--output", type=FileName(), metavar="OUT", help=explained)


def line_options(*, windows: bool, layouts: bool = True, several: bool = True) -> Callable[[_Command], _Command]:
    """Give a command the argument FILE and the options that go with it, packed as its argument ``options``.

    Parameters
    ----------
    windows : bool
        Whether it reads long texts in windows: ``--stride``, ``--truncate``.
    layouts : bool
        Whether it writes in the usual layouts: ``--format``, ``-o``. Another command has an ``-o`` of its own.
    several : bool
        Whether ``--text`` may be repeated.
    """
    added: list[Callable[[_Command], _Command]] = [
        *(_file, _text(several=several), _model, _errors),
        *(threads_option, _max_memory, device_option),
    ]
    if layouts:
        added += [_format, output_option("Write to this file, whole or not at all.")]
    if windows:
        added += [_stride, _truncate]

    def decorate(command: _Command) -> _Command:
        @functools.wraps(command)
        def packed(**values: Any) -> None:
            names = [field.name for field in dataclasses.fields(LineOptions) if field.name in values]
            options = LineOptions(**{name: values.pop(name) for name in names})
            command(options=options, **values)

        decorated: _Command = packed
        for option in reversed(added):
            decorated = option(decorated)
        return decorated

    return decorate


def check_apart(file: str | None, output: str | None) -> None:
    """Refuse to write results over the texts that they come from.

    Raises
    ------
    OutputError
    """
    if file and output and os.path.isfile(file) and os.path.exists(output) and os.path.samefile(file, output):
        raise OutputError(f"{output} is the file that the texts come from; name another one")
