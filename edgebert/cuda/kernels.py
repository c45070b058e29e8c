"""The kernels that a model needs, ready to be compiled."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

from numba.cuda import types

from edgebert.cuda.attention import attend_kernel
from edgebert.cuda.matmul import expand_kernel, project_heads_kernel, project_kernel
from edgebert.cuda.rows import add_and_norm_kernel, embed_kernel, quantize_rows_kernel
from edgebert.cuda.shape import Shape, expand_tile, heads_tile, project_tile
from edgebert.cuda.signatures import Launch, launches_of
from edgebert.cuda.target import Target

__all__ = ["Kernel", "kernels_of"]


class Kernel(NamedTuple):
    """A kernel before it is compiled.

    Attributes
    ----------
    function : callable
    arguments : tuple of Numba types
        Pointers to global memory, int32 and float32.
    threads : int
        Of a block.
    shared_bytes : int
        Shared memory of a block.
    """

    function: Callable[..., None]
    arguments: tuple[Any, ...]
    threads: int
    shared_bytes: int


def kernels_of(shape: Shape, target: Target) -> dict[str, Kernel]:
    """Return the kernels of a model, by name."""
    return {name: _kernel(launch, shape, target) for name, launch in launches_of(shape, target).items()}


def _kernel(launch: Launch, shape: Shape, target: Target) -> Kernel:
    function = _function(launch, shape, target)
    parameters = list(inspect.signature(function).parameters)
    if parameters != list(launch.arguments):
        raise TypeError(f"the kernel {launch.kind} takes {parameters}, expected {list(launch.arguments)}")
    arguments = tuple(_numba_type(kind) for kind in launch.arguments.values())
    return Kernel(function, arguments, launch.threads, launch.shared_bytes)


def _function(launch: Launch, shape: Shape, target: Target) -> Callable[..., None]:
    """Make a kernel's function."""
    match launch.kind:
        case "embed":
            return embed_kernel(
                shape.embedding_stride, int4=shape.int4, positions=shape.positions, token_types=shape.token_types
            )
        case "quantize_rows":
            return quantize_rows_kernel(launch.size)
        case "project":
            return project_kernel(project_tile(target))
        case "project_heads":
            tile = heads_tile(target, shape.head_dim)
            return project_heads_kernel(tile, shape.head_dim, rotary=shape.rotary, normed=shape.head_norms)
        case "attend" | "attend_causal":
            causal = launch.kind == "attend_causal"
            return attend_kernel(shape.head_dim, shape.longest, launch.size, causal=causal, biased=shape.biased)
        case "add_and_norm" | "add_and_norm_beside":
            return add_and_norm_kernel(shape.hidden_stride, beside=launch.kind == "add_and_norm_beside")
        case "expand":
            tile = expand_tile(target, launch.size, gated=shape.gated)
            return expand_kernel(tile, launch.size, shape.form, gated=shape.gated)
    raise ValueError(f"there is no kernel {launch.kind}")


def _numba_type(kind: str) -> Any:
    """Return Numba's type of an argument, like ``int32`` or ``int32*``."""
    number = getattr(types, kind.removesuffix("*"))
    return types.CPointer(number) if kind.endswith("*") else number
