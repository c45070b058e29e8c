"""From an object file to a shared library, by whatever C compiler is there for the platform."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from edgebert.engine.kernel_file import this_platform
from edgebert.errors import EdgebertError

__all__ = ["TRIPLES", "archive", "find_compiler", "link_shared", "require_compiler", "run_compiler"]

TRIPLES = {"linux-x86_64": "x86_64-linux-gnu", "linux-aarch64": "aarch64-linux-gnu"}
"""Platforms that shared libraries are made for -> what their C compilers are called by."""

_LAST_WORDS = 3
"""Lines of a compiler's complaint that are passed on."""
_ZIGLANG = [sys.executable, "-m", "ziglang"]


def find_compiler(platform: str, *, portable: bool = False) -> list[str] | None:
    """Return the command of a C compiler for a platform, None where there is none.

    That is ``$CC`` or ``cc`` for this platform, a cross compiler such as ``aarch64-linux-gnu-gcc`` for another, or the
    one that the package ziglang brings, which knows all platforms. With `portable` ziglang's comes before all but
    ``$CC``: it links for glibc 2.28, the others for that of their own system.
    """
    triple = TRIPLES.get(platform)
    if triple is None:
        return None
    own = platform == this_platform()
    chosen = list(filter(None, [os.environ.get("CC", "")])) if own else []
    names = [*(["cc", "gcc", "clang"] if own else []), f"{triple}-gcc"]
    # Linking for whatever C library is named: this one is older than any system that NumPy's wheels run on.
    zig = [[*_ZIGLANG, "cc", "-target", f"{triple}.2.28"]] if importlib.util.find_spec("ziglang") else []
    installed = [[name] for name in names if shutil.which(name)]
    found = [[name] for name in chosen if shutil.which(name)] + (zig + installed if portable else installed + zig)
    return found[0] if found else None


def require_compiler(platform: str, *, portable: bool = False) -> list[str]:
    """Return the command of a C compiler for a platform, as `find_compiler` does.

    Raises
    ------
    EdgebertError
        When there is none.
    """
    compiler = find_compiler(platform, portable=portable)
    if compiler is None:
        triple = TRIPLES.get(platform)
        remedy = f"install {triple}-gcc, or: pip install ziglang" if triple else f"expected {' or '.join(TRIPLES)}"
        raise EdgebertError(f"there is no C compiler for {platform} here, which links shared libraries; {remedy}")
    return compiler


def link_shared(code: bytes, platform: str) -> bytes:
    """Link an object file without undefined symbols into a shared library.

    Raises
    ------
    EdgebertError
        When there is no C compiler, or when it fails.
    """
    flags = ["-shared", "-nostdlib", "-Wl,-z,noexecstack", "-Wl,-s"]
    with tempfile.TemporaryDirectory(prefix="edgebert-") as folder:
        source, target = Path(folder) / "kernels.o", Path(folder) / "kernels.so"
        source.write_bytes(code)
        run_compiler(platform, [*flags, str(source), "-o", str(target)])
        return target.read_bytes()


def archive(platform: str, member: Path) -> bytes:
    """Return a static library with an object file in it.

    Raises
    ------
    EdgebertError
        When there is no archiver, or when it fails.
    """
    names = [f"{TRIPLES[platform]}-ar", *(["ar"] if platform == this_platform() else [])]
    archiver = [name for name in names if shutil.which(name)][:1]
    if not archiver and importlib.util.find_spec("ziglang"):
        archiver = [*_ZIGLANG, "ar"]
    if not archiver:
        raise EdgebertError(f"there is no archiver for {platform} here, expected {' or '.join(names)}, or ziglang")
    library = member.with_suffix(".a")
    _run([*archiver, "rcs", str(library), str(member)])
    return library.read_bytes()


def run_compiler(platform: str, arguments: list[str], *, portable: bool = False) -> None:
    """Run a C compiler for a platform; raise EdgebertError with its last words when it fails."""
    _run([*require_compiler(platform, portable=portable), *arguments])


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines() or [f"exit {done.returncode}"]
        raise EdgebertError(f"{command[0]} failed: {' / '.join(said[-_LAST_WORDS:])}")
