"""The kernels that a model needs: which, with what constants, arguments and sizes of blocks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba.cuda import types

from edgebert.cuda.attention import attend_kernel
from edgebert.cuda.matmul import expand_kernel, project_heads_kernel, project_kernel
from edgebert.cuda.rows import add_and_norm_kernel, embed_kernel, quantize_rows_kernel
from edgebert.cuda.shape import Shape, blocks_of, expand_tile, heads_tile, project_tile
from edgebert.cuda.target import Target

__all__ = ["Kernel", "kernels_of"]


def _pointer(dtype: type) -> Any:
    return types.CPointer(getattr(types, np.dtype(dtype).name))


_i8, _u16, _i32, _f32 = (_pointer(dtype) for dtype in (np.int8, np.uint16, np.int32, np.float32))
_int, _float = types.int32, types.float32

_LINEAR = (_i32, _i32, _f32, _int, _int, _int, _i32, _f32, _int)
"""batch, x, ranges, K, group, groups, weight, constants, width"""
_NORM = (_int, _f32, _f32, _float)
"""size, weight, bias, eps"""
_QUANTIZED = (_int, _int, _u16, _f32)
"""group, groups, q, ranges"""


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
    project, heads = project_tile(target), heads_tile(target, shape.head_dim)
    row = (*_NORM, _f32, *_QUANTIZED)
    made: dict[str, tuple[Callable[..., None], tuple[Any, ...]]] = {
        "embed": (embed_kernel(shape.embedding_stride, int4=shape.int4), (_i32, _i8, _f32, _f32, _f32, *row)),
        "project": (project_kernel(project), (*_LINEAR, _int, _f32, _int)),
        "project_heads": (project_heads_kernel(heads, shape.head_dim), (*_LINEAR, _int, _u16, _i8, _f32, _int)),
        "attend": (
            attend_kernel(shape.head_dim, shape.longest, biased=shape.biased),
            (_i32, _i32, _i32, _f32, _int, _int, _float, _f32, _int, _int, _f32, _int),
        ),
        "add_and_norm": (add_and_norm_kernel(shape.hidden_stride), (_i32, _f32, _f32, _f32, *_NORM, *_QUANTIZED)),
    }
    for stride in shape.quantized_strides:
        made[f"quantize_rows_{stride}"] = (quantize_rows_kernel(stride), (_i32, _f32, *_QUANTIZED))
    for group in shape.inner_groups:
        function = expand_kernel(expand_tile(target, group), group, shape.form)
        made[f"expand_{group}"] = (function, (*_LINEAR, _int, _f32, _int, _u16, _f32))
    blocks = blocks_of(shape, target)
    return {name: Kernel(function, arguments, *blocks[name]) for name, (function, arguments) in made.items()}
