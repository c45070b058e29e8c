"""Files of compiled kernels: where they lie, and what each says of itself.

A file is a shared library (or, where there was no linker, an object file) with a description behind it, which loaders
do not look at: so that what a library needs is known before a line of it has run.
"""

from __future__ import annotations

import functools
import json
import os
import struct
import sys
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from edgebert.engine.trust import read_trusted
from edgebert.errors import EdgebertError, SettingError
from edgebert.kernels.signatures import interface_hash
from edgebert.kernels.simd.families import FAMILIES
from edgebert.output import open_output

__all__ = [
    "KernelFile",
    "cache_folder",
    "cached_kernels",
    "cached_path",
    "can_compile",
    "find_kernels",
    "given_kernels",
    "source_hash",
    "this_platform",
]

_PACKAGE = Path(__file__).parent.parent
_BUNDLED = _PACKAGE / "compiled"
"""Kernels that came with a package built for a platform."""

_MAGIC = b"\nedgebert kernels 1\n"
_SUFFIXES = {"shared": ".so", "object": ".o"}
_MACHINES = {"amd64": "x86_64", "x64": "x86_64", "arm64": "aarch64"}
_MACHINES_OF_32_BITS = {"x86_64": "i686", "aarch64": "armv8l"}
"""A kernel of 64 bits -> what it calls itself to a program of 32 (``linux32 uname -m``)."""


@functools.cache
def this_platform() -> str:
    """Return the operating system and the kind of processor, like ``linux-aarch64``.

    A Python of 32 bits, as on Raspberry Pi OS, can load nothing of 64, whatever the system's kernel is.
    """
    if hasattr(os, "uname"):
        machine = os.uname().machine.lower()
    else:
        import platform  # takes longer than the kernels' loading

        machine = platform.machine().lower()
    machine = _MACHINES.get(machine, machine)
    if sys.maxsize < 1 << 32:
        machine = _MACHINES_OF_32_BITS.get(machine, machine)
    return f"{sys.platform}-{machine}"


@functools.cache
def source_hash(folder: str = "kernels") -> str:
    """Hash the kernels' sources; empty where they are not there to read, as in a frozen program."""
    sources = sorted((_PACKAGE / folder).rglob("*.py"))
    checksum = size = 0
    for path in sources:
        text = path.name.encode() + b"\0" + path.read_bytes() + b"\0"
        checksum, size = zlib.crc32(text, checksum), size + len(text)
    return f"{checksum:08x}{size:x}" if sources else ""


class KernelFile(NamedTuple):
    """Compiled kernels and their description.

    Attributes
    ----------
    family : str
        A name in `edgebert.kernels.simd.families.FAMILIES`.
    platform : str
        As `this_platform` has it.
    form : str
        ``"shared"``, a shared library, or ``"object"``, an object file, which llvmlite loads.
    cpu : str
        LLVM's name of the processor that they were scheduled for.
    needs : tuple of str
        LLVM's names of the features that they use.
    source : str
        Hash of the kernels' sources.
    interface : str
        Hash of what the engine and the kernels agree on: records and signatures.
    code : bytes
    path : Path or None
        Where they were read.
    """

    family: str
    platform: str
    form: str
    cpu: str
    needs: tuple[str, ...]
    source: str
    interface: str
    code: bytes
    path: Path | None = None

    @classmethod
    def of(cls, family: str, target_platform: str, form: str, code: bytes) -> KernelFile:
        """Describe what has just been compiled from these sources."""
        chosen = FAMILIES[family]
        return cls(family, target_platform, form, chosen.cpu, chosen.needs, source_hash(), interface_hash(), code)

    @property
    def suffix(self) -> str:
        """What the name of such a file ends with."""
        return _SUFFIXES[self.form]

    def write(self, path: Path) -> KernelFile:
        """Write the file, whole or not at all; raise OutputError when that cannot be done."""
        about = {name: value for name, value in self._asdict().items() if name not in ("code", "path")}
        about["crc32"] = zlib.crc32(self.code)
        text = json.dumps(about).encode()
        with open_output(str(path)) as file:
            file.write(self.code + text + struct.pack("<I", len(text)) + _MAGIC)
        return self._replace(path=path)

    @classmethod
    def read(cls, path: Path, *, named: bool = True) -> KernelFile:
        """Read a file and check that it is whole, and that the right ones wrote it (`edgebert.engine.trust`).

        Parameters
        ----------
        path : Path
        named : bool
            Whether the user has named this very file, or else it was found in the cache.

        Raises
        ------
        EdgebertError
            When it cannot be read, is none of these files, is damaged, or others may have written it.
        """
        try:
            # Who may write the package may write Python code, too.
            data = path.read_bytes() if path.parent == _BUNDLED else read_trusted(path, named=named)
        except OSError as error:
            raise EdgebertError(f"the kernels in {path} cannot be read: {error.strerror or error}") from error
        tail = len(data) - len(_MAGIC) - 4
        if tail < 0 or not data.endswith(_MAGIC):
            raise EdgebertError(f"{path} holds no kernels, expected a file that `edgebert compile` wrote")
        begin = tail - int(struct.unpack_from("<I", data, tail)[0])
        try:
            about = json.loads(data[begin:tail])
            checksum = about.pop("crc32")
            file = cls(**{**about, "needs": tuple(about["needs"])}, code=data[:begin], path=path)
        except (ValueError, TypeError, KeyError) as error:
            raise EdgebertError(f"the kernels in {path} are damaged; compile them again") from error
        if zlib.crc32(file.code) != checksum:
            raise EdgebertError(f"the kernels in {path} are damaged: their checksum is wrong; compile them again")
        return file

    def incompatibility(self, features: frozenset[str]) -> str:
        """Say why a processor with these features, or this edgebert, cannot use them; empty where it can."""
        if self.platform != this_platform():
            return f"they are for {self.platform}, this is {this_platform()}"
        missing = [name for name in self.needs if name not in features]
        if missing:
            return f"they are for {self.family} and need {', '.join(missing)}, which this processor lacks"
        if self.interface != interface_hash() or (source_hash() and self.source != source_hash()):
            return "another version of edgebert made them; compile them again with `edgebert compile`"
        return ""


