"""What was written, said to people: on stderr, so that it is in no pipe."""

from __future__ import annotations

import os
from collections.abc import Sequence

from edgebert.cli.terminal import note

__all__ = ["size_of", "tell_no_rows", "tell_written"]


def size_of(size: int) -> str:
    """Return a number of bytes in MB or kB, or as it is."""
    if size < 1000:
        return f"{size} bytes"
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.1f} kB"


def tell_written(path: str | None, count: int, thing: str = "row") -> None:
    """Say what is in a file that was written; nothing of standard output, a device or a pipe."""
    if path is None or path == "-" or not os.path.isfile(path):
        return
    things = thing if count == 1 else f"{thing}s"
    note(f"{count:,} {things} in {path} ({size_of(os.path.getsize(path))})")


def tell_no_rows(files: Sequence[str], done: str) -> None:
    """Say that tables have no rows, so that nothing was `done` with them."""
    name = "standard input" if files[0] == "-" else files[0]
    which = f"{name} has" if len(files) == 1 else f"{name} and {len(files) - 1} more have"
    note(f"{which} no rows: nothing was {done}")
