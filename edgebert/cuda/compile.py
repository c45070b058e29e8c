"""Compile the kernels of a model for a GPU.

Numba makes PTX, NVIDIA's nvJitLink machine code of it. Runs in a process of its own, so that Numba takes no memory in
the one that computes; needs no GPU.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from types import SimpleNamespace

from numba import cuda
from numba.cuda import dispatcher, types

from edgebert.cuda.kernels import Kernel, kernels_of
from edgebert.cuda.shape import Shape
from edgebert.cuda.signatures import SYMBOL
from edgebert.cuda.target import Target, select, target_of

__all__ = ["assemble", "compile_model", "main", "to_ptx"]


def to_ptx(name: str, kernel: Kernel, target: Target) -> str:
    """Compile one kernel to PTX, in which its name is `SYMBOL`'s."""
    select(target)
    # Numba asks the GPU at hand what device functions are compiled for, and has no setting for another one.
    dispatcher.get_current_device = lambda: SimpleNamespace(compute_capability=target.capability)
    text, _ = cuda.compile(
        kernel.function,
        types.void(*kernel.arguments),
        device=False,
        abi="numba",
        cc=target.capability,
        output="ptx",
        launch_bounds=(kernel.threads, 1),
    )
    (mangled,) = re.findall(r"^\.visible \.entry (\w+)\(", text, re.MULTILINE)
    # What Numba keeps for Python's sake is unused, and would stand in the program once for each kernel.
    text = re.sub(r"^\.common \.global .*\n", "", text, flags=re.MULTILINE)
    # Sixteen bytes of shared memory are copied and loaded at once.
    text = text.replace(".extern .shared .align 4 ", ".extern .shared .align 16 ")
    return text.replace(mangled, SYMBOL.format(name))


def assemble(modules: list[str], target: Target) -> bytes:
    """Make one program in machine code out of PTX.

    Multiplications and additions stay apart where the PTX has them apart: one rounding less would give other numbers
    than the CPU's. In PTX they are where kernels say `multiply`.
    """
    from cuda.bindings import nvjitlink

    handle = nvjitlink.create(2, [f"-arch={target.architecture}", "-fma=0"])
    try:
        for i, text in enumerate(modules):
            data = text.encode()
            nvjitlink.add_data(handle, nvjitlink.InputType.PTX, data, len(data), f"edgebert {i}")
        nvjitlink.complete(handle)
        program = bytearray(nvjitlink.get_linked_cubin_size(handle))
        nvjitlink.get_linked_cubin(handle, program)
    finally:
        nvjitlink.destroy(handle)
    return bytes(program)


def compile_model(shape: Shape, target: Target, report: Callable[[int, int], None] | None = None) -> bytes:
    """Compile every kernel of a model into one program.

    Parameters
    ----------
    shape : Shape
    target : Target
    report : callable, optional
        Called with (kernels done, kernels in all).
    """
    kernels = kernels_of(shape, target)
    modules = []
    for done, (name, kernel) in enumerate(kernels.items()):
        if report:
            report(done, len(kernels) + 1)
        modules.append(to_ptx(name, kernel, target))
    if report:
        report(len(kernels), len(kernels) + 1)
    return assemble(modules, target)


def main() -> None:
    """Compile what the first argument says, {"capability": [9, 0], "shape": [...]}; write the program to stdout."""
    asked = json.loads(sys.argv[1])
    shape = Shape(*(tuple(value) if isinstance(value, list) else value for value in asked["shape"]))

    def report(done: int, total: int) -> None:
        sys.stderr.write(f"{done} {total}\n")
        sys.stderr.flush()

    sys.stdout.buffer.write(compile_model(shape, target_of(tuple(asked["capability"])), report))
