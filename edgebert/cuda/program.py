"""The compiled kernels of a model for the GPU at hand: found in the cache, or compiled now and kept there."""

from __future__ import annotations

import json
import zlib
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from edgebert.cuda.shape import Shape
from edgebert.engine.compiler import Notice, keep, run_compiler
from edgebert.engine.kernel_file import cached_kernels, source_hash
from edgebert.engine.trust import read_trusted
from edgebert.errors import EdgebertError
from edgebert.output import open_output

__all__ = ["load_program"]


def load_program(shape: Shape, capability: tuple[int, int]) -> bytes:
    """Return the machine code of a model's kernels for a compute capability.

    Raises
    ------
    EdgebertError
        When they cannot be compiled.
    """
    asked = json.dumps({"capability": capability, "shape": shape})
    path = _cached_path(asked)
    if path is not None:
        with suppress(OSError, EdgebertError):  # none there, or none to be trusted
            return read_trusted(path, named=False)
    notice = Notice("edgebert: compiling its kernels for this GPU and model, once on this machine")
    try:
        code = run_compiler("edgebert.cuda.compile", [asked], notice)
    except EdgebertError as error:
        raise EdgebertError(
            f"the kernels for a GPU of compute capability {capability[0]}.{capability[1]} could not be compiled:"
            f" {error}; where CUDA 13 does not know the GPU any more, pip install 'numba-cuda[cu12]'; device='cpu'"
            " computes on the processor"
        ) from error
    keep(path, lambda place: _write(place, code))
    return code


def _write(path: Path, code: bytes) -> bool:
    with open_output(str(path)) as file:
        file.write(code)
    return True


def _cached_path(asked: str) -> Path | None:
    """Return where a program is kept, with a hash of what decides it; None where there is no home folder."""
    decides = f"{asked} {version('numba-cuda')} {source_hash('cuda')} {source_hash()}"
    return cached_kernels(f"cuda-{zlib.crc32(decides.encode()):08x}.cubin")
