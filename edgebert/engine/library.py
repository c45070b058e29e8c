"""The compiled kernels of one family: from the cache, or compiled now in another process, and loaded."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from edgebert.destination import open_destination
from edgebert.engine.processor import available_families
from edgebert.errors import EdgebertError, OutputError

__all__ = ["SIGNATURES", "KernelLibrary", "cache_folder", "load_library"]

_PACKAGE = Path(__file__).parent.parent
_COMPILE = (
    "import json, sys; sys.path[:] = json.loads(sys.argv.pop(1)); from edgebert.kernels.compile import main; main()"
)
_INT, _FLOAT = ctypes.c_int64, ctypes.c_float
_Type = type[ctypes.c_int64] | type[ctypes.c_float]
SIGNATURES: dict[str, list[_Type]] = {
    "encode": [_INT] * 3,
    "dense": [_INT] * 6,
    "quantize_rows": [_INT] * 7,
    "add_layer_norm": [_INT] * 8 + [_FLOAT],
    "activate": [_INT] * 4,
    "matmul": [_INT] * 10,
    "expand": [_INT] * 15,
    "project_heads": [_INT] * 14,
    "attend": [_INT] * 8 + [_FLOAT] + [_INT] * 8,
}


class KernelLibrary:
    """The C functions of `edgebert.kernels.entries`, for one family.

    Each is an attribute (``library.encode(plan, epoch, thread)``) that takes addresses and numbers and runs without the
    interpreter's lock.
    """

    encode: Callable[..., int]
    dense: Callable[..., int]
    quantize_rows: Callable[..., int]
    add_layer_norm: Callable[..., int]
    activate: Callable[..., int]
    matmul: Callable[..., int]
    attend: Callable[..., int]

    def __init__(self, family: str, code: bytes) -> None:
        import llvmlite.binding as llvm

        if _needs_initialize():
            llvm.initialize()
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        machine = llvm.Target.from_default_triple().create_target_machine(codemodel="jitdefault")
        # The engine owns the machine code: it must live as long as the functions do.
        self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        self._engine.finalize_object()
        self.family = family
        for name, arguments in SIGNATURES.items():
            address = self._engine.get_function_address(f"edgebert_{name}")
            setattr(self, name, ctypes.CFUNCTYPE(_INT, *arguments)(address))


def _needs_initialize() -> bool:
    """Say whether this llvmlite wants its core initialised by hand (0.45 and later refuse)."""
    release = tuple(int(part) for part in version("llvmlite").split(".")[:2])
    return release < (0, 45)


def cache_folder() -> Path:
    """Return the folder for what can be made again: ``$XDG_CACHE_HOME/edgebert``, or the system's equivalent."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):  # which the specification says to disregard
        base = ""
    if not base and sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA", "")
    return (Path(base) if base else Path.home() / ".cache") / "edgebert"


_lock = threading.Lock()
_loaded: dict[str, KernelLibrary] = {}


def _renew_lock_after_fork() -> None:
    # A thread of the parent may have held it; here that thread does not exist.
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock_after_fork)


def load_library(family: str) -> KernelLibrary:
    """Return the library of a family, compiled if need be; one for the whole process.

    The object file is kept in `cache_folder()`, named by a hash of everything that decides it. Where it cannot be
    kept (a read-only home), it is compiled again by the next process.

    Raises
    ------
    EdgebertError
        When this processor cannot run them, or they cannot be compiled.
    """
    if family not in available_families():
        raise EdgebertError(
            f"this processor cannot run kernels for {family}, expected one of {', '.join(available_families())}"
        )
    with _lock:
        if family not in _loaded:
            path = _cached_path(family)
            code = _read_cached(path)
            if code is None:
                code = _compile(family)
                _write_cached(path, code)
            _loaded[family] = KernelLibrary(family, code)
        return _loaded[family]


@functools.cache
def _source_hash() -> str:
    """Hash the kernels' sources and the versions of their compilers."""
    digest = hashlib.sha256()
    for path in sorted((_PACKAGE / "kernels").rglob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    digest.update(f"numba {version('numba')} llvmlite {version('llvmlite')} {sys.platform}".encode())
    return digest.hexdigest()[:20]


def _cached_path(family: str) -> Path | None:
    try:
        return cache_folder() / "kernels" / f"{family}-{_source_hash()}.o"
    except RuntimeError:  # no home folder can be determined
        return None


def _read_cached(path: Path | None) -> bytes | None:
    """Read a cached object file; None unless it is there and whole."""
    if path is None:
        return None
    try:
        data = path.read_bytes()
    except OSError:
        return None
    digest, code = data[:32], data[32:]
    return code if hashlib.sha256(code).digest() == digest else None


def _write_cached(path: Path | None, code: bytes) -> None:
    """Keep an object file; where that is not possible, say what it means for the next process."""
    fault = "there is no home folder"
    if path is not None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with open_destination(str(path)) as file:
                file.write(hashlib.sha256(code).digest() + code)
            return
        except (OSError, OutputError) as error:
            fault = str(error)
    remedy = "set XDG_CACHE_HOME to a folder that can be written, or every process will compile them again"
    _tell(f"edgebert: the kernels could not be kept: {fault}; {remedy}\n")


def _compile(family: str) -> bytes:
    """Compile in a process of its own, saying so on stderr."""
    from concurrent.futures import ThreadPoolExecutor

    start = time.perf_counter()
    notice = _Notice(f"edgebert: compiling its kernels for {family}, once on this machine")
    command = [sys.executable, "-c", _COMPILE, json.dumps(sys.path), family]
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
        raise EdgebertError(
            f"the kernels for {family} could not be compiled: {reason};"
            " EDGEBERT_FAMILY=portable or EDGEBERT_FAMILY=reference may still run"
        )
    notice.done(time.perf_counter() - start)
    return code


def _tell(text: str) -> None:
    if sys.stderr is not None:
        with suppress(OSError):
            sys.stderr.write(text)
            sys.stderr.flush()


class _Notice:
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
