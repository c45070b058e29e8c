"""Whose programs are run: this user's and root's, if nobody else may write them or put others in their place."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from edgebert.errors import EdgebertError

__all__ = ["distrust", "make_private", "read_trusted"]


def read_trusted(path: Path, *, named: bool) -> bytes:
    """Read a file with code to run.

    Parameters
    ----------
    path : Path
    named : bool
        Whether the user has named this very file: then its owner and group are trusted, too.

    Raises
    ------
    EdgebertError
        When others may have written it.
    OSError
        When it cannot be read.
    """
    with open(path, "rb") as file:
        # Of the open file, whatever has its name meanwhile.
        fault = distrust(path, os.fstat(file.fileno()), named=named) or distrust(
            path.parent, os.stat(path.parent), named=named
        )
        if fault:
            raise EdgebertError(f"{path} is code that somebody else may have put there: {fault}")
        return file.read()


def distrust(path: Path, status: os.stat_result, *, named: bool = False) -> str:
    """Say why others may have written a file, or what is in a folder, and what to do; empty where they may not."""
    if not hasattr(os, "geteuid"):  # Windows, which keeps a user's folders to the user
        return ""
    if not named and status.st_uid not in (0, os.geteuid()):
        return f"{path} belongs to another user; remove it, or set XDG_CACHE_HOME to a folder of your own"
    sticky = stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX  # as /tmp is: what is there is its owner's
    if status.st_mode & (stat.S_IWOTH if named else stat.S_IWOTH | stat.S_IWGRP) and not sticky:
        return f"others may write {path}; chmod {'o' if named else 'go'}-w it"
    return ""


def make_private(path: Path) -> None:
    """Take from others the permission to write a file or a folder of this user, which an umask may have given them."""
    status = path.stat()
    if hasattr(os, "geteuid") and status.st_uid == os.geteuid() and distrust(path, status):
        path.chmod(stat.S_IMODE(status.st_mode) & ~(stat.S_IWGRP | stat.S_IWOTH))
