"""Call the C functions of a kernel library on arrays.

What a kernel writes lies between guards, so that a write outside of its output fails the test.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import numpy as np

from edgebert.engine.library import KernelLibrary
from edgebert.engine.memory import scratch_bytes
from edgebert.kernels import reference
from edgebert.kernels.plan import ACTIVATION_CODES, LINEAR, padded
from edgebert.kernels.simd.families import FAMILIES

__all__ = [
    "activate",
    "add_layer_norm",
    "assert_equal",
    "attend",
    "dense",
    "expand",
    "guarded",
    "matmul",
    "pack",
    "project_heads",
    "quantize_rows",
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


def quantize_rows(
    library: KernelLibrary, x: np.ndarray, group: int | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Quantize float32 (M, K): uint8 (M, K), float32 (M, G), float32 (M, G)."""
    M, K = x.shape
    group = group or K
    G = -(-K // group)
    with guarded((M, K), np.uint8) as q, guarded((M, G), np.float32) as scale, guarded((M, G), np.float32) as zero:
        library.quantize_rows(x.ctypes.data, M, K, group, q.ctypes.data, scale.ctypes.data, zero.ctypes.data)
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
    depth : int
    """

    def __init__(self, library, q, row_scale, row_zero, panels, scale, bias, group=None, depth=1) -> None:
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
        self._record["group"], self._record["groups"], self._record["depth"] = group, len(sums), depth
        for name, array in self._arrays.items():
            assert array.flags.c_contiguous
            self._record[name] = array.ctypes.data
        rows = slack(stored(library, q)), row_scale, stored(library, row_zero)
        self._rows = [np.ascontiguousarray(array) for array in rows]

    @property
    def arguments(self) -> list[int]:
        """What every kernel of a linear layer takes first."""
        return [*(array.ctypes.data for array in self._rows), self.M, self._record.ctypes.data]


def matmul(
    library: KernelLibrary,
    *operands: np.ndarray,
    group: int | None = None,
    depth: int = 1,
    part: int = 0,
    parts: int = 1,
    out_stride: int | None = None,
) -> np.ndarray:
    """Compute one part of a product of `Linear`'s operands: float32 (M, out_stride), NaN where nothing was written."""
    linear = Linear(library, *operands, group, depth)
    stride = out_stride or linear.N
    scratch_size = scratch_bytes(FAMILIES[library.family], 16, 16)
    with guarded((linear.M, stride), np.float32, np.nan) as out, guarded((scratch_size,), np.uint8) as scratch:
        library.matmul(*linear.arguments, out.ctypes.data, stride, scratch.ctypes.data, part, parts)
    return out


def expand(
    library: KernelLibrary,
    *operands: np.ndarray,
    factor: np.ndarray,
    group: int | None = None,
    depth: int = 1,
    form: str,
    out_group: int,
    part: int = 0,
    parts: int = 1,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute one part of an intermediate layer: uint8 (M, N), float32 (M, G) twice, zero where nothing was written.

    Activations and zero points are as the family stores them.
    """
    linear = Linear(library, *operands, group, depth)
    groups = -(-linear.N // out_group)
    scratch_size = scratch_bytes(FAMILIES[library.family], 16, 16)
    with (
        guarded((linear.M, linear.N), np.uint8) as q,
        guarded((linear.M, groups), np.float32) as scale,
        guarded((linear.M, groups), np.float32) as zero,
        guarded((scratch_size,), np.uint8) as scratch,
    ):
        outputs = [array.ctypes.data for array in (q, scale, zero, scratch)]
        library.expand(
            *linear.arguments, ACTIVATION_CODES[form], factor.ctypes.data, out_group, groups, *outputs, part, parts
        )
    return q, scale, zero


def project_heads(
    library: KernelLibrary,
    *operands: np.ndarray,
    heads: int,
    group: int | None = None,
    depth: int = 1,
    parts: int = 1,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute query, key and value: uint8 (M, N), float32 (3 heads, M), float32 (heads, M)."""
    linear = Linear(library, *operands, group, depth)
    head_dim = linear.N // 3 // heads
    scratch_size = scratch_bytes(FAMILIES[library.family], head_dim, 16)
    with (
        guarded((linear.M, linear.N), np.uint8) as q,
        guarded((3 * heads, linear.M), np.float32, np.nan) as scale,
        guarded((heads, linear.M), np.float32, np.nan) as offset,
        guarded((scratch_size,), np.uint8) as scratch,
    ):
        outputs = [array.ctypes.data for array in (q, scale, offset)]
        for part in range(parts):
            arguments = [heads, head_dim, *outputs, linear.M, scratch.ctypes.data, part, parts]
            library.project_heads(*linear.arguments, *arguments)
    return q, scale, offset


def activate(library: KernelLibrary, x: np.ndarray, form: str, factor: np.ndarray | None = None) -> np.ndarray:
    """Apply an activation, and a factor of the same shape, to a copy of float32 `x`; its size is a multiple of 16."""
    with guarded(x.shape, np.float32) as out:
        out[...] = x
        ones = np.ones(out.size, np.float32) if factor is None else factor
        library.activate(out.ctypes.data, ones.ctypes.data, out.size, ACTIVATION_CODES[form])
    return out


def add_layer_norm(
    library: KernelLibrary,
    x: np.ndarray,
    smoothing: np.ndarray,
    y: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray,
    eps: float,
) -> np.ndarray:
    """Normalise x * smoothing + y: float32 (M, H) -> (M, H padded)."""
    M, H = x.shape
    stride = padded(H)

    def wide(array: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(np.pad(array, [*[(0, 0)] * (array.ndim - 1), (0, stride - H)]))

    inputs = [wide(array) for array in (smoothing, y, weight, bias)]
    smoothing, y, weight, bias = inputs
    with guarded((M, stride), np.float32) as out:
        out[...] = wide(x)
        library.add_layer_norm(
            out.ctypes.data,
            smoothing.ctypes.data,
            y.ctypes.data,
            M,
            H,
            stride,
            weight.ctypes.data,
            bias.ctypes.data,
            eps,
        )
    return out


def attend(
    library: KernelLibrary,
    query_key_value: np.ndarray,
    cu_seqlens: np.ndarray,
    heads: int,
    scale: float,
    parts: int = 1,
    bias: np.ndarray | None = None,
) -> np.ndarray:
    """Quantize and attend with `parts` threads: float32 (T, 3 * heads * head_dim) -> (T, heads * head_dim).

    `bias` float32 (heads, 2 * P - 1), as `reference.attend` takes it.
    """
    T, columns = query_key_value.shape
    head_dim = columns // 3 // heads
    q, scales = reference.quantize_heads(query_key_value, heads)
    offset = -64 * q[1].sum(axis=2, dtype=np.float32) * scales[1]
    q[0] += 64
    # Keys are read in blocks of 16 rows: beyond the last token lies what must not show.
    rows = slack(q.view(np.uint8).transpose(2, 0, 1, 3).reshape(T, columns))
    scale_row = T + 16
    beyond = [(0, 0), (0, 16)]
    scales, offset = (
        np.ascontiguousarray(np.pad(array, beyond, constant_values=np.nan))
        for array in (scales.reshape(3 * heads, T), offset)
    )
    distances = np.zeros(0, np.float32)
    if bias is not None:
        distances = np.pad(bias * np.float32(math.log2(math.e)), beyond, constant_values=np.nan)
    size = scratch_bytes(FAMILIES[library.family], head_dim, int(np.diff(cu_seqlens).max(initial=1)))
    with ExitStack() as stack:
        out = stack.enter_context(guarded((T, heads * head_dim), np.float32, np.nan))
        scratches = [stack.enter_context(guarded((size,), np.uint8, 0xFF)) for _ in range(parts)]

        def run(part: int, scratch: np.ndarray) -> None:
            library.attend(
                rows.ctypes.data,
                scales.ctypes.data,
                offset.ctypes.data,
                scale_row,
                cu_seqlens.ctypes.data,
                len(cu_seqlens) - 1,
                heads,
                head_dim,
                scale * math.log2(math.e),
                0 if bias is None else distances.ctypes.data,
                0 if bias is None else distances.shape[1],
                0 if bias is None else bias.shape[1] // 2,
                out.ctypes.data,
                heads * head_dim,
                scratch.ctypes.data,
                part,
                parts,
            )

        if parts == 1:
            run(0, scratches[0])
        else:
            with ThreadPoolExecutor(parts) as pool:
                list(pool.map(run, range(parts), scratches))
    return out


def dense(library: KernelLibrary, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Multiply float32 (M, K) by (K, N)."""
    (M, K), N = x.shape, weight.shape[1]
    with guarded((M, N), np.float32, np.nan) as out:
        library.dense(x.ctypes.data, M, K, weight.ctypes.data, N, out.ctypes.data)
    return out
