"""Call the C functions of a kernel library on arrays.

What a kernel writes lies between guards, so that a write outside of its output fails the test.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from edgebert.engine.library import KernelLibrary
from edgebert.kernels.plan import (
    ACTIVATION_CODES,
    BRANCH,
    CODE_ADD_AND_NORM,
    CODE_EXPAND,
    CODE_PROJECT,
    CODE_QUANTIZE,
    GROUP_LARGEST,
    LANES,
    LINEAR,
    NORM,
    PLAN,
    RESIDUAL,
    STAGE_BYTES,
    STEP,
    padded,
)
from edgebert.kernels.simd.families import FAMILIES

__all__ = [
    "Linear",
    "activate",
    "add_layer_norm",
    "assert_equal",
    "dense",
    "expand",
    "guarded",
    "lstm",
    "matmul",
    "matmul_part",
    "pack",
    "quantize_rows",
    "slack",
    "take",
    "unsigned",
]

_GUARD_BYTES = 256
_GUARD = 0xA5


@contextmanager
def guarded(shape: tuple[int, ...], dtype: type, fill: float = 0) -> Iterator[np.ndarray]:
    """Yield an array; when the block ends, nothing next to it may have changed."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.full(_GUARD_BYTES + size + _GUARD_BYTES, _GUARD, np.uint8)
    inside = memory[_GUARD_BYTES : _GUARD_BYTES + size].view(dtype).reshape(shape)
    inside[...] = fill
    yield inside
    for place, guard in (("before", memory[:_GUARD_BYTES]), ("behind", memory[_GUARD_BYTES + size :])):
        assert (guard == _GUARD).all(), f"the kernel wrote {place} its output of {size} bytes"


def assert_equal(got: np.ndarray, expected: np.ndarray) -> None:
    """Compare bit by bit; say where the first difference is."""
    assert got.shape == expected.shape
    assert got.dtype == expected.dtype
    words = f"u{got.dtype.itemsize}"
    differs = np.ascontiguousarray(got).view(words) != np.ascontiguousarray(expected).view(words)
    if differs.any():
        at = tuple(int(i) for i in np.argwhere(differs)[0])
        raise AssertionError(
            f"{differs.sum()} of {differs.size} differ, first at {at}: expected {expected[at]}, got {got[at]}"
        )


