"""The int8 matmul with its epilogue: Y = activation((A - zero) W * scales + bias)."""

import numpy as np

from edgebert.kernels.activation import activate
from edgebert.kernels.jit import kernel
from edgebert.kernels.plan import LINEAR
from edgebert.kernels.schedule import TASKS_PER_THREAD, share
from edgebert.kernels.simd.families import LANES, current
from edgebert.kernels.simd.ops import (
    broadcast,
    broadcast_i32,
    fma,
    load,
    load_i32,
    load_index,
    load_scalar,
    record,
    store,
    to_float,
)
from edgebert.kernels.simd.tile import PANEL_BYTES, dot_tile

linear_at = record(LINEAR)

ROWS = current().tile_rows
PANELS = current().tile_panels
BLOCK_ROWS = 64
"""Rows that one group of panels meets before the next: their activations stay in the second-level cache."""

wide_tile = dot_tile(PANELS)
tail_tile = dot_tile(1)


@kernel
def epilogue(acc, rows, panels, x_scale, x_zero, linear, n, out, out_stride):
    """Turn a tile of int32 sums into float32 outputs: fma((acc - zero * column_sum) * row_scale, scale, bias)."""
    for r in range(rows):
        zero = broadcast_i32(load_index(x_zero + 4 * r))
        row_scale = broadcast(load_scalar(x_scale + 4 * r))
        for p in range(panels):
            column = 4 * (n + LANES * p)
            exact = load_i32(acc + 4 * LANES * (r * panels + p)) - zero * load_i32(linear.column_sums + column)
            y = fma(to_float(exact) * row_scale, load(linear.scale + column), load(linear.bias + column))
            store(out + 4 * r * out_stride + column, activate(y, linear.activation))


@kernel
def matmul_block(x, x_scale, x_zero, M, linear, first, last, out, out_stride, scratch):
    """Compute rows 0..M and panels first..last of Y."""
    K = linear.K
    steps = K // 4
    panel_stride = steps * PANEL_BYTES
    tiles = (M + ROWS - 1) // ROWS
    panel = first
    while panel < last:
        panels = PANELS if last - panel >= PANELS else 1
        weight = linear.weight + panel * panel_stride
        row_bytes = panels * 4 * LANES
        for i in range(tiles):
            m = share(M, i, tiles)
            rows = share(M, i + 1, tiles) - m
            if panels == PANELS:
                wide_tile(rows, steps, x + m * K, K, 4, weight, panel_stride, PANEL_BYTES, scratch, row_bytes)
            else:
                tail_tile(rows, steps, x + m * K, K, 4, weight, panel_stride, PANEL_BYTES, scratch, row_bytes)
            epilogue(
                scratch,
                rows,
                panels,
                x_scale + 4 * m,
                x_zero + 4 * m,
                linear,
                LANES * panel,
                out + 4 * m * out_stride,
                out_stride,
            )
        panel += panels


@kernel
def column_ranges(M, N, parts):
    """Return into how many ranges of columns each block of rows is cut, so that `parts` threads have tasks."""
    blocks = (M + BLOCK_ROWS - 1) // BLOCK_ROWS
    groups = (N // LANES + PANELS - 1) // PANELS
    if parts == 1:
        return np.int64(1)
    return min(groups, (TASKS_PER_THREAD * parts + blocks - 1) // blocks)


@kernel
def matmul_tasks(M, N, parts):
    """Return the number of tasks of a matmul for a team of `parts` threads."""
    return (M + BLOCK_ROWS - 1) // BLOCK_ROWS * column_ranges(M, N, parts)


@kernel
def matmul(x, x_scale, x_zero, M, linear_address, out, out_stride, scratch, task, parts):
    """Multiply quantized rows by one linear layer; exact in int32, then the same float operations everywhere.

    `x` uint8 [M, K] with `x_scale` float32 [M] and `x_zero` int32 [M]; `out` float32 [M, out_stride]; `scratch`
    takes one tile of int32. Computes task `task` of `matmul_tasks(M, N, parts)`: a block of rows, a range of columns.
    Twin: `reference.matmul`.
    """
    linear = linear_at(linear_address)
    panels = linear.N // LANES
    groups = (panels + PANELS - 1) // PANELS
    blocks = (M + BLOCK_ROWS - 1) // BLOCK_ROWS
    # Tasks that follow each other share their columns, and so the weights in the cache.
    block, columns, ranges = task % blocks, task // blocks, column_ranges(M, linear.N, parts)
    first = share(groups, columns, ranges) * PANELS
    last = min(share(groups, columns + 1, ranges) * PANELS, panels)
    m = share(M, block, blocks)
    rows = share(M, block + 1, blocks) - m
    matmul_block(
        x + m * linear.K,
        x_scale + 4 * m,
        x_zero + 4 * m,
        rows,
        linear,
        first,
        last,
        out + 4 * m * out_stride,
        out_stride,
        scratch,
    )
