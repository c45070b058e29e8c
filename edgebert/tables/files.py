"""The files that a user named: each of them, and those in folders."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterator, Sequence

from edgebert.errors import InputError
from edgebert.tables.stream import unreadable

__all__ = ["find_files"]


def find_files(named: Sequence[str], globs: Sequence[str] = ()) -> list[str]:
    """Return the files that were named, and of a folder all in it and below, by name.

    Hidden files and folders within a folder are passed over, and what is no file: a pipe, which may have no other end.

    Parameters
    ----------
    named : sequence of str
        Paths; ``"-"`` stands for standard input.
    globs : sequence of str
        Patterns that a file in a folder must match one of: its name, or where there is a slash in the pattern its
        path below the folder.

    Raises
    ------
    InputError
        When something is not there, or there is nothing in a folder.
    """
    found = []
    for name in named:
        if name == "-":
            found.append(name)
        elif os.path.isdir(name):
            inside = [path for path in _below(name) if not globs or _matches(os.path.relpath(path, name), globs)]
            if not inside:
                pattern = f" that matches {' or '.join(globs)}" if globs else ""
                raise InputError(f"{name}: there is no file{pattern} in this folder, expected files with texts")
            found += inside
        else:
            try:
                os.stat(name)
            except OSError as error:
                raise unreadable(name, error) from error
            found.append(name)
    return found


def _below(folder: str) -> Iterator[str]:
    def fail(error: OSError) -> None:
        raise unreadable(error.filename or folder, error) from error

    for parent, folders, names in os.walk(folder, onerror=fail):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = os.path.join(parent, name)
            # A link to what is not there is told when it is opened.
            if not name.startswith(".") and (os.path.isfile(path) or not os.path.exists(path)):
                yield path


def _matches(path: str, globs: Sequence[str]) -> bool:
    path = path.replace(os.sep, "/")
    return any(fnmatch.fnmatchcase(path if "/" in glob else path.rpartition("/")[2], glob) for glob in globs)
