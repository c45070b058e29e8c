"""Where results go: standard output, or a file that appears whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from edgebert.errors import OutputError

__all__ = ["OutputFile", "abandon_stdout", "check_folder", "make_folder_of", "open_output", "print_text"]


_PART, _PART_SUFFIX = ".edgebert-", ".part"
"""How the name of a file begins and ends that is not whole yet."""
_ABANDONED = 24 * 3600.0
"""Seconds after which nobody is taken to write a part any more, on Windows, where closed files cannot be locked."""
_WINDOWS = os.name == "nt"


class OutputFile:
    """A stream of bytes whose failures are `OutputError`, but for a closed pipe.

    Parameters
    ----------
    stream : binary file
    name : str
        What messages call it.
    """

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self._stream = stream
        self._name = name

    @property
    def path(self) -> Path | None:
        """Where the file lies that is being written; None where it is none that could be read."""
        name = getattr(self._stream, "name", None)
        return Path(name) if isinstance(name, str) and os.path.isfile(name) else None

    def write(self, data: bytes | memoryview) -> None:
        """Write bytes, and let who waits at the other end have them."""
        with _reported(self._name):
            self._write(data)
            self._stream.flush()

    def write_at_start(self, data: bytes) -> None:
        """Write bytes over those that the stream begins with, and return to its end."""
        with _reported(self._name):
            self._stream.seek(0)
            self._write(data)
            self._stream.seek(0, os.SEEK_END)

    def _write(self, data: bytes | memoryview) -> None:
        # With PYTHONUNBUFFERED standard output writes what fits, on a disk that fills up less than all.
        left = memoryview(data)
        while left:
            written = self._stream.write(left)
            if written is None:
                raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
            left = left[written:]


@contextmanager
def open_output(path: str | None) -> Iterator[OutputFile]:
    """Open standard output (None or ``"-"``) or a file for the length of a block.

    A file gets its name when the block ends well; until then, and also when it does not,
    what had that name before stays. A device or a named pipe is written to directly.

    Raises
    ------
    OutputError
        When it cannot be written: no such folder, no permission, no space.
    """
    if path is None or path == "-":
        yield _standard_output()
        return
    check_folder(path)
    with _reported(path):
        mode = os.stat(path).st_mode if os.path.exists(path) else None
        # To replace it the folder's permission would do; a file that is kept from writing is kept on purpose.
        if mode is not None and not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    if mode is None or stat.S_ISREG(mode):
        target = Path(os.path.realpath(path))  # a link stays a link
        with _whole_file(target, mode, path) as stream:
            yield OutputFile(stream, path)
    else:
        with _reported(path):
            stream = open(path, "wb")  # noqa: SIM115 (closed below; only these errors are about writing)
        try:
            yield OutputFile(stream, path)
        finally:
            with suppress(OSError):
                stream.close()


@contextmanager
def _whole_file(target: Path, mode: int | None, name: str) -> Iterator[BinaryIO]:
    _remove_abandoned(target.parent)
    with _reported(name):
        part, stream = _new_part(target.parent)
    try:
        try:
            yield stream
            with _reported(name):
                stream.flush()
                os.fsync(stream.fileno())
                if mode is not None:
                    os.chmod(part, stat.S_IMODE(mode))
                if _WINDOWS:
                    stream.close()  # it renames no open file; elsewhere the lock holds until there is no part any more
                os.replace(part, target)
        finally:
            with suppress(OSError):
                stream.close()
    finally:
        with suppress(OSError):  # there is none any more when all went well
            part.unlink()


def _new_part(folder: Path) -> tuple[Path, BinaryIO]:
    """Make a file for what is not whole yet; it is locked for as long as it is open."""
    while True:
        part = folder / f"{_PART}{os.urandom(8).hex()}{_PART_SUFFIX}"
        stream = open(part, "xb")  # noqa: SIM115 (the caller closes it)
        if not _WINDOWS:
            with suppress(OSError):  # not every file system has locks
                _lock(stream, wait=True)
        # Between its making and its locking another process may have taken it for abandoned.
        if part.exists():
            return part, stream
        stream.close()


def _remove_abandoned(folder: Path) -> None:
    """Remove what killed processes have left in a folder: parts that nobody has locked."""
    with suppress(OSError):
        for name in os.listdir(folder):
            if name.startswith(_PART) and name.endswith(_PART_SUFFIX):
                with suppress(OSError):
                    _remove_unless_in_use(folder / name)


def _remove_unless_in_use(part: Path) -> None:
    """Remove a part; raise OSError when a living process writes it, or it is not for this user to remove."""
    if _WINDOWS:
        # No open file can be unlinked there; but one that is whole is closed before it gets its name.
        if time.time() - part.stat().st_mtime > _ABANDONED:
            part.unlink()
        return
    # Neither following a link nor waiting for the other end of a pipe.
    descriptor = os.open(part, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    with open(descriptor, "r+b") as stream:
        _lock(stream, wait=False)
        part.unlink()


def _lock(stream: BinaryIO, *, wait: bool) -> None:
    """Lock a file until it is closed, by the end of its process at the latest."""
    import fcntl  # here, for Windows has none

    fcntl.flock(stream, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)


def check_folder(path: str) -> None:
    """Check that a file could be made at a path, before there is anything to write.

    Raises
    ------
    OutputError
        When its folder does not exist, or it is a folder itself.
    """
    if os.path.isdir(path):
        raise OutputError(f"{path} could not be written: it is a folder, expected the name of a file")
    folder = os.path.dirname(os.path.realpath(path))
    if not os.path.isdir(folder):
        raise OutputError(f"{path} could not be written: there is no folder {folder}; make it first")


def make_folder_of(path: str) -> None:
    """Make the folder that a file is to lie in, and those above it, if they are not there.

    Raises
    ------
    OutputError
    """
    with _reported(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)


def print_text(text: str) -> None:
    """Write text to standard output.

    Raises
    ------
    OutputError
    """
    _standard_output().write(text.encode("utf-8", "backslashreplace"))


def abandon_stdout() -> None:
    """Drop what Python still holds for standard output: at exit it would fail to write it once more."""
    with suppress(OSError, AttributeError):
        descriptor = os.open(os.devnull, os.O_WRONLY)
        os.dup2(descriptor, sys.stdout.fileno())
        os.close(descriptor)


def _standard_output() -> OutputFile:
    if sys.stdout is None:
        raise OutputError("standard output is closed; redirect it, or name a file with -o")
    sys.stdout.flush()
    return OutputFile(sys.stdout.buffer, "standard output")


@contextmanager
def _reported(name: str) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"{name} could not be written: {error.strerror or error}") from error