def can_compile() -> bool:
    """Say whether Numba is installed; it is not imported."""
    from importlib.util import find_spec

    return find_spec("numba") is not None


def cache_folder() -> Path:
    """Return the folder for what can be made again: ``$XDG_CACHE_HOME/edgebert``, or the system's equivalent."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):  # which the specification says to disregard
        base = ""
    if not base and sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA", "")
    return (Path(base) if base else Path.home() / ".cache") / "edgebert"


def cached_path(family: str) -> Path | None:
    """Return where the kernels of a family are kept, without the suffix; None without a home folder."""
    needs = f"{zlib.crc32(' '.join([FAMILIES[family].cpu, *FAMILIES[family].needs]).encode()):08x}"
    return cached_kernels(f"{family}-{source_hash() or interface_hash()}-{needs}")


def cached_kernels(name: str) -> Path | None:
    """Return where kernels of this name are kept; None without a home folder."""
    try:
        return cache_folder() / "kernels" / name
    except RuntimeError:  # no home folder can be determined
        return None


def given_kernels(environment: Mapping[str, str] | None = None) -> list[KernelFile] | None:
    """Read the files that ``EDGEBERT_KERNELS`` names: a file, or all in a folder; None where it is not set.

    Raises
    ------
    SettingError
        When there are none.
    EdgebertError
        When one is damaged.
    """
    named = (os.environ if environment is None else environment).get("EDGEBERT_KERNELS", "").strip()
    if not named:
        return None
    path = Path(named)
    paths = [path]
    if path.is_dir():
        paths = sorted(child for child in path.iterdir() if child.suffix in _SUFFIXES.values())
    if not paths or not path.exists():
        raise SettingError(
            f"EDGEBERT_KERNELS is {named}, where there are no kernels, expected a file that `edgebert compile` wrote or"
            " a folder of them"
        )
    return [KernelFile.read(path) for path in paths]


def find_kernels(family: str, features: frozenset[str]) -> KernelFile | None:
    """Find the compiled kernels of a family: given, bundled or cached, in this order; None where there are none.

    Raises
    ------
    SettingError, EdgebertError
        As `given_kernels`, and when kernels are given, but none that fit. Those of the package and of the cache that
        cannot be used are passed over.
    """
    given = given_kernels()
    if given is not None:
        for file in given:
            if file.family == family and not file.incompatibility(features):
                return file
        faults = [f"{file.path}: {file.incompatibility(features) or f'they are for {file.family}'}" for file in given]
        raise SettingError(f"EDGEBERT_KERNELS has no kernels for {family} that fit: {'; '.join(faults)}")
    for path in _places(family):
        try:
            file = KernelFile.read(path, named=False)
        except EdgebertError:
            continue
        if file.family == family and not file.incompatibility(features):
            return file
    return None


def _places(family: str) -> Iterator[Path]:
    yield _BUNDLED / f"{family}.so"
    cached = cached_path(family)
    if cached is not None:
        yield from (cached.with_name(cached.name + suffix) for suffix in _SUFFIXES.values())
