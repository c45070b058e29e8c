"""The int8 matmul and its epilogue: Y = sum over groups of (A - zero) W * scales, + bias."""

import numpy as np

from edgebert.kernels.jit import kernel
from edgebert.kernels.plan import LINEAR
from edgebert.kernels.schedule import TASKS_PER_THREAD, row_blocks, share
from edgebert.kernels.simd.families import LANES, current
from edgebert.kernels.simd.ops import record
from edgebert.kernels.simd.tile import PANEL_BYTES, linear_tile

linear_at = record(LINEAR)

ROWS = current().tile_rows
PANELS = current().tile_panels
TILE_BYTES = 4 * LANES * ROWS * PANELS
"""Scratch for the int32 sums of one tile."""

# Layers of depth 2 have tiles of their own where that pays.
HAS_DEEP_TILE = 2 in current().tiles
DEEP_ROWS, DEEP_PANELS = current().tiles.get(2, (ROWS, PANELS))

tile = linear_tile()


@kernel
def depth_of_tile(linear):
    """Return the steps of K that the tiles of a linear layer take at a time."""
    return np.int64(linear.depth if HAS_DEEP_TILE else 1)


@kernel
def rows_of_tile(linear):
    """Return the rows of the largest tile of a linear layer."""
    return np.int64(DEEP_ROWS if linear.depth == 2 else ROWS)


@kernel
def panels_of_tile(linear):
    """Return the panels of the largest tile of a linear layer."""
    return np.int64(DEEP_PANELS if linear.depth == 2 else PANELS)


@kernel
def matmul_block(x, x_scale, x_zero, begin, M, linear, first, last, out, out_row, scratch):
    """Compute rows begin..begin + M and panels first..last of Y into float32 `out`, which begins with these."""
    K, group, groups = linear.K, linear.group, linear.groups
    x += begin * K
    x_scale += 4 * begin * groups
    x_zero += 4 * begin * groups
    panel_stride = K // 4 * PANEL_BYTES
    depth, most_rows, most_panels = depth_of_tile(linear), rows_of_tile(linear), panels_of_tile(linear)
    tiles = (M + most_rows - 1) // most_rows
    panel = first
    while panel < last:
        panels = min(last - panel, most_panels)
        before, before_row = linear.bias + PANEL_BYTES * panel, np.int64(0)
        # Groups outside, rows inside: a group of the weights and of the activations fit the first-level cache.
        for g in range(groups):
            k = g * group
            weight = linear.weight + panel * panel_stride + k // 4 * PANEL_BYTES
            column = 4 * (g * linear.N + LANES * panel)
            for i in range(tiles):
                m = share(M, i, tiles)
                rows = share(M, i + 1, tiles) - m
                tile(
                    depth,
                    rows,
                    panels,
                    min(group, K - k) // 4,
                    x + m * K + k,
                    K,
                    4,
                    weight,
                    panel_stride,
                    PANEL_BYTES,
                    out + m * out_row + PANEL_BYTES * (panel - first),
                    out_row,
                    x_zero + 4 * (m * groups + g),
                    x_scale + 4 * (m * groups + g),
                    4 * groups,
                    linear.column_sums + column,
                    linear.scale + column,
                    before + m * before_row,
                    before_row,
                    scratch,
                )
            before, before_row = out + PANEL_BYTES * (panel - first), out_row
        panel += panels


@kernel
def column_groups(linear):
    """Return how many groups of panels, each as wide as a tile, the columns of a linear layer are."""
    panels = panels_of_tile(linear)
    return (linear.N // LANES + panels - 1) // panels


@kernel
def column_ranges(M, linear, parts):
    """Return into how many ranges of columns each block of rows is cut, so that `parts` threads have tasks."""
    blocks = row_blocks(M, parts)
    if parts == 1:
        return np.int64(1)
    return min(column_groups(linear), (TASKS_PER_THREAD * parts + blocks - 1) // blocks)


@kernel
def matmul_tasks(M, linear, parts):
    """Return the number of tasks of a matmul for a team of `parts` threads."""
    return row_blocks(M, parts) * column_ranges(M, linear, parts)


@kernel
def matmul(x, x_scale, x_zero, M, linear_address, out, out_stride, scratch, task, parts):
    """Multiply quantized rows by one linear layer; exact in int32, then the same float operations everywhere.

    `x` uint8 [M, K] with `x_scale` and `x_zero` float32 [M, groups], readable for 16 rows more; `out` float32
    [M, out_stride]; `scratch` TILE_BYTES. Computes task `task` of `matmul_tasks(M, linear, parts)`: a block of rows, a
    range of columns. Twin: `reference.matmul`.
    """
    linear = linear_at(linear_address)
    groups, ranges, width = column_groups(linear), column_ranges(M, linear, parts), panels_of_tile(linear)
    blocks = row_blocks(M, parts)
    block, columns = task // ranges, task % ranges
    first = share(groups, columns, ranges) * width
    last = min(share(groups, columns + 1, ranges) * width, linear.N // LANES)
    m = share(M, block, blocks)
    rows = share(M, block + 1, blocks) - m
    matmul_block(
        x,
        x_scale,
        x_zero,
        m,
        rows,
        linear,
        first,
        last,
        out + 4 * (m * out_stride + LANES * first),
        4 * out_stride,
        scratch,
    )
