"""Int8 linear layers as the kernels read them: the records of all, and single ones for the heads."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from edgebert.engine.library import KernelLibrary
from edgebert.engine.memory import SLACK_ROWS, aligned_empty, keeper
from edgebert.kernels.plan import (
    BRANCH,
    CODE_PROJECT,
    CODE_QUANTIZE,
    LANES,
    LINEAR,
    PLAN,
    RESIDUAL,
    STAGE_BYTES,
    STEP,
    group_of_count,
)

__all__ = ["CompiledLinear", "StepRunner", "linear_record"]

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


class StepRunner:
    """Steps that the caller's own thread takes, without a model.

    Parameters
    ----------
    library : KernelLibrary
    steps : ndarray [dtype=STEP]
    fields : int
        Of the PLAN: all that these steps read, but for the team's.
    """

    def __init__(self, library: KernelLibrary, steps: np.ndarray, **fields: int) -> None:
        self._library, self._steps = library, steps
        self._plan, self._counters = np.zeros(1, PLAN), np.zeros(2, np.int64)
        self._stages = np.zeros(2 * len(steps) * STAGE_BYTES, np.uint8)
        epoch, active = self._counters.ctypes.data, self._counters[1:].ctypes.data
        team = {"threads": 1, "stages": self._stages.ctypes.data, "epoch": epoch, "active": active}
        record = self._plan[0]
        for name, value in {**fields, **team, "steps": steps.ctypes.data, "step_count": len(steps)}.items():
            record[name] = value
        self._address = self._plan.ctypes.data

    def __call__(self) -> None:
        """Take them all."""
        self._stages[:] = 0
        self._library.encode(self._address, int(self._counters[0]), 0)


class CompiledLinear:
    """A linear layer of a head on compiled kernels: two steps, which quantize rows and multiply them.

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
        record = linear_record(tensors, name, keeper(self._keep))
        self._record, self._library, self._outputs = record, library, N
        self._scratch_bytes = library.scratch_bytes(LANES, LANES)
        self._steps = np.zeros(2, STEP)
        self._steps["code"], self._steps["target"] = (CODE_QUANTIZE, CODE_PROJECT), (RESIDUAL, BRANCH)
        self._steps[0]["reader"] = self._steps[1]["linear"] = record.ctypes.data

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Quantize rows and multiply them: float32 (M, K) -> float32 (M, N)."""
        out = np.empty((len(x), self._outputs), np.float32)
        for begin in range(0, len(x), _MOST_ROWS):
            out[begin : begin + _MOST_ROWS] = self._block(x[begin : begin + _MOST_ROWS])[:, : self._outputs]
        return out

    def _block(self, x: np.ndarray) -> np.ndarray:
        record = self._record[0]
        M, N, K, groups = len(x), int(record["N"]), int(record["K"]), int(record["groups"])
        rows = np.zeros((M, K), np.float32)
        rows[:, : x.shape[1]] = x
        # Not kept from call to call: threads may call a model at once.
        arrays: dict[str, np.ndarray] = {
            "hidden": rows,
            "narrow": np.empty((M, N), np.float32),
            "quantized": np.zeros((M + SLACK_ROWS, K), np.uint8),
            "row_scale": np.zeros((M + SLACK_ROWS, groups), np.float32),
            "row_zero": np.zeros((M + SLACK_ROWS, groups), np.float32),
            "scratch": aligned_empty(self._scratch_bytes, np.uint8),
        }
        places = {field: array.ctypes.data for field, array in arrays.items()}
        StepRunner(self._library, self._steps, tokens=M, hidden_stride=K, **places)()
        return arrays["narrow"]
