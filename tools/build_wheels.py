"""Build edgebert's wheels, each with the compiled kernels of its platform's processors.

::

    python tools/build_wheels.py [--platform linux-x86_64 --platform linux-aarch64] [-o dist]

All are made on one machine: kernels are compiled for any processor, and linked by a C compiler for each platform (cc
and aarch64-linux-gnu-gcc, or the package ziglang). With such a wheel nothing is compiled on the computer that it is
installed on, and Numba need not be there.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from edgebert.engine.compiler import compile_object
from edgebert.engine.kernel_file import KernelFile
from edgebert.engine.linker import TRIPLES, link_shared, require_compiler
from edgebert.kernels.simd.families import FAMILIES

__all__ = ["build_wheel"]

ROOT = Path(__file__).parent.parent
# The kernels call no C library: the tag is that of the oldest system that NumPy's wheels are for.
TAG = "manylinux_2_17"
SOURCES = ("edgebert", "pyproject.toml", "README.md", "LICENSE")


def build_wheel(platform: str, out: Path) -> Path:
    """Build the wheel of one platform.

    Parameters
    ----------
    platform : str
        One of `edgebert.engine.linker.TRIPLES`.
    out : Path
        The folder for it.

    Returns
    -------
    Path
    """
    require_compiler(platform)
    machine = platform.partition("-")[2]
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        ignored = shutil.ignore_patterns("__pycache__", "compiled")
        for name in SOURCES:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, work / name, ignore=ignored)
            else:
                shutil.copy(source, work / name)
        compiled = work / "edgebert" / "compiled"
        compiled.mkdir()
        for family in FAMILIES.values():
            if family.machine in ("", machine):
                code = link_shared(compile_object(family.name, platform), platform)
                KernelFile.of(family.name, platform, "shared", code).write(compiled / f"{family.name}.so")
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", str(work), "-w", str(work / "wheel")]
        command.append(f"--config-settings=--build-option=--plat-name={TAG}_{machine}")
        subprocess.run(command, check=True)
        (wheel,) = (work / "wheel").glob("*.whl")
        out.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copy(wheel, out / wheel.name))


def main() -> None:
    """Build, and name the wheels."""
    parser = argparse.ArgumentParser(description="Build the wheels, with compiled kernels.")
    parser.add_argument("--platform", action="append", choices=TRIPLES, help="default all")
    parser.add_argument("-o", "--out", type=Path, default=Path("dist"), help="default dist")
    args = parser.parse_args()
    for platform in args.platform or TRIPLES:
        wheel = build_wheel(platform, args.out)
        print(f"{wheel}: {wheel.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
