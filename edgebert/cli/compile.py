"""``edgebert compile``: kernels compiled ahead of time, for this processor or for another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from edgebert.cli.help import command
from edgebert.cli.options import target_option
from edgebert.cli.parameters import FileName
from edgebert.output import check_folder, open_output, print_text

if TYPE_CHECKING:
    from edgebert.engine.kernel_file import KernelFile

__all__ = ["compile"]


@command(
    "compile",
    short_help="Compile the kernels ahead of time.",
    examples=[
        "edgebert compile",
        "edgebert compile --target raspberrypi5 -o pi5.so   # for another one",
    ],
)
@target_option
@click.option(
    "-o",
    "--output",
    type=FileName(),
    metavar="FILE",
    help="[default: the cache for this processor, else edgebert-TARGET.so here]",
)
def compile(target: str, output: str | None) -> None:
    """Compile the kernels ahead of time, for this processor or for another one.

    On the other computer, set EDGEBERT_KERNELS to the file, or to a folder of several, of which the best is chosen:
    then neither Numba nor llvmlite is needed there. A FILE ending in .o becomes an object file; a shared library needs
    a C compiler for the platform (cc, aarch64-linux-gnu-gcc, or the package ziglang).
    """
    from pathlib import Path

    from edgebert.engine.compiler import compile_and_keep, compile_object
    from edgebert.engine.kernel_file import KernelFile
    from edgebert.engine.linker import link_shared, require_compiler
    from edgebert.engine.targets import find_target

    family, platform = find_target(target)
    if output is None and target == "native":
        kernels = compile_and_keep(family)
        print_text(f"{kernels.path or 'nowhere'}: {_described(kernels)}\n")
        return
    path = output or f"edgebert-{target}.so"
    check_folder(path)
    if path.endswith(".o"):
        code = compile_object(family, platform)
        with open_output(path) as file:
            file.write(code)
        kernels = KernelFile.of(family, platform, "object", code)
    else:
        require_compiler(platform)  # before it takes long
        code = link_shared(compile_object(family, platform), platform)
        kernels = KernelFile.of(family, platform, "shared", code).write(Path(path))
    print_text(f"{path}: {_described(kernels)}\n")


def _described(kernels: KernelFile) -> str:
    needs = f", needs {', '.join(kernels.needs)}" if kernels.needs else ""
    return f"{kernels.form} kernels for {kernels.family} on {kernels.platform}{needs}, {len(kernels.code) // 1000} kB"
