"""Draw a terminal as an SVG: commands, and what they really print (needs rich).

::

    python tools/picture.py OUT.svg 'edgebert classify reviews.txt' 'edgebert tag letter.txt -m names.edgebert'

The commands run in a shell, on a terminal of their own, in the folder where this is called.
"""

from __future__ import annotations

import argparse
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import termios
from fcntl import ioctl
from pathlib import Path

from rich.console import Console
from rich.text import Text

__all__ = ["draw", "printed"]

COLUMNS = 96


def printed(command: str, columns: int = COLUMNS) -> str:
    """Run a command on a terminal of so many columns and return what it prints there, escape sequences and all.

    Raises
    ------
    subprocess.CalledProcessError
        It fails.
    """
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 40, columns, 0, 0))
    environment = {**os.environ, "TERM": os.environ.get("TERM", "xterm-256color"), "COLUMNS": str(columns)}
    with subprocess.Popen(command, shell=True, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        output = b""
        try:
            while part := os.read(ours, 1 << 16):
                output += part
        except OSError:  # how Linux says that the other end is closed
            pass
    os.close(ours)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, output)
    return output.decode().replace("\r\n", "\n")


def draw(commands: list[str], columns: int = COLUMNS) -> str:
    """Return the SVG of a terminal in which commands were typed one after the other."""
    with open(os.devnull, "w") as nowhere:
        console = Console(record=True, width=columns, file=nowhere, force_terminal=True, color_system="truecolor")
        for i, command in enumerate(commands):
            console.print(Text.assemble("\n" if i else "", ("$ ", "bold green"), command))
            console.print(Text.from_ansi(printed(command, columns).rstrip("\n")))
        # The fonts that rich names lie on a server, from which a picture in a page may not load them.
        return re.sub(r"@font-face \{.*?\}\s*", "", console.export_svg(title="edgebert"), flags=re.DOTALL)


def main() -> None:
    """Draw, and write."""
    parser = argparse.ArgumentParser(description="Draw a terminal as an SVG: commands, and what they really print.")
    parser.add_argument("out", type=Path)
    parser.add_argument("command", nargs="+")
    parser.add_argument("--columns", type=int, default=COLUMNS, help=f"default {COLUMNS}")
    args = parser.parse_args()
    if shutil.which("edgebert") is None:
        sys.exit("edgebert is not installed here: pip install -e .")
    args.out.write_text(draw(args.command, args.columns), encoding="utf-8")


if __name__ == "__main__":
    main()
