"""Kernels of processors that are not at hand: compiled for these, run by qemu-user, called like any library."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import threading
from functools import partial
from pathlib import Path

import pytest

from edgebert.engine.compiler import compile_object
from edgebert.kernels.signatures import SIGNATURES
from edgebert.kernels.simd.families import FAMILIES

__all__ = ["EMULATED", "EmulatedLibrary", "build_remote", "emulator_or_skip"]

COMPILER, EMULATOR = "aarch64-linux-gnu-gcc", "qemu-aarch64"
EMULATED = {"neon": "cortex-a72", "neon_dotprod": "cortex-a76", "neon_i8mm": "max"}
"""Family -> the processor that it is run on: the oldest that has what it needs, of those that qemu knows."""

_ARGUMENTS = 6
_HERE = Path(__file__).parent


def emulator_or_skip() -> None:
    """Skip the test where there is no emulator or no cross compiler; CI fails it."""
    missing = [name for name in (COMPILER, EMULATOR) if shutil.which(name) is None]
    if missing:
        reason = f"{' and '.join(missing)} not found (Debian: qemu-user and gcc-aarch64-linux-gnu)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


def build_remote(family: str, folder: Path) -> Path:
    """Compile a family's kernels for AArch64, and link them with ``remote.c``; return the program."""
    kernels, program = folder / f"{family}.o", folder / f"remote-{family}"
    kernels.write_bytes(compile_object(family, "linux-aarch64"))
    (folder / "kernels.h").write_text("".join(f"KERNEL({name})\n" for name in SIGNATURES))
    flags = ["-static", "-O1", "-Wall", "-Wextra", "-Werror", f"-I{folder}"]
    subprocess.run([COMPILER, *flags, _HERE / "remote.c", kernels, "-o", program], check=True)
    return program


class EmulatedLibrary:
    """What `edgebert.engine.library.KernelLibrary` is, for a processor that is emulated.

    Parameters
    ----------
    family : str
        A name in `EMULATED`.
    program : Path
        From `build_remote`.
    """

    def __init__(self, family: str, program: Path) -> None:
        assert FAMILIES[family].machine == "aarch64"
        self.family = family
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [EMULATOR, "-cpu", EMULATED[family], program, f"/proc/{os.getpid()}/mem"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for number, (name, kinds) in enumerate(SIGNATURES.items()):
            setattr(self, name, partial(self._call, number, name, len(kinds)))

    def _call(self, number: int, name: str, count: int, *arguments: int) -> int:
        assert len(arguments) == count
        whole = [*arguments, *[0] * (_ARGUMENTS - count)]
        with self._lock:
            self._process.stdin.write(struct.pack(f"={1 + _ARGUMENTS}q", number, *whole))
            self._process.stdin.flush()
            answer = self._process.stdout.read(8)
            if len(answer) != 8:
                complaint = self._process.stderr.read().decode()
                raise AssertionError(f"{name} of {self.family}: exit {self._process.wait()}: {complaint}")
        return struct.unpack("=q", answer)[0]

    def close(self) -> None:
        """End the emulator."""
        self._process.stdin.close()
        assert self._process.wait(60) == 0
        self._process.stdout.close()
        self._process.stderr.close()
