"""Memory that kernels work in."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from edgebert.engine.model_plan import ModelPlan

__all__ = ["SLACK_ROWS", "aligned_empty", "keeper", "row_bytes"]

_CACHE_LINE = 64
SLACK_ROWS = 16
"""Keys and matrix tiles are read in blocks of 16 rows: the last block may reach beyond the last token."""


def aligned_empty(count: int, dtype: type) -> np.ndarray:
    """Return uninitialised memory that begins at a cache line."""
    size = count * np.dtype(dtype).itemsize
    raw = np.empty(size + _CACHE_LINE, np.uint8)
    offset = -raw.ctypes.data % _CACHE_LINE
    return raw[offset : offset + size].view(dtype)


def keeper(keep: list[object]) -> Callable[[np.ndarray], int]:
    """Return a function that returns an array's address, and puts the array into `keep`, to live as long as that."""

    def place(array: np.ndarray) -> int:
        assert array.flags.c_contiguous
        keep.append(array)
        return array.ctypes.data

    return place


def row_bytes(model: ModelPlan) -> dict[str, int]:
    """Return what the workspace takes for each token: name of a PLAN's field -> bytes."""
    plan = model.record[0]
    key_heads = int(plan["num_key_value_heads"])
    slots = int(plan["num_attention_heads"]) + 2 * key_heads
    inputs = int(max(plan["context_stride"], plan["hidden_stride"], plan["embedding_stride"]))
    factors = 4 * model.most_groups
    return {
        "hidden": 4 * int(plan["hidden_stride"]),
        "narrow": 4 * inputs,
        "heads": slots * int(plan["head_dim"]),
        "head_scale": 4 * slots,
        "key_offset": 4 * key_heads,
        "quantized": inputs,
        "row_scale": factors,
        "row_zero": factors,
        "inner": int(plan["intermediate_stride"]),
        "inner_scale": factors,
        "inner_zero": factors,
    }
