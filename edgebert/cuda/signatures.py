"""The kernels of a model on a GPU: their names, arguments and blocks, for those who compile and those who launch them.

Needs no Numba. Each kernel's function (`edgebert.cuda.kernels`) has these parameters, in this order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from edgebert.cuda.shape import ATTEND_WARPS, ROW_WARPS, Shape, expand_tile, heads_tile, project_tile
from edgebert.cuda.target import Target

__all__ = ["SIGNATURES", "SYMBOL", "Launch", "attend_kind", "kernel_name", "launches_of"]

SYMBOL = "edgebert_{}"
"""The name of a kernel in machine code."""

_LINEAR = {
    "batch": "int32*",
    "x": "int32*",
    "ranges": "float32*",
    "K": "int32",
    "group": "int32",
    "groups": "int32",
    "weight": "int32*",
    "constants": "float32*",
    "width": "int32",
}
"""A product of quantized rows and the layer that they are multiplied by."""
_NORM = {"size": "int32", "rms": "int32", "weight": "float32*", "bias": "float32*", "eps": "float32"}
"""A norm; its size is 0 where there is none."""
_HEAD_NORMS = {
    f"{part}_{name}": kind
    for part in ("query", "key")
    for name, kind in {"size": "int32", "weight": "float32*", "eps": "float32"}.items()
}
"""Norms of heads, without a mean or a bias; a size is 0 where there is none."""
_QUANTIZED = {"group": "int32", "groups": "int32", "q": "uint16*", "ranges": "float32*"}
"""What quantized rows are written to."""

SIGNATURES: dict[str, dict[str, str]] = {
    "embed": {
        "batch": "int32*",
        "words": "int8*",
        "word_scale": "float32*",
        "word_factor": "float32*",
        "positions": "float32*",
        "token_types": "float32*",
        **_NORM,
        "hidden": "float32*",
        **_QUANTIZED,
    },
    "quantize_rows": {"batch": "int32*", "x": "float32*", **_NORM, **_QUANTIZED},
    "project": {**_LINEAR, "N": "int32", "out": "float32*", "out_row": "int32"},
    "project_heads": {
        **_LINEAR,
        "heads": "int32",
        "key_heads": "int32",
        **_HEAD_NORMS,
        "angles": "float32*",
        "pairs": "uint16*",
        "transposed": "int8*",
        "head_scale": "float32*",
        "capacity": "int32",
    },
    "attend": {
        "batch": "int32*",
        "pairs": "int32*",
        "transposed": "int32*",
        "head_scale": "float32*",
        "capacity": "int32",
        "heads": "int32",
        "key_heads": "int32",
        "softmax_scale": "float32",
        "position_bias": "float32*",
        "bias_row": "int32",
        "bias_centre": "int32",
        "context": "float32*",
        "context_row": "int32",
    },
    "add_and_norm": {
        "batch": "int32*",
        "hidden": "float32*",
        "smoothing": "float32*",
        "narrow": "float32*",
        **{f"branch_{name}": kind for name, kind in _NORM.items()},
        **_NORM,
        **_QUANTIZED,
    },
    "expand": {
        **_LINEAR,
        "N": "int32",
        "factor": "float32*",
        "out_groups": "int32",
        "pairs": "uint16*",
        "out_ranges": "float32*",
    },
}
"""Kind of kernel -> name of an argument, in order -> its type: a number, or with * a pointer to GPU memory."""
SIGNATURES["add_and_norm_beside"] = SIGNATURES["add_and_norm"]
SIGNATURES["attend_causal"] = SIGNATURES["attend"]


class Launch(NamedTuple):
    """How a kernel of a model is launched.

    Attributes
    ----------
    kind : str
        A key of `SIGNATURES`.
    size : int
        What it is made for besides the model's `Shape`: the values of a row (``quantize_rows``), the outputs of a
        group (``expand``), the window (``attend``, ``attend_causal``; 0 for all tokens); 0 for other kinds, of which a
        model has one.
    threads : int
        Of a block.
    shared_bytes : int
        Shared memory of a block.
    """

    kind: str
    size: int
    threads: int
    shared_bytes: int

    @property
    def arguments(self) -> Mapping[str, str]:
        """Name of an argument, in order -> its type."""
        return SIGNATURES[self.kind]


def launches_of(shape: Shape, target: Target) -> dict[str, Launch]:
    """Return the kernels of a model, by name."""
    row_threads = 32 * ROW_WARPS
    project, heads = project_tile(target), heads_tile(target, shape.head_dim)
    launches = [
        Launch("embed", 0, row_threads, 0),
        Launch("project", 0, project.threads, project.shared_bytes),
        Launch("project_heads", 0, heads.threads, heads.shared_bytes),
        *(Launch(attend_kind(causal), window, 32 * ATTEND_WARPS, 0) for window, causal in shape.reaches),
        Launch("add_and_norm", 0, row_threads, 0),
        *[Launch("add_and_norm_beside", 0, row_threads, 0)] * shape.pre_norm,
        *(Launch("quantize_rows", stride, row_threads, 0) for stride in shape.quantized_strides),
    ]
    for group in shape.inner_groups:
        tile = expand_tile(target, group, gated=shape.gated)
        launches.append(Launch("expand", group, tile.threads, tile.shared_bytes))
    return {kernel_name(launch.kind, launch.size): launch for launch in launches}


def attend_kind(causal: bool) -> str:
    """Return the kind of attention: where it is causal, a token attends to none behind itself."""
    return "attend_causal" if causal else "attend"


def kernel_name(kind: str, size: int) -> str:
    """Return the name of a kernel of a kind that is made for a size (`Launch`)."""
    return f"{kind}_{size}" if size else kind
