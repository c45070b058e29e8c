"""Hold the peers back to older instructions, as edgebert can be with ``EDGEBERT_FAMILY``.

Most engines choose their kernels by the instruction ``cpuid`` and cannot be told otherwise. So copies of their
libraries get an invalid instruction in its place, and the handler of that (``held_cpuid.c``) answers without the
features that the older processor lacks. Everything else is the peer's own code, in the form that it picks for such a
processor, at full speed: an engine asks once, when it starts.

Linux on x86-64, with a C compiler and ``objdump``.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
from pathlib import Path

__all__ = ["HOLDS", "hold"]

HOLDS = ("avx512bw", "avx2")
"""Families of edgebert whose instructions the peers can be held to."""

_PACKAGES = ("onnxruntime", "openvino", "ctranslate2")
_CPUID, _INVALID = b"\x0f\xa2", b"\x0f\x0b"
_HANDLER = Path(__file__).with_name("held_cpuid.c")
_WHERE = """
import importlib.metadata, importlib.util, json, sys
found = {name: importlib.util.find_spec(name) for name in sys.argv[1:]}
def version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
print(json.dumps({
    name: [spec.submodule_search_locations[0], f"{version(name)}-{sys.implementation.cache_tag}"]
    for name, spec in found.items() if spec
}))
"""


def hold(family: str, python: str, folder: Path) -> dict[str, str]:
    """Return the environment variables under which the peers of interpreter `python` see a processor of `family`.

    Parameters
    ----------
    family : str
        One of `HOLDS`.
    python : str
    folder : Path
        Gets copies of the peers' packages, a folder for each version, which are kept.

    Raises
    ------
    ValueError
        When a peer's libraries never ask the processor: then it cannot be held so.
    """
    folder.mkdir(parents=True, exist_ok=True)
    handler = folder.absolute() / "held_cpuid.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(handler), str(_HANDLER)], check=True)
    found = subprocess.run([python, "-c", _WHERE, *_PACKAGES], capture_output=True, text=True, check=True).stdout
    places = []
    for name, (location, version) in json.loads(found).items():
        package, place = Path(location), folder.absolute() / f"{name}-{version}"
        if not place.exists():
            _copy([package, package.with_name(f"{name}.libs")], place)
        places.append(str(place))
    older = "AVX512" if family == "avx512bw" else "AVX2"
    # torch's and MKL's own words for it; their libraries are too large to read through.
    words = {
        "ATEN_CPU_CAPABILITY": older.lower(),
        "MKL_ENABLE_INSTRUCTIONS": older,
        "ONEDNN_MAX_CPU_ISA": "AVX512_CORE" if family == "avx512bw" else "AVX2",
    }
    return {"PYTHONPATH": os.pathsep.join(places), "LD_PRELOAD": str(handler), "HELD_TO": family, **words}


def _copy(sources: list[Path], target: Path) -> None:
    """Copy those of a package's folders that exist, all or nothing, and change their libraries."""
    unfinished = target.with_name(target.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    for source in filter(Path.exists, sources):
        shutil.copytree(source, unfinished / source.name)
    changed = 0
    for library in sorted(unfinished.rglob("*.so*")):
        if not library.is_symlink() and (count := _change(library)):
            print(f"held back: {library.relative_to(unfinished)}, {count} cpuid", flush=True)
            changed += count
    if not changed:
        raise ValueError(f"{target.name} has no cpuid in its libraries, so it cannot be held back")
    unfinished.rename(target)


def _change(library: Path) -> int:
    """Put an invalid instruction in the place of each ``cpuid`` of an ELF file; return how many there were."""
    content = bytearray(library.read_bytes())
    if content[:4] != b"\x7fELF" or _CPUID not in content:
        return 0
    addresses = []
    command = ["objdump", "--disassemble", "--no-show-raw-insn", str(library)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as disassembler:
        assert disassembler.stdout is not None
        for line in disassembler.stdout:
            if line.rstrip().endswith("\tcpuid"):
                addresses.append(int(line.split(":")[0], 16))
    if disassembler.returncode != 0:
        raise subprocess.CalledProcessError(disassembler.returncode, command)
    for address in addresses:
        at = _offset(content, address)
        if content[at : at + 2] != _CPUID:
            raise ValueError(f"{library}: no cpuid at {address:#x}, where objdump has read one")
        content[at : at + 2] = _INVALID
    library.write_bytes(content)
    return len(addresses)


def _offset(content: bytes, address: int) -> int:
    """Return where a loaded address stands in a 64-bit ELF file, by its program headers."""
    (table,) = struct.unpack_from("<Q", content, 32)
    size, count = struct.unpack_from("<HH", content, 54)
    for i in range(count):
        kind, _, offset, begin, _, stored, _ = struct.unpack_from("<IIQQQQQ", content, table + i * size)
        if kind == 1 and begin <= address < begin + stored:
            return offset + address - begin
    raise ValueError(f"{address:#x} is in no segment")
