"""Programs and libraries of the runtime's C, compiled for tests."""

import subprocess
from pathlib import Path

import pytest

from edgebert import export as export_package
from edgebert.engine.kernel_file import this_platform
from edgebert.engine.linker import find_compiler
from edgebert.export import _RUNTIME
from edgebert.export.records import records_h
from edgebert.kernels.simd.families import FAMILIES
from tests.export.conftest import FAMILY

__all__ = ["compile_c", "compile_library"]

_HERE = Path(__file__).parent


def compile_c(folder, source, *parts, family=FAMILY, flags=()):
    """Compile a test's C file with parts of the runtime (or other files); return the program.

    Skips the test where the compiler has no library for a sanitizer.
    """
    (folder / "records.h").write_text(records_h(FAMILIES[family]))
    program = folder / Path(source).stem
    files = [_HERE / source, *(_RUNTIME / part for part in parts)]
    command = [*find_compiler(this_platform()), "-g", "-O1", *flags, f"-I{_RUNTIME}", f"-I{folder}", *files]
    done = subprocess.run([*command, "-pthread", "-o", program], capture_output=True, text=True)
    if done.returncode and "cannot find" in done.stderr:
        pytest.skip("the compiler has no library for this sanitizer")
    assert done.returncode == 0, done.stderr
    return program


def compile_library(folder, source, *flags):
    """Compile a C file with the whole runtime and the kernels of this processor; return the program."""
    kernels = folder / "kernels.o"
    kernels.write_bytes(export_package.compile_object(FAMILY, this_platform()))
    parts = [path.name for path in sorted(_RUNTIME.glob("*.c"))]
    return compile_c(folder, source, *parts, kernels, flags=flags)
