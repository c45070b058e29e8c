"""Kernels compiled in another process, for this platform or another one, and linked where that can be done."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from edgebert.engine.kernel_file import KernelFile, cached_path, can_compile, this_platform
from edgebert.engine.linker import TRIPLES, find_compiler, link_shared
from edgebert.engine.trust import distrust, make_private
from edgebert.errors import EdgebertError, OutputError

__all__ = ["Notice", "compile_and_keep", "compile_kernels", "compile_object", "keep", "run_compiler"]

_Kept = TypeVar("_Kept")
_COMPILE = "import json, sys; sys.path[:] = json.loads(sys.argv.pop(1)); from {} import main; main()"


def compile_kernels(family: str) -> KernelFile:
    """Compile the kernels of a family for this platform, saying so on stderr.

    Returns
    -------
    KernelFile
        A shared library; an object file where no C compiler is there to link it.

    Raises
    ------
    EdgebertError
        As `compile_object`.
    """
    platform = this_platform()
    code = compile_object(family, once=True)
    if find_compiler(platform):
        try:
            return KernelFile.of(family, platform, "shared", link_shared(code, platform))
        except (EdgebertError, OSError) as error:
            _tell(f"edgebert: the kernels were not linked, which makes every start slower: {error}\n")
    return KernelFile.of(family, platform, "object", code)


def compile_and_keep(family: str) -> KernelFile:
    """Compile the kernels of a family and keep them in the cache; where that is not possible, say what it means."""
    kernels = compile_kernels(family)
    path = cached_path(family)
    return keep(path and path.with_name(path.name + kernels.suffix), kernels.write) or kernels


def keep(path: Path | None, write: Callable[[Path], _Kept]) -> _Kept | None:
    """Write kernels to a place in the cache; where that is not possible, say what it means and return None."""
    fault = "there is no home folder"
    if path is not None:
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            make_private(path.parent)
            fault = distrust(path.parent, path.parent.stat())
            if not fault:
                kept = write(path)
                make_private(path)
                return kept
        except (OSError, OutputError) as error:
            fault = str(error)
    remedy = "set XDG_CACHE_HOME to a folder that you alone can write, or every process will compile them again"
    _tell(f"edgebert: the kernels could not be kept: {fault}; {remedy}\n")
    return None


def compile_object(family: str, platform: str | None = None, *, once: bool = False) -> bytes:
    """Compile the kernels of a family into an object file, saying so on stderr.

    Parameters
    ----------
    family : str
    platform : str, optional
        One of `edgebert.engine.linker.TRIPLES`; this one by default.
    once : bool
        Whether to add that it happens once on this machine.

    Raises
    ------
    EdgebertError
        When Numba is not installed, or fails.
    """
    if not can_compile():
        raise EdgebertError(
            f"there are no compiled kernels for {family} here, and Numba, which compiles them, is not installed:"
            " pip install numba; or on a computer that has it: edgebert compile --target"
            f" {family} -o kernels.so, and set EDGEBERT_KERNELS to that file"
        )
    notice = Notice(f"edgebert: compiling its kernels for {family}{', once on this machine' if once else ''}")
    return _compile(family, None if platform in (None, this_platform()) else TRIPLES[platform], notice)


def _compile(family: str, triple: str | None, notice: Notice) -> bytes:
    """Return an object file."""
    try:
        return run_compiler("edgebert.kernels.compile", [family, *(["--triple", triple] if triple else [])], notice)
    except EdgebertError as error:
        raise EdgebertError(
            f"the kernels for {family} could not be compiled: {error};"
            " EDGEBERT_FAMILY=portable or EDGEBERT_FAMILY=reference may still run"
        ) from error


def run_compiler(module: str, arguments: list[str], notice: Notice) -> bytes:
    """Run the ``main`` of a module in a process of its own, and return what it writes.

    Parameters
    ----------
    module : str
        Its ``main`` writes 'done total' lines to stderr, and the result to stdout.
    arguments : list of str
    notice : Notice

    Raises
    ------
    EdgebertError
        When it fails, with the last line that it wrote to stderr.
    """
    from concurrent.futures import ThreadPoolExecutor

    start = time.perf_counter()
    command = [sys.executable, "-c", _COMPILE.format(module), json.dumps(sys.path), *arguments]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("NUMBA_")}
    with (
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
        ) as process,
        ThreadPoolExecutor(1) as reader,
    ):
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            # Both pipes at once, so that the compiler waits for neither; a file would need a disk to write on.
            output = reader.submit(process.stdout.read)
            complaint = list(notice.follow(line.decode("utf-8", "replace") for line in process.stderr))
            code = output.result()
        except BaseException:
            process.kill()
            raise
    if process.returncode != 0:
        reason = complaint[-1] if complaint else f"the compiler exited with {process.returncode}"
        raise EdgebertError(reason)
    notice.done(time.perf_counter() - start)
    return code


def _tell(text: str) -> None:
    """Write to stderr, where there is one."""
    if sys.stderr is not None:
        with suppress(OSError):
            sys.stderr.write(text)
            sys.stderr.flush()


class Notice:
    """A line on stderr that says what takes so long."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._terminal = sys.stderr is not None and sys.stderr.isatty()
        _tell(text + (" ..." if self._terminal else "\n"))

    def follow(self, lines: Iterable[str]) -> Iterator[str]:
        """Show 'done total' lines as a percentage, and pass the others on."""
        for line in lines:
            words = line.split()
            if len(words) == 2 and all(word.isdecimal() for word in words):
                if self._terminal:
                    _tell(f"\r{self._text} ... {100 * int(words[0]) // int(words[1])} %")
            elif words:
                yield line.strip()

    def done(self, seconds: float) -> None:
        """Say that it is over, and how long it took."""
        if self._terminal:
            _tell(f"\r{self._text}: {seconds:.1f} s   \n")
        else:
            _tell(f"edgebert: compiled in {seconds:.1f} s\n")
