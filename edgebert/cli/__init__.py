"""The command ``edgebert``: it reads texts, calls the library, and prints.

What a user did wrong, and what the machine cannot do, is one line on stderr and exit code 1;
a wrong option is click's usage message and exit code 2; anything else is a bug and shows its traceback.
Commands import NumPy and the engine when they run, so that ``edgebert --help`` answers at once.
"""

from __future__ import annotations

import errno
import gc
import importlib
import os
import signal
import sys
import warnings
from contextlib import suppress
from typing import Any, NoReturn

import click

from edgebert.cli.help import SECTIONS, unknown_command
from edgebert.cli.terminal import escape, folded_note
from edgebert.errors import EdgebertError, OutputError
from edgebert.output import abandon_stdout, print_text

__all__ = ["cli", "main"]

_FULL = {errno.ENOSPC, errno.EDQUOT}


class _Failure(click.ClickException):
    """An error that the user can do something about: one line, exit code 1."""

    def show(self, file: Any = None) -> None:
        click.echo(folded_note(f"edgebert: error: {escape(self.message)}"), file=file, err=True)


class _Stopped(BaseException):
    """A signal asks the process to end; raised so that temporary files are removed on the way out."""


_COMMANDS = {
    **{name: name.replace("-", "_") for name in ("classify", "tag", "redact", "fill-mask", "next-sentence", "score")},
    **{name: name for name in ("answer", "rank", "search", "index", "embed", "convert", "evaluate")},
    **{name: name for name in ("models", "info", "doctor", "compile", "export", "completion", "help")},
}
"""Name -> module of this package, which has a command of the same name."""


_NEED_BLAS = ("convert", "evaluate")
"""Commands that multiply in float32 by NumPy."""


class _Commands(click.Group):
    """The group that decides how a command ends. A command's module is imported when it is asked for."""

    def list_commands(self, ctx: click.Context | None) -> list[str]:  # noqa: ARG002 (click's own argument)
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context | None, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        if cmd_name not in _NEED_BLAS:
            # NumPy's matrix products come with threads that wait for work by looking for it, on our cores.
            os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        module = importlib.import_module(f"edgebert.cli.{_COMMANDS[cmd_name]}")
        command: click.Command = getattr(module, _COMMANDS[cmd_name])
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if not ctx.resilient_parsing and not args[0].startswith("-") and args[0] not in _COMMANDS:
            raise unknown_command(ctx, args[0], _COMMANDS)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        left = [name for name in _COMMANDS if not any(name in names for names in SECTIONS.values())]
        width = max(map(len, _COMMANDS))
        for title, names in {**SECTIONS, "More": left}.items():
            rows = []
            for name in names:
                command = self.get_command(ctx, name)
                if command is not None:  # all of the short help: click would cut it off with dots
                    rows.append((name.ljust(width), command.get_short_help_str(limit=1000)))
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except EdgebertError as error:
            from edgebert.cli.wording import in_words_of_commands

            if isinstance(error, OutputError):
                abandon_stdout()
            raise _Failure(in_words_of_commands(str(error))) from error
        except BrokenPipeError:  # `| head` has seen enough
            abandon_stdout()
            ctx.exit(0)
        except OSError as error:
            if error.errno not in _FULL:
                raise
            raise _Failure(f"{error.filename or 'a file'} could not be written: {error.strerror}") from error
        except KeyboardInterrupt:
            ctx.exit(128 + signal.SIGINT)
        except _Stopped as stop:
            ctx.exit(128 + stop.args[0])


@click.group(
    cls=_Commands,
    invoke_without_command=True,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option("--version", is_flag=True, help="Print the version, and what it computes with here.")
@click.pass_context
def cli(context: click.Context, version: bool) -> None:
    """BERT encoders in int8, on the processor at hand.

    \b
    edgebert classify reviews.txt              a label and a score for each line
    edgebert tag letters.txt                   names, where they stand
    edgebert redact letters.txt -o public.txt  without personal data
    edgebert search notes/ -q "lost keys"      passages, by meaning and by words
    edgebert convert ./my-bert my.edgebert     a trained model becomes one file
    edgebert help classify                     how a command is used
    """
    if version:
        import edgebert
        from edgebert.engine.devices import CUDA, choose_device

        machine = edgebert.describe_machine()
        threads = "1 thread" if machine["threads"] == 1 else f"{machine['threads']} threads"
        engine = f"({machine['family']}, {threads}) on {machine['processor']}"
        device, missing = choose_device()
        gpu = " and an NVIDIA GPU" if device == CUDA else ""
        fallback = f"; on the processor alone: {missing}" if missing else ""
        print_text(f"edgebert {edgebert.__version__} {engine}{gpu}{fallback}\n")
        context.exit()


def _stop(number: int, *_: object) -> NoReturn:
    raise _Stopped(number)


def _format_warning(message: Warning | str, category: type[Warning], *place: Any, **line: Any) -> str:
    """Return a warning of edgebert's own as one line, and another as Python does."""
    if category.__module__ == "edgebert.errors":
        return f"edgebert: warning: {escape(str(message))}\n"
    return _FORMAT_WARNING(message, category, *place, **line)


_FORMAT_WARNING = warnings.formatwarning


def main() -> None:
    """Run the command line of this process, and exit."""
    warnings.formatwarning = _format_warning
    for name in ("SIGTERM", "SIGHUP"):  # Windows has not the second
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:  # not under nohup
            signal.signal(number, _stop)
    # What is imported stays: looking through it for garbage takes longer than there is garbage to find.
    gc.freeze()
    gc.set_threshold(50_000)
    try:
        cli.main(prog_name="edgebert")
    except SystemExit as end:
        _leave(end.code)
    except OSError as error:  # help is written before a command is asked
        if error.errno not in _FULL:
            raise
        abandon_stdout()
        _Failure(f"standard output could not be written: {error.strerror}").show()
        _leave(1)


def _leave(code: object) -> NoReturn:
    """End the process at once: to take the interpreter down piece by piece takes longer than to label a text."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with suppress(OSError, ValueError):
                stream.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))
