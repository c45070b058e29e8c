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
from edgebert.kernels.plan import ACTIVATION_CODES, LINEAR, padded
from edgebert.kernels.simd.families import FAMILIES

__all__ = [
    "activate",
    "add_layer_norm",
    "assert_equal",
    "attend",
    "dense",
    "guarded",
    "matmul",
    "pack",
    "quantize_rows",
]

_GUARD_BYTES = 256
_GUARD = 0xA5
_VECTOR_BYTES = 64


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


def quantize_rows(library: KernelLibrary, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Quantize float32 (M, K): uint8 (M, K), float32 (M,), int32 (M,)."""
    M, K = x.shape
    with guarded((M, K), np.uint8) as q, guarded((M,), np.float32) as scale, guarded((M,), np.int32) as zero:
        library.quantize_rows(x.ctypes.data, M, K, q.ctypes.data, scale.ctypes.data, zero.ctypes.data)
    return q, scale, zero


def pack(weight: np.ndarray) -> np.ndarray:
    """Lay int8 (K, N) out in panels (N / 16, K / 4, 16, 4): written from their definition, not with the package's."""
    K, N = weight.shape
    panels = np.empty((N // 16, K // 4, 16, 4), np.int8)
    for n in range(N):
        panels[n // 16, :, n % 16, :] = weight[:, n].reshape(K // 4, 4)
    return panels


def matmul(
    library: KernelLibrary,
    q: np.ndarray,
    row_scale: np.ndarray,
    row_zero: np.ndarray,
    panels: np.ndarray,
    scale: np.ndarray,
    bias: np.ndarray,
    *,
    activation: str = "none",
    part: int = 0,
    parts: int = 1,
    out_stride: int | None = None,
) -> np.ndarray:
    """Compute one part of a product: float32 (M, out_stride), NaN where nothing was written."""
    outer, steps, columns, depth = panels.shape
    M, N, K = len(q), outer * columns, steps * depth
    column_sums = panels.astype(np.int32).sum(axis=(1, 3), dtype=np.int32).reshape(N)
    linear = np.zeros(1, LINEAR)
    linear["N"], linear["K"], linear["activation"] = N, K, ACTIVATION_CODES[activation]
    arrays = {"weight": panels, "scale": scale, "column_sums": column_sums, "bias": bias}
    for name, array in arrays.items():
        assert array.flags.c_contiguous
        linear[name] = array.ctypes.data
    family = FAMILIES[library.family]
    tile = (family.tile_rows, family.tile_panels * 16)
    stride = out_stride or N
    with guarded((M, stride), np.float32, np.nan) as out, guarded(tile, np.int32) as scratch:
        library.matmul(
            q.ctypes.data,
            row_scale.ctypes.data,
            row_zero.ctypes.data,
            M,
            linear.ctypes.data,
            out.ctypes.data,
            stride,
            scratch.ctypes.data,
            part,
            parts,
        )
    return out


def activate(library: KernelLibrary, x: np.ndarray, form: str) -> np.ndarray:
    """Apply an activation to a copy of float32 `x`, whose size is a multiple of 16."""
    with guarded(x.shape, np.float32) as out:
        out[...] = x
        library.activate(out.ctypes.data, out.size, ACTIVATION_CODES[form])
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
) -> np.ndarray:
    """Attend with `parts` threads: float32 (T, 3 * heads * head_dim) -> (T, heads * head_dim)."""
    T, columns = query_key_value.shape
    head_dim = columns // 3 // heads
    longest = padded(int(np.diff(cu_seqlens).max(initial=1)))
    # Keys are read in blocks of 16 rows: beyond the last token lies what must not show.
    beyond = np.full((16, columns), np.nan, np.float32)
    rows = np.ascontiguousarray(np.concatenate([query_key_value, beyond]))
    tile_rows = FAMILIES[library.family].fma_rows
    scratch_bytes = 4 * longest * (head_dim + tile_rows) + tile_rows * _VECTOR_BYTES
    with ExitStack() as stack:
        out = stack.enter_context(guarded((T, heads * head_dim), np.float32, np.nan))
        scratches = [stack.enter_context(guarded((scratch_bytes,), np.uint8, 0xFF)) for _ in range(parts)]

        def run(part: int, scratch: np.ndarray) -> None:
            library.attend(
                rows.ctypes.data,
                cu_seqlens.ctypes.data,
                len(cu_seqlens) - 1,
                heads,
                head_dim,
                scale * math.log2(math.e),
                out.ctypes.data,
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
