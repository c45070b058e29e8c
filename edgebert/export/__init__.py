"""A model for programs without Python: a C library for one target, and the model as that library maps it."""

from __future__ import annotations

import os
import re
import tempfile
from contextlib import suppress
from pathlib import Path

from edgebert.engine.compiler import compile_object
from edgebert.engine.linker import TRIPLES, archive, require_compiler, run_compiler
from edgebert.engine.targets import find_target
from edgebert.errors import OutputError, SettingError
from edgebert.export.image import write_image
from edgebert.export.records import records_h
from edgebert.kernels.simd.families import FAMILIES, MATRIX
from edgebert.model_file import ModelFile
from edgebert.output import open_output

__all__ = ["export", "needed_glibc"]

_RUNTIME = Path(__file__).parent / "runtime"
_EXAMPLE = Path(__file__).parent.parent / "examples" / "classify.c"
_SONAME = "libedgebert.so.1"
"""Its number is raised when programs compiled with an older edgebert.h would not work with the library."""
# Without contraction a C compiler for AArch64 does what is written, as NumPy does: the results' bits depend on it.
_FLAGS = ["-std=c11", "-O2", "-fPIC", "-ffp-contract=off", "-Wall", "-Wextra", "-pthread"]


def export(
    model: str | os.PathLike[str], target: str, folder: str | os.PathLike[str], *, static: bool = False
) -> list[Path]:
    """Write a folder that a C program needs to run a model: library, header, model, tokenizer, an example.

    Parameters
    ----------
    model : path
        An .edgebert file.
    target : str
        As `edgebert.engine.targets.find_target` takes it, on Linux.
    folder : path
        Made if it is not there; files of the same names are replaced, each whole or not at all.
    static : bool
        Whether to write ``libedgebert.a`` rather than ``libedgebert.so.1`` and the link ``libedgebert.so`` to it.

    Returns
    -------
    list of Path
        The files, the library first.

    Raises
    ------
    ArtifactError
        When the model cannot be read.
    SettingError
        When nothing can be exported for the target, or not this model.
    EdgebertError
        When there is no C compiler for it, or when one fails.
    OutputError
        When the folder cannot be written.
    """
    family, platform = find_target(target)
    if platform not in TRIPLES or FAMILIES[family].dot == MATRIX:
        remedy = "take avx512_vnni" if platform in TRIPLES else f"expected one for {' or '.join(TRIPLES)}"
        raise SettingError(f"kernels for {family} on {platform} are not exported; {remedy}")
    source = ModelFile(model)
    require_compiler(platform, portable=True)  # before the kernels are compiled, which takes longer
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror or error}") from error
    library = folder / ("libedgebert.a" if static else _SONAME)
    files = {
        library: _library(family, platform, static=static),
        folder / "edgebert.h": (_RUNTIME / "edgebert.h").read_bytes(),
        folder / "tokenizer.json": source.info.tokenizer.encode(),
        folder / "example.c": _EXAMPLE.read_bytes(),
    }
    image = folder / "model.image"
    write_image(source, image)  # first, for it may refuse the model
    for path, data in files.items():
        with open_output(str(path)) as file:
            file.write(data)
    return [*files, *([] if static else [_link(library)]), image]


def _link(library: Path) -> Path:
    """Give a library the name by which a linker looks for it."""
    link = library.with_name("libedgebert.so")
    new = library.with_name(".libedgebert.so.link")
    with suppress(OSError):  # a file system may have no links: a copy does as well
        new.unlink(missing_ok=True)
        new.symlink_to(library.name)
        new.replace(link)
        return link
    with open_output(str(link)) as file:
        file.write(library.read_bytes())
    return link


def needed_glibc(library: Path) -> str | None:
    """Return the oldest version of glibc that a shared library runs with; None for what names none."""
    versions = re.findall(rb"\0GLIBC_(\d+)\.(\d+)", library.read_bytes())
    return ".".join(map(str, max((int(major), int(minor)) for major, minor in versions))) if versions else None


def _library(family: str, platform: str, *, static: bool) -> bytes:
    with tempfile.TemporaryDirectory(prefix="edgebert-") as name:
        work = Path(name)
        (work / "records.h").write_text(records_h(FAMILIES[family]))
        (work / "kernels.o").write_bytes(compile_object(family, platform))
        parts = [*map(str, sorted(_RUNTIME.glob("*.c"))), str(work / "kernels.o")]
        flags = [*_FLAGS, f"-I{work}", f"-I{_RUNTIME}", *parts]
        if static:
            run_compiler(platform, [*flags, "-r", "-nostdlib", "-o", str(work / "edgebert.o")], portable=True)
            return archive(platform, work / "edgebert.o")
        (work / "exports").write_text(f"{{ global: {' '.join(f'{name};' for name in _functions())} local: *; }};\n")
        link = ["-shared", f"-Wl,-soname,{_SONAME}", "-Wl,-z,noexecstack", "-Wl,-z,defs", "-Wl,-s"]
        link.append(f"-Wl,--version-script={work / 'exports'}")
        target = work / _SONAME
        run_compiler(platform, [*flags, *link, "-o", str(target)], portable=True)
        return target.read_bytes()


def _functions() -> list[str]:
    """Return the names of the functions that the header declares."""
    header = re.sub(r"/\*.*?\*/", "", (_RUNTIME / "edgebert.h").read_text(), flags=re.S)
    return re.findall(r"\b(edgebert_\w+)\(", header)
