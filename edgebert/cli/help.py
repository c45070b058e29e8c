"""How help is laid out: options in groups, the common ones first, and examples for each command."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Collection, Sequence
from typing import Any

import click

from edgebert.cli.parameters import CommandName
from edgebert.output import print_text

__all__ = ["SECTIONS", "Command", "command", "help", "unknown_command"]

_OWN = "Options"
GROUPS: dict[str, tuple[str, ...]] = {
    "Input": ("texts", "text_column", "pairs", "input", "columns", "globs", "split", "errors"),
    "Output": ("output", "format", "prefix", "as_json", "plot"),
    "Model": ("model",),
    "Long texts": ("whole", "chunks", "pool", "stride", "truncate"),
    "Speed and memory": ("threads", "max_memory", "device"),
    "Other": ("version",),
}
"""Title of a group -> the parameters in it. A parameter that stands nowhere is the command's own, and comes first."""

SECTIONS: dict[str, tuple[str, ...]] = {
    "Texts": ("classify", "tag", "redact", "answer", "rank", "search", "index", "embed"),
    "Words and sentences": ("fill-mask", "next-sentence", "score"),
    "Models": ("info", "convert", "evaluate", "models", "export"),
    "This computer": ("doctor", "compile", "completion", "help"),
}
"""Title of a section in the list of commands -> the commands in it. Others come last."""

_WIDEST_TERM = 26
"""Columns of an option's name; what is longer has a line of its own."""


class Command(click.Command):
    """A command whose help has a summary, examples, options in groups, and then what else is to be said.

    Parameters
    ----------
    examples : sequence of str
        Command lines, each with what it is for behind `` # ``, or without.
    arguments, options
        Those of `click.Command`.
    """

    def __init__(self, *arguments: Any, examples: Sequence[str] = (), **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.examples = tuple(examples)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the help of the command."""
        summary, _, details = inspect.cleandoc(self.help or "").partition("\n\n")
        self.format_usage(ctx, formatter)
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(summary)
        if self.examples:
            with formatter.section("Examples"):
                formatter.write("".join(f"{'':{formatter.current_indent}}{line}\n" for line in self.examples))
        self.format_options(ctx, formatter)
        if details:
            with formatter.section("Details"):
                formatter.write_text(details)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, group by group."""
        groups: dict[str, list[tuple[str, str]]] = {name: [] for name in (_OWN, *GROUPS)}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and isinstance(parameter, click.Option):
                groups[_group_of(parameter)].append(record)
        terms = [term for records in groups.values() for term, _ in records]
        width = max(len(term) for term in terms if len(term) <= _WIDEST_TERM)
        for name, records in groups.items():
            if records:
                with formatter.section(name):
                    formatter.write_dl([(term.ljust(width), text) for term, text in records], col_max=width)


def command(name: str | None = None, **options: Any) -> Callable[[Callable[..., Any]], Command]:
    """Return what makes a `Command` of a function, as `click.command` does."""
    return click.command(name, cls=Command, **options)


def _group_of(parameter: click.Option) -> str:
    if "--help" in parameter.opts:
        return "Other"
    return next((group for group, names in GROUPS.items() if parameter.name in names), _OWN)


def unknown_command(context: click.Context, name: str, known: Collection[str]) -> click.UsageError:
    """Return the error about a command that there is not, with those that are spelt alike."""
    import difflib  # here: who makes no mistake need not wait for it

    near = difflib.get_close_matches(name.lower().replace("_", "-"), known)
    if near:
        advice = f"Did you mean {' or '.join(near)}?"
    elif os.path.exists(name):
        advice = f"To label a file: edgebert classify {name}"
    else:
        advice = "edgebert --help lists all."
    return click.UsageError(f"There is no command {name!r}. {advice}", context)


@command(
    short_help="Tell how a command is used.",
    examples=["edgebert help              # the list of commands", "edgebert help classify"],
)
@click.argument("name", required=False, type=CommandName(), metavar="[COMMAND]")
@click.pass_context
def help(context: click.Context, name: str | None) -> None:
    """Tell how a command is used, as --help behind it does."""
    parent = context.parent
    assert parent is not None
    assert isinstance(parent.command, click.Group)
    if name is None:
        print_text(parent.get_help() + "\n")
        return
    _, found, _ = parent.command.resolve_command(parent, [name])
    assert found is not None
    with click.Context(found, info_name=name, parent=parent) as asked:
        print_text(asked.get_help() + "\n")
