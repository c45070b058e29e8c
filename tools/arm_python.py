#!/usr/bin/env python3
"""Fetch a Python for AArch64, which an emulator runs: Debian's, with NumPy and tokenizers from PyPI.

It lies in the folder of `fetch_material.py`. Nothing is installed: Debian's packages are unpacked into a folder of
their own, for ``qemu-aarch64`` (package qemu-user) to look in::

    dpkg --add-architecture arm64 && apt-get update
    python tools/arm_python.py
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from fetch_material import MaterialError, material_folder, stored

__all__ = ["arm_python"]

NAME, VERSION = "arm-python-3.11", 1
EMULATOR = "qemu-aarch64"
DEBIAN = (
    *("python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib", "libc6", "libgcc-s1", "libstdc++6"),
    *("zlib1g", "libexpat1", "libffi8", "libbz2-1.0", "liblzma5", "libssl3", "libuuid1"),
)
PYPI = ("numpy", "tokenizers", "safetensors", "click")
PLATFORMS = ("manylinux2014_aarch64", "manylinux_2_17_aarch64", "manylinux_2_28_aarch64")


def arm_python() -> tuple[list[str], str]:
    """Return the beginning of a command that runs it on an emulated Cortex-A76, and where its packages are.

    Raises
    ------
    MaterialError
        When there is no emulator, or a package cannot be fetched.
    """
    if shutil.which(EMULATOR) is None:
        raise MaterialError(f"{EMULATOR} is not installed (Debian: qemu-user)")
    folder = material_folder() / f"{NAME}-{VERSION}"
    if not folder.is_dir():
        with stored(NAME, folder) as work:
            _fetch(work / "complete", work / "packages")
    root = folder / "root"
    command = [EMULATOR, "-cpu", "cortex-a76", "-L", str(root), str(root / "usr" / "bin" / "python3.11")]
    return command, str(folder / "site")


def _fetch(folder: Path, packages: Path) -> None:
    packages.mkdir()
    folder.mkdir()
    _run(["apt-get", "download", "-q", *(f"{name}:arm64" for name in DEBIAN)], packages)
    for package in packages.glob("*.deb"):
        _run(["dpkg", "-x", str(package), str(folder / "root")], packages)
    wanted = [f"--platform={platform}" for platform in PLATFORMS]
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"]
    _run([*pip, *wanted, "--python-version=3.11", "--implementation=cp", *PYPI], packages)
    for wheel in packages.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder / "site")


def _run(command: list[str], folder: Path) -> None:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MaterialError(f"{command[0]} could not be run: {error}") from error
    if done.returncode:
        reason = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()[-1]
        raise MaterialError(f"{' '.join(command[:2])} failed: {reason}; is arm64 known to dpkg? (see the docstring)")


if __name__ == "__main__":
    try:
        print(*arm_python()[0])
    except MaterialError as error:
        sys.exit(f"error: {error}")
