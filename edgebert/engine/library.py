"""The compiled kernels of one family, loaded: found where they lie, or compiled now and kept."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable
from pathlib import Path

from edgebert.engine.kernel_file import KernelFile, find_kernels
from edgebert.engine.processor import available_families, features
from edgebert.engine.signatures import SIGNATURES
from edgebert.errors import EdgebertError

__all__ = ["KernelLibrary", "load_library"]


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

    def __init__(self, kernels: KernelFile) -> None:
        self.family = kernels.family
        self.path = kernels.path
        if kernels.form == "shared":
            address_of = self._open_shared(kernels)
        else:
            address_of = self._open_object(kernels.code)
        for name, arguments in SIGNATURES.items():
            setattr(self, name, ctypes.CFUNCTYPE(ctypes.c_int64, *arguments)(address_of(f"edgebert_kernel_{name}")))

    def _open_shared(self, kernels: KernelFile) -> Callable[[str], int]:
        path = kernels.path or _in_memory(kernels.code)
        try:
            self._library = ctypes.CDLL(str(path))
        except OSError as error:
            raise EdgebertError(
                f"the kernels in {path} cannot be loaded: {error}; if programs may not run from there, set"
                " XDG_CACHE_HOME to another folder"
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


def _in_memory(code: bytes) -> Path:
    """Return a name for a file that is on no disk."""
    descriptor = os.memfd_create("edgebert-kernels")
    with open(descriptor, "wb", closefd=False) as file:
        file.write(code)
    return Path(f"/proc/self/fd/{descriptor}")


def _needs_initialize() -> bool:
    """Say whether this llvmlite wants its core initialised by hand (0.45 and later refuse)."""
    from importlib.metadata import version

    release = tuple(int(part) for part in version("llvmlite").split(".")[:2])
    return release < (0, 45)


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
    with _lock:
        if family not in _loaded:
            kernels = find_kernels(family, features())
            if kernels is None:
                # Imported when it is needed: what runs other programs takes time to import.
                from edgebert.engine.compiler import compile_and_keep

                kernels = compile_and_keep(family)
            _loaded[family] = KernelLibrary(kernels)
        return _loaded[family]
