"""Int8 linear layers as the kernels read them: the records of all, and single ones for the heads."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from edgebert.engine.library import KernelLibrary
from edgebert.engine.memory import SLACK_ROWS, aligned_empty, keeper, scratch_bytes
from edgebert.kernels.plan import LANES, LINEAR, group_of_count
from edgebert.kernels.simd.families import FAMILIES

__all__ = ["CompiledLinear", "linear_record"]

_MOST_ROWS = 64
"""Rows that a head's layer computes at a time."""


def linear_record(tensors: Mapping[str, np.ndarray], name: str, place: Callable[[np.ndarray], int]) -> np.ndarray:
    """Return the LINEAR record of a layer; `place` puts an array where the kernels find it, and returns its address."""
    record = np.zeros(1, LINEAR)
    outer, steps, columns, inputs = tensors[f"{name}.weight"].shape
    record["N"], record["K"] = outer * columns, steps * inputs
    groups = len(tensors[f"{name}.scale"])
    record["group"], record["groups"] = group_of_count(steps * inputs, groups), groups
    record["depth"] = tensors[f"{name}.depth"][0]
    arrays = {part: tensors[f"{name}.{part}"] for part in ("weight", "scale", "bias")}
    arrays["column_sums"] = tensors[f"{name}.column_sums"].astype(np.float32)
    for part, array in arrays.items():
        record[part] = place(array)
    return record


class CompiledLinear:
    """A linear layer of a head on compiled kernels.

    Parameters
    ----------
    tensors : mapping of str to ndarray
        As in an .edgebert file.
    name : str
    N : int
        Outputs that are wanted, the others being padding.
    library : KernelLibrary
    """

    def __init__(self, tensors: Mapping[str, np.ndarray], name: str, N: int, library: KernelLibrary) -> None:
        self._keep: list[object] = []
        self._record, self._library, self._outputs = linear_record(tensors, name, keeper(self._keep)), library, N
        self._scratch_bytes = scratch_bytes(FAMILIES[library.family], LANES, LANES)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Quantize rows and multiply them: float32 (M, K) -> float32 (M, N)."""
        out = np.empty((len(x), self._outputs), np.float32)
        for begin in range(0, len(x), _MOST_ROWS):
            out[begin : begin + _MOST_ROWS] = self._block(x[begin : begin + _MOST_ROWS])[:, : self._outputs]
        return out

    def _block(self, x: np.ndarray) -> np.ndarray:
        record = self._record[0]
        M, N, K = len(x), int(record["N"]), int(record["K"])
        group, groups = int(record["group"]), int(record["groups"])
        rows = np.zeros((M, K), np.float32)
        rows[:, : x.shape[1]] = x
        # Not kept from call to call: threads may call a model at once.
        q, scratch = np.zeros((M + SLACK_ROWS, K), np.uint8), aligned_empty(self._scratch_bytes, np.uint8)
        scale, zero = np.zeros((M + SLACK_ROWS, groups), np.float32), np.zeros((M + SLACK_ROWS, groups), np.float32)
        out = np.empty((M, N), np.float32)
        q_at, scale_at, zero_at = q.ctypes.data, scale.ctypes.data, zero.ctypes.data
        self._library.quantize_rows(rows.ctypes.data, M, K, group, q_at, scale_at, zero_at)
        self._library.matmul(
            q_at, scale_at, zero_at, M, self._record.ctypes.data, out.ctypes.data, N, scratch.ctypes.data, 0, 1
        )
        return out
