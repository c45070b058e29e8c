"""The compiled kernels of one family, loaded: found where they lie, or compiled now and kept."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable

from edgebert.engine.kernel_file import KernelFile, find_kernels
from edgebert.engine.processor import available_families, features
from edgebert.engine.turn import Turn
from edgebert.errors import EdgebertError
from edgebert.kernels.signatures import PREFIX, SIGNATURES

__all__ = ["KernelLibrary", "load_library"]


class KernelLibrary:
    """The C functions of `edgebert.kernels.entries`, for one family.

    Each is an attribute (``library.encode(plan, epoch, thread)``) that takes addresses and numbers and runs without the
    interpreter's lock.
    """

    encode: Callable[..., int]
    dense: Callable[..., int]
    lstm: Callable[..., int]
    scratch_bytes: Callable[..., int]

    def __init__(self, kernels: KernelFile) -> None:
        self.family = kernels.family
        self.path = kernels.path
        if kernels.form == "shared":
            address_of = self._open_shared(kernels)
        else:
            address_of = self._open_object(kernels.code)
        for name, arguments in SIGNATURES.items():
            kind = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * len(arguments))
            setattr(self, name, kind(address_of(f"{PREFIX}{name}")))

    def _open_shared(self, kernels: KernelFile) -> Callable[[str], int]:
        try:
            self._library = ctypes.CDLL(_in_memory(kernels.code) if kernels.path is None else _same(kernels))
        except OSError as error:
            raise EdgebertError(
                f"the kernels in {kernels.path or 'memory'} cannot be loaded: {error}; if programs may not run from"
                " there, set XDG_CACHE_HOME to another folder"
            ) from error
        return lambda name: ctypes.cast(getattr(self._library, name), ctypes.c_void_p).value or 0

    def _open_object(self, code: bytes) -> Callable[[str], int]:
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
        address: Callable[[str], int] = self._engine.get_function_address
        return address


def _in_memory(code: bytes) -> str:
    """Return a name for a file that is on no disk."""
    descriptor = os.memfd_create("edgebert-kernels")
    with open(descriptor, "wb", closefd=False) as file:
        file.write(code)
    return _name_of(descriptor)


def _same(kernels: KernelFile) -> str:
    """Return a name for the file that was checked, which nobody can give to another one meanwhile."""
    path = kernels.path
    assert path is not None
    with open(path, "rb") as file:
        if file.read(len(kernels.code)) != kernels.code:
            raise EdgebertError(f"the kernels in {path} were written over while they were loaded; start again")
        name = _name_of(file.fileno())
        if not os.path.exists(name):
            return str(path)  # this system has no such names
        return _name_of(os.dup(file.fileno()))


def _name_of(descriptor: int) -> str:
    # It stays open as long as the process lives: the system's loader takes two files of one name for the same.
    return f"/proc/self/fd/{descriptor}"


def _needs_initialize() -> bool:
    """Say whether this llvmlite wants its core initialised by hand (0.45 and later refuse)."""
    from importlib.metadata import version

    release = tuple(int(part) for part in version("llvmlite").split(".")[:2])
    return release < (0, 45)


_turn = Turn("the loading of kernels")
_loaded: dict[str, KernelLibrary] = {}


def _renew_turn_after_fork() -> None:
    # A thread of the parent may have held it; here that thread does not exist.
    global _turn
    _turn = Turn("the loading of kernels")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_turn_after_fork)


def load_library(family: str) -> KernelLibrary:
    """Return the library of a family, compiled if need be; one for the whole process.

    Kernels that ``EDGEBERT_KERNELS`` names come first, then those of the package, then those of the cache, whose names
    hold a hash of everything that decides them. Where none can be kept (a read-only home), they are compiled again by
    the next process.

    Raises
    ------
    EdgebertError
        When this processor cannot run them, or they cannot be compiled.
    """
    if family not in available_families():
        raise EdgebertError(
            f"this processor cannot run kernels for {family}, expected one of {', '.join(available_families())}"
        )
    return _turn.take(lambda: _loaded.get(family) or _load(family))


def _load(family: str) -> KernelLibrary:
    kernels = find_kernels(family, features())
    if kernels is None:
        # Imported when it is needed: what runs other programs takes time to import.
        from edgebert.engine.compiler import compile_and_keep

        kernels = compile_and_keep(family)
    _loaded[family] = KernelLibrary(kernels)
    return _loaded[family]
