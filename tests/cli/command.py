"""The command line as tests run it."""

from __future__ import annotations

import os
import subprocess
import sys

from click.testing import CliRunner, Result

from edgebert.cli import cli
from edgebert.cli.written import size_of

# A shell's background jobs, and what they start, ignore Ctrl-C; the tests that send it need it heard.
HEAR_CTRL_C = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
COMMAND = [sys.executable, "-c", HEAR_CTRL_C + "from edgebert.cli import main; main()"]


def invoke(*arguments: object, stdin: bytes = b"") -> Result:
    """Run the command in this process; an exception that would show a traceback is raised."""
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments], input=stdin)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def run(*arguments: object, stdin: bytes = b"", **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run the command in a process of its own."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)], input=stdin, capture_output=True, env={**os.environ, **environment}
    )


def told_written(path: object, count: int) -> str:
    """Return what a command says on stderr of a file that it wrote."""
    rows = "row" if count == 1 else "rows"
    return f"edgebert: {count:,} {rows} in {path} ({size_of(os.path.getsize(str(path)))})\n"