def take(
    library: KernelLibrary, code: int, *, threads: int = 1, only: tuple[int, int] | None = None, **fields: float
) -> int:
    """Take one step of a forward pass, cut into tasks as for so many threads; return how many there were.

    Parameters
    ----------
    library : KernelLibrary
    code : int
        Of `edgebert.kernels.plan.STEP_CODES`.
    threads : int
        The first of them takes the step alone.
    only : (int, int), optional
        A thread, and the number of all tasks: those of the other threads are done already.
    fields : numbers
        Of the PLAN and the STEP.
    """
    plan, step, counters = np.zeros(1, PLAN), np.zeros(1, STEP), np.zeros(2, np.int64)
    stages = np.zeros((1 + threads, STAGE_BYTES // 8), np.int64)
    if only is not None:
        thread, tasks = only
        shares = np.diff([tasks * part // threads for part in range(threads + 1)])
        stages[1:, 0] = shares
        stages[1 + thread, 0], stages[0, 0] = 0, tasks - shares[thread]
    team = {"threads": threads, "epoch": counters.ctypes.data, "active": counters[1:].ctypes.data}
    rest = {"code": code, "steps": step.ctypes.data, "step_count": 1, "stages": stages.ctypes.data}
    for name, value in {**fields, **team, **rest}.items():
        (step if name in STEP.names else plan)[name] = value
    library.encode(plan.ctypes.data, 0, 0)
    return int(stages[0, 0])


def quantize_rows(
    library: KernelLibrary, x: np.ndarray, group: int | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Quantize float32 (M, K): uint8 (M, K), float32 (M, G), float32 (M, G)."""
    M, K = x.shape
    group = group or K
    G = -(-K // group)
    reader = np.zeros(1, LINEAR)
    reader["K"], reader["group"], reader["groups"] = K, group, G
    with guarded((M, K), np.uint8) as q, guarded((M, G), np.float32) as scale, guarded((M, G), np.float32) as zero:
        rows = {"quantized": q, "row_scale": scale, "row_zero": zero, "hidden": np.ascontiguousarray(x)}
        places = {name: array.ctypes.data for name, array in rows.items()}
        take(library, CODE_QUANTIZE, tokens=M, hidden_stride=K, reader=reader.ctypes.data, **places)
    return unsigned(library, q), scale, unsigned(library, zero)


def unsigned(library: KernelLibrary, values: np.ndarray) -> np.ndarray:
    """Return the activations or zero points that a family stores as the numeric law has them."""
    if not FAMILIES[library.family].signed:
        return values
    return values ^ 128 if values.dtype == np.uint8 else values + np.float32(128)


def stored(library: KernelLibrary, values: np.ndarray) -> np.ndarray:
    """Return activations or zero points as a family stores them."""
    if not FAMILIES[library.family].signed:
        return values
    return values ^ 128 if values.dtype == np.uint8 else values - np.float32(128)


def pack(weight: np.ndarray) -> np.ndarray:
    """Lay int8 (K, N) out in panels (N / 16, K / 4, 16, 4): written from their definition, not with the package's."""
    K, N = weight.shape
    panels = np.empty((N // 16, K // 4, 16, 4), np.int8)
    for n in range(N):
        panels[n // 16, :, n % 16, :] = weight[:, n].reshape(K // 4, 4)
    return panels


def slack(rows: np.ndarray) -> np.ndarray:
    """Append 16 rows that kernels may read, and that must not show."""
    beyond = np.full((16, rows.shape[1]), 0xA5, rows.dtype)
    return np.ascontiguousarray(np.concatenate([rows, beyond]))


class Linear:
    """A linear layer as kernels read it, and the quantized rows that it is applied to.

    Parameters
    ----------
    library : KernelLibrary
    q : ndarray [shape=(M, K), dtype=uint8]
    row_scale, row_zero : ndarray [shape=(M, G), dtype=float32]
    panels : ndarray [shape=(N / 16, K / 4, 16, 4), dtype=int8]
    scale : ndarray [shape=(G, N), dtype=float32]
    bias : ndarray [shape=(N,), dtype=float32]
    group : int, optional
        All of K by default.
    int16_steps : int
    """

    def __init__(self, library, q, row_scale, row_zero, panels, scale, bias, group=None, int16_steps=1) -> None:
        outer, steps, columns, inputs = panels.shape
        self.M, self.N, self.K = len(q), outer * columns, steps * inputs
        group = group or self.K
        sums = [
            panels[:, k // 4 : (k + group) // 4].astype(np.float32).sum(axis=(1, 3)).reshape(-1)
            for k in range(0, self.K, group)
        ]
        self._arrays = {"weight": panels, "scale": scale, "column_sums": np.stack(sums), "bias": bias}
        assert scale.shape == (*row_scale.shape[1:], self.N) == (len(sums), self.N)
        self._record = np.zeros(1, LINEAR)
        self._record["N"], self._record["K"] = self.N, self.K
        self._record["group"], self._record["groups"], self._record["depth"] = group, len(sums), int16_steps
        for name, array in self._arrays.items():
            assert array.flags.c_contiguous
            self._record[name] = array.ctypes.data
        rows = slack(stored(library, q)), row_scale, stored(library, row_zero)
        self._rows = [np.ascontiguousarray(array) for array in rows]

    @property
    def fields(self) -> dict[str, int]:
        """What every step that multiplies by a linear layer reads."""
        rows = zip(("quantized", "row_scale", "row_zero"), self._rows, strict=True)
        places = {name: array.ctypes.data for name, array in rows}
        return {**places, "tokens": self.M, "linear": self._record.ctypes.data}


def matmul(library: KernelLibrary, *operands: np.ndarray, group: int | None = None, int16_steps: int = 1) -> np.ndarray:
    """Compute a product of `Linear`'s operands: float32 (M, N), NaN where nothing was written."""
    return matmul_part(library, *operands, group=group, int16_steps=int16_steps)[0]


def matmul_part(
    library: KernelLibrary,
    *operands: np.ndarray,
    group: int | None = None,
    int16_steps: int = 1,
    threads: int = 1,
    only: tuple[int, int] | None = None,
) -> tuple[np.ndarray, int]:
    """Compute what `take` takes of a product; return it, and the number of all tasks."""
    linear = Linear(library, *operands, group, int16_steps)
    size = library.scratch_bytes(16, 16)
    with guarded((linear.M, linear.N), np.float32, np.nan) as out, guarded((size,), np.uint8) as scratch:
        places = {"narrow": out.ctypes.data, "scratch": scratch.ctypes.data, "target": BRANCH}
        tasks = take(library, CODE_PROJECT, threads=threads, only=only, **linear.fields, **places)
    return out, tasks


def expand(
    library: KernelLibrary,
    *operands: np.ndarray,
    factor: np.ndarray,
    form: str,
    out_group: int,
    group: int | None = None,
    int16_steps: int = 1,
    **part: Any,
) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], int]:
    """Compute what `take` takes of an intermediate layer; return it, and the number of all tasks.

    It is uint8 (M, I), float32 (M, G) twice, zero where nothing was written; activations and zero points are as the
    family stores them. I is N, or half of it where the layer is `gated`.
    """
    linear = Linear(library, *operands, group, int16_steps)
    size = len(factor)
    groups = -(-size // out_group)
    reader = np.zeros(1, LINEAR)
    reader["K"], reader["group"], reader["groups"] = size, out_group, groups
    part["gated"] = size != linear.N
    with (
        guarded((linear.M, size), np.uint8) as q,
        guarded((linear.M, groups), np.float32) as scale,
        guarded((linear.M, groups), np.float32) as zero,
        guarded((library.scratch_bytes(16, 16),), np.uint8) as scratch,
    ):
        arrays = {"inner": q, "inner_scale": scale, "inner_zero": zero, "scratch": scratch, "factor": factor}
        places = {name: array.ctypes.data for name, array in {**arrays, "reader": reader}.items()}
        activation = ACTIVATION_CODES[form]
        tasks = take(library, CODE_EXPAND, activation=activation, **linear.fields, **places, **part)
    return (q, scale, zero), tasks


def activate(library: KernelLibrary, x: np.ndarray, form: str, factor: np.ndarray | None = None) -> np.ndarray:
    """Apply an activation, and a factor of the same shape, to float32 `x`, whose size is a multiple of 16.

    The values are the biases of an intermediate layer without weights, and stay where it keeps them in float32.
    """
    family = FAMILIES[library.family]
    values = np.ascontiguousarray(x, np.float32).reshape(-1)
    factors = np.ones_like(values) if factor is None else np.ascontiguousarray(factor, np.float32).reshape(-1)
    result = np.empty_like(values)
    begin_of_block = 4 * LANES * family.tile_rows * family.tile_panels
    scratch = np.zeros(library.scratch_bytes(16, 16), np.uint8)
    nothing = np.zeros((1, 64), np.uint8), np.ones((1, 1), np.float32), np.zeros((1, 1), np.float32)
    reader, out = np.zeros(1, LINEAR), np.zeros((3, GROUP_LARGEST), np.float32)
    for begin in range(0, values.size, GROUP_LARGEST):
        own = slice(begin, begin + GROUP_LARGEST)
        bias, factor = values[own].copy(), factors[own].copy()
        panels = np.zeros((bias.size // 16, 16, 16, 4), np.int8)
        linear = Linear(library, *nothing, panels, np.ones((1, bias.size), np.float32), bias)
        reader["K"], reader["group"], reader["groups"] = bias.size, bias.size, 1
        arrays = {"inner": out[0], "inner_scale": out[1], "inner_zero": out[2], "scratch": scratch, "factor": factor}
        places = {name: array.ctypes.data for name, array in {**arrays, "reader": reader}.items()}
        take(library, CODE_EXPAND, activation=ACTIVATION_CODES[form], **linear.fields, **places)
        result[own] = scratch[begin_of_block : begin_of_block + 4 * bias.size].view(np.float32)
    return result.reshape(x.shape)


def add_layer_norm(
    library: KernelLibrary,
    x: np.ndarray,
    smoothing: np.ndarray | None,
    y: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray,
    eps: float,
    target: int = RESIDUAL,
    code: int = CODE_ADD_AND_NORM,
    *,
    rms: bool = False,
    branch_norm: tuple[np.ndarray, float] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Normalise x * smoothing + y, or x + y: return float32 (M, H padded) what becomes of x, and of y.

    With a `branch_norm`, the weight and the eps of an RMSNorm, y is normalised before.
    """
    M, H = x.shape
    stride = padded(H)

    def wide(array: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(np.pad(array, [*[(0, 0)] * (array.ndim - 1), (0, stride - H)]))

    weight, bias = wide(weight), wide(bias)
    undo = None if smoothing is None else wide(smoothing)
    norm = np.zeros(1, NORM)
    norm["size"], norm["eps"], norm["weight"], norm["bias"] = H, eps, weight.ctypes.data, bias.ctypes.data
    norm["rms"] = rms
    before = None
    if branch_norm:
        before, before_weight = norm.copy(), wide(branch_norm[0])
        zeros = np.zeros_like(before_weight)
        before["weight"], before["bias"] = before_weight.ctypes.data, zeros.ctypes.data
        before["eps"], before["rms"] = branch_norm[1], True
    with guarded((M, stride), np.float32) as stream, guarded((M, stride), np.float32) as branch:
        stream[...], branch[...] = wide(x), wide(y)
        arrays = {"hidden": stream, "narrow": branch, "undo": undo, "norm": norm, "branch_norm": before}
        places = {name: array.ctypes.data for name, array in arrays.items() if array is not None}
        take(library, code, tokens=M, hidden_stride=stride, target=target, **places)
    return stream, branch


def lstm(library: KernelLibrary, gates: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Take a sequence, float32 (T, 4 size), with a recurrent weight (size, 4 size); return its states (T, size)."""
    (T, _), size = gates.shape, len(weight)
    with guarded((T, 4 * size), np.float32) as own, guarded((T, size), np.float32, np.nan) as out:
        own[:] = gates
        with guarded((size,), np.float32) as cell:
            library.lstm(*(own.ctypes.data, T, size), *(each.ctypes.data for each in (weight, cell, out)))
    return out


def dense(library: KernelLibrary, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Multiply float32 (M, K) by (K, N)."""
    (M, K), N = x.shape, weight.shape[1]
    with guarded((M, N), np.float32, np.nan) as out:
        library.dense(x.ctypes.data, M, K, weight.ctypes.data, N, out.ctypes.data)
    return out
