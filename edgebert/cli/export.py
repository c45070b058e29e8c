"""``edgebert export``: a model as a C library, for programs without Python."""

from __future__ import annotations

import os

import click

from edgebert.cli.help import command
from edgebert.cli.options import target_option
from edgebert.cli.parameters import FileName, ModelName
from edgebert.output import print_text

__all__ = ["export"]


@command(
    short_help="Write a model as a C library.",
    examples=[
        "edgebert export my.edgebert -o my-library",
        "edgebert export my.edgebert --target raspberrypi4 --static -o my-library",
    ],
)
@click.argument("model", type=ModelName())
@target_option
@click.option(
    "-o", "--output", type=FileName(), required=True, metavar="DIR", help="The folder, made if it is not there."
)
@click.option("--static", is_flag=True, help="Write libedgebert.a rather than libedgebert.so.1.")
def export(model: str, target: str, output: str, static: bool) -> None:
    """Write a folder with which a C program runs MODEL, which is what -m takes elsewhere, without Python.

    It holds the library (for Linux; it needs nothing but the C library), edgebert.h, which says how to use it, the
    model as the library maps it, its tokenizer.json, and example.c. A C compiler for the target has to be there: cc,
    aarch64-linux-gnu-gcc, or the package ziglang, which comes first: with it the library runs on older systems.
    """
    from edgebert.cli.model_option import find_model_shown
    from edgebert.export import export as write
    from edgebert.export import needed_glibc

    files = write(find_model_shown(model), target, output, static=static)
    lines = [
        f"{path}: a link to {os.readlink(path)}" if path.is_symlink() else f"{path}: {path.stat().st_size:,} bytes"
        for path in files
    ]
    glibc = None if static else needed_glibc(files[0])
    if glibc:
        lines.append(f"{files[0]} needs glibc {glibc} or later")
    print_text("\n".join(lines) + "\n")
